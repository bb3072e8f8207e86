"""What ten thousand runs may fill: status, ledger, records. Bounds, never times."""

import json
from dataclasses import replace

import large_kill as large
from xcom_rollout.clients.kube import Json
from xcom_rollout.decide.actions import ClearRuns, StopRuns, WriteLedger
from xcom_rollout.decide.core import decide
from xcom_rollout.decide.ledger import Kill, RunStage
from xcom_rollout.decide.summarize import summarize
from xcom_rollout.stored.ledger_codec import encode, to_config_map
from xcom_rollout.stored.packing import LIMIT

MANY = 10_000
ENDED = (*[RunStage.RECOVERED] * 8, RunStage.HEALED, RunStage.FAILED)


def in_trouble(kill: Kill) -> Kill:
    return replace(kill, runs=tuple(replace(run, error="x" * 500, tries=2) for run in kill.runs))


def shown(kill: Kill) -> Json:
    seen = large.observed(large.ledger(kill))
    return summarize(seen, decide(seen, large.NOW), large.NOW, {})


def test_the_status_does_not_grow_with_the_runs() -> None:
    status = shown(in_trouble(large.kill(MANY)))
    switch = status["killSwitch"]
    assert len(switch["troubled"]) == 20
    assert switch["runs"]["found"] == MANY
    assert len(json.dumps(status)) < 48 * 1024


def test_no_message_lists_thousands_of_runs() -> None:
    for stage in RunStage:
        kill = large.kill(MANY, (stage,))
        seen = large.observed(large.ledger(kill))
        for found in decide(seen, large.NOW).findings:
            assert len(found.finding.message) < 2000, found.step


def test_past_kills_keep_counts_and_not_their_runs() -> None:
    past = tuple(large.kill(MANY, ENDED, attempt=n).past() for n in range(1, 21))
    assert all(len(kill.runs) == 50 for kill in past)
    assert dict(past[0].counts) == {"Failed": 1000, "Healed": 1000, "Recovered": 8000}
    ledger = large.ledger(None, past)
    assert len(encode(ledger)) < LIMIT
    assert len(json.dumps(to_config_map(ledger))) < LIMIT


def test_a_kill_of_all_runs_beside_past_ones_fits_its_config_map() -> None:
    past = tuple(large.kill(MANY, ENDED, attempt=n).past() for n in range(1, 21))
    ledger = large.ledger(large.kill(MANY, attempt=21), past)
    assert len(json.dumps(to_config_map(ledger))) < LIMIT


def test_a_record_is_made_of_many_runs_and_none_is_tried_twice_for_it() -> None:
    story = large.Retriggering(1000)
    tried: dict[type, list[object]] = {StopRuns: [], ClearRuns: []}
    records = 0
    kill: Kill | None = None
    for _ in range(200):
        action = story.next().action
        records += isinstance(action, WriteLedger)
        if isinstance(action, StopRuns | ClearRuns):
            tried[type(action)] += action.runs
        kill = story.seen.ledger.kill
        assert kill is not None
        if kill.queued_at is not None:
            break
    assert kill is not None
    assert {run.stage for run in kill.runs} == {RunStage.CLEARED}
    assert records <= 16
    for runs in tried.values():
        assert len(runs) == len(set(runs)) == 1000


def test_runs_that_do_not_stop_keep_no_other_from_its_record() -> None:
    kill = large.kill(400, (RunStage.STOPPING,))
    stubborn = tuple(replace(run, tries=2) for run in kill.runs[:399])
    ledger = large.ledger(replace(kill, runs=(*stubborn, kill.runs[399])))
    seen = large.observed(ledger)
    assert seen.airflow is not None
    last = seen.airflow.runs[-1]
    view = replace(seen.airflow, runs=(*seen.airflow.runs[:-1], replace(last, state="failed")))
    action = decide(replace(seen, airflow=view), large.NOW).action
    assert isinstance(action, WriteLedger)
    assert action.ledger.kill is not None
    assert action.ledger.kill.runs[-1].stage is RunStage.STOPPED
