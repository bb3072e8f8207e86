"""What a killed round trip left is removed by a later one, and nothing else is."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from probe_world import BUCKET, THRESHOLD, Answer, Gate, ObjectStore, Pod, connection
from xcom_probe.roundtrip.leftovers import ABANDONED_AFTER, new_run_id

pytestmark = pytest.mark.airflow

FOLDER = "xcom/xcom_probe"


@pytest.fixture
def left(pod: Pod, store: ObjectStore) -> Iterator[list[str]]:
    """Keys of the objects that a round trip left which was ended by SIGKILL half-way."""
    gate = Gate(store.endpoint.removeprefix("http://"), b"/named_by_a_string HTTP/1.1")
    changed = pod.with_env({"AIRFLOW_CONN_XCOM_S3": connection(f"http://{gate.address}")})
    process = subprocess.Popen(
        [pod.python, pod.pyz, "roundtrip", "--expect-threshold", str(THRESHOLD), "--json"],
        env=changed.env,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        if not gate.seen.wait(120):
            raise AssertionError("the round trip never came to that object")
    finally:
        process.kill()
        process.communicate(timeout=60)
        gate.close()
    yield store.all_keys()
    for key in store.all_keys():
        store.client().delete_object(Bucket=BUCKET, Key=key)


def roundtrip(pod: Pod) -> Answer:
    """A later one."""
    answer = pod.probe("roundtrip", "--expect-threshold", str(THRESHOLD), timeout=300)
    assert answer.code == 0, answer.checks("fail", "error")
    return answer


def aged(store: ObjectStore, keys: list[str]) -> list[str]:
    """The same objects as if the probe had been killed long ago: the name shows it."""
    began = datetime.now(UTC) - ABANDONED_AFTER - timedelta(minutes=1)
    run_id = new_run_id(began)
    names = []
    for key in keys:
        _, _, rest = key.removeprefix(f"{FOLDER}/").partition("/")
        names.append(f"{FOLDER}/{run_id}/{rest}")
        source = {"Bucket": BUCKET, "Key": key}
        store.client().copy_object(Bucket=BUCKET, Key=names[-1], CopySource=source)
        store.client().delete_object(Bucket=BUCKET, Key=key)
    return names


def test_objects_of_a_killed_round_trip_are_removed_an_hour_later_and_no_others(
    pod: Pod, store: ObjectStore, left: list[str]
) -> None:
    assert len(left) > 10
    assert {key.rpartition("/xcom_probe__")[0] for key in left} == {FOLDER}
    others = [
        # A DAG of users that has the probe's name, and one that does not.
        f"{FOLDER}/manual__2020-01-01T00:00:00+00:00/roundtrip/object",
        f"{FOLDER}/object",
        "xcom/etl/xcom_probe__2020-01-01T00:00:00.000000+00:00_" + "0" * 32 + "/t/object",
    ]
    for key in others:
        store.client().put_object(Bucket=BUCKET, Key=key, Body=b"1")

    answer = roundtrip(pod)
    assert answer.checks()["roundtrip-leftovers"]["status"] == "pass", "it may still be running"
    assert set(store.all_keys()) == {*left, *others}

    old = aged(store, left)
    answer = roundtrip(pod)
    check = answer.checks()["roundtrip-leftovers"]
    assert check["status"] == "warn"
    assert f"left {len(old)} objects, now removed" in check["observed"]
    assert set(store.all_keys()) == set(others)
