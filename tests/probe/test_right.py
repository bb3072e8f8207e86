"""A set-up in which everything is right: all checks pass, and nothing is left behind."""

from __future__ import annotations

from pathlib import Path

import jsonschema
import pytest

from harness.paths import REPO
from probe_world import OBJECT_BACKEND, PATH, THRESHOLD, Answer, ObjectStore, Pod, Postgres
from xcom_probe.main import BEGIN, END

pytestmark = pytest.mark.airflow

PROVE = ("prove", "--expect-path", PATH, "--functional-s3", "--expect-threshold")

# Every promise of `prove`, so that a check that is dropped by accident is missed here.
CHECKS = {
    "provider-installed",
    "provider-version",
    "provider-json-strings",
    "env-misspelt",
    "file-misspelt",
    "env-over-file",
    "backend-loaded",
    "backend-source",
    "path-scheme",
    "path-form",
    "option-path",
    "threshold-integer",
    "option-threshold",
    "option-compression",
    "pickling-off",
    "connection-resolves",
    "connection-settings",
    "store-filesystem",
    "store-answers",
    "s3-endpoint-reachable",
    "s3-tls",
    "s3-protocol",
    "clock-skew",
    "s3-credentials",
    "bucket-exists",
    "bucket-through-airflow",
    "bucket-versioning",
    "s3-put",
    "s3-get",
    "s3-list",
    "s3-delete",
    "roundtrip-leftovers",
    "roundtrip-scalars",
    "roundtrip-not-finite",
    "roundtrip-text",
    "roundtrip-text-unusual",
    "roundtrip-collections",
    "roundtrip-references",
    "roundtrip-dict-keys",
    "roundtrip-json-strings",
    "roundtrip-path-strings",
    "roundtrip-tuples",
    "roundtrip-sets",
    "roundtrip-datetimes",
    "roundtrip-objects",
    "roundtrip-bytes",
    "roundtrip-mapped",
    "roundtrip-xcom-keys",
    "roundtrip-task-ids",
    "roundtrip-numpy",
    "roundtrip-pandas",
    "roundtrip-below-threshold",
    "roundtrip-at-threshold",
    "roundtrip-above-threshold",
    "roundtrip-clean",
}
# common-io 1.7.2 on Airflow 2.11.2 decodes such strings twice.
DRIFTING = {"provider-json-strings", "roundtrip-json-strings"}


@pytest.fixture(scope="module")
def proved(pod: Pod) -> Answer:
    """One `prove` in a pod in which everything is right."""
    return pod.probe(*PROVE, str(THRESHOLD))


def nothing_left(database: Postgres, store: ObjectStore) -> None:
    """Neither rows nor objects of the probe."""
    with database.connect() as connection:
        for table in ("dag_run", "task_instance", "xcom"):
            query = f"SELECT count(*) FROM {table} WHERE dag_id LIKE 'xcom%probe%'"  # noqa: S608
            assert connection.execute(query).fetchone() == (0,), table
    assert [key for key in store.all_keys() if "probe" in key] == []


def test_every_check_passes(proved: Answer) -> None:
    assert proved.failing() == set()
    assert proved.code == 0
    assert proved.result["verdict"] == "pass"
    assert set(proved.checks()) == CHECKS
    assert set(proved.checks("pass")) == CHECKS - DRIFTING
    assert set(proved.checks("warn")) == DRIFTING


def test_nothing_is_left(proved: Answer, database: Postgres, store: ObjectStore) -> None:
    assert proved.code == 0
    nothing_left(database, store)


def test_facts_name_what_is_loaded_and_where_it_comes_from(proved: Answer) -> None:
    facts = proved.result["facts"]
    assert facts["airflow"] == "2.11.2"
    assert facts["providers"]["common.io"] == "1.7.2"
    assert facts["executor"] == "LocalExecutor"
    assert facts["backendClass"] == OBJECT_BACKEND
    assert facts["xcomBackend"] == {
        "value": OBJECT_BACKEND,
        "source": "env:AIRFLOW__CORE__XCOM_BACKEND",
    }
    prefix = "env:AIRFLOW__COMMON_IO__XCOM_OBJECTSTORAGE"
    assert facts["objectStorage"] == {
        "path": {"value": PATH, "source": f"{prefix}_PATH"},
        "threshold": {"value": str(THRESHOLD), "source": f"{prefix}_THRESHOLD"},
        "compression": {"value": None, "source": "absent"},
    }
    assert proved.checks()["connection-resolves"]["observed"] == (
        "'xcom_s3', type 'aws', from env:AIRFLOW_CONN_XCOM_S3"
    )


def test_values_are_offloaded_from_the_threshold_on(proved: Answer) -> None:
    values = {value["name"]: value for value in proved.result["values"]}
    assert values["below"]["bytes"] == THRESHOLD - 1
    assert values["at"]["bytes"] == THRESHOLD
    assert {name for name, value in values.items() if value["offloaded"]} == {"at", "above"}
    worse = {name for name, value in values.items() if value["change"] == "worse"}
    assert {name for name in worse if "path-strings" not in name} == {
        name for name in values if name.startswith("json-strings-")
    }


def test_result_follows_the_published_schema(proved: Answer) -> None:
    import json

    schema = json.loads((REPO / "docs/reference/probe-result.schema.json").read_text())
    jsonschema.validate(proved.result, schema)


def test_strict_makes_drifting_strings_a_failure(pod: Pod) -> None:
    answer = pod.probe("roundtrip", "--expect-threshold", str(THRESHOLD), "--strict")
    assert answer.failing() == {"roundtrip-json-strings"}
    assert answer.code == 1


def test_threshold_of_minus_one_offloads_nothing(pod: Pod) -> None:
    """The readers' stage: the object backend is loaded and writes no object."""
    changed = pod.with_env({"AIRFLOW__COMMON_IO__XCOM_OBJECTSTORAGE_THRESHOLD": "-1"})
    answer = changed.probe(*PROVE, "-1")
    assert answer.failing() == set()
    assert answer.code == 0
    assert True not in {value["offloaded"] for value in answer.result["values"]}
    assert "offloaded" not in {way for value in answer.result["values"] for way in value["trips"]}


def test_threshold_of_zero_with_compression_from_the_file(
    pod: Pod, tmp_path: Path, database: Postgres, store: ObjectStore
) -> None:
    """Every value is offloaded; options come from airflow.cfg."""
    cfg = tmp_path / "airflow.cfg"
    cfg.write_text(
        "[common.io]\n"
        f"xcom_objectstorage_path = {PATH}\n"
        "xcom_objectstorage_threshold = 0\n"
        "xcom_objectstorage_compression = gzip\n"
    )
    changed = pod.with_env(
        {
            "AIRFLOW_CONFIG": str(cfg),
            "AIRFLOW__COMMON_IO__XCOM_OBJECTSTORAGE_PATH": None,
            "AIRFLOW__COMMON_IO__XCOM_OBJECTSTORAGE_THRESHOLD": None,
        }
    )
    answer = changed.probe(*PROVE, "0", "--expect-compression", "gzip")
    assert answer.failing() == set()
    assert answer.result["facts"]["objectStorage"] == {
        "path": {"value": PATH, "source": f"file:{cfg}"},
        "threshold": {"value": "0", "source": f"file:{cfg}"},
        "compression": {"value": "gzip", "source": f"file:{cfg}"},
    }
    written = [value for value in answer.result["values"] if value["offloaded"] is not None]
    assert {value["offloaded"] for value in written} == {True}
    strings = [value for value in written if value["class"] == "json-strings"]
    assert {value["trips"]["offloaded"]["verdict"] for value in strings} == {"equal"}
    nothing_left(database, store)


def test_connection_in_the_database_is_found(pod: Pod, database: Postgres) -> None:
    values = ("in_database", "aws", "probe-tests", "probe-tests-secret")
    with database.connect() as connection:
        connection.execute(
            "INSERT INTO connection (conn_id, conn_type, login, password, is_encrypted,"
            " is_extra_encrypted) VALUES (%s, %s, %s, %s, false, false)",
            values,
        )
    path = PATH.replace("xcom_s3@", "in_database@")
    changed = pod.with_env(
        {
            "AIRFLOW__COMMON_IO__XCOM_OBJECTSTORAGE_PATH": path,
            "AWS_ENDPOINT_URL": pod.env["AIRFLOW_CONN_XCOM_S3"].split('"endpoint_url": "')[1][:22],
        }
    )
    try:
        answer = changed.probe(
            "preflight", "--expect-path", path, "--expect-threshold", str(THRESHOLD)
        )
    finally:
        with database.connect() as connection:
            connection.execute("DELETE FROM connection WHERE conn_id = 'in_database'")
    assert answer.failing() == set()
    assert answer.checks()["connection-resolves"]["observed"] == (
        "'in_database', type 'aws', from metadata database"
    )
    assert "probe-tests-secret" not in answer.stdout


def test_inspect_says_whether_expectations_hold(pod: Pod) -> None:
    right = pod.probe(
        "inspect",
        *("--expect-backend", "ObjectStorage", "--expect-path", PATH),
        *("--expect-threshold", str(THRESHOLD)),
        output="--markers",
    )
    assert right.code == 0
    first, document, last = right.stdout.splitlines()
    assert (first, last) == (BEGIN, END)
    assert f'"backendClass": "{OBJECT_BACKEND}"' in document

    wrong = pod.probe(
        "inspect",
        *("--expect-backend", "Database", "--expect-path", PATH + "-2", "--expect-threshold", "-1"),
    )
    assert wrong.code == 1
    assert wrong.failing() == {"backend-loaded", "option-path", "option-threshold"}


def test_by_hand_nothing_has_to_be_expected(pod: Pod) -> None:
    """As somebody who looks into a pod types it: what is configured here is what is meant."""
    right = pod.probe("preflight", "--functional-s3")
    assert right.code == 0
    assert right.checks()["option-path"]["observed"].startswith(f"{PATH!r} (from env:")
    assert {"s3-put", "s3-get", "s3-list", "s3-delete"} <= set(right.checks("pass"))
    values = pod.probe("roundtrip").result["values"]
    assert {value["name"] for value in values} >= {"below", "at", "above"}
    assert pod.probe("census").code == 0

    nothing = pod.with_env({"AIRFLOW__COMMON_IO__XCOM_OBJECTSTORAGE_PATH": None})
    assert nothing.probe("preflight").failing() == {"path-scheme"}
    without_base = nothing.probe("census")
    assert without_base.code == 2
    assert "give --base s3://" in without_base.stderr


def test_human_output_and_wrong_usage(pod: Pod) -> None:
    seen = pod.probe("inspect", output=None)
    assert seen.code == 0
    assert f"backend      {OBJECT_BACKEND}" in seen.stdout
    assert pod.probe("preflight", "--expect-treshold", "1").code == 2
    assert pod.probe("roundtrip", "--expect-threshold", "1MB").code == 2
    assert pod.probe(output=None).code == 2
