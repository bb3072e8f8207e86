"""Every value through a real backend, on each Airflow: how it fares is measured and written down.

`roundtrip_expected.tsv` has a line for each value and a column for each version. A cell says how
the value comes back from BaseXCom, inline and offloaded: `=` equal, `!` failure, `-` not tried,
else the classes of drift.
"""

from __future__ import annotations

import csv
import json
from pathlib import Path

import jsonschema
import pytest

from harness.paths import REPO
from probe_world import THRESHOLD, Answer, ObjectStore, Pod, Postgres
from xcom_probe.values.drift import CLASSES

pytestmark = pytest.mark.airflow

EXPECTED = Path(__file__).with_name("roundtrip_expected.tsv")
# What comes with the backend, in a pod in which everything is right.
NEW_DRIFT: dict[str, set[str]] = {
    "2.9.3": set(),
    "2.10.5": set(),
    "2.11.2": {"json-strings"},
    "3.0.6": {"key-to-str", "keys-refused", "tuple-to-list"},
    "3.1.8": {"key-to-str", "keys-refused", "numpy-to-python", "tuple-to-list"},
    "3.3.2": {"key-to-str", "keys-refused", "numpy-to-python", "tuple-to-list"},
}


def expected(version: str) -> dict[str, str]:
    """The cells of one version by value."""
    with EXPECTED.open(newline="") as file:
        return {row["value"]: row[version] for row in csv.DictReader(file, delimiter="\t")}


def measured(answer: Answer) -> dict[str, str]:
    """The same from a result."""

    def cell(trips: dict[str, dict[str, object]], way: str) -> str:
        trip = trips.get(way)
        if trip is None:
            return "-"
        drift = trip["drift"]
        assert isinstance(drift, list)
        return {"equal": "=", "failure": "!", "drift": "+".join(drift)}[str(trip["verdict"])]

    return {
        value["name"]: " ".join(
            cell(value["trips"], way) for way in ("base", "inline", "offloaded")
        )
        for value in answer.result["values"]
    }


@pytest.fixture(scope="module")
def made(pod: Pod) -> Answer:
    """One round trip in a pod in which everything is right."""
    return pod.probe("roundtrip", "--expect-threshold", str(THRESHOLD), timeout=300)


@pytest.mark.every_airflow
def test_each_value_fares_as_measured(made: Answer, pod: Pod, tmp_path: Path) -> None:
    seen = measured(made)
    table = tmp_path / f"{pod.version}.tsv"
    table.write_text("".join(f"{name}\t{cell}\n" for name, cell in seen.items()))
    assert seen == expected(pod.version), f"see {table}"


@pytest.mark.every_airflow
def test_no_check_fails_and_drift_that_comes_with_the_backend_warns(made: Answer, pod: Pod) -> None:
    assert made.failing() == set()
    assert made.code == 0
    found = {item["class"]: item for item in made.result["drift"]}
    assert set(found) == NEW_DRIFT[pod.version]
    assert {item["accepted"] for item in found.values()} <= {False}
    kinds = {value["name"]: value["class"] for value in made.result["values"]}
    warning = {f"roundtrip-{kinds[name]}" for item in found.values() for name in item["values"]}
    assert set(made.checks("warn")) == warning


@pytest.mark.every_airflow
def test_accepted_drift_passes_even_when_strict(
    pod: Pod, database: Postgres, store: ObjectStore
) -> None:
    accept = [word for name in NEW_DRIFT[pod.version] for word in ("--accept-drift", name)]
    arguments = ("roundtrip", "--expect-threshold", str(THRESHOLD), "--strict")
    answer = pod.probe(*arguments, *accept, timeout=300)
    assert answer.code == 0, answer.checks("fail", "error")
    assert answer.checks("warn") == {}
    assert {item["accepted"] for item in answer.result["drift"]} <= {True}
    # The round trip's own checks say the same; here the store and the tables themselves are asked.
    assert [key for key in store.all_keys() if "xcom_probe" in key] == []
    with database.connect() as connection:
        for table in ("dag_run", "task_instance", "xcom"):
            query = f"SELECT count(*) FROM {table} WHERE dag_id LIKE 'xcom%probe%'"  # noqa: S608
            assert connection.execute(query).fetchone() == (0,), table


@pytest.mark.every_airflow
def test_result_follows_the_published_schema(made: Answer) -> None:
    schema = json.loads((REPO / "docs/reference/probe-result.schema.json").read_text())
    jsonschema.validate(made.result, schema)


@pytest.mark.every_airflow
def test_basexcom_changes_nothing(pod: Pod) -> None:
    """In a pod that still runs Airflow's own class, nothing can be worse than with it."""
    changed = pod.with_env({"AIRFLOW__CORE__XCOM_BACKEND": None})
    answer = changed.probe("roundtrip", "--expect-threshold", str(THRESHOLD), timeout=300)
    assert answer.code == 0, answer.checks("fail", "error")
    assert {value["change"] for value in answer.result["values"]} == {"none"}
    assert answer.result["drift"] == []
    base = {name: cell.split(" ")[0] for name, cell in expected(pod.version).items()}
    seen = {name: cell.split(" ")[0] for name, cell in measured(answer).items()}
    assert {name: cell for name, cell in seen.items() if base.get(name, "-") != "-"} == {
        name: cell for name, cell in base.items() if cell != "-" and name in seen
    }


def test_a_class_of_somebody_is_judged_by_what_it_changes(pod: Pod, tmp_path: Path) -> None:
    (tmp_path / "somebody.py").write_text(
        "from airflow.models.xcom import BaseXCom\n"
        "class Shouting(BaseXCom):\n"
        "    @staticmethod\n"
        "    def serialize_value(value, **place):\n"
        "        value = value.upper() if isinstance(value, str) else value\n"
        "        return BaseXCom.serialize_value(value)\n"
    )
    changed = pod.with_env(
        {"AIRFLOW__CORE__XCOM_BACKEND": "somebody.Shouting", "PYTHONPATH": str(tmp_path)}
    )
    answer = changed.probe("roundtrip", "--expect-threshold", "-1", timeout=300)
    values = {value["name"]: value for value in answer.result["values"]}
    word = values["text-word"]
    assert word["change"] == "worse"
    assert word["trips"]["loaded"] == {
        "verdict": "drift",
        "drift": ["value"],
        "detail": "value: 'branch_a' became 'BRANCH_A'",
    }
    assert word["trips"]["base"]["verdict"] == "equal"
    assert values["scalars-int"]["change"] == "none"
    assert "text-word" in {name for item in answer.result["drift"] for name in item["values"]}


def test_every_class_of_drift_in_the_table_is_of_the_closed_list() -> None:
    with EXPECTED.open(newline="") as file:
        cells = [cell for row in csv.reader(file, delimiter="\t") for cell in row[1:]][6:]
    classes = {name for cell in cells for word in cell.split(" ") for name in word.split("+")}
    assert classes <= {*CLASSES, "=", "!", "-"}


@pytest.mark.every_airflow
def test_a_fleet_on_mysql_fares_no_worse(mysql_pod: Pod) -> None:
    """MySQL keeps JSON in another way; what comes with the backend is the same."""
    answer = mysql_pod.probe("roundtrip", "--expect-threshold", str(THRESHOLD), timeout=300)
    assert answer.code == 0, answer.checks("fail", "error")
    assert {item["class"] for item in answer.result["drift"]} == NEW_DRIFT[mysql_pod.version]
