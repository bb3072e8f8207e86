"""What the way to the object storage backend guarantees."""

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulation import START, SimRun, Simulation, Weather, spec
from xcom_rollout.decide import decide
from xcom_rollout.decide.actions import RunJob, SetValues
from xcom_rollout.decide.ledger import Component, Drift, Ledger, NamedCheck, RunKey, Verdict
from xcom_rollout.decide.observed import JobKind, JobState, LoosePod, Observed, ProofResult, Rival
from xcom_rollout.decide.settings import BackendSettings
from xcom_rollout.decide.summarize import summarize

TASK = st.tuples(st.integers(1, 15), st.sampled_from([10, 5000]))
BAD = NamedCheck("bucket-exists", "404 for bucket 'x'", "bucket 'x'", "Create the bucket.")
JSON_STRINGS = Drift("json-strings", "a string comes back as the parsed value", ("digits", "null"))
TUPLES = Drift("tuple-to-list", "a tuple comes back as a list", ("nested",))


def values_set(sim: Simulation) -> list[str | None]:
    return [a.settings.threshold for a in sim.actions if isinstance(a, SetValues)]


@settings(max_examples=100, deadline=None)
@given(
    plans=st.lists(st.lists(TASK, min_size=1, max_size=3), max_size=4),
    roll_seconds=st.integers(1, 20),
    stops=st.lists(st.one_of(st.none(), st.just(0)), max_size=60),
)
def test_no_value_is_offloaded_before_every_pod_is_a_reader(
    plans: list[list[tuple[int, int]]], roll_seconds: int, stops: list[int | None]
) -> None:
    sim = Simulation([SimRun(RunKey(f"dag{i}", f"run{i}"), plan) for i, plan in enumerate(plans)])
    sim.roll_seconds = roll_seconds
    for stop in stops:
        if stop is None:
            sim.tick()
        sim.step(stop_before=stop == 0)
    sim.run_until("Live")
    assert sim.blind_offloads == []
    assert sim.path_reads == []
    assert values_set(sim) == ["-1", "1000"], "two deliveries, in this order, each once"


def test_at_rest_only_the_census_is_taken() -> None:
    sim = Simulation([])
    sim.run_until("Live")
    done = len(sim.actions)
    for _ in range(2700):
        sim.tick()
        sim.step()
    jobs = [a for a in sim.actions[done:] if isinstance(a, RunJob)]
    assert {job.kind for job in jobs} == {JobKind.CENSUS}
    assert 2 <= len(jobs) <= 4, "every 15 minutes by default"


@pytest.mark.parametrize("verdict", [Verdict.FAIL, Verdict.ERROR])
def test_without_a_green_proof_nothing_is_delivered_and_the_check_is_named(
    verdict: Verdict,
) -> None:
    sim = Simulation([])
    sim.proof = ProofResult(verdict, (BAD,), (), (), "KubernetesExecutor")
    decision = sim.go(60)
    assert values_set(sim) == []
    finding = decision.current.finding
    assert finding.reason == "ProofFailed"
    for part in ("bucket-exists", BAD.observed, BAD.expected, BAD.remedy):
        assert part in finding.message


@pytest.mark.parametrize(
    "proof",
    [
        ProofResult(
            Verdict.FAIL,
            (replace(BAD, observed="OperationalError: connection to server failed: timed out"),),
            *((), (), "KubernetesExecutor"),
        ),
        ProofResult(Verdict.ERROR, (), (), (), "", message="DeadlineExceeded"),
    ],
    ids=["a check", "no result"],
)
def test_a_proof_that_could_not_connect_names_what_may_stand_between(proof: ProofResult) -> None:
    sim = Simulation([])
    sim.proof = proof
    message = sim.go(60).current.finding.message
    for part in ("NetworkPolicies", "component=xcom-probe", "spec.gates.jobs"):
        assert part in message


def test_a_proof_that_is_red_for_another_reason_names_no_policies() -> None:
    sim = Simulation([])
    sim.proof = ProofResult(Verdict.FAIL, (BAD,), (), (), "KubernetesExecutor")
    assert "NetworkPolicies" not in sim.go(60).current.finding.message


def test_a_red_proof_is_tried_again_and_a_green_one_then_counts() -> None:
    sim = Simulation([])
    sim.proof = ProofResult(Verdict.FAIL, (BAD,), (), (), "KubernetesExecutor")
    for _ in range(30):
        sim.step()
        sim.tick()
    sim.proof = ProofResult(Verdict.PASS, (), (), (), "KubernetesExecutor")
    sim.run_until("Live")


def test_drift_is_refused_until_each_class_of_it_is_accepted() -> None:
    sim = Simulation([])
    sim.proof = replace(sim.proof, drift=(JSON_STRINGS, TUPLES))
    finding = sim.go(30).current.finding
    assert finding.reason == "DriftNotAccepted"
    for part in ("json-strings, tuple-to-list]", "digits, null", "a tuple comes back as a list"):
        assert part in finding.message
    sim.spec = spec(gates={"roundTrip": {"acceptedDrift": ["json-strings"]}})
    finding = sim.go(30).current.finding
    assert finding.reason == "DriftNotAccepted"
    assert "acceptedDrift: [tuple-to-list]" in finding.message
    assert values_set(sim) == []
    sim.spec = spec(gates={"roundTrip": {"acceptedDrift": ["json-strings", "tuple-to-list"]}})
    sim.run_until("Live")


def test_samples_that_are_not_there_hold_and_are_named() -> None:
    sim = Simulation([])
    sim.spec = spec(gates={"roundTrip": {"samplesRef": {"name": "mine"}}})
    observed = sim.observe()
    decision = decide(
        replace(observed, samples_missing=True, ledger=Ledger(baseline=sim.settings)), sim.now
    )
    assert decision.action is None
    assert decision.current.finding.reason == "SamplesNotFound"
    assert "'mine'" in decision.current.finding.message
    jobs = [action for action in sim.actions if isinstance(action, RunJob)]
    assert jobs == []
    sim.run_until("Live")
    jobs = [action for action in sim.actions if isinstance(action, RunJob)]
    assert {job.samples for job in jobs if job.kind is JobKind.PROOF} == {"mine"}
    assert {job.samples for job in jobs if job.kind is not JobKind.PROOF} == {None}


def test_an_executor_for_which_the_kill_is_unproven_is_refused() -> None:
    sim = Simulation([])
    sim.proof = ProofResult(Verdict.PASS, (), (), (), "LocalExecutor")
    decision = sim.go(30)
    assert decision.current.finding.reason == "ExecutorNotSupported"
    assert "LocalExecutor: tasks run in the scheduler's" in decision.current.finding.message
    assert (
        "safe with KubernetesExecutor, CeleryExecutor, Celery" in decision.current.finding.message
    )
    assert values_set(sim) == []


def test_workers_of_celery_are_brought_to_the_end_of_the_way() -> None:
    sim = Simulation([], weather=Weather(workers=2))
    sim.cluster.fleet += [sim.cluster.pod("worker", -3600) for _ in range(2)]
    sim.executor = sim.worker_executor = "CeleryExecutor"
    sim.proof = replace(sim.proof, executor="CeleryExecutor", facts=(("celeryPool", "prefork"),))
    sim.run_until("Live")
    assert values_set(sim) == ["-1", "1000"]


BESIDE = "CeleryExecutor,KubernetesExecutor"


def with_workers(written: str, seen: str) -> Simulation:
    """Return a world with workers, an executor that is written and one that the proof sees."""
    sim = Simulation([], weather=Weather(workers=2))
    sim.cluster.fleet += [sim.cluster.pod("worker", -3600) for _ in range(2)]
    sim.executor = written
    sim.proof = replace(sim.proof, executor=seen, facts=(("celeryPool", "prefork"),))
    return sim


@pytest.mark.parametrize("written", [BESIDE, ""])
def test_with_both_a_proof_is_made_of_workers_and_of_task_pods(written: str) -> None:
    sim = with_workers(written, BESIDE)
    sim.run_until("Live")
    assert {proof.component for proof in sim.ledger.proofs} == set(Component)
    assert values_set(sim) == ["-1", "1000"]


def test_an_executor_that_something_else_than_what_is_written_names_holds() -> None:
    sim = with_workers("CeleryExecutor", BESIDE)
    finding = sim.go(60).current.finding
    assert finding.reason == "CannotObserve"
    assert f"{BESIDE!r}, and 'CeleryExecutor' is written for it" in finding.message
    assert values_set(sim) == []


def test_an_executor_of_workers_without_any_holds() -> None:
    sim = Simulation([])
    sim.proof = replace(sim.proof, executor="CeleryExecutor")
    finding = sim.go(60).current.finding
    assert finding.reason == "CannotObserve"
    assert "no Deployment or StatefulSet of the release has the label component=worker" in (
        finding.message
    )
    assert values_set(sim) == []


def test_workers_whose_tasks_are_no_processes_hold_before_anything_is_delivered() -> None:
    sim = Simulation([])
    sim.executor = sim.worker_executor = "CeleryExecutor"
    sim.proof = replace(sim.proof, executor="CeleryExecutor", facts=(("celeryPool", "gevent"),))
    finding = sim.go(30).current.finding
    assert finding.reason == "ExecutorNotSupported"
    assert "[celery] pool = 'gevent'" in finding.message
    assert values_set(sim) == []


def test_nothing_is_delivered_while_task_pods_cannot_be_seen() -> None:
    run = SimRun(RunKey("dag", "run"), [(300, 10), (3, 5000)])
    sim = Simulation([run], weather=Weather(tasks_in="tasks"))
    sim.shut = True
    decision = sim.go(60)
    assert (decision.current.finding.reason, decision.phase) == ("TasksNotVisible", "Held")
    assert decision.current.finding.message == "'tasks' is shut"
    assert values_set(sim) == []
    assert len(sim.ledger.proofs) == 2, "the proof comes first: it knows where tasks run"
    sim.shut = False
    sim.run_until("Live")
    assert sim.blind_offloads == []


@pytest.mark.parametrize(
    ("attestation", "word"),
    [
        (None, "there is no attestation"),
        ("not json", "lacks by"),
        ('{"by":"a","at":"2025-12-31T00:00:00Z","evidence":"x","expiresAt":"soon"}', "time"),
        (
            '{"by":"a","at":"2025-12-01T00:00:00Z","evidence":"x",'
            '"expiresAt":"2025-12-31T00:00:00Z"}',
            "expired",
        ),
        (
            '{"by":"a","at":"2025-11-01T00:00:00Z","evidence":"x",'
            '"expiresAt":"2027-12-31T00:00:00Z"}',
            "expired",
        ),
        (
            '{"by":"a","at":"2027-01-01T00:00:00Z","evidence":"x",'
            '"expiresAt":"2027-12-31T00:00:00Z"}',
            "future",
        ),
    ],
)
def test_without_a_valid_rehearsal_nothing_is_delivered(attestation: str | None, word: str) -> None:
    sim = Simulation([])
    sim.annotations = (
        {} if attestation is None else {"xcomrollout.dev/rehearsal-attestation": attestation}
    )
    decision = sim.go(30)
    assert decision.current.finding.reason == "RehearsalRequired"
    assert word in decision.current.finding.message
    assert values_set(sim) == []


def test_of_two_rollouts_for_one_release_the_second_is_refused() -> None:
    sim = Simulation([])
    observed = replace(sim.observe(), rivals=(Rival("first", START - timedelta(seconds=1)),))
    decision = decide(observed, sim.now)
    assert decision.action is None
    assert decision.current.finding.reason == "ReleaseOwnedByAnother"
    assert "'first'" in decision.current.finding.message


def test_a_release_that_is_missing_is_named() -> None:
    sim = Simulation([])
    decision = decide(replace(sim.observe(), release=None), sim.now)
    assert decision.current.finding.reason == "ReleaseNotFound"
    assert "'airflow'" in decision.current.finding.message


def test_a_bare_revert_behind_its_back_is_reported_and_not_undone() -> None:
    sim = Simulation([])
    sim.run_until("Live")
    sim._set_values(replace(sim.settings, backend=None, path=None, threshold=None))
    sim.actions.clear()
    decision = sim.go(20)
    assert decision.current.finding.reason == "Drifted"
    assert "kubectl xbr kill" in decision.current.finding.message
    assert values_set(sim) == []


def test_a_new_threshold_is_proven_before_it_is_delivered() -> None:
    sim = Simulation([])
    sim.run_until("Live")
    sim.spec = spec(threshold={"bytes": "500"})
    sim.proof = ProofResult(Verdict.FAIL, (BAD,), (), (), "KubernetesExecutor")
    for _ in range(30):
        sim.step()
        sim.tick()
    assert values_set(sim) == ["-1", "1000"]
    sim.proof = ProofResult(Verdict.PASS, (), (), (), "KubernetesExecutor")
    sim.run_until("Live")
    assert values_set(sim) == ["-1", "1000", "500"]


def test_the_status_is_of_its_schema_and_unchanged_while_nothing_changes() -> None:
    sim = Simulation([SimRun(RunKey("dag", "run"), [(3, 5000), (30, 10)])])

    status = sim.summarized(120)
    assert status["phase"] == "Live"
    before = summarize(sim.observe(), decide(sim.observe(), sim.now), sim.now, status)
    sim.now += timedelta(seconds=20)
    after = summarize(sim.observe(), decide(sim.observe(), sim.now), sim.now, before)
    assert after == before
    sim.kill()
    status = sim.summarized(200, status)
    assert status["phase"] == "Reverted"
    kinds = {c["type"]: c["status"] for c in status["conditions"]}
    assert kinds["Ready"] == kinds["Reverted"] == kinds["Recovered"] == "True"
    assert kinds["Offloading"] == kinds["Stalled"] == kinds["Reconciling"] == "False"


def until(sim: Simulation, reason: str, seconds: int) -> None:
    """Go on, a pass a second, until the rollout is about this."""
    for _ in range(seconds):
        if sim.step().current.finding.reason == reason:
            return
        sim.tick()
    raise AssertionError(f"{reason} was not seen in {seconds} s")


def conditions(sim: Simulation) -> dict[str, str]:
    return {entry["type"]: entry["status"] for entry in sim.summarized(1)["conditions"]}


def test_what_is_asked_again_each_hour_changes_nothing_that_is_told() -> None:
    def told() -> list[tuple[str, str, str]]:
        return [(one["type"], one["status"], one["reason"]) for one in status["conditions"]]

    sim = Simulation([])
    status = sim.summarized(120)
    assert status["phase"] == "Live"
    asked, before, history = sim.ledger.way_back, told(), status["history"]
    for _ in range(3700):
        status = sim.summarized(1, status)
        assert told() == before
    assert status["history"] == history
    assert sim.ledger.way_back != asked, "it was asked"


def test_a_census_that_fails_twice_while_live_takes_armed_away_until_one_succeeds() -> None:
    sim = Simulation([])
    sim.run_until("Live")
    delivered = values_set(sim)
    sim.broken = {JobKind.CENSUS}
    until(sim, "CensusFailed", 1200)
    finding = sim.peek().current.finding
    for part in ("a kill would not complete", "OOMKilled", "NetworkPolicies", "quota"):
        assert part in finding.message
    seen = set()
    for _ in range(1800):
        seen.add(sim.step().current.finding.reason)
        sim.tick()
    assert seen == {"CensusFailed"}, "it is told all the while, whatever is tried in between"
    told = conditions(sim)
    assert (told["Armed"], told["Ready"], told["Stalled"]) == ("False", "False", "True")
    assert told["Offloading"] == "True", "nothing is taken back"
    sim.broken = set()
    until(sim, "Live", 600)
    told = conditions(sim)
    assert (told["Armed"], told["Ready"], told["Stalled"]) == ("True", "True", "False")
    assert values_set(sim) == delivered, "no delivery comes of it"


def test_one_census_that_fails_while_live_is_tried_again_and_takes_nothing_away() -> None:
    sim = Simulation([])
    sim.run_until("Live")
    sim.broken = {JobKind.CENSUS}
    broken = 0
    for _ in range(1200):
        decision = sim.step()
        assert decision.current.finding.reason == "Live"
        broken = sum(entry.job.state is JobState.BROKEN for entry in sim.jobs)
        if broken:
            sim.broken = set()
        sim.tick()
    assert broken == 1
    assert "failed" not in sim.step().current.finding.message


def test_a_census_that_cannot_even_be_asked_for_takes_armed_away_within_an_hour() -> None:
    """A quota refuses the Job itself: no attempt is there that could fail."""
    sim = Simulation([])
    sim.run_until("Live")
    until(sim, "Live", 1)
    for _ in range(4000):
        decision = sim.step(stop_before=True)
        if not isinstance(decision.action, RunJob) and decision.action is not None:
            sim.perform(decision.action)
        sim.tick()
    finding = sim.peek().current.finding
    assert finding.reason == "CensusFailed"
    assert "quota" in finding.message
    until(sim, "Live", 60)


def test_runs_are_counted_while_something_else_that_a_kill_needs_is_missing() -> None:
    sim = Simulation([])
    sim.run_until("Live")
    sim.not_armed = ("the API is away",)
    until(sim, "NotArmed", 4000)
    before = len(sim.actions)
    for _ in range(2700):
        assert sim.step().current.finding.reason == "NotArmed"
        sim.tick()
    jobs = [action for action in sim.actions[before:] if isinstance(action, RunJob)]
    assert 2 <= len(jobs) <= 4, "every 15 minutes, as ever"


def test_a_census_that_fails_while_live_keeps_no_kill_from_its_beginning() -> None:
    sim = Simulation([])
    sim.run_until("Live")
    sim.broken = {JobKind.CENSUS}
    until(sim, "CensusFailed", 1200)
    sim.kill()
    sim.go(5)
    assert values_set(sim)[-1] == "-1"


@pytest.mark.parametrize(
    "executor",
    [
        "LocalExecutor",
        "CeleryExecutor,LocalExecutor",
        "LocalKubernetesExecutor",
        "KubernetesExecutor,Local",
    ],
)
def test_an_executor_that_is_written_down_is_refused_before_any_proof(executor: str) -> None:
    sim = Simulation([])
    sim.executor = executor
    sim.problems = ("no ConfigMap with the template of task pods",)
    decision = sim.go(30)
    assert decision.current.finding.reason == "ExecutorNotSupported"
    assert executor in decision.current.finding.message
    assert [action for action in sim.actions if isinstance(action, RunJob)] == []


@pytest.mark.parametrize(
    "executor",
    [
        "KubernetesExecutor",
        "airflow.providers.cncf.kubernetes.executors.kubernetes_executor.KubernetesExecutor",
        "airflow.executors.kubernetes_executor.KubernetesExecutor",
        "k8s:airflow.providers.cncf.kubernetes.executors.kubernetes_executor.KubernetesExecutor",
    ],
)
def test_the_supported_executor_may_be_named_by_its_class(executor: str) -> None:
    sim = Simulation([])
    sim.executor = executor
    sim.proof = replace(sim.proof, executor=executor)
    sim.run_until("Live")


def test_a_class_of_the_same_name_from_elsewhere_is_not_the_supported_one() -> None:
    sim = Simulation([])
    sim.proof = replace(sim.proof, executor="company.executors.KubernetesExecutor")
    assert sim.go(30).current.finding.reason == "ExecutorNotSupported"


@pytest.mark.parametrize(
    ("loose", "said"),
    [
        ((), "triggerer: its updateStrategy is OnDelete"),
        (
            (LoosePod("bare"),),
            "created bare, so nothing would replace it: create it through a Deployment",
        ),
        (
            (LoosePod("a", "DaemonSet", "x"),),
            "a (created by DaemonSet x), so nothing would replace it",
        ),
        (
            (LoosePod("a", "Deployment", "my-api"), LoosePod("b", "Deployment", "my-api")),
            "Deployment my-api: its pods have the labels of the release and it does not, so the "
            "operator cannot see it replace them. Label it (in its own metadata) "
            "tier=airflow,release=airflow",
        ),
    ],
)
def test_pods_that_a_delivery_would_not_replace_hold_before_the_first_one(
    loose: tuple[LoosePod, ...], said: str
) -> None:
    sim = Simulation([])
    sim.loose = loose
    sim.wont_roll = "" if loose else "its updateStrategy is OnDelete"
    finding = sim.go(30).current.finding
    assert finding.reason == "PodsWouldNotRoll"
    assert said in finding.message
    assert not any(isinstance(action, RunJob | SetValues) for action in sim.actions)
    sim.loose, sim.wont_roll = (), ""
    sim.run_until("Live")
    sim.loose, sim.wont_roll = loose, "its updateStrategy is OnDelete"
    assert sim.go(5).phase == "Live", "nothing is delivered any more"
    sim.kill()
    sim.run_until("Reverted")


def test_a_component_that_no_upgrade_replaces_is_waited_for_after_each_delivery() -> None:
    sim = Simulation([])
    sim.own_since = sim.now - timedelta(hours=1)

    def held_at() -> str | None:
        """Go on until the rollout is held, restart the pod, and return the threshold."""
        finding = sim.go(120).current.finding
        assert finding.reason == "PodsNotReplaced"
        assert finding.message.endswith("kubectl rollout restart deployment my-api"), (
            "nothing else helps, least of all another strategy"
        )
        sim.own_since = sim.now
        return sim.settings.threshold

    assert [held_at(), held_at()] == ["-1", "1000"]
    sim.run_until("Live")
    sim.tick()
    sim.kill()
    assert [held_at(), held_at()] == ["-1", None], "the backend stays while it may still write"
    sim.run_until("Reverted")


def unclear(sim: Simulation) -> Observed:
    seen = sim.observe()
    assert seen.release is not None
    problem = "two hold another airflow.cfg"
    return replace(seen, release=replace(seen.release, layout_problem=problem))


@pytest.mark.parametrize("phase", ["", "Live", "Reverted"])
def test_settings_that_cannot_be_told_are_no_ground_to_decide_on(phase: str) -> None:
    sim = Simulation([])
    if phase == "Reverted":
        sim.run_until("Live")
        sim.kill()
    if phase:
        sim.run_until(phase)
    found = decide(unclear(sim), sim.now).current.finding
    assert found.action is None
    assert found.reason == "AirflowConfigNotFound"
    assert "two hold another airflow.cfg" in found.message


def test_the_place_of_the_settings_is_named() -> None:
    sim = Simulation([])
    seen = sim.observe()
    assert seen.release is not None
    mine = BackendSettings(backend="my.Backend")
    below = replace(seen.release, values_path=("platform", "airflow"), settings=mine)
    seen = replace(seen, release=below)
    decision = decide(seen, sim.now)
    status = summarize(seen, decision, sim.now, {})
    assert status["delivery"]["valuesPath"] == "platform.airflow"
    assert "platform.airflow.config.core.xcom_backend of the release" in str(status["conditions"])
