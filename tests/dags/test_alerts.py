"""The alerts on blobs: what they tell, by rule tests and by what a real store sends."""

from __future__ import annotations

import re
import shutil
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from harness.shell import run
from harness.waiting import wait_for
from monitoring import Monitoring, monitoring, program
from probe_world import BUCKET, ObjectStore
from xcom_dags.blobs import AllAbsent, BlobStore, BlobUnreachable, Cohort
from xcom_dags.blobs.layout import split_uri

pytestmark = pytest.mark.airflow

ROOT = Path(__file__).resolve().parents[2]
RULES = ROOT / "charts/xcom-rollout/rules/blobs.yaml"
TESTS = Path(__file__).parent / "rules/blobs_test.yaml"
KEYS = ["BTC", "ETH"]
DIRECTIONS = ("write", "read")


class StatsD:
    """Metrics in the form in which Airflow sends them, with its default prefix."""

    def __init__(self, port: int) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.connect(("127.0.0.1", port))

    def incr(self, stat: str) -> None:
        self._socket.send(f"airflow.{stat}:1|c".encode())

    def gauge(self, stat: str, value: float) -> None:
        self._socket.send(f"airflow.{stat}:{value}|g".encode())

    def timing(self, stat: str, dt: float) -> None:
        self._socket.send(f"airflow.{stat}:{dt}|ms".encode())

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[Monitoring]:
    with monitoring(tmp_path / "monitoring", RULES) as started:
        yield started


@pytest.fixture
def metrics(watched: Monitoring) -> Iterator[StatsD]:
    sender = StatsD(watched.statsd_port)
    yield sender
    sender.close()


def rules() -> list[dict[str, Any]]:
    (group,) = yaml.safe_load(RULES.read_text())["groups"]
    found: list[dict[str, Any]] = group["rules"]
    return found


def test_rules_are_told_when_they_should_and_only_then(tmp_path: Path) -> None:
    for file in (RULES, TESTS):
        shutil.copy(file, tmp_path)
    run(program("promtool"), "check", "rules", tmp_path / RULES.name)
    run(program("promtool"), "test", "rules", tmp_path / TESTS.name)


def test_every_alert_has_a_rule_test_and_links_a_section_of_the_runbook() -> None:
    tests = yaml.safe_load(TESTS.read_text())["tests"]
    tested = {
        case["alertname"]
        for test in tests
        for case in test["alert_rule_test"]
        if "exp_alerts" in case
    }
    for rule in rules():
        assert rule["alert"] in tested
        path, _, section = rule["annotations"]["runbook"].partition("#")
        titles = re.findall(r"^## (.*)$", (ROOT / path).read_text(), re.MULTILINE)
        anchors = {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}
        assert section in anchors


def test_what_a_store_sends_makes_its_alert_fire(
    blobs: Callable[..., BlobStore], server: ObjectStore, watched: Monitoring, metrics: StatsD
) -> None:
    store = blobs(metrics=metrics)
    references = {key: store.put(key, {"y": [1.0]}) for key in KEYS}
    assert Cohort(KEYS).load(store, references).verdict == "COMPLETE"

    wait_for("gauges", lambda: watched.values("airflow_xcom_blob_cohort_expected") == ["2"], 30)
    # What the alert on slow transfers goes by, in seconds.
    slow = 'airflow_xcom_blob_{}_duration{{quantile="0.9"}} < 60'
    wait_for("durations", lambda: all(map(watched.values, map(slow.format, DIRECTIONS))), 30)
    assert watched.firing() == {}

    for reference in references.values():
        server.client().delete_object(Bucket=BUCKET, Key=split_uri(reference["uri"])[1])
    with pytest.raises(AllAbsent):
        Cohort(KEYS).load(store, references)
    with pytest.raises(BlobUnreachable):
        blobs(base="s3://nobody-made-this/p", metrics=metrics).put("BTC", {"y": [1.0]})
    told = {
        "XComBlobCohortIncomplete",
        "XComBlobReadErrors",
        "XComBlobAllAbsent",
        "XComBlobWriteErrors",
    }
    wait_for("four alerts", lambda: set(watched.firing()) == told, 30)
    assert watched.firing()["XComBlobAllAbsent"]["runbook"].endswith("blobs.md#c-allabsent")
