"""What has to hold on every Airflow that the project supports."""

from __future__ import annotations

import signal
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from probe_world import (
    AIRFLOWS,
    OBJECT_BACKEND,
    PATH,
    THRESHOLD,
    Answer,
    Environment,
    Pod,
    free_port,
    installed,
)
from xcom_rollout.probe.parts import needed_part

pytestmark = [pytest.mark.airflow, pytest.mark.every_airflow]


@pytest.fixture(scope="session")
def inspected(pod: Pod) -> Answer:
    """One `inspect` in a pod in which everything is right."""
    return pod.probe("inspect", "--expect-backend", "ObjectStorage", "--expect-path", PATH)


def test_the_pod_runs_the_airflow_and_python_that_it_names(
    airflow: Environment, inspected: Answer
) -> None:
    facts = inspected.result["facts"]
    assert facts["airflow"] == airflow.version
    assert facts["python"].startswith(f"{AIRFLOWS[airflow.version]}.")
    assert facts["providers"]["common.io"] == installed(
        airflow.version, "apache-airflow-providers-common-io"
    )


def test_a_signal_reaches_the_interpreter_and_no_mount_is_left(airflow: Environment) -> None:
    program = "import signal; print('ready', flush=True); signal.pause()"
    with subprocess.Popen([airflow.python, "-c", program], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        process.terminate()
        assert process.wait(60) == -signal.SIGTERM
    root = airflow.interpreter.root
    assert root is None or str(root) not in Path("/proc/self/mountinfo").read_text()


def test_inspect_tells_in_which_namespaces_tasks_run_whatever_says_so(pod: Pod) -> None:
    variables = {"NAMESPACE": "tasks", "MULTI_NAMESPACE_MODE": "True"}
    given = {f"AIRFLOW__KUBERNETES_EXECUTOR__{name}": value for name, value in variables.items()}
    facts = pod.with_env(given).probe("inspect", "--expect-path", PATH).result["facts"]
    assert facts["taskNamespaces"] == {
        "namespace": "tasks",
        "multiNamespaceMode": "True",
        "multiNamespaceModeNamespaceList": "",
    }


def test_inspect_tells_how_a_worker_of_celery_runs_its_tasks(pod: Pod) -> None:
    given = {"AIRFLOW__CELERY__POOL": "gevent"}
    facts = pod.with_env(given).probe("inspect", "--expect-path", PATH).result["facts"]
    assert facts["celeryPool"] == "gevent"


def test_inspect_reads_backend_options_and_their_sources(inspected: Answer) -> None:
    assert inspected.failing() == set()
    assert inspected.code == 0
    facts = inspected.result["facts"]
    assert facts["backendClass"] == OBJECT_BACKEND
    source = "env:AIRFLOW__COMMON_IO__XCOM_OBJECTSTORAGE_"
    assert facts["objectStorage"]["path"] == {"value": PATH, "source": f"{source}PATH"}
    assert facts["objectStorage"]["threshold"] == {
        "value": str(THRESHOLD),
        "source": f"{source}THRESHOLD",
    }
    # What `unset` reads as differs: no such option on 2.x, a default of "" on 3.x.
    assert not facts["objectStorage"]["compression"]["value"]


def test_inspect_says_no_where_the_path_is_another(pod: Pod) -> None:
    answer = pod.probe("inspect", "--expect-path", f"{PATH}/elsewhere")
    assert (answer.code, answer.failing()) == (1, {"option-path"})


def test_configured_says_what_inspect_says_and_imports_no_airflow(
    airflow: Environment, pod: Pod, inspected: Answer, tmp_path: Path
) -> None:
    part = tmp_path / "part.pyz"
    part.write_bytes(needed_part(pod.pyz.read_bytes(), "configured"))
    answer = replace(pod, pyz=part).probe("configured")
    assert (answer.code, answer.failing()) == (0, set()), answer.stderr
    facts, loaded = answer.result["facts"], inspected.result["facts"]
    assert facts["backendClass"] == loaded["backendClass"] == OBJECT_BACKEND
    for option in ("path", "threshold"):
        assert facts["objectStorage"][option] == loaded["objectStorage"][option]
    assert not facts["objectStorage"]["compression"]["value"]
    assert facts["airflow"] == airflow.version
    assert facts["peakMemoryMiB"] * 3 < loaded["peakMemoryMiB"]


@pytest.mark.parametrize(
    ("sections", "backend"),
    [
        (f"[core]\nxcom_backend = {OBJECT_BACKEND}\n", OBJECT_BACKEND),
        ("[core]\n", "airflow.models.xcom.BaseXCom"),
        ("", None),
        ("no section\n", None),
        (None, None),
    ],
)
def test_configured_reads_the_airflow_cfg_that_is_there_and_takes_none_for_granted(
    pod: Pod, tmp_path: Path, sections: str | None, backend: str | None
) -> None:
    owned = {name: None for name in pod.env if "XCOM" in name}
    file = tmp_path / "airflow.cfg"
    if sections is not None:
        file.write_text(sections)
    answer = pod.with_env({**owned, "AIRFLOW_CONFIG": str(file)}).probe("configured")
    if backend is None:
        assert (answer.code, answer.failing()) == (3, {"look"})
        assert str(file) in answer.checks("error")["look"]["observed"]
    else:
        assert (answer.code, answer.result["facts"]["backendClass"]) == (0, backend)


def test_census_of_a_database_without_runs_is_empty(pod: Pod) -> None:
    answer = pod.probe("census", "--base", PATH)
    assert answer.code == 0
    assert answer.result["runs"] == []


def test_census_could_not_look_where_no_database_listens(pod: Pod) -> None:
    name = "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"
    url = f"postgresql+psycopg2://airflow:not-the-secret@127.0.0.1:{free_port()}/airflow"
    answer = pod.with_env({name: url}).probe("census", "--base", PATH)
    assert (answer.code, answer.failing()) == (3, {"look"})
    assert "not-the-secret" not in answer.stdout + answer.stderr


def test_census_of_an_empty_mysql_is_empty(mysql_pod: Pod) -> None:
    answer = mysql_pod.probe("census", "--base", PATH)
    assert answer.code == 0
    assert answer.checks("pass")["database-reachable"]["observed"].startswith("mysql ")
    assert answer.result["runs"] == []
