"""The loop: what is written, told and done, in which order, and what happens when it fails."""

import copy
import gc
import logging
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest

from memory_rollouts import MemoryRollouts, Notebook
from simulation import START, SimRun, Simulation, Weather
from simulation import spec as simulated_spec
from xcom_rollout.api.names import ANNOTATION_KILL, FINALIZER
from xcom_rollout.api.status import RolloutStatus
from xcom_rollout.clients.errors import Conflict, ExternalError, KubeError
from xcom_rollout.controller.events import Severity
from xcom_rollout.controller.failures import Failures
from xcom_rollout.controller.lease import StandsBy, Unleased
from xcom_rollout.controller.reconcile import Key, Patience, Reconciler
from xcom_rollout.decide.actions import (
    Action,
    ConfirmReaders,
    ForgetDelivery,
    InspectBuilds,
    RunJob,
    SetFinalizer,
    SetValues,
    WriteLedger,
)
from xcom_rollout.decide.kill.same_look import serves_on
from xcom_rollout.decide.ledger import BuildQuestion, Ledger, RunKey
from xcom_rollout.decide.observed import JobKind, Maker, Observed, Rollout
from xcom_rollout.decide.release_steps import DELIVERY_LIMIT
from xcom_rollout.decide.table import AT_REST

KEY = Key("airflow", "demo")
SPEC = simulated_spec().model_dump(mode="json", by_alias=True, exclude_none=True)
BIG = [(2, 5000), (30, 10)]


@dataclass
class Loop:
    """The loop around the simulated world."""

    sim: Simulation = field(default_factory=lambda: Simulation([]))
    rollouts: MemoryRollouts = field(default_factory=MemoryRollouts)
    notebook: Notebook = field(default_factory=Notebook)
    before_action: Callable[[Action], None] = lambda _: None
    before_look: Callable[[], None] = lambda: None
    done: list[Action] = field(default_factory=list)
    same_looks: int = 0
    looks: int = 0
    glances: int = 0
    cached: Callable[[Observed], Observed] = lambda observed: observed
    """Makes of what there is what a cache shows."""

    def __post_init__(self) -> None:
        self.rollouts.put("airflow", "demo", SPEC)
        annotations = self.sim.annotations
        for name, value in annotations.items():
            self.rollouts.annotate("airflow", "demo", name, value)
        self.reconciler = Reconciler(
            self.rollouts,
            self.notebook,
            self.observe,
            self.perform,
            now=lambda: self.sim.now,
            same_look=self.same_look,
            glance=self.glance,
        )

    def observe(self, rollout: Rollout) -> Observed:
        self.before_look()
        self.looks += 1
        return self.seen(rollout)

    def glance(self, rollout: Rollout) -> Observed:
        self.glances += 1
        return self.cached(self.seen(rollout))

    def seen(self, rollout: Rollout) -> Observed:
        self.sim.annotations = dict(rollout.annotations)
        return replace(self.sim.observe(), rollout=rollout)

    def same_look(self, observed: Observed) -> Observed | None:
        if not serves_on(observed.ledger, self.sim.ledger):
            return None
        self.same_looks += 1
        return replace(observed, ledger=self.sim.ledger)

    def perform(self, observed: Observed, action: Action) -> None:
        assert observed.rollout.name == "demo"
        self.before_action(action)
        self.sim.perform(action)
        if isinstance(action, SetFinalizer):
            names = [FINALIZER] if action.present else []
            self.rollouts.objects["airflow", "demo"]["metadata"]["finalizers"] = names
        self.done.append(action)

    def __call__(self) -> timedelta | None:
        return self.reconciler(KEY)

    def run_until(self, phase: str, seconds: int = 600) -> None:
        for _ in range(seconds):
            self()
            if self.status["phase"] == phase and self.condition("Ready")["status"] == "True":
                return
            self.sim.tick()
        raise AssertionError(f"{phase} was not reached; last seen: {self.status}")

    @property
    def status(self) -> dict[str, Any]:
        return dict(self.rollouts.objects["airflow", "demo"].get("status") or {})

    def condition(self, kind: str) -> dict[str, Any]:
        return next(dict(c) for c in self.status["conditions"] if c["type"] == kind)


@pytest.fixture
def loop() -> Loop:
    return Loop()


def test_a_rollout_becomes_ready_and_its_status_fits_the_schema(loop: Loop) -> None:
    loop.run_until("Live")
    status = RolloutStatus.model_validate(loop.status)
    assert status.threshold == "1000"
    assert status.observed_generation == 1
    assert [proof.verdict for proof in status.proofs] == ["pass", "pass"]


def test_at_rest_nothing_is_written(loop: Loop) -> None:
    loop.run_until("Live")
    for _ in range(10):  # the first census ends
        loop.sim.tick()
        loop()
    writes, told = loop.rollouts.writes, len(loop.notebook.notes)
    for _ in range(20):
        loop.sim.tick()
        after = loop()
        assert after is not None
        assert after >= timedelta(seconds=2)
    assert loop.rollouts.writes == writes
    assert len(loop.notebook.notes) == told


def test_at_rest_a_glance_is_enough(loop: Loop) -> None:
    loop.run_until("Live")
    for _ in range(10):  # the first census ends
        loop.sim.tick()
        loop()
    loop()
    looks, glances = loop.looks, loop.glances
    for _ in range(20):
        loop()
    assert (loop.looks, loop.glances) == (looks, glances + 20)


def test_the_upkeep_of_a_live_rollout_needs_a_glance_only(loop: Loop) -> None:
    loop.run_until("Live")
    for _ in range(10):
        loop.sim.tick()
        loop()
    looks, done = loop.looks, len(loop.done)
    kept_up: list[Action] = []

    def keep_up(observed: Observed, action: Action) -> None:
        kept_up.append(action)
        loop.perform(observed, action)

    loop.reconciler = replace(loop.reconciler, upkeep=keep_up)
    for _ in range(2000):  # seconds: the censuses of two intervals
        loop.sim.tick()
        loop()
    upkeep = loop.done[done:]
    assert upkeep == kept_up
    assert {type(action) for action in upkeep} == {RunJob, WriteLedger}
    assert len([action for action in upkeep if isinstance(action, RunJob)]) >= 2
    assert loop.looks == looks


def test_one_that_stands_by_writes_nothing_tells_it_once_and_goes_on_when_it_may(
    loop: Loop,
) -> None:
    def stand_by(namespace: str) -> None:
        raise StandsBy(f"another operator is active in {namespace}", 30)

    reconciler = loop.reconciler
    loop.reconciler = replace(reconciler, hold=stand_by)
    for _ in range(3):
        assert loop() == timedelta(seconds=30)
    assert (loop.done, loop.status) == ([], {})
    assert [(note.reason, note.message) for note in loop.notebook.notes] == [
        ("StandingBy", "another operator is active in airflow")
    ]
    loop.reconciler = replace(loop.reconciler, hold=lambda _: None)
    loop.run_until("Live")


def test_without_the_right_to_leases_a_kill_goes_on_and_it_is_told(loop: Loop) -> None:
    said: list[str] = []

    def hold(namespace: str) -> None:
        if not said:
            said.append(namespace)
            raise Unleased("the Role lacks leases")

    loop.reconciler = replace(loop.reconciler, hold=hold)
    loop.run_until("Live")
    assert [note.message for note in loop.notebook.notes if note.reason == "LeaseForbidden"] == [
        "the Role lacks leases"
    ]


def test_a_lease_that_cannot_be_read_stops_every_action_and_the_status_says_so(loop: Loop) -> None:
    def hold(_: str) -> None:
        raise KubeError("the Lease: no answer")

    loop.reconciler = replace(loop.reconciler, hold=hold)
    with pytest.raises(KubeError):
        loop()
    assert loop.done == []
    assert "the Lease: no answer" in loop.condition("Ready")["message"]


def test_what_is_wrong_is_not_told_by_one_that_stands_by(
    loop: Loop, caplog: pytest.LogCaptureFixture
) -> None:
    def stand_by(_: str) -> None:
        raise StandsBy("another operator acts", 30)

    def fail() -> None:
        raise KubeError("no answer")

    loop.reconciler = replace(loop.reconciler, hold=stand_by)
    loop.before_look = fail
    with pytest.raises(KubeError):
        loop()
    assert loop.status == {}
    assert "could not be written" not in caplog.text


def test_what_a_cache_shows_is_never_acted_on(loop: Loop) -> None:
    loop.run_until("Live")
    loop()
    done, status, looks = list(loop.done), loop.status, loop.looks
    loop.cached = lambda observed: replace(observed, ledger=Ledger())
    loop()
    assert loop.done == done
    assert loop.status == status, "nor is it told"
    assert loop.looks == looks + 1


def test_what_a_glance_finds_to_do_is_done_after_a_look(loop: Loop) -> None:
    loop.run_until("Live")
    loop()
    looks = loop.looks
    loop.before_action = lambda _: looked.append(loop.looks)
    looked: list[int] = []
    kept_up: list[Action] = []
    loop.reconciler = replace(loop.reconciler, upkeep=lambda _, action: kept_up.append(action))
    loop.rollouts.annotate("airflow", "demo", ANNOTATION_KILL, '{"by": "ana", "reason": "x"}')
    loop()
    assert looked
    assert not kept_up
    assert min(looked) > looks


def test_no_time_passes_between_what_a_glance_decides_and_what_is_done(loop: Loop) -> None:
    """A delivery of an earlier pod may be taken back from one moment on; only the cache has it."""
    loop.run_until("Live")
    loop()
    moment = loop.sim.now
    clock = iter([moment, moment])

    def pending(observed: Observed) -> Observed:
        assert observed.release is not None
        cut_off = replace(
            observed.release,
            status="pending-upgrade",
            maker=Maker.OPERATOR,
            updated_at=moment - DELIVERY_LIMIT + timedelta(milliseconds=1),
        )
        return replace(observed, release=cut_off)

    loop.cached = pending
    replace(loop.reconciler, now=lambda: next(clock, moment + timedelta(seconds=1)))(KEY)
    assert not [action for action in loop.done if isinstance(action, ForgetDelivery)]


def test_any_fault_at_a_glance_is_looked_at_so_that_a_kill_begins(loop: Loop) -> None:
    loop.run_until("Live")
    loop()

    def fail(_: Observed) -> Observed:
        raise ValueError("a fault of the cache")

    loop.cached = fail
    looks = loop.looks
    loop.rollouts.annotate("airflow", "demo", ANNOTATION_KILL, '{"by": "ana", "reason": "x"}')
    loop()
    assert loop.looks > looks
    assert loop.sim.ledger.kill is not None


def test_what_holds_a_rollout_is_told_after_a_look_only(loop: Loop) -> None:
    loop.run_until("Live")
    loop()
    looks, told = loop.looks, len(loop.notebook.notes)
    loop.cached = lambda observed: replace(observed, unseen_tasks="a namespace")
    loop()
    assert loop.looks == looks + 1
    assert loop.condition("Ready")["status"] == "True"
    assert len(loop.notebook.notes) == told


def test_however_calm_the_glances_are_the_world_is_looked_at_each_hour(loop: Loop) -> None:
    loop.run_until("Live")
    loop()
    looks = loop.looks
    start = loop.sim.now
    hours = replace(loop.reconciler, now=lambda: start + timedelta(minutes=59))
    hours(KEY)
    assert loop.looks == looks
    replace(loop.reconciler, now=lambda: start + timedelta(minutes=61))(KEY)
    assert loop.looks > looks


def test_hours_with_a_thousand_runs_that_hold_offloaded_values_cost_no_memory(loop: Loop) -> None:
    loop.run_until("Live")
    keys = [RunKey(f"dag{number % 50}", f"run{number}") for number in range(1000)]
    loop.sim.runs = {key: SimRun(key, [(2, 5000), (10**7, 10)]) for key in keys}
    for _ in range(5):
        loop.sim.tick()

    def pass_hours(hours: int) -> int:
        """Return how many objects of the operator's types there are then."""
        end = loop.sim.now + timedelta(hours=hours)
        while loop.sim.now < end:
            after = loop() or timedelta(minutes=1)
            loop.sim.now += max(after - timedelta(seconds=1), timedelta(0))
            loop.sim.tick()
        for notes in (loop.done, loop.sim.actions, loop.notebook.notes):
            notes.clear()  # what the test keeps
        gc.collect()
        return sum(
            str(type(each).__module__).startswith("xcom_rollout.") for each in gc.get_objects()
        )

    before = pass_hours(2)
    assert loop.status["offloadedRuns"]["count"] == 1000
    assert pass_hours(6) <= before + 10


def test_after_a_start_a_rollout_at_rest_gets_a_glance_first_and_then_a_look(loop: Loop) -> None:
    loop.run_until("Live")
    loop()
    started_again = replace(loop.reconciler, settled={}, known=set())
    looks = loop.looks
    started_again(KEY)
    assert loop.looks == looks
    started_again(KEY)
    assert loop.looks == looks + 1


def test_after_a_start_a_rollout_gets_a_look_where_the_cache_does_not_hold_it_yet(
    loop: Loop,
) -> None:
    loop.run_until("Live")
    loop()
    looks, glances = loop.looks, loop.glances
    replace(loop.reconciler, settled={}, known=set(), is_cached=lambda _: False)(KEY)
    assert (loop.looks, loop.glances) == (looks + 1, glances)


def test_after_a_start_a_kill_that_is_asked_for_begins_with_a_look(loop: Loop) -> None:
    loop.run_until("Live")
    loop()
    looks = loop.looks
    loop.rollouts.annotate("airflow", "demo", ANNOTATION_KILL, '{"by": "ana", "reason": "x"}')
    replace(loop.reconciler, settled={}, known=set())(KEY)
    assert loop.looks > looks
    assert loop.sim.ledger.kill is not None


def test_trouble_at_a_glance_is_looked_at_and_not_told(loop: Loop) -> None:
    loop.run_until("Live")
    loop()
    told, looks = len(loop.notebook.notes), loop.looks

    def refuse(_: Observed) -> Observed:
        raise ExternalError("the cache is away")

    loop.cached = refuse
    loop()
    assert (len(loop.notebook.notes), loop.looks) == (told, looks + 1)


def test_a_glance_at_a_rollout_that_is_older_than_its_status_writes_nothing_old(
    loop: Loop,
) -> None:
    loop.run_until("Live")
    loop()
    key = ("airflow", "demo")
    loop.rollouts.cached[key] = copy.deepcopy(loop.rollouts.objects[key])
    loop.rollouts.cached[key]["status"]["phase"] = "Proving"
    loop.rollouts.cached[key]["metadata"]["resourceVersion"] = "1"
    status, looks = loop.status, loop.looks
    loop()
    assert loop.status == status
    assert loop.looks == looks + 1


def test_a_held_step_that_looks_again_is_told_once(loop: Loop) -> None:
    build = {"expectedBuild": "0123456", "interval": "5s"}
    loop.rollouts.put("airflow", "demo", SPEC | {"gates": {"provenance": build}})
    loop.sim.build = "fedcba9"
    for _ in range(60):
        loop()
        loop.sim.tick()
    assert loop.condition("Stalled")["reason"] == "BuildDiffers"
    assert len(loop.sim.looks) > 5
    told = [(note.severity, note.reason) for note in loop.notebook.notes]
    assert told.count((Severity.WARNING, "BuildDiffers")) == 1
    assert (Severity.NORMAL, "BuildDiffers") not in told


def test_the_status_says_what_will_be_done_before_it_is_done(loop: Loop) -> None:
    said: list[tuple[str, str]] = []
    loop.before_action = lambda action: said.append(
        (type(action).__name__, loop.condition("Ready")["reason"])
    )
    loop.run_until("Live")
    assert ("SetValues", "DeliveringReaders") in said
    assert ("SetValues", "CuttingOver") in said


def test_each_step_is_told_once(loop: Loop) -> None:
    loop.run_until("Live")
    told = [note.message for note in loop.notebook.notes]
    assert not [one for one, other in pairwise(told) if one == other]
    reasons = [note.reason for note in loop.notebook.notes]
    assert reasons.count("StartingProof") == 2, "one for each component"
    for reason in ("CuttingOver", "Live"):
        assert reasons.count(reason) == 1, reason


def test_a_held_rollout_is_a_warning_and_waits(loop: Loop) -> None:
    del loop.rollouts.objects["airflow", "demo"]["metadata"]["annotations"][
        "xcomrollout.dev/rehearsal-attestation"
    ]
    for _ in range(8):
        loop()
        loop.sim.tick()
    assert loop.condition("Stalled")["reason"] == "RehearsalRequired"
    warnings = [n for n in loop.notebook.notes if n.severity is Severity.WARNING]
    assert [n.reason for n in warnings] == ["RehearsalRequired"]
    assert "kubectl xbr attest demo" in warnings[0].message
    assert loop() == AT_REST


def test_what_is_held_for_long_is_looked_at_less_often() -> None:
    patience, key = Patience(), KEY
    asked = timedelta(seconds=15)
    delays = [patience.after(key, asked, calm=True).total_seconds() for _ in range(20)]
    assert delays[:4] == [15, 15, 15, 15]
    assert delays == sorted(delays)
    assert delays[-1] == 60
    assert patience.after(Key("airflow", "other"), asked, calm=True) == asked
    assert patience.after(key, asked, calm=False) == asked
    assert patience.after(key, asked, calm=True) == asked
    assert patience.after(key, timedelta(minutes=5), calm=True) == timedelta(minutes=5)


def test_an_invalid_spec_is_a_condition_with_field_and_remedy(loop: Loop) -> None:
    bad = {**SPEC, "threshold": {"bytes": "1MB"}}
    loop.rollouts.put("airflow", "demo", bad)
    assert loop() is None, "only a change of the spec can help"
    accepted = loop.condition("Accepted")
    assert (accepted["status"], accepted["reason"]) == ("False", "InvalidSpec")
    assert 'spec.threshold.bytes: "1MB"' in accepted["message"]
    assert "write it in quotes" in accepted["message"]
    assert loop.condition("Stalled")["status"] == "True"
    assert loop.status["observedGeneration"] == 2
    RolloutStatus.model_validate(loop.status)
    assert [n.reason for n in loop.notebook.notes] == ["InvalidSpec"]
    writes = loop.rollouts.writes
    loop()
    assert loop.rollouts.writes == writes
    loop.rollouts.put("airflow", "demo", SPEC)
    loop.run_until("Live")
    assert loop.condition("Accepted")["status"] == "True"


def test_a_world_that_cannot_be_observed_is_a_condition(loop: Loop) -> None:
    def refuse() -> None:
        raise ExternalError("secrets may not be listed; grant it")

    loop.before_look = refuse
    with pytest.raises(ExternalError):
        loop()
    reconciling = loop.condition("Reconciling")
    assert (reconciling["status"], reconciling["reason"]) == ("True", "ObserveFailed")
    assert "secrets may not be listed; grant it" in reconciling["message"]
    writes = loop.rollouts.writes
    with pytest.raises(ExternalError):
        loop()
    assert loop.rollouts.writes == writes, "the same failure was written again"
    loop.before_look = lambda: None
    loop.run_until("Live")


def test_a_failed_action_is_a_condition_and_is_tried_again(loop: Loop) -> None:
    failures = 3

    def fail(action: Action) -> None:
        nonlocal failures
        if isinstance(action, SetValues) and failures:
            failures -= 1
            raise ExternalError("helm: the repository cannot be reached")

    loop.before_action = fail
    seen = []
    for _ in range(60):
        try:
            loop()
        except ExternalError:
            seen.append(loop.condition("Reconciling"))
        loop.sim.tick()
    assert [entry["reason"] for entry in seen] == ["ActionFailed"] * 3
    assert seen[0]["message"] == (
        "could not deliver the object storage backend at threshold -1: helm: the repository "
        "cannot be reached"
    )
    assert loop.status["phase"] == "Live"


@dataclass
class Trouble:
    """Lets every action of one kind fail while it lasts, and the world too where it is `blind`."""

    loop: Loop
    kind: type[Action]
    lasts: bool = True
    blind: bool = False
    says: Callable[[], str] = lambda: "helm: the chart cannot be read"

    def __post_init__(self) -> None:
        self.loop.before_action = self.act
        self.loop.before_look = self.look

    def act(self, action: Action) -> None:
        if self.lasts and isinstance(action, self.kind):
            raise ExternalError(self.says())

    def look(self) -> None:
        if self.blind:
            raise ExternalError("the ledger cannot be read")

    def retry(self, seconds: int) -> list[dict[str, Any]]:
        """Let time pass with a pass every 15 s; return `Stalled` as each write left it."""
        seen, write = [], self.loop.rollouts.write_status

        def watched(raw: Any, status: Any) -> Any:
            seen.append(next(dict(c) for c in status["conditions"] if c["type"] == "Stalled"))
            return write(raw, status)

        self.loop.rollouts.write_status = watched  # type: ignore[method-assign]
        for second in range(seconds):
            if second % 15 == 0:
                with suppress(ExternalError):
                    self.loop()
            self.loop.sim.tick()
        self.loop.rollouts.write_status = write  # type: ignore[method-assign]
        return seen

    def told(self, reason: str) -> int:
        return sum(note.reason == reason for note in self.loop.notebook.notes)


def test_a_failure_that_lasts_is_stalled_with_message_and_remedy(loop: Loop) -> None:
    trouble = Trouble(loop, SetValues)
    trouble.retry(240)
    assert loop.condition("Stalled")["status"] == "False"
    trouble.retry(240)
    stalled = loop.condition("Stalled")
    assert (stalled["status"], stalled["reason"]) == ("True", "ActionFailed")
    assert "could not deliver the object storage backend at threshold -1" in stalled["message"]
    assert "helm: the chart cannot be read" in stalled["message"]
    assert "helm history airflow -n airflow" in stalled["message"]
    RolloutStatus.model_validate(loop.status)


def test_a_failure_is_written_and_told_once_and_once_more_when_it_lasts(loop: Loop) -> None:
    trouble = Trouble(loop, SetValues)
    trouble.retry(60)
    assert loop.condition("Ready")["reason"] == "ActionFailed"
    seen = trouble.retry(1800)
    assert [entry["status"] for entry in seen] == ["True"]
    assert (trouble.told("DeliveringReaders"), trouble.told("ActionFailed")) == (1, 2)


def test_a_failure_whose_words_differ_each_time_is_stalled_without_a_break(loop: Loop) -> None:
    trouble = Trouble(loop, SetValues, says=lambda: f"timeout at {loop.sim.now}")
    trouble.retry(600)
    told = trouble.told("ActionFailed")
    seen = trouble.retry(600)
    assert {entry["status"] for entry in seen} == {"True"}
    assert trouble.told("ActionFailed") == told


def test_a_stall_ends_as_soon_as_the_action_succeeds(loop: Loop) -> None:
    trouble = Trouble(loop, SetValues)
    trouble.retry(600)
    assert loop.condition("Stalled")["status"] == "True"
    trouble.lasts = False
    loop()
    assert loop.condition("Stalled")["status"] == "False"
    assert loop.condition("Reconciling")["status"] == "True"
    loop.run_until("Live")


def test_a_success_in_between_lets_the_time_begin_anew(loop: Loop) -> None:
    trouble = Trouble(loop, SetValues)
    trouble.retry(240)
    trouble.lasts = False
    loop()
    trouble.kind, trouble.lasts = ConfirmReaders, True
    trouble.retry(240)
    assert loop.condition("Ready")["reason"] == "ActionFailed"
    assert loop.condition("Stalled")["status"] == "False"
    trouble.retry(240)
    assert loop.condition("Stalled")["status"] == "True"


def test_a_world_that_cannot_be_seen_for_long_is_stalled_until_it_is_seen(loop: Loop) -> None:
    trouble = Trouble(loop, SetValues, blind=True, lasts=False)
    trouble.retry(600)
    stalled = loop.condition("Stalled")
    assert (stalled["status"], stalled["reason"]) == ("True", "ObserveFailed")
    assert "the ledger cannot be read" in stalled["message"]
    assert trouble.told("ObserveFailed") == 2
    trouble.blind = False
    loop()
    assert loop.condition("Stalled")["status"] == "False"


def test_failures_to_see_and_to_act_in_turns_are_one_failure(loop: Loop) -> None:
    trouble = Trouble(loop, SetValues)
    trouble.retry(30)
    for _ in range(20):
        trouble.blind = not trouble.blind
        trouble.retry(15)
    assert {entry["status"] for entry in trouble.retry(300)} <= {"True"}
    assert loop.condition("Stalled")["status"] == "True"


def test_in_a_kill_a_failure_is_stalled_sooner(loop: Loop) -> None:
    loop.run_until("Live")
    loop.rollouts.annotate("airflow", "demo", ANNOTATION_KILL, '{"by":"ana","reason":"test"}')
    trouble = Trouble(loop, SetValues)
    trouble.retry(150)
    assert loop.condition("Ready")["reason"] == "ActionFailed"
    assert loop.condition("Stalled")["status"] == "False"
    trouble.retry(60)
    stalled = loop.condition("Stalled")
    assert (stalled["status"], stalled["reason"]) == ("True", "ActionFailed")
    assert "docs/runbooks/kill-switch.md" in stalled["message"]
    trouble.lasts = False
    loop.run_until("Reverted")


def test_a_restart_keeps_a_stall_and_begins_the_count_of_a_younger_failure_anew(
    loop: Loop,
) -> None:
    def restart() -> None:
        loop.reconciler = replace(loop.reconciler, failures=Failures())

    trouble = Trouble(loop, SetValues)
    trouble.retry(240)
    restart()
    assert {entry["status"] for entry in trouble.retry(240)} == {"False"}
    trouble.retry(240)
    assert loop.condition("Stalled")["status"] == "True"
    restart()
    assert {entry["status"] for entry in trouble.retry(600)} <= {"True"}
    trouble.lasts = False
    restart()
    loop()
    assert loop.condition("Stalled")["status"] == "False"


def test_a_stall_from_a_failure_ends_when_nothing_is_to_be_done_any_more(loop: Loop) -> None:
    trouble = Trouble(loop, SetValues)
    trouble.retry(600)
    loop.rollouts.put("airflow", "demo", SPEC | {"suspend": True})
    loop()
    assert loop.condition("Stalled")["reason"] == "Suspended"
    loop.rollouts.put("airflow", "demo", SPEC)
    trouble.retry(30)
    assert loop.condition("Ready")["reason"] == "ActionFailed"
    assert loop.condition("Stalled")["status"] == "False"


def test_a_cut_off_delivery_that_is_taken_back_each_time_is_a_failure_that_lasts() -> None:
    failures: Failures[str] = Failures()
    limit = timedelta(minutes=5)
    lasting = []
    for minute in range(7):
        now = START + timedelta(minutes=minute)
        lasting.append(failures.failed("demo", {}, now, limit, "deliver").lasting)
        failures.succeeded("demo", ForgetDelivery(minute))
    assert lasting == [False] * 5 + [True] * 2
    failures.succeeded("demo", SetFinalizer(present=True))
    assert failures.of("demo", {}, START) is None


def test_what_only_looks_ends_a_failure_of_its_own_and_of_nothing_else() -> None:
    failures: Failures[str] = Failures()
    look = InspectBuilds(BuildQuestion("0123456", (), (), (), (), "", ()))
    failures.failed("demo", {}, START, timedelta(minutes=5), "deliver")
    failures.succeeded("demo", look)
    assert failures.of("demo", {}, START) is not None
    failures.failed("demo", {}, START, timedelta(minutes=5), look.describe())
    failures.succeeded("demo", look)
    assert failures.of("demo", {}, START) is None


def test_a_fault_of_our_own_is_told_too(loop: Loop) -> None:
    def fault() -> None:
        raise KeyError("metadata")

    loop.before_look = fault
    with pytest.raises(KeyError):
        loop()
    assert loop.condition("Ready")["reason"] == "ObserveFailed"


def test_nothing_is_done_on_the_word_of_an_outdated_resource(loop: Loop) -> None:
    loop.rollouts.conflicts = 3
    loop()
    assert loop.rollouts.conflicts == 0
    assert loop.done, "the pass was not repeated after the conflict"
    first = loop.rollouts.objects["airflow", "demo"]["status"]["history"][0]
    assert first["event"] == "RecordingBaseline"


def test_a_conflict_of_an_action_repeats_the_pass(loop: Loop) -> None:
    met = 0

    def conflict(_: Action) -> None:
        nonlocal met
        met += 1
        if met == 1:
            raise Conflict("the ledger was changed by somebody else")

    loop.before_action = conflict
    loop()
    assert met > 1
    assert "ActionFailed" not in str(loop.status)


def test_a_stop_leaves_the_rest_to_the_next_start(loop: Loop) -> None:
    stopping = replace(loop.reconciler, stopping=lambda: True)
    for number in range(1, 4):
        stopping(KEY)
        assert len(loop.done) == number


def test_a_rollout_that_is_gone_is_left_alone(loop: Loop) -> None:
    assert loop.reconciler(Key("airflow", "other")) is None
    loop.rollouts.objects["airflow", "demo"]["metadata"]["deletionTimestamp"] = "now"
    assert loop() is None
    assert not loop.done


def test_an_endless_chain_of_actions_lets_others_have_their_turn(loop: Loop) -> None:
    loop.reconciler = replace(loop.reconciler, perform=lambda *_: None)  # nothing comes of it
    assert loop() == timedelta(0)


def test_what_people_have_to_know_of_an_effect_is_an_event(loop: Loop) -> None:
    def perform(observed: Observed, action: Action) -> str:
        loop.perform(observed, action)
        return "the key was kept" if isinstance(action, SetValues) else ""

    loop.reconciler = replace(loop.reconciler, perform=perform)
    loop.run_until("Live")
    remarks = [note for note in loop.notebook.notes if note.reason == "ActionRemark"]
    deliveries = [action for action in loop.done if isinstance(action, SetValues)]
    assert len(remarks) == len(deliveries) > 0
    assert {(note.severity, note.message) for note in remarks} == {("Warning", "the key was kept")}


def test_a_kill_is_followed_to_its_end() -> None:
    runs = [SimRun(RunKey("etl", f"run{i}"), BIG) for i in range(3)]
    loop = Loop(Simulation([]))
    loop.run_until("Live")
    loop.sim.runs = {run.key: run for run in runs}
    for _ in range(5):
        loop()
        loop.sim.tick()
    loop.rollouts.annotate("airflow", "demo", ANNOTATION_KILL, '{"by":"ana","reason":"test"}')
    loop()
    assert loop.status["killSwitch"]["by"] == "ana"
    loop.run_until("Reverted")
    kill = RolloutStatus.model_validate(loop.status).kill_switch
    assert kill is not None
    assert (kill.runs.found, kill.runs.recovered, kill.runs.failed) == (3, 3, 0)
    assert kill.finished_at is not None
    assert not loop.sim.path_reads
    assert not loop.sim.spoilt_rows


def killed_in_flight(loop: Loop) -> SimRun:
    """Bring the rollout to Live, ask for a kill, and return a run that holds an offloaded value."""
    loop.run_until("Live")
    run = SimRun(RunKey("etl", "a"), [(2, 5000), (60, 10), (1, 10)])
    loop.sim.runs[run.key] = run
    for _ in range(10):
        loop.sim.tick()
    loop.rollouts.annotate("airflow", "demo", ANNOTATION_KILL, '{"by": "ana", "reason": "x"}')
    return run


def test_a_kill_is_looked_at_each_10_s_however_long_it_waits(loop: Loop) -> None:
    """No watch tells of a task of Celery's that ends, or of an API that answers again."""
    killed_in_flight(loop)
    loop.sim.runs[RunKey("etl", "old")] = SimRun(RunKey("etl", "old"), [(9000, 10)])
    delays = []
    for _ in range(300):
        delays.append(loop())
        loop.sim.tick()
    assert loop.status["phase"] != "Reverted", "it waits still"
    assert all(delay is not None and delay <= timedelta(seconds=10) for delay in delays)


def test_what_becomes_of_runs_is_acted_on_without_another_look() -> None:
    loop = Loop()
    run = killed_in_flight(loop)
    looks: list[int] = []
    loop.before_look = lambda: looks.append(len(loop.done))
    loop.run_until("Reverted")
    assert (run.state, run.clears) == ("success", 1)
    words = [type(action).__name__ for action in loop.done]
    for effect in ("StopRuns", "ClearRuns"):
        place = words.index(effect)
        assert words[place - 1] == "WriteLedger"
        assert place not in looks, f"{effect} took another look"
    delivered = [place for place, word in enumerate(words) if word == "SetValues"]
    assert set(delivered[-2:]) <= set(looks), "a delivery takes a look of its own"


def test_an_action_that_no_other_step_waits_for_is_put_off_and_stalled_when_that_lasts() -> None:
    loop = Loop()
    loop.run_until("Live")
    run = SimRun(RunKey("etl", "a"), [(2, 5000), (60, 10), (1, 10)])
    loop.sim.runs[run.key] = run
    for _ in range(10):
        loop.sim.tick()
    refused = [True]

    def quota(action: Action) -> None:
        if refused and isinstance(action, RunJob) and action.kind is JobKind.EMPTY:
            raise ExternalError("exceeded quota: count/jobs.batch")

    loop.before_action = quota
    loop.rollouts.annotate("airflow", "demo", ANNOTATION_KILL, '{"by": "ana", "reason": "x"}')
    stalled: list[str] = []
    for _ in range(600):
        loop()
        loop.sim.tick()
        entry = loop.condition("Stalled")
        stalled.append(f"{entry['status']} {entry['reason']}")
    kill = loop.sim.ledger.kill
    assert kill is not None
    assert kill.writers_gone, "the other steps had their turn"
    first = stalled.index("True ActionPutOff")
    assert 150 <= first <= 300, "a failure of a moment calls nobody"
    assert set(stalled[first:]) == {"True ActionPutOff"}, "and one that lasts does not flap"
    assert "exceeded quota" in loop.condition("Stalled")["message"]
    refused.clear()
    loop.run_until("Reverted")
    assert (run.state, run.clears) == ("success", 1)


class EndedError(Exception):
    """The operator's process is gone."""


def test_an_operator_that_ends_at_every_write_gets_one_further_with_each() -> None:
    """What a pod that waits has answered is in the process alone: a Job is sent the next time."""
    loop = Loop(Simulation([], weather=Weather(standby=True)))
    run = killed_in_flight(loop)
    write_status = loop.rollouts.write_status

    def write_and_end(raw: dict[str, Any], status: Mapping[str, Any]) -> dict[str, Any]:
        write_status(raw, status)
        raise EndedError

    def record_and_end(observed: Observed, action: Action) -> None:
        loop.perform(observed, action)
        if isinstance(action, WriteLedger):
            raise EndedError

    loop.rollouts.write_status = write_and_end  # type: ignore[method-assign]
    for _ in range(400):
        loop.reconciler = replace(
            loop.reconciler, perform=record_and_end, patience=Patience(), failures=Failures()
        )
        with suppress(EndedError):
            loop()
        loop.sim.job_list.forget_answers()
        loop.sim.tick()
        if loop.status["phase"] == "Reverted":
            break
    assert loop.status["phase"] == "Reverted"
    assert (run.state, run.clears) == ("success", 1)


def test_a_log_line_for_each_action_and_change(
    loop: Loop, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    loop.run_until("Live")
    actions = [r.__dict__ for r in caplog.records if r.getMessage() == "action"]
    assert len(actions) == len(loop.done)
    assert all(entry["rollout"] == "airflow/demo" and entry["what"] for entry in actions)
    caplog.clear()
    loop.sim.tick()
    loop()
    assert not caplog.records, "a rollout at rest was logged"


def test_a_crd_that_drops_parts_of_the_status_is_said(
    loop: Loop, caplog: pytest.LogCaptureFixture
) -> None:
    write = loop.rollouts.write_status

    def older_crd(raw: Any, status: Any) -> Any:
        return write(raw, {key: value for key, value in status.items() if key != "rehearsal"})

    loop.rollouts.write_status = older_crd  # type: ignore[method-assign]
    loop()
    assert "the installed CRD drops parts of the status" in caplog.text


def test_times_are_those_of_the_clock(loop: Loop) -> None:
    loop()
    assert loop.condition("Ready")["lastTransitionTime"] == START.strftime("%Y-%m-%dT%H:%M:%SZ")
