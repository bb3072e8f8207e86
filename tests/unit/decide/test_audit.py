"""What the audit gate guarantees, and how it is passed."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from simulation import START, SimRun, Simulation, spec
from xcom_probe import main
from xcom_rollout.api.v1alpha1 import Calibration, Threshold
from xcom_rollout.decide.actions import RunJob, SetValues, WriteLedger
from xcom_rollout.decide.audits import AUDIT_RETRY
from xcom_rollout.decide.ledger import (
    Audit,
    AuditFinding,
    Component,
    Confidence,
    Effect,
    NamedCheck,
    RunKey,
    Verdict,
)
from xcom_rollout.decide.observed import AuditResult, JobKind
from xcom_rollout.decide.summarize import summarize

STATIC, DYNAMIC = JobKind.AUDIT_STATIC, JobKind.AUDIT_DYNAMIC
BOTH: dict[str, Any] = {"static": {}, "dynamic": {}}
NUMPY = AuditFinding(
    Effect.FAILS, Confidence.HIGH, "ndarray", "etl", "extract", file="etl.py", line=12
)
STRINGS = AuditFinding(
    Effect.DRIFTS, Confidence.HIGH, "json-str", "api", "fetch", key="page", rows=7
)
UNSEEN = AuditFinding(Effect.UNSEEN, Confidence.HIGH, "unreadable", file="old.py")


def found(*findings: AuditFinding, left_out: int = 0) -> AuditResult:
    verdict = Verdict.FAIL if findings else Verdict.PASS
    return AuditResult(verdict, findings, left_out, (), (), report='{"findings": []}')


def world(audit: object = BOTH, runs: list[SimRun] | None = None, **gates: object) -> Simulation:
    return Simulation(runs or [], the_spec=spec(gates={"audit": audit, **gates}))


def deliveries(sim: Simulation) -> list[str | None]:
    return [a.settings.threshold for a in sim.actions if isinstance(a, SetValues)]


def jobs(sim: Simulation, *kinds: JobKind) -> list[RunJob]:
    return [a for a in sim.actions if isinstance(a, RunJob) and a.kind in kinds]


FINDINGS = st.lists(st.sampled_from([NUMPY, STRINGS, UNSEEN]), max_size=2).map(
    lambda items: found(*items)
)


@settings(max_examples=150, deadline=None)
@given(
    wanted=st.sampled_from([None, {"static": {}}, {"dynamic": {}}, BOTH]),
    accepted=st.lists(st.sampled_from(["etl", "api"]), max_size=2),
    events=st.lists(
        st.one_of(
            st.none(),
            st.tuples(st.sampled_from([STATIC, DYNAMIC]), FINDINGS),
            st.sampled_from(["break", "mend", "change", "day", "proof"]),
        ),
        max_size=60,
    ),
    seconds=st.integers(1, 8),
)
def test_nothing_is_delivered_without_the_audits_that_are_asked_for(
    wanted: dict[str, Any] | None, accepted: list[str], events: list[Any], seconds: int
) -> None:
    """Missing, red, broken, too old, or of something else: whatever happens meanwhile."""
    entries = [{"dagId": dag} for dag in accepted]
    sim = world({**wanted, "accepted": entries} if wanted else None)
    sim.job_seconds = seconds
    for event in events:
        match event:
            case None:
                sim.tick()
            case (kind, result):
                sim.audits[kind] = result
            case "break":
                sim.broken = {STATIC}
            case "mend":
                sim.broken = set()
            case "change":
                sim.content += "."
            case "day":
                sim.now += timedelta(hours=23, minutes=59, seconds=58)
            case "proof":
                sim.step(stop_before=True)
        sim.step()
    assert sim.unaudited == []
    sim.broken = set()
    sim.audits = {STATIC: found(), DYNAMIC: found()}
    sim.content += "!"  # a person asks for new audits
    sim.annotations.pop("xcomrollout.dev/rehearsal-attestation")
    sim.spec = sim.spec.model_copy(
        update={"rehearsal": sim.spec.rehearsal.model_copy(update={"required": False})}
    )
    sim.run_until("Live")
    assert sim.unaudited == []


def test_without_the_gate_no_audit_is_made_and_the_plan_says_so() -> None:
    sim = Simulation([])
    sim.run_until("Live")
    assert jobs(sim, STATIC, DYNAMIC, JobKind.CALIBRATION) == []
    audited = next(found for found in sim.peek().findings if found.step == "audited")
    assert audited.finding.message == "spec.gates.audit is not set: no audit is required"
    status = summarize(sim.observe(), sim.peek(), sim.now, {})
    assert not {"audits", "calibration"} & status.keys()
    assert not {"Audited", "Calibrated"} & {entry["type"] for entry in status["conditions"]}


def test_each_audit_runs_once_in_the_pod_that_has_what_it_looks_at() -> None:
    sim = world()
    sim.run_until("Live")
    static, dynamic = jobs(sim, STATIC, DYNAMIC)
    assert (static.component, dynamic.component) == (Component.WORKER, Component.SCHEDULER)
    assert static.arguments == ("audit", "--static", "--fail-on", "high")
    path = sim.spec.backend.object_storage.path
    assert dynamic.arguments == ("audit", "--dynamic", "--threshold", "1000", "--base", path)
    assert static.candidate is None
    assert dynamic.candidate is not None, "values are decoded as the backend to come does"
    assert dynamic.candidate.offloads
    assert static.deadline == timedelta(minutes=30)
    assert len(sim.ledger.audits) == 2


def test_only_values_of_late_runs_are_audited_where_the_spec_says_so() -> None:
    sim = world({"dynamic": {"since": "1h30m"}})
    sim.run_until("Live")
    (job,) = jobs(sim, DYNAMIC)
    assert job.arguments[-2:] == ("--since", "5400s")


@pytest.mark.parametrize("kind", [STATIC, DYNAMIC, JobKind.CALIBRATION, JobKind.PROOF])
def test_the_probe_understands_what_it_is_asked(kind: JobKind) -> None:
    gates = {"static": {"failOn": "Low"}, "dynamic": {"since": "720h"}}
    sim = world(gates)
    sim.spec = sim.spec.model_copy(
        update={"threshold": Threshold(bytes="1000", calibrate=Calibration())}
    )
    sim.run_until("Live")
    for job in jobs(sim, kind):
        main.parse([*job.arguments, "--markers"])


def test_the_audits_begin_when_the_proofs_are_green() -> None:
    sim = world()
    sim.proof = replace(sim.proof, verdict=Verdict.FAIL)
    sim.go(100)
    assert jobs(sim, STATIC, DYNAMIC) == []


def test_a_finding_holds_and_says_where_what_and_what_to_do() -> None:
    sim = world()
    sim.audits[STATIC], sim.audits[DYNAMIC] = found(NUMPY), found(STRINGS)
    finding = sim.go(60).current.finding
    assert finding.reason == "AuditFailed"
    for part in (
        "the static audit has findings that are not accepted (1): etl/extract (etl.py:12): ndarray "
        "fails",
        "the dynamic audit has findings that are not accepted (1): api/fetch: json-str in key page "
        "drifts in 7 rows",
        "The ConfigMap xbr-demo-audit lists all findings",
        "kubectl xbr prove demo -n airflow",
        "spec.gates.audit.accepted",
    ):
        assert part in finding.message
    assert deliveries(sim) == []


def test_every_finding_is_published_with_the_record() -> None:
    sim = world({"static": {}})
    sim.audits[STATIC] = found(NUMPY)
    sim.go(60)
    written = [a for a in sim.actions if isinstance(a, WriteLedger) and a.report]
    assert [a.report.name for a in written if a.report] == ["static"]


@pytest.mark.parametrize(
    ("entry", "passes"),
    [
        ({"dagId": "etl"}, True),
        ({"dagId": "etl", "taskId": "extract"}, True),
        ({"file": "etl.py"}, True),
        ({"dagId": "etl", "kind": "ndarray", "reason": "it is a test"}, True),
        ({"dagId": "other"}, False),
        ({"dagId": "etl", "taskId": "load"}, False),
        ({"dagId": "etl", "kind": "bytes"}, False),
        ({"file": "etl"}, False),
    ],
)
def test_what_is_accepted_does_not_hold_and_needs_no_new_audit(
    entry: dict[str, str], passes: bool
) -> None:
    sim = world({"static": {}})
    sim.audits[STATIC] = found(NUMPY)
    sim.go(60)
    sim.spec = spec(gates={"audit": {"static": {}, "accepted": [entry]}})
    decision = sim.go(60)
    assert (decision.phase == "Live") is passes
    assert len(jobs(sim, STATIC)) == 1


@pytest.mark.parametrize(
    ("fail_on", "confidence", "holds"),
    [
        ("High", Confidence.HIGH, True),
        ("High", Confidence.MEDIUM, False),
        ("Medium", Confidence.MEDIUM, True),
        ("Medium", Confidence.LOW, False),
        ("Low", Confidence.LOW, True),
    ],
)
def test_a_finding_of_code_holds_from_the_confidence_on_that_the_spec_gives(
    fail_on: str, confidence: Confidence, holds: bool
) -> None:
    sim = world({"static": {"failOn": fail_on}})
    sim.audits[STATIC] = found(replace(NUMPY, confidence=confidence))
    assert (sim.go(60).current.finding.reason == "AuditFailed") is holds


def test_a_file_that_could_not_be_read_holds_until_it_is_accepted() -> None:
    sim = world({"static": {"failOn": "High"}})
    sim.audits[STATIC] = found(UNSEEN)
    message = sim.go(60).current.finding.message
    assert "old.py: could not be read." in message
    assert "these tasks" not in message
    sim.spec = spec(gates={"audit": {"static": {}, "accepted": [{"file": "old.py"}]}})
    sim.run_until("Live")


def test_a_bundle_that_is_not_here_is_told_with_the_reason_and_the_entry_that_accepts_it() -> None:
    bundle = replace(
        UNSEEN, file='bundle "g"', why="a GitDagBundle, whose files are not in this pod"
    )
    sim = world({"static": {}})
    sim.audits[STATIC] = found(NUMPY, bundle)
    message = sim.go(60).current.finding.message
    assert (
        'bundle "g": could not be read (a GitDagBundle, whose files are not in this pod)' in message
    )
    assert "Change these tasks" in message
    _, _, rest = message.partition("add an entry to spec.gates.audit.accepted: ")
    entry = yaml.safe_load(rest.partition(". To request")[0])
    sim.spec = spec(gates={"audit": {"static": {}, "accepted": [entry]}})
    assert "GitDagBundle" not in sim.go(60).current.finding.message


def test_findings_that_the_ledger_has_no_room_for_hold_too() -> None:
    sim = world({"static": {}, "accepted": [{"dagId": "etl"}]})
    sim.audits[STATIC] = found(NUMPY, left_out=3)
    finding = sim.go(60).current.finding
    assert finding.reason == "AuditFailed"
    assert "(3)" in finding.message


def test_findings_left_out_that_are_less_sure_than_what_holds_do_not_hold() -> None:
    sim = world({"static": {}})
    sim.audits[STATIC] = found(replace(NUMPY, confidence=Confidence.LOW), left_out=3)
    sim.run_until("Live")


def test_an_audit_that_could_not_be_made_holds_and_is_tried_again() -> None:
    sim = world({"dynamic": {}})
    sim.broken = {DYNAMIC}
    finding = sim.go(40).current.finding
    assert finding.reason == "AuditError"
    assert "OOMKilled" in finding.message
    trouble = NamedCheck("table-readable", "permission denied", "SELECT on xcom", "Grant it.")
    sim.broken = set()
    sim.audits[DYNAMIC] = AuditResult(Verdict.ERROR, (), 0, (trouble,), ())
    finding = sim.go(100).current.finding
    assert "table-readable: permission denied. Grant it." in finding.message
    sim.audits[DYNAMIC] = found()
    sim.run_until("Live")


def test_a_red_audit_is_made_again_after_a_while_and_at_once_when_something_changed() -> None:
    sim = world({"static": {}})
    sim.audits[STATIC] = found(NUMPY)
    sim.go(60)
    sim.now += AUDIT_RETRY
    sim.go(10)
    assert len(jobs(sim, STATIC)) == 2
    sim.audits[STATIC] = found()
    sim.content = "the task was changed"  # or a person asked for it: both change the digest
    sim.run_until("Live")
    assert len(jobs(sim, STATIC)) == 3


def test_an_audit_that_is_too_old_counts_no_more() -> None:
    sim = world({"static": {}, "maxAge": "2h"})
    del sim.annotations["xcomrollout.dev/rehearsal-attestation"]
    sim.go(60)
    assert len(jobs(sim, STATIC)) == 1
    sim.now += timedelta(hours=2)
    assert sim.go(60).current.finding.reason == "RehearsalRequired"
    assert len(jobs(sim, STATIC)) == 2


def test_a_new_threshold_is_audited_before_it_is_delivered() -> None:
    sim = world()
    sim.run_until("Live")
    sim.audits[DYNAMIC] = found(STRINGS)
    sim.spec = spec(threshold={"bytes": "500"}, gates={"audit": BOTH})
    assert sim.go(60).current.finding.reason == "AuditFailed"
    assert deliveries(sim) == ["-1", "1000"]


def test_a_gate_that_is_added_later_does_not_disturb_what_is_live() -> None:
    sim = Simulation([])
    sim.run_until("Live")
    sim.spec = spec(gates={"audit": BOTH})
    sim.run_until("Live")
    assert jobs(sim, STATIC, DYNAMIC) == []


def test_a_kill_does_not_wait_for_an_audit() -> None:
    sim = world(runs=[SimRun(RunKey("dag", "run"), [(300, 10)])])
    sim.audits[STATIC] = found(NUMPY)
    sim.go(60)
    sim.kill()
    sim.run_until("Reverted", seconds=900)


def test_after_a_kill_the_audits_are_asked_for_again() -> None:
    sim = world()
    sim.run_until("Live")
    sim.kill()
    sim.run_until("Reverted")
    del sim.annotations["xcomrollout.dev/kill"]
    sim.step()
    assert sim.ledger.audits == ()
    assert sim.ledger.calibration is None


@pytest.mark.parametrize(
    ("recommended", "reason"),
    [(500, "Calibrated"), (1000, "Calibrated"), (1001, "ThresholdBelowRecommendation")],
)
def test_a_recommendation_is_told_and_never_holds(recommended: int, reason: str) -> None:
    sim = Simulation([], the_spec=spec(threshold={"bytes": "1000", "calibrate": {}}))
    sim.calibration = replace(sim.calibration, recommended=recommended)
    sim.run_until("Live")
    (job,) = jobs(sim, JobKind.CALIBRATION)
    assert job.arguments[:5] == ("calibrate", "--quantiles", "0.999", "--margin", "2")
    status = summarize(sim.observe(), sim.peek(), sim.now, {})
    condition = next(c for c in status["conditions"] if c["type"] == "Calibrated")
    assert condition["reason"] == reason
    assert str(recommended) in condition["message"]
    assert status["calibration"]["recommendedBytes"] == str(recommended)


def test_the_recommendation_is_there_before_anything_is_delivered() -> None:
    sim = Simulation([], the_spec=spec(threshold={"bytes": "1000", "calibrate": {}}))
    while not deliveries(sim):
        sim.step()
        sim.tick()
    assert sim.ledger.calibration is not None


def test_a_recommendation_that_cannot_be_made_holds_nothing_up() -> None:
    sim = Simulation([], the_spec=spec(threshold={"bytes": "1000", "calibrate": {}}))
    sim.broken = {JobKind.CALIBRATION}
    sim.run_until("Live")
    calibrated = next(f for f in sim.peek().findings if f.step == "calibrated")
    assert calibrated.finding.reason == "NotCalibrated"


def test_another_quantile_is_measured_anew() -> None:
    sim = Simulation([], the_spec=spec(threshold={"bytes": "1000", "calibrate": {}}))
    del sim.annotations["xcomrollout.dev/rehearsal-attestation"]
    sim.go(60)
    sim.spec = spec(threshold={"bytes": "1000", "calibrate": {"quantile": "0.5", "margin": "3"}})
    sim.go(60)
    assert [job.arguments[2] for job in jobs(sim, JobKind.CALIBRATION)] == ["0.999", "0.5"]


def test_the_status_of_the_gate_is_of_its_schema() -> None:
    sim = Simulation(
        [],
        the_spec=spec(
            threshold={"bytes": "1000", "calibrate": {}},
            gates={"audit": {**BOTH, "accepted": [{"dagId": "api"}]}},
        ),
    )
    sim.audits[STATIC], sim.audits[DYNAMIC] = found(NUMPY, UNSEEN), found(STRINGS)
    status = sim.summarized(passes=60)
    static, dynamic = status["audits"]
    assert (static["kind"], static["verdict"]) == ("static", "fail")
    assert static["counts"] == {"fails": 1, "drifts": 0, "unseen": 1, "accepted": 0, "holding": 2}
    assert static["findings"][0] == "etl/extract (etl.py:12): ndarray fails"
    assert static["listRef"] == {"name": "xbr-demo-audit"}
    assert (dynamic["kind"], dynamic["verdict"]) == ("dynamic", "pass")
    assert dynamic["counts"]["accepted"] == 1
    kinds = {c["type"]: (c["status"], c["reason"]) for c in status["conditions"]}
    assert kinds["Audited"] == ("False", "AuditFailed")
    assert kinds["Stalled"] == ("True", "AuditFailed")
    assert kinds["Rehearsed"] == ("False", "NotReached")


def test_an_audit_of_a_long_time_ago_is_no_part_of_a_new_decision() -> None:
    sim = world({"static": {}})
    sim.run_until("Live")
    old = replace(sim.ledger.audits[0], digest="another", findings=(NUMPY,))
    assert isinstance(old, Audit)
    again = world({"static": {}})
    again.ledger = replace(again.ledger, audits=(replace(old, observed_at=START),))
    again.run_until("Live")
    assert len(jobs(again, STATIC)) == 1
