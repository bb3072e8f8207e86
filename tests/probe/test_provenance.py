"""`provenance`: the stamp of the folder here, and the builds that parsed DAGs are tagged with."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest

from harness.paths import REPO
from harness.shell import run
from probe_world import Environment
from table_world import Place
from xcom_dags.stamp import write_stamp

pytestmark = pytest.mark.airflow

SHA = "1" * 40
DAGS = """
import pendulum
from airflow import DAG

for name, tags in (("tagged", ["orders", "build=1111111"]), ("plain", ["orders"])):
    globals()[name] = DAG(
        "provenance_" + name, schedule=None, start_date=pendulum.datetime(2026, 1, 1), tags=tags
    )
"""


@pytest.mark.every_airflow
def test_the_builds_of_parsed_dags_are_read_from_the_database(
    place: Place, airflow: Environment, tmp_path: Path
) -> None:
    dags = tmp_path / "dags"
    dags.mkdir()
    (dags / "some.py").write_text(DAGS)
    write_stamp(dags, SHA)
    pod = place.pod.with_env({"AIRFLOW__CORE__DAGS_FOLDER": str(dags), "APP_SHA": SHA[:12]})
    run(airflow.airflow, "dags", "reserialize", env=pod.env, timeout=300)
    answer = pod.probe("provenance", "--tags", "--env", "APP_SHA", "--env", "HOME", "--env", "NO")
    schema = json.loads((REPO / "docs/reference/probe-result.schema.json").read_text())
    jsonschema.validate(answer.result, schema)
    assert answer.code == 0, answer
    found = answer.result["provenance"]
    assert [stamp["sha"] for stamp in found["stamps"]] == [SHA]
    assert found["environment"] == {"APP_SHA": SHA[:12], "HOME": "", "NO": None}
    builds = {item["dagId"]: item["builds"] for item in found["builds"]}
    assert builds["provenance_tagged"] == ["1111111"]
    assert builds["provenance_plain"] == []


def test_a_database_out_of_reach_hides_no_stamp(place: Place, tmp_path: Path) -> None:
    write_stamp(tmp_path, SHA)
    pod = place.pod.with_env(
        {
            "AIRFLOW__CORE__DAGS_FOLDER": str(tmp_path),
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": "postgresql://airflow:guess@127.0.0.1:1/none",
        }
    )
    answer = pod.probe("provenance", "--tags")
    assert (answer.code, answer.failing()) == (3, {"look"})
    assert answer.result["provenance"]["stamps"][0]["sha"] == SHA
    assert answer.result["provenance"]["builds"] is None
    assert "guess" not in answer.stdout + answer.stderr
