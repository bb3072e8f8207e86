"""The dynamic audit names what the change of backend breaks in the table, and nothing else."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import jsonschema
import pytest

from harness.paths import REPO
from probe_world import BUCKET, CONN_ID
from table_world import Place

pytestmark = [pytest.mark.airflow, pytest.mark.every_airflow]

BASE = f"s3://{CONN_ID}@{BUCKET}/audit"
THRESHOLD = "1000"
NEW_BACKEND = "--dynamic", "--base", BASE, "--threshold", THRESHOLD

JSON_STRINGS = ['{"a": 1}', "123", "null", " [1]\n", '"x"', "NaN", "-Infinity", "\t1", "1e5"]
TEXTS = ["2026-01-01", "true story", "12:30", "{no json", "nul", "01", "text", "", "é", "a: b"]
TEXTS += ["https://h/p", "gs://b/k", "\ufeff1", '"', "\\", "- item", "[", "Infinite", '"__x']
PLAIN = [{"a": [1, {"b": None}], "é": "{}"}, 1, 2.5, True, None, [], {}, ["123", {"k": "null"}]]
OBJECTS = [
    "datetime.datetime(2026, 1, 1, tzinfo=datetime.timezone.utc)",
    "(1, 2)",
    "{'when': datetime.date(2026, 1, 1)}",
]
NESTED_TUPLE = {"python": "{'t': (1, 2), 'pad': 'x' * 2000}"}
SMALL_NESTED_TUPLE = {"python": "{'t': (1, 2)}"}
PATH = f"{BASE}/dag/run/task/7cbbbd4f-5b5c-4d5c-8d6a-0e4f0e9f0c11"


def _values(task: str, values: list[Any]) -> list[Any]:
    return [[task, -1, f"k{number}", value] for number, value in enumerate(values)]


RUNS: list[dict[str, Any]] = [
    {
        "dag": "audited",
        "run": f"run {number}",
        "state": state,
        "values": [
            *_values("json_strings", JSON_STRINGS),
            *_values("texts", TEXTS),
            *_values("plain", PLAIN),
            *_values("objects", [{"python": text} for text in OBJECTS]),
            *_values("large", ["x" * 2000, {"a": ["y" * 3000]}]),
            *_values("nested", [NESTED_TUPLE, SMALL_NESTED_TUPLE]),
            *_values("url", ["filecache://h/p"]),
            *_values("path", [PATH]),
        ],
    }
    for number, state in enumerate(("success", "running", "failed"))
]
DRIFTING = ("2.11",)


@pytest.fixture(scope="module", autouse=True)
def runs(place: Place) -> Iterator[None]:
    """The runs above, written with Airflow's own backend: before the change."""
    place.seed(RUNS, {"AIRFLOW__CORE__XCOM_BACKEND": None})
    yield
    place.remove(RUNS)


def _by_task(result: dict[str, Any]) -> dict[tuple[str, str, str], int]:
    found: dict[tuple[str, str, str], int] = {}
    for task in result["dynamic"]["tasks"]:
        assert task["dagId"] == "audited"
        key = (task["taskId"], task["kind"], task["effect"])
        found[key] = found.get(key, 0) + task["rows"]
    return found


def _expected(place: Place) -> dict[tuple[str, str, str], int]:
    expected = {
        ("large", "size", "offloads"): 6,
        ("nested", "size", "offloads"): 3,
    }
    if place.pod.version.startswith(DRIFTING):
        expected[("json_strings", "json-strings", "drifts")] = 3 * len(JSON_STRINGS)
    if place.is_3:
        # The base keeps a tuple within a dict; an object in the store does not.
        expected[("nested", "tuple-to-list", "drifts")] = 3
    if place.pod.version.startswith("3.3"):
        expected[("url", "url-strings", "fails")] = 3
    return expected


def test_names_what_fails_drifts_and_offloads_and_nothing_else(place: Place) -> None:
    answer = place.pod.probe("audit", *NEW_BACKEND)
    expected = _expected(place)
    assert _by_task(answer.result) == expected
    found = answer.result["dynamic"]
    assert found["rows"] == sum(len(run["values"]) for run in RUNS)
    assert (found["pathRows"], found["tooLargeRows"], found["unreadableRows"]) == (3, 0, 0)
    for effect in ("fails", "drifts", "offloads"):
        rows = sum(count for (_, _, other), count in expected.items() if other == effect)
        assert found[f"{effect}Rows"] == rows
    bad = any(effect != "offloads" for _, _, effect in expected)
    assert answer.failing() == ({"audit-dynamic"} if bad else set())
    assert answer.code == (1 if bad else 0)


def test_says_types_and_no_values(place: Place) -> None:
    answer = place.pod.probe("audit", *NEW_BACKEND)
    details = {
        task["key"]: task["detail"]
        for task in answer.result["dynamic"]["tasks"]
        if task["kind"] == "json-strings"
    }
    assert "text" not in json.dumps(answer.result["dynamic"])
    if place.pod.version.startswith(DRIFTING):
        assert details["k0"] == "str becomes dict"
        assert details["k2"] == "str becomes NoneType"
        shown = place.pod.probe("audit", *NEW_BACKEND, "--show-values").result["dynamic"]["tasks"]
        assert any("'{\"a\": 1}'" in task["detail"] for task in shown)
    else:
        assert details == {}


def test_every_threshold_has_its_own_offloads(place: Place) -> None:
    for threshold, rows in (("-1", 0), ("3000", 3), ("100000", 0)):
        arguments = ("--dynamic", "--base", BASE, "--threshold", threshold)
        found = place.pod.probe("audit", *arguments).result["dynamic"]
        assert (found["threshold"], found["offloadsRows"]) == (int(threshold), rows)


def test_limit_looks_at_the_newest_run(place: Place) -> None:
    values = len(RUNS[0]["values"])
    found = place.pod.probe("audit", *NEW_BACKEND, "--limit-rows", str(values)).result["dynamic"]
    assert found["rows"] == values
    assert found["pathRows"] == 1


def test_bounded_list_says_what_it_leaves_out(place: Place) -> None:
    whole = place.pod.probe("audit", *NEW_BACKEND).result["dynamic"]
    found = place.pod.probe("audit", *NEW_BACKEND, "--tasks", "1").result["dynamic"]
    assert found["tasks"] == whole["tasks"][:1]
    assert found["tasksLeftOut"] == len(whole["tasks"]) - 1
    assert found["driftsRows"] == whole["driftsRows"]
    assert found["totals"] == whole["totals"]
    assert sum(found["totals"].values()) == len(whole["tasks"])


def test_needs_no_more_than_the_right_to_read_and_follows_the_schema(place: Place) -> None:
    answer = place.as_reader().probe("audit", *NEW_BACKEND)
    assert _by_task(answer.result) == _expected(place)
    schema = json.loads((REPO / "docs/reference/probe-result.schema.json").read_text())
    jsonschema.validate(answer.result, schema)


def test_values_that_nobody_can_read_are_told_apart(place: Place) -> None:
    if place.is_3:
        pytest.skip("the database keeps what is not JSON out of Airflow 3's table")
    bad = {"k0": b'{"a": ', "k1": b"\x80\x04N.", "k2": b'"\xff"', "k3": b'"a\x00b"', "k4": b""}
    bad["k5"] = b'{"__classname__": "no.such.Thing", "__version__": 1, "__data__": {}}'
    where = "dag_id = 'audited' AND run_id = 'run 1' AND task_id = 'plain'"
    column = "`key`" if place.kind == "mysql" else "key"
    for key, value in bad.items():
        update = f"UPDATE xcom SET value = %s WHERE {where} AND {column} = %s"  # noqa: S608
        place.execute(update, value, key)
    answer = place.pod.probe("audit", *NEW_BACKEND)
    found = _by_task(answer.result)
    kinds = {kind: rows for (task, kind, _), rows in found.items() if task == "plain"}
    assert kinds == {"not-json": 4, "pickled": 1, "not-decodable": 1}
    assert answer.result["dynamic"]["unreadableRows"] == 6
    # What is wrong with one row hides nothing in the others.
    others = {key: rows for key, rows in found.items() if key[0] != "plain"}
    assert others == _expected(place)
    assert "rows-decodable" in answer.checks("warn")
