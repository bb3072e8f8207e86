"""What is known of the pods' backends, and the way the probe gets into them."""

import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

from xcom_probe.build import build
from xcom_rollout.act.confirm_readers import Target, merged
from xcom_rollout.decide.ledger import Reader
from xcom_rollout.decide.settings import BackendSettings
from xcom_rollout.probe.exec import BOOTSTRAP

T0 = datetime(2026, 1, 1, tzinfo=UTC)


def reader(uid: str, started: datetime = T0, error: str = "") -> Reader:
    return Reader(f"pod-{uid}", uid, started, BackendSettings(), T0, error)


def target(uid: str, started: datetime = T0) -> Target:
    return Target("airflow", f"pod-{uid}", uid, "scheduler", started, runs_task=False)


def test_what_was_just_seen_replaces_what_was_known() -> None:
    seen = reader("a", error="new")
    assert merged([reader("a"), reader("b")], [seen], [target("a"), target("b")]) == (
        seen,
        reader("b"),
    )


def test_pods_that_are_gone_are_forgotten() -> None:
    assert merged([reader("a")], [reader("b")], [target("b")]) == (reader("b"),)


def test_a_container_that_restarted_meanwhile_is_not_known() -> None:
    later = T0 + timedelta(seconds=1)
    assert merged([reader("a")], [reader("b")], [target("a", later), target("b", later)]) == ()


def test_the_probe_runs_from_standard_input_and_leaves_nothing(tmp_path: Path) -> None:
    probe = tmp_path / "xcom_probe.pyz"
    build(probe)
    content = probe.read_bytes()
    empty = tmp_path / "empty"
    empty.mkdir()
    answer = subprocess.run(
        [sys.executable, "-c", BOOTSTRAP, str(len(content)), "--version"],
        input=content + b"what comes later is not read",
        capture_output=True,
        cwd=empty,
        check=False,
    )
    assert (answer.returncode, answer.stderr) == (0, b"")
    assert answer.stdout.strip()
    assert not list(empty.iterdir())


def test_a_probe_that_arrives_in_part_is_not_run() -> None:
    answer = subprocess.run(
        [sys.executable, "-c", BOOTSTRAP, "100", "--version"],
        input=b"short",
        capture_output=True,
        check=False,
    )
    assert answer.returncode != 0
    assert b"5 of 100 bytes arrived" in answer.stderr
