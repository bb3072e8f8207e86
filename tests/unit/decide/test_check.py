"""What `xbr check` says of a release: a row for each kind of finding, and the verdict."""

from dataclasses import replace
from typing import Any

import pytest

from simulation import START, Simulation
from xcom_rollout.decide.check import Group, Installed, Part, Row, Verdict, judge, verdict_of
from xcom_rollout.decide.check.installed import ExtraRule, Record, WebOptions, WebService
from xcom_rollout.decide.check.web import Web, web_of
from xcom_rollout.decide.core import decide
from xcom_rollout.decide.ledger import Ledger
from xcom_rollout.decide.observed import LoosePod, Observed, Rival, StaleCopy, Workload
from xcom_rollout.decide.settings import OBJECT_STORAGE_CLASS, BackendSettings

SCHEDULER = Workload("Deployment", "airflow-scheduler", "scheduler", 1, rolled=True, progress="")
SEEN = replace(
    Simulation([]).observe(),
    workloads=(SCHEDULER,),
    executor="KubernetesExecutor",
)
RECORD = Record(airflow_version="2.11.2", size=200_000)
SERVICE = WebService("airflow-webserver", "webserver", 8080)
BASIC = WebOptions(auth_backends=frozenset({"airflow.api.auth.backend.basic_auth"}))
GOOD = Installed(SEEN, record=RECORD, services=(SERVICE,), web=BASIC)


def seen(**changes: Any) -> Installed:
    """Return the good release with fields of `Observed` replaced."""
    return replace(GOOD, observed=replace(SEEN, **changes))


def released(**changes: Any) -> Installed:
    """Return the good release with fields of `Release` replaced."""
    assert SEEN.release is not None
    return seen(release=replace(SEEN.release, **changes))


FLIPPED = released(settings=BackendSettings(OBJECT_STORAGE_CLASS, "s3://c@b/p", "5"))


def recorded(**changes: Any) -> Installed:
    return replace(GOOD, record=replace(RECORD, **changes))


def rows(installed: Installed) -> dict[str, Row]:
    found = judge(installed, START)
    by_subject = {row.subject: row for row in found}
    assert len(by_subject) == len(found), "each subject once"
    return by_subject


def test_a_release_like_that_of_the_demo_is_supported() -> None:
    found = judge(GOOD, START)
    assert verdict_of(found) is Verdict.SUPPORTED
    assert {row.group for row in found} == {Group.SUPPORTED, Group.LATER}
    assert {"Helm release", "executor", "readers", "XCom backend", "inside the pods"} <= {
        row.subject for row in found
    }


@pytest.mark.parametrize(
    ("installed", "subject", "reason", "says"),
    [
        (released(status="failed"), "Helm release", "ReleaseNotDeployed", "helm rollback"),
        (released(status="pending-upgrade"), "Helm release", "ReleasePending", "does not override"),
        (released(layout_problem="no airflow.cfg"), "chart", "AirflowConfigNotFound", "no airflow"),
        (recorded(size=1_048_000), "size of the record", "NotArmed", "1048000 bytes"),
        (replace(GOOD, owner="by Flux: suspend it"), "delivery", "NotArmed", "suspend it"),
        (recorded(airflow_version="2.8.4"), "Airflow version", "", "2.8.4; Airflow 2.9 to 3.x"),
        (recorded(airflow_version="4.0.0"), "Airflow version", "", "a newer operator"),
        (seen(executor="LocalExecutor"), "executor", "ExecutorNotSupported", "CeleryExecutor"),
        (seen(unseen_tasks="any namespace"), "task pods", "TasksNotVisible", "any namespace"),
        (seen(workloads=()), "readers", "NoAirflowPods", "tier=airflow"),
        (
            seen(workloads=(replace(SCHEDULER, wont_roll="it is paused"),)),
            *("readers: replacement", "PodsWouldNotRoll", "airflow-scheduler: it is paused"),
        ),
        (
            seen(loose_pods=(LoosePod("mine"),)),
            *("readers: replacement", "PodsWouldNotRoll", "mine"),
        ),
        (
            released(settings=BackendSettings("my.Backend")),
            *("XCom backend", "ForeignBackend", "my.Backend"),
        ),
        (
            FLIPPED,
            *("XCom backend", "AlreadyFlipped", "object storage backend at threshold 5"),
        ),
        (
            replace(GOOD, by_environment=("AIRFLOW__CORE__XCOM_BACKEND in env of the container",)),
            *("XCom backend: environment", "ProofFailed", "overrides airflow.cfg"),
        ),
        (seen(problems=("args names X",)), "configuration", "CannotObserve", "args names X"),
        (recorded(unset_keys=("jwtSecret",)), "Airflow 3 keys", "NotArmed", "set jwtSecret"),
        (
            seen(
                task_namespaces=("airflow", "etl"),
                stale_copies=(StaleCopy("etl", "airflow-config"),),
            ),
            *("task pods: configuration", "ConfigNotCopied", "kubectl patch configmap"),
        ),
    ],
)
def test_what_must_change_first(installed: Installed, subject: str, reason: str, says: str) -> None:
    found = rows(installed)
    row = found[subject]
    assert row.group is Group.CHANGE
    assert row.reason == reason
    assert says in f"{row.found} {row.remedy}"
    assert verdict_of(found.values()) is Verdict.CHANGE


@pytest.mark.parametrize(
    ("installed", "subject", "reason", "says"),
    [
        (recorded(airflow_version=""), "Airflow version", "", "airflowVersion"),
        (
            recorded(dependencies=("postgresql",), dependencies_problem="it is in its own files"),
            *("chart dependencies", "NotArmed", "postgresql: Helm's record does not contain these"),
        ),
        (seen(executor=""), "executor", "ExecutorNotSupported", "the proof shows"),
        (
            seen(task_namespaces=("airflow", "etl")),
            *(
                "task pods: namespaces",
                "TasksNotVisible",
                "watchNamespaces in the operator's chart: [airflow, etl]",
            ),
        ),
        (
            seen(task_namespaces=("airflow", "etl")),
            *("task pods: configuration", "ConfigNotCopied", "copy the ConfigMap"),
        ),
        (
            replace(GOOD, tasks_kept_elsewhere="the value is kept elsewhere"),
            *("task pods", "TasksNotVisible", "kept elsewhere"),
        ),
        (
            seen(workloads=(replace(SCHEDULER, component="my-api", oldest_pod=START),)),
            *("readers: your own", "PodsNotReplaced", "rollout restart deployment airflow-sched"),
        ),
        (
            seen(workloads=(replace(SCHEDULER, rolled=False, progress="0 of 1 new pods ready"),)),
            *("readers: pods", "PodsNotReplaced", "scheduler: 0 of 1 new pods ready"),
        ),
        (replace(GOOD, services=()), "REST API", "NotArmed", "spec.airflow.api.service"),
        (
            replace(GOOD, web=replace(BASIC, webserver_base_url=frozenset({None}))),
            *("REST API: path", "", "spec.airflow.api.path"),
        ),
        (
            replace(GOOD, web=replace(BASIC, webserver_base_url=frozenset({"http://h/a%20b"}))),
            *("REST API: path", "", "spec.airflow.api.path"),
        ),
        (
            replace(GOOD, web=replace(BASIC, webserver_base_url=frozenset({"http://[h"}))),
            *("REST API: path", "", "spec.airflow.api.path"),
        ),
        (GOOD, "REST API: login", "NotArmed", "username and password"),
        (GOOD, "REST API: login", "NotArmed", "secret generic airflow-api -n airflow --from"),
        (
            replace(GOOD, web=WebOptions(auth_backends=frozenset({None}))),
            *("REST API: login", "", "spec.airflow.api.login.type"),
        ),
        (
            replace(GOOD, web=WebOptions(auth_backends=frozenset({"my.backend"}))),
            *("REST API: login", "NotArmed", "--from-literal=token"),
        ),
        (
            recorded(unset_keys=("jwtSecret",), looks_up=True),
            *("Airflow 3 keys", "NotArmed", "may keep the present key"),
        ),
        (
            replace(GOOD, installs_at_start=("scheduler",)),
            *("packages at start", "ProofFailed", "_PIP_ADDITIONAL_REQUIREMENTS"),
        ),
        (
            replace(GOOD, network_policies=("airflow-pgbouncer-policy",)),
            *("network policies", "ProofError", "spec.gates.jobs"),
        ),
        (
            recorded(extra_rules=(ExtraRule("ClusterRole a", "rbac.helmDelivery.clusterRules"),)),
            *("operator's permissions", "NotArmed", "clusterRules"),
        ),
        (replace(GOOD, crd_installed=False), "rollout", "", "kubectl xbr crd"),
        (
            seen(rivals=(Rival("demo", START),), release=FLIPPED.observed.release),
            *("XCom backend", "AlreadyFlipped", "whether the rollout demo delivered it"),
        ),
    ],
)
def test_what_is_told_later_stands_in_nobodys_way(
    installed: Installed, subject: str, reason: str, says: str
) -> None:
    found = rows(installed)
    row = found[subject]
    assert row.group is Group.LATER
    assert row.reason == reason
    assert says in f"{row.found} {row.remedy}"
    assert verdict_of(found.values()) is Verdict.SUPPORTED


@pytest.mark.parametrize(
    ("installed", "subject", "says"),
    [
        (released(values_path=("base", "airflow")), "chart", "values are below base.airflow"),
        (recorded(hooks=("migrate",)), "hooks", "migrate"),
        (recorded(plain_jobs=("migrate",)), "Jobs", "useHelmHooks: false"),
        (
            released(
                settings=BackendSettings(
                    "airflow.models.xcom.BaseXCom",
                    as_written={"config.core.xcom_backend": (None, '"{{ .Values.word }}"')},
                )
            ),
            *("XCom backend", 'config.core.xcom_backend is "{{ .Values.word }}"'),
        ),
        (seen(rivals=(Rival("demo", START),)), "rollout", "kubectl xbr status demo"),
        (
            seen(workloads=(SCHEDULER, replace(SCHEDULER, kind="StatefulSet", component="t"))),
            *("readers", "scheduler 1, t 1 (StatefulSet)"),
        ),
        (
            replace(GOOD, web=replace(BASIC, webserver_base_url=frozenset({"http://h/airflow/"}))),
            *("REST API: path", "/airflow"),
        ),
        (released(values_path=("air",)), "what a flip writes", "air.config.core.xcom_backend"),
        (GOOD, "what a flip writes", "config.common.io.xcom_objectstorage_compression"),
    ],
)
def test_what_is_supported_says_what_was_found(
    installed: Installed, subject: str, says: str
) -> None:
    row = rows(installed)[subject]
    assert row.group is Group.SUPPORTED
    assert says in f"{row.found} {row.remedy}"


@pytest.mark.parametrize(
    ("part", "subjects"),
    [
        (
            Part.RELEASE,
            {
                "Helm release",
                "delivery",
                "Airflow version",
                "XCom backend",
                "operator's permissions",
            },
        ),
        (
            Part.WORKLOADS,
            {
                *("delivery", "executor", "task pods", "readers", "XCom backend: environment"),
                "REST API: path and login",
            },
        ),
        (Part.PODS, {"readers: pods"}),
        (
            Part.CONFIG_MAPS,
            {"executor", "task pods", "XCom backend: environment", "REST API: path and login"},
        ),
        (Part.ENVIRONMENT, {"XCom backend: environment"}),
        (Part.SERVICES, {"REST API"}),
        (Part.NETWORK_POLICIES, {"network policies"}),
        (Part.ROLLOUTS, {"rollout"}),
        (Part.DISCOVERY, {"operator's permissions", "rollout"}),
    ],
)
def test_a_right_that_is_missing_is_a_row_and_no_silent_pass(
    part: Part, subjects: set[str]
) -> None:
    empty: dict[Part, dict[str, Any]] = {
        Part.RELEASE: {"release": None},
        Part.WORKLOADS: {"workloads": (), "executor": ""},
        Part.CONFIG_MAPS: {"executor": ""},
    }
    installed = replace(seen(**empty.get(part, {})), unseen=frozenset({part}))
    found = rows(installed)
    unknown = {row.subject for row in found.values() if row.group is Group.UNKNOWN}
    assert unknown == subjects
    assert all(f"permission to {part}" in found[subject].found for subject in unknown)
    assert verdict_of(found.values()) is Verdict.UNKNOWN


@pytest.mark.parametrize("part", [Part.ROLLOUTS, Part.DISCOVERY])
def test_who_may_not_list_rollouts_is_not_told_that_none_has_flipped_the_release(
    part: Part,
) -> None:
    found = rows(replace(FLIPPED, unseen=frozenset({part})))
    assert found["XCom backend"].group is Group.UNKNOWN
    assert verdict_of(found.values()) is Verdict.UNKNOWN


def test_an_executor_that_is_refused_hides_nothing_else_that_must_change() -> None:
    found = rows(seen(executor="LocalExecutor", problems=("args names X",)))
    assert found["configuration"].reason == "CannotObserve"


BESIDE = "KubernetesExecutor,CeleryExecutor"


def with_workers(executor: str) -> Installed:
    worker = Workload("StatefulSet", "w", "worker", 2, rolled=True, progress="", grace_seconds=600)
    return seen(executor=executor, workloads=(SCHEDULER, worker), task_namespaces=("tasks",))


def test_with_both_each_place_in_which_tasks_run_has_its_row() -> None:
    found = rows(with_workers(BESIDE))
    assert found["executor"].group is Group.SUPPORTED
    assert "w: 600 s" in found["readers: workers"].found
    assert "tasks also run in the namespaces tasks" in found["task pods: namespaces"].found
    assert "the worker and the pod of a task" in found["inside the pods"].found


@pytest.mark.parametrize(
    ("version", "options", "services", "expected"),
    [
        ("2.11.2", WebOptions(), (SERVICE,), Web("airflow-webserver", 8080, login="Session")),
        (
            "3.0.2",
            WebOptions(api_base_url=frozenset({"https://x/a"})),
            (SERVICE, WebService("airflow-api-server", "api-server", 443, https=True)),
            Web("airflow-api-server", 443, https=True, path="/a"),
        ),
        (
            "3.0.2",
            WebOptions(
                auth_manager=frozenset({"my.Manager"}), webserver_base_url=frozenset({"http://x/b"})
            ),
            (),
            Web(path="/b", login="Bearer"),
        ),
        ("", WebOptions(), (SERVICE,), Web("airflow-webserver", 8080)),
    ],
)
def test_the_rest_api_of_the_rollout_to_start_from(
    version: str, options: WebOptions, services: tuple[WebService, ...], expected: Web
) -> None:
    installed = replace(recorded(airflow_version=version), web=options, services=services)
    assert web_of(installed) == expected


def test_the_reasons_are_those_of_the_rollouts_own_table() -> None:
    """A change-first row says what a rollout of the same world is held by."""
    for observed, subject in (
        (seen(executor="LocalExecutor").observed, "executor"),
        (released(status="failed").observed, "Helm release"),
        (released(settings=BackendSettings("my.Backend")).observed, "XCom backend"),
    ):
        row = rows(replace(GOOD, observed=observed))[subject]
        assert (row.reason, row.found) == first_held(observed)


def first_held(observed: Observed) -> tuple[str, str]:
    """Return reason and message by which a rollout of this world is held."""
    is_database = observed.release is not None and observed.release.settings.is_database
    ledger = Ledger(baseline=BackendSettings() if is_database else None)
    finding = decide(replace(observed, ledger=ledger), START).current.finding
    return finding.reason, finding.message
