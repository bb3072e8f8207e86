"""The probe's result is found in a log and turned into the words of `decide`."""

import json
from typing import Any

import pytest

from xcom_probe import main, model, mounted, started
from xcom_rollout.clients.errors import Malformed
from xcom_rollout.decide.ledger import Drift, OffloadedRun, RunKey, Verdict
from xcom_rollout.decide.settings import OBJECT_STORAGE_CLASS, BackendSettings
from xcom_rollout.probe import result as probe_output

OBJECT_FACTS = {
    "executor": "KubernetesExecutor",
    "backendClass": OBJECT_STORAGE_CLASS,
    "providers": {"common.io": "1.7.2", "s3fs": None},
    "objectStorage": {
        "path": {"value": "s3://c@b/p", "source": "file"},
        "threshold": {"value": "-1", "source": "file"},
        "compression": {"value": "", "source": "default"},
    },
}


def printed(
    findings: list[model.Finding] | None = None,
    facts: dict[str, Any] | None = None,
    **members: object,
) -> str:
    """What the probe itself prints."""
    document = model.document("inspect", findings or [], facts or OBJECT_FACTS, members, 0.0, 1.0)
    return main.render(document, "markers")


def test_the_markers_are_those_of_the_probe() -> None:
    assert (probe_output.BEGIN, probe_output.END) == (main.BEGIN, main.END)
    assert probe_output.SCHEMA == model.SCHEMA
    assert probe_output.PROCESS_OPTIONS == started.CHECK
    assert probe_output.PROCESS_CONFIGURATION == mounted.CHECK


def test_the_result_is_found_between_other_lines() -> None:
    log = f"[2026] INFO - loading\n{printed()}warning: something\n"
    assert probe_output.find_result(log)["facts"] == OBJECT_FACTS


def test_the_last_result_counts() -> None:
    first, last = printed(runs=[1]), printed(runs=[2])
    assert probe_output.find_result(first + last)["runs"] == [2]


@pytest.mark.parametrize(
    ("log", "expected"),
    [
        ("", "is missing; its output ends with: nothing"),
        ("Traceback\nImportError: no airflow", "is missing.*ImportError: no airflow"),
        (printed()[:-40], "was cut off"),
        (f"{main.BEGIN}\nnot json\n{main.END}", "is not JSON"),
        (f"{main.BEGIN}\n[]\n{main.END}", "has the schema None"),
        (f'{main.BEGIN}\n{{"schema": "xcom-probe/v9"}}\n{main.END}', "xcom-probe/v9"),
    ],
)
def test_a_log_without_a_result_says_what_it_holds(log: str, expected: str) -> None:
    with pytest.raises(Malformed, match=expected):
        probe_output.find_result(log)


def test_a_proof_keeps_what_failed_and_what_warned() -> None:
    findings = [
        model.Finding("a", "pass", "fine"),
        model.Finding("b", "fail", "saw x", "wanted y", "breaks z", "do this"),
        model.Finding("c", "error", "could not look"),
        model.Finding("d", "warn", "drift"),
        model.Finding("e", "skip", "not looked at"),
    ]
    result = probe_output.proof_result(probe_output.find_result(printed(findings)))
    assert result.verdict is Verdict.FAIL
    assert [check.name for check in result.failed] == ["b", "c"]
    assert (result.failed[0].observed, result.failed[0].remedy) == ("saw x", "do this")
    assert [check.name for check in result.warnings] == ["d"]
    assert result.executor == "KubernetesExecutor"
    assert ("providers.common.io", "1.7.2") in result.facts
    assert all("s3fs" not in name for name, _ in result.facts)


ROUND_TRIP = [model.Finding("roundtrip-text", "warn", "changed")]


def test_a_proof_says_in_which_ways_values_change() -> None:
    drift = [{"class": "tz", "meaning": "another zone", "values": ["a", "b"], "accepted": False}]
    result = probe_output.proof_result(probe_output.find_result(printed(ROUND_TRIP, drift=drift)))
    assert result.drift == (Drift("tz", "another zone", ("a", "b")),)


@pytest.mark.parametrize("drift", [None, [{"class": "tz"}], ["tz"]])
def test_a_round_trip_that_does_not_say_what_changed_is_no_proof(drift: object) -> None:
    document = probe_output.find_result(printed(ROUND_TRIP, drift=drift))
    with pytest.raises(Malformed, match="drift"):
        probe_output.proof_result(document)


def test_a_proof_whose_round_trip_was_skipped_has_no_drift() -> None:
    findings = [model.Finding("roundtrip-text", "skip", "not looked at")]
    result = probe_output.proof_result(probe_output.find_result(printed(findings)))
    assert result.drift == ()


def test_a_calibration_recommends_a_threshold() -> None:
    found = {"recommendedThreshold": 2048, "quantiles": {"0.999": 1000}, "tasks": []}
    result = probe_output.calibration_result(probe_output.find_result(printed(calibration=found)))
    assert result.is_answer
    assert result.recommended == 2048
    assert ("quantiles.0.999", "1000") in result.facts
    assert json.loads(result.report) == found


def test_a_calibration_without_values_recommends_nothing() -> None:
    log = printed(calibration={"recommendedThreshold": None})
    result = probe_output.calibration_result(probe_output.find_result(log))
    assert (result.is_answer, result.recommended) == (True, 0)


def test_a_calibration_that_could_not_look_says_why() -> None:
    findings = [model.Finding("database-reachable", "error", "connection refused")]
    result = probe_output.calibration_result(probe_output.find_result(printed(findings)))
    assert not result.is_answer
    assert result.message == "database-reachable: connection refused"


@pytest.mark.parametrize("found", [None, {}, {"recommendedThreshold": "much"}])
def test_a_calibration_that_cannot_be_read_is_no_recommendation(found: object) -> None:
    document = probe_output.find_result(printed(calibration=found))
    with pytest.raises(Malformed, match="calibration"):
        probe_output.calibration_result(document)


def test_a_census_lists_its_runs() -> None:
    runs = [
        {"dagId": "d", "runId": "r", "state": "running", "rows": 2, "tasks": []},
        {"dagId": "d", "runId": "s", "state": None, "rows": 0},
    ]
    result = probe_output.census_result(probe_output.find_result(printed(runs=runs)))
    assert result.runs == (
        OffloadedRun(RunKey("d", "r"), 2, "running"),
        OffloadedRun(RunKey("d", "s"), 0, "gone"),
    )


def test_a_census_that_could_not_look_lists_no_run_and_says_why() -> None:
    findings = [model.Finding("database-reachable", "error", "connection refused")]
    result = probe_output.census_result(probe_output.find_result(printed(findings, runs=[])))
    assert result.verdict is Verdict.ERROR
    assert result.message == "database-reachable: connection refused"


@pytest.mark.parametrize("runs", [None, "all", [{"dagId": "d"}], [{"dagId": 1, "runId": 2}]])
def test_a_census_that_cannot_be_read_is_no_empty_census(runs: object) -> None:
    with pytest.raises(Malformed):
        probe_output.census_result(probe_output.find_result(printed(runs=runs)))


def test_a_reader_is_what_the_pod_really_loads() -> None:
    document = probe_output.find_result(printed())
    assert probe_output.loaded_settings(document) == BackendSettings(
        OBJECT_STORAGE_CLASS, "s3://c@b/p", "-1", None
    )


def test_the_database_backend_has_no_path_even_where_one_is_configured() -> None:
    facts = {**OBJECT_FACTS, "backendClass": "airflow.models.xcom.BaseXCom"}
    settings = probe_output.loaded_settings(probe_output.find_result(printed(facts=facts)))
    assert settings == BackendSettings("airflow.models.xcom.BaseXCom")
    assert settings.is_database


def test_a_pod_that_loads_nothing_is_no_reader() -> None:
    findings = [model.Finding("look", "error", "cannot import name x")]
    log = printed(findings, {**OBJECT_FACTS, "backendClass": None})
    with pytest.raises(Malformed, match="loads no XCom backend: look: cannot import name x"):
        probe_output.loaded_settings(probe_output.find_result(log))


@pytest.mark.parametrize("check", [started.CHECK, mounted.CHECK])
def test_a_pod_whose_processes_were_started_with_something_else_is_no_reader(check: str) -> None:
    told = "process 7 (airflow scheduler) was started with AIRFLOW__CORE__XCOM_BACKEND=x.Y"
    findings = [model.Finding(check, model.FAIL, told, remedy="Take it out.")]
    with pytest.raises(Malformed) as problem:
        probe_output.loaded_settings(probe_output.find_result(printed(findings)))
    assert problem.value.message == f"{told}. Take it out."


def test_a_start_that_cannot_be_seen_is_told_beside_what_is_loaded() -> None:
    findings = [model.Finding(started.CHECK, model.WARN, "not known: process 7")]
    document = probe_output.find_result(printed(findings))
    assert probe_output.loaded_settings(document).reads_offloaded
    assert probe_output.unseen_start(document) == "not known: process 7"
    assert probe_output.unseen_start(probe_output.find_result(printed())) == ""


def test_a_verdict_that_is_unknown_is_no_pass() -> None:
    document = json.loads(printed().splitlines()[1]) | {"verdict": "fine"}
    with pytest.raises(Malformed, match="'fine'"):
        probe_output.proof_result(document)
