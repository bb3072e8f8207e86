"""The state of runs that are watched for minutes or hours, without reading all of them each time.

A kill may watch ten thousand runs, and Airflow returns a hundred at a time. So what was seen is
kept, and a look requests what changed since. Only clocks on Airflow's side are used for that, the
web server's (Date of an answer) and the scheduler's (the newest time in a run), whichever is
behind. The scheduler touches each running run at each of its decisions, some twenty a second: that
limits what changes between two looks.

What is kept may be dropped at any time. Everything is read again every `RELOAD` seconds, because of
what no clock shows: a run that was deleted, a writer whose clock is behind by more than `OVERLAP`.
"""

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Final

from xcom_rollout.airflow_api.airflow import IN_FLIGHT, AirflowApi
from xcom_rollout.airflow_api.each import MOST_BY_NAME, Answers, ask_each, is_of_one
from xcom_rollout.airflow_api.run_memory import RunMemory
from xcom_rollout.clients.errors import AirflowError
from xcom_rollout.decide.ledger import RunKey
from xcom_rollout.decide.observed import DagRun

FEW: Final = 3
"""Number of runs up to which single requests are faster than a page of changes."""
MANY: Final = 100
"""Number of unknown runs from which lists are read before the rest is requested one by one."""
SKEW: Final = timedelta(minutes=5)
"""How much Airflow's clock may be behind the operator's."""


def watched_runs(
    airflow: AirflowApi, keys: Collection[RunKey], *, since: datetime | None = None
) -> Answers[RunKey, DagRun]:
    """Return the runs of these keys; what Airflow does not have is left out.

    A run that Airflow refuses to return does not affect the others. Where a list is refused, one
    run in it may be the cause: then each is requested by name.

    The first look costs the pages of what is in flight and of what changed since `since`, each
    further one the pages of what changed since the last look.

    Args:
        since: by the operator's clock, when the runs began to be changed on purpose, such as the
            start of a kill; saves requests at a first look.

    Raises:
        AirflowError: Airflow could not be asked; what was seen before that is kept.
    """
    wanted = frozenset(keys)
    if len(wanted) <= FEW:
        return _there(_by_name(airflow, wanted))
    memory = airflow.memory
    with memory.lock:
        memory.keep_only(wanted)
        try:
            _bring_up_to_date(airflow, memory, wanted, since)
        except AirflowError as problem:
            if not is_of_one(problem) or len(wanted) > MOST_BY_NAME:
                raise
            # Nothing of it is kept: the missing lists would have been newer.
            asked = _by_name(airflow, wanted)
            if not asked.found:
                raise
            return _there(asked)
        return Answers(
            {key: memory.runs[key] for key in wanted if key in memory.runs}, dict(memory.refused)
        )


def _by_name(airflow: AirflowApi, wanted: frozenset[RunKey]) -> Answers[RunKey, DagRun | None]:
    try:
        return ask_each(airflow.run, sorted(wanted))
    except AirflowError as error:
        if len(wanted) > 1 or not is_of_one(error):
            raise
        # The only run fails alone or together with all of Airflow: its DAG shows which.
        (key,) = wanted
        ask_each(airflow.dag, [key.dag_id])
        return Answers({}, {key: error})


def _there(asked: Answers[RunKey, DagRun | None]) -> Answers[RunKey, DagRun]:
    found = {key: run for key, run in asked.found.items() if run is not None}
    return Answers(found, asked.refused)


def _bring_up_to_date(
    airflow: AirflowApi,
    memory: RunMemory,
    wanted: frozenset[RunKey],
    since: datetime | None,
) -> None:
    if memory.seen_until is not None:
        seen = airflow.list_runs({"updated_at_gte": memory.seen_until.isoformat()})
        memory.note(seen, wanted)
        memory.seen_at(seen.server_time)
    if len(memory.unknown(wanted)) > MANY:
        seen = airflow.list_runs({"state": list(IN_FLIGHT)})
        memory.note(seen, wanted)
        if memory.seen_until is None:
            memory.seen_at(seen.server_time)
        if since is not None and len(memory.unknown(wanted)) > MANY:
            changed = airflow.list_runs({"updated_at_gte": (since - SKEW).isoformat()})
            memory.note(changed, wanted)
    if memory.seen_until is None:
        latest = airflow.latest_runs()
        memory.note(latest, wanted)
        memory.seen_at(latest.server_time)

    def ask(key: RunKey) -> None:
        memory.record(key, airflow.run(key))

    by_name = {*memory.unknown(wanted), *memory.overdue(), *memory.refused_before()}
    # A list was just answered, so a failure now concerns a single run.
    for key, error in ask_each(ask, sorted(by_name), answering=True).refused.items():
        memory.record_refusal(key, error)
