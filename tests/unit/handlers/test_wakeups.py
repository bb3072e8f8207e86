"""Which events ask for a pass, how kopf is set up, and what the environment must say."""

from pathlib import Path
from typing import Any

import kopf
import pytest

from xcom_rollout.__main__ import ConfigurationError, read_configuration
from xcom_rollout.api.names import LABEL_ROLLOUT
from xcom_rollout.handlers import Wakeups, configure_kopf
from xcom_rollout.queue import WorkQueue
from xcom_rollout.reconcile import Key


@pytest.fixture
def queue() -> WorkQueue[Key]:
    return WorkQueue()


def drained(queue: WorkQueue[Key]) -> set[str]:
    found = set()
    while (key := queue.get(wait=False)) is not None:
        found.add(str(key))
        queue.done(key)
    return found


def metadata(name: str = "demo", **changes: Any) -> dict[str, Any]:
    return {"namespace": "airflow", "name": name, "uid": f"uid-{name}", "generation": 1} | changes


def test_the_first_sight_and_each_change_by_people_wakes(queue: WorkQueue[Key]) -> None:
    wakeups = Wakeups(queue)
    for seen in (
        metadata(),
        metadata(generation=2),
        metadata(generation=2, annotations={"xcomrollout.dev/kill": "{}"}),
        metadata(generation=2),
        metadata(generation=2, uid="made anew"),
    ):
        wakeups.rollout("MODIFIED", seen)
        assert drained(queue) == {"airflow/demo"}, seen


def test_a_status_write_of_our_own_wakes_nobody(queue: WorkQueue[Key]) -> None:
    wakeups = Wakeups(queue)
    wakeups.rollout(None, metadata(resourceVersion="1"))
    drained(queue)
    wakeups.rollout("MODIFIED", metadata(resourceVersion="2"))
    assert not drained(queue)


def test_a_deletion_wakes_the_others_of_the_namespace(queue: WorkQueue[Key]) -> None:
    wakeups = Wakeups(queue)
    for seen in (metadata("a"), metadata("b"), metadata("c", namespace="elsewhere")):
        wakeups.rollout(None, seen)
    drained(queue)
    wakeups.rollout("DELETED", metadata("a"))
    assert drained(queue) == {"airflow/b"}


def test_a_job_wakes_its_rollout(queue: WorkQueue[Key]) -> None:
    wakeups = Wakeups(queue)
    wakeups.job({"namespace": "airflow", "name": "x", "labels": {LABEL_ROLLOUT: "demo"}})
    wakeups.job({"namespace": "airflow", "name": "y", "labels": {}})
    wakeups.job({"namespace": "airflow", "name": "z"})
    assert drained(queue) == {"airflow/demo"}


def test_kopf_writes_nothing_and_watches_no_more_than_needed() -> None:
    settings = kopf.OperatorSettings()
    configure_kopf(settings)
    assert settings.posting.enabled is False
    assert settings.scanning.disabled is True
    assert settings.peering.standalone is True
    assert settings.watching.server_timeout
    assert settings.watching.label_selectors["batch", "v1", "jobs"] == LABEL_ROLLOUT


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    probe = tmp_path / "xcom_probe.pyz"
    probe.touch()
    return {"XBR_NAMESPACES": "airflow, other,airflow", "XBR_PROBE": str(probe), "HELM_BIN": "sh"}


def test_the_environment_is_read(environment: dict[str, str]) -> None:
    configuration = read_configuration(environment)
    assert configuration.namespaces == ("airflow", "other")
    assert configuration.workers == 4
    assert configuration.liveness is None


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("XBR_NAMESPACES", ""),
        ("XBR_NAMESPACES", " , "),
        ("XBR_NAMESPACES", "*,airflow"),
        ("XBR_PROBE", "/nowhere/probe.pyz"),
        ("HELM_BIN", "no-such-helm"),
        ("XBR_WORKERS", "0"),
        ("XBR_WORKERS", "many"),
        ("XBR_LOG_LEVEL", "loud"),
    ],
)
def test_a_bad_setting_is_named_with_its_value_and_what_to_give(
    environment: dict[str, str], name: str, value: str
) -> None:
    with pytest.raises(ConfigurationError) as caught:
        read_configuration(environment | {name: value})
    text = str(caught.value)
    assert text.startswith(f"{name} is {value!r}: ")
    assert "give" in text
