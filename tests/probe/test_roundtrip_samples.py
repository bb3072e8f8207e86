"""Samples of users through a real backend, Python among them in its sandbox."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from probe_world import THRESHOLD, Answer, Pod

pytestmark = pytest.mark.airflow

PYTHON = """
from datetime import datetime, timezone
import numpy as np

def samples():
    return {
        # In the order in which PostgreSQL's JSONB keeps keys, so that it comes back on Airflow 3.
        "decision": {"at": datetime(2024, 2, 29, tzinfo=timezone.utc), "branch": "a"},
        "large": "x" * 2_000_000,
        "array": np.arange(3),
    }
"""


def probed(pod: Pod, folder: Path, *arguments: str) -> Answer:
    """A round trip with the samples of a folder."""
    return pod.probe(
        *("roundtrip", "--expect-threshold", str(THRESHOLD), "--samples", str(folder)),
        *arguments,
        timeout=300,
    )


@pytest.mark.every_airflow
def test_samples_take_every_way_and_are_judged_like_the_others(pod: Pod, tmp_path: Path) -> None:
    (tmp_path / "plain.json").write_text('{"note": null, "rows": [1, 2]}')
    (tmp_path / "own.py").write_text(PYTHON)
    answer = probed(pod, tmp_path)
    assert answer.code == 0, answer.checks("fail", "error")
    values = {one["name"]: one for one in answer.result["values"] if one["class"] == "samples"}
    assert {name: (one["change"], one["offloaded"]) for name, one in values.items()} == {
        "samples-own.decision": ("none", False),
        "samples-own.large": ("none", True),
        # No version takes an array, with whatever backend.
        "samples-own.array": ("none", None),
        "samples-plain": ("none", False),
    }
    assert values["samples-own.decision"]["trips"]["offloaded"]["verdict"] == "equal"
    assert values["samples-own.array"]["verdict"] == "failure"
    assert (
        "4 samples of 2 files; Python ran in a sandbox"
        in (answer.checks("pass")["samples-read"]["observed"])
    )


def test_a_sample_that_the_provider_changes_warns(pod: Pod, tmp_path: Path) -> None:
    (tmp_path / "id.json").write_text('"0123"')
    (tmp_path / "count.json").write_text('"123"')
    answer = probed(pod, tmp_path)
    assert answer.code == 0
    seen = answer.checks("warn")["roundtrip-samples"]["observed"]
    assert seen == "samples-count (inline, drift json-strings): value: str '123' became int 123"


def test_a_file_that_cannot_be_read_is_no_yes(pod: Pod, tmp_path: Path) -> None:
    secret = json.loads(pod.env["AIRFLOW_CONN_XCOM_S3"])["password"]
    # It tries to print what the pod knows; nothing of that is there.
    (tmp_path / "own.py").write_text("import os\nraise ValueError(str(dict(os.environ)))\n")
    answer = probed(pod, tmp_path)
    assert answer.code == 3
    assert answer.failing() == {"samples-read"}
    assert "own.py, line 2: ValueError" in answer.checks("error")["samples-read"]["observed"]
    assert secret not in answer.stdout + answer.stderr
    assert "AIRFLOW__DATABASE" not in answer.stdout


def test_wrong_arguments_are_told(pod: Pod, tmp_path: Path) -> None:
    missing = probed(pod, tmp_path / "nobody-made-this")
    assert missing.code == 2
    assert "--samples" in missing.stderr
    for wrong in ("0", "-1", "soon", "nan", "1e9"):
        answer = probed(pod, tmp_path, "--samples-timeout", wrong)
        assert answer.code == 2
        assert "not a number of seconds" in answer.stderr
