"""Sizes are those that the backend measures, and the threshold lies above them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import jsonschema
import pytest

from harness.paths import REPO
from probe_world import BUCKET, CONN_ID, ObjectStore
from table_world import Place

pytestmark = [pytest.mark.airflow, pytest.mark.every_airflow]

BASE = f"s3://{CONN_ID}@{BUCKET}/calibrate"
SIZES = {"one": 3, "small": 40, "step": 1025, "odd": 4099, "large": 100_000}
TEXTS: dict[str, Any] = {
    "ascii": 'plain \t"quoted" \\ / text',
    "latin": "é" * 100,
    "chinese": "漢字" * 50,
    "emoji": "🙂" * 33 + "é漢x",
    "nested": {"a": [1, 2.5, True, None, {"ключ": "значение"}], "b": {}},
}
BULK = [
    {
        "dag": "bulk",
        "run": f"run {n}",
        "state": "success",
        "values": [["t", index, "return_value", n] for index in range(25)],
    }
    for n in range(4)
]
RUNS: list[dict[str, Any]] = [
    *BULK,
    {
        "dag": "sizes",
        "run": "one",
        "state": "success",
        "values": [[name, -1, "k", "x" * (size - 2)] for name, size in SIZES.items()],
    },
    {
        "dag": "texts",
        "run": "one",
        "state": "running",
        "values": [[name, -1, "k", value] for name, value in TEXTS.items()],
    },
]
OFFLOADED = [
    {"dag": "offloaded", "run": "r", "state": "success", "values": [["t", -1, "k", "x" * 2000]]}
]
VARIABLE = "AIRFLOW__COMMON_IO__XCOM_OBJECTSTORAGE_"


@pytest.fixture(scope="module", autouse=True)
def runs(place: Place, store: ObjectStore) -> Iterator[None]:
    """The runs above: inline values, and one that is offloaded."""
    place.seed(RUNS, {f"{VARIABLE}THRESHOLD": "-1", f"{VARIABLE}PATH": BASE})
    place.seed(OFFLOADED, {f"{VARIABLE}THRESHOLD": "1000", f"{VARIABLE}PATH": BASE})
    yield
    place.remove([*RUNS, *OFFLOADED])
    for key in store.all_keys():
        store.client().delete_object(Bucket=BUCKET, Key=key)


def _bytes(value: Any) -> int:
    return len(json.dumps(value).encode())


def test_sizes_are_those_of_the_json_that_the_backend_measures(place: Place) -> None:
    answer = place.pod.probe("calibrate", "--base", BASE)
    assert answer.code == 0
    found = answer.result["calibration"]
    tasks = {(task["dagId"], task["taskId"]): task for task in found["tasks"]}
    wanted = {("sizes", name): size for name, size in SIZES.items()}
    wanted |= {("texts", name): _bytes(value) for name, value in TEXTS.items()}
    assert {key: task["largestBytes"] for key, task in tasks.items() if key in wanted} == wanted
    assert tasks[("bulk", "t")]["rows"] == 100
    assert (found["rows"], found["offloadedRows"]) == (110, 1)
    assert found["bytes"] == 100 + sum(wanted.values())
    for task in tasks.values():
        assert task["p99Bytes"] == task["largestBytes"]


def test_quantiles_and_the_threshold_above_them(place: Place) -> None:
    arguments = ("--base", BASE, "--quantiles", "0.9,0.98,1", "--margin", "3")
    found = place.pod.probe("calibrate", *arguments).result["calibration"]
    assert found["quantiles"]["0.9"] == 1
    # The third largest of 110 values, in steps of 1/32.
    assert 1025 <= found["quantiles"]["0.98"] <= 1025 * 33 / 32
    assert found["quantiles"]["1"] == found["largestBytes"] == 100_000
    assert found["recommendedThreshold"] == "524288"
    assert found["rowsAbove"] == 0


def test_threshold_is_never_below_one_kib(place: Place) -> None:
    result = place.pod.probe("calibrate", "--base", BASE, "--quantiles", "0.5").result
    assert result["calibration"]["recommendedThreshold"] == "1024"
    assert result["calibration"]["rowsAbove"] == 3
    (check,) = [item for item in result["checks"] if item["name"] == "threshold-recommended"]
    assert 'set "1024"' in check["observed"]


def test_limit_takes_the_newest_runs(place: Place) -> None:
    found = place.pod.probe("calibrate", "--base", BASE, "--limit-rows", "6").result["calibration"]
    assert (found["rows"], found["offloadedRows"]) == (5, 1)
    assert {task["dagId"] for task in found["tasks"]} == {"texts"}


def test_an_empty_span_recommends_nothing(place: Place) -> None:
    answer = place.pod.probe("calibrate", "--base", BASE, "--since", "2100-01-01T00:00:00Z")
    assert answer.code == 0
    assert answer.result["calibration"]["recommendedThreshold"] is None
    assert set(answer.checks("warn")) == {"threshold-recommended"}


def test_needs_no_more_than_the_right_to_read_and_follows_the_schema(place: Place) -> None:
    answer = place.as_reader().probe("calibrate", "--base", BASE, "--since", "1d")
    assert answer.code == 0
    schema = json.loads((REPO / "docs/reference/probe-result.schema.json").read_text())
    jsonschema.validate(answer.result, schema)


def test_wrong_arguments_are_named(place: Place) -> None:
    for wrong in (("--quantiles", "0.5,99"), ("--margin", "0.5"), ("--since", "yesterday")):
        answer = place.pod.probe("calibrate", *wrong)
        assert (answer.code, answer.stdout) == (2, "")
        assert wrong[0] in answer.stderr
        assert wrong[1].split(",")[-1] in answer.stderr
