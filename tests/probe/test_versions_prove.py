"""`prove` on every Airflow: it passes, each version drifts as it is known to, nothing is left."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass

import jsonschema
import pytest

from harness.paths import REPO
from probe_world import (
    ACCESS_KEY,
    PATH,
    SECRET_KEY,
    THRESHOLD,
    Answer,
    MySQL,
    ObjectStore,
    Pod,
    Postgres,
    installed,
)

pytestmark = [pytest.mark.airflow, pytest.mark.every_airflow]

THRESHOLD_NAME = "AIRFLOW__COMMON_IO__XCOM_OBJECTSTORAGE_THRESHOLD"
PATH_NAME = "AIRFLOW__COMMON_IO__XCOM_OBJECTSTORAGE_PATH"
IN_DATABASE = PATH.replace("xcom_s3@", "in_database@")


@dataclass(frozen=True)
class Expected:
    """What is known of a version of Airflow with the common-io of its tests.

    Attributes:
        inline: drift that the object backend brings although it offloads nothing.
        offloaded: what offloading adds to that.
        warnings: the checks that say so at a threshold of 0 or more, and those of them at -1.
    """

    inline: frozenset[str] = frozenset()
    offloaded: frozenset[str] = frozenset()
    warnings: frozenset[str] = frozenset()
    warnings_inline: frozenset[str] = frozenset()


_TASK_SDK = Expected(
    inline=frozenset({"keys-refused"}),
    offloaded=frozenset({"key-to-str", "tuple-to-list"}),
    warnings=frozenset({"roundtrip-dict-keys", "roundtrip-numpy", "roundtrip-tuples"}),
    warnings_inline=frozenset({"roundtrip-dict-keys", "roundtrip-numpy"}),
)
_NUMPY_TO_PYTHON = Expected(
    inline=_TASK_SDK.inline,
    offloaded=_TASK_SDK.offloaded | {"numpy-to-python"},
    warnings=_TASK_SDK.warnings,
    warnings_inline=_TASK_SDK.warnings_inline,
)
_TWICE_DECODED = frozenset({"provider-json-strings", "roundtrip-json-strings"})
EXPECTED = {
    "2.9.3": Expected(),
    "2.10.5": Expected(),
    "2.11.2": Expected(
        inline=frozenset({"json-strings"}),
        warnings=_TWICE_DECODED,
        warnings_inline=_TWICE_DECODED,
    ),
    "3.0.6": _TASK_SDK,
    "3.1.8": _NUMPY_TO_PYTHON,
    "3.3.2": _NUMPY_TO_PYTHON,
}


def prove(pod: Pod, threshold: int, path: str = PATH) -> Answer:
    """`prove` with this threshold in the pod's environment."""
    changed = pod.with_env({THRESHOLD_NAME: str(threshold), PATH_NAME: path})
    return changed.probe(
        *("prove", "--functional-s3", "--expect-path", path),
        *("--expect-threshold", str(threshold)),
    )


@pytest.fixture(scope="session", params=[-1, 0, THRESHOLD])
def proved(request: pytest.FixtureRequest, pod: Pod) -> tuple[int, Answer]:
    """A threshold, and one `prove` with it in a pod in which everything is right."""
    return request.param, prove(pod, request.param)


def nothing_left(database: Postgres | MySQL, store: ObjectStore) -> None:
    """Neither rows nor objects of the probe."""
    with database.connect() as connection, connection.cursor() as cursor:
        for table in ("dag_run", "task_instance", "xcom"):
            cursor.execute(f"SELECT count(*) FROM {table} WHERE dag_id = 'xcom_probe'")  # noqa: S608
            assert cursor.fetchone() == (0,), table
    assert [key for key in store.all_keys() if "xcom_probe" in key] == []


def test_right_set_up_passes_with_the_drift_of_its_version(
    pod: Pod, proved: tuple[int, Answer]
) -> None:
    threshold, answer = proved
    expected = EXPECTED[pod.version]
    assert answer.failing() == set(), answer.stderr
    assert answer.code == 0
    warnings = expected.warnings_inline if threshold < 0 else expected.warnings
    assert set(answer.checks("warn")) == warnings
    drift = expected.inline if threshold < 0 else expected.inline | expected.offloaded
    assert {item["class"] for item in answer.result["drift"]} == drift


def test_what_has_to_be_offloaded_is(proved: tuple[int, Answer]) -> None:
    threshold, answer = proved
    written = [value for value in answer.result["values"] if value["offloaded"] is not None]
    offloaded = {value["name"] for value in written if value["offloaded"]}
    if threshold < 0:
        assert offloaded == set()
    elif threshold == 0:
        assert offloaded == {value["name"] for value in written}
    else:
        assert offloaded == {"at", "above"}


def test_facts_name_the_task_s_surroundings(pod: Pod, proved: tuple[int, Answer]) -> None:
    facts = proved[1].result["facts"]
    of_version_3 = pod.version.startswith("3.")
    sdk = installed(pod.version, "apache-airflow-task-sdk") if of_version_3 else None
    assert facts["taskSdk"] == sdk
    assert facts["taskContext"] == ("supervisor" if of_version_3 else "direct")
    assert facts["executor"] == "LocalExecutor"
    assert 0 < facts["peakMemoryMiB"] < 1024


def test_result_follows_the_published_schema(proved: tuple[int, Answer]) -> None:
    schema = json.loads((REPO / "docs/reference/probe-result.schema.json").read_text())
    jsonschema.validate(proved[1].result, schema)


def test_nothing_is_left(
    proved: tuple[int, Answer], database: Postgres, store: ObjectStore
) -> None:
    assert proved[1].code == 0
    nothing_left(database, store)


@pytest.fixture
def connection_in_database(pod: Pod, database: Postgres) -> Iterator[None]:
    """The right connection in the metadata database, and none in the environment."""
    extra = json.dumps(json.loads(pod.env["AIRFLOW_CONN_XCOM_S3"])["extra"])
    with database.connect() as connection:
        connection.execute(
            "INSERT INTO connection (conn_id, conn_type, login, password, extra, is_encrypted,"
            " is_extra_encrypted) VALUES ('in_database', 'aws', %s, %s, %s, false, false)",
            (ACCESS_KEY, SECRET_KEY, extra),
        )
    yield
    with database.connect() as connection:
        connection.execute("DELETE FROM connection WHERE conn_id = 'in_database'")


@pytest.mark.usefixtures("connection_in_database")
def test_connection_of_the_database_is_the_one_used(
    pod: Pod, database: Postgres, store: ObjectStore
) -> None:
    """From 3.1 on a bare process does not see it; and on 2.x its lookup commits a session."""
    answer = prove(pod.with_env({"AIRFLOW_CONN_XCOM_S3": None}), 0, IN_DATABASE)
    assert answer.failing() == set(), answer.stderr
    seen = answer.checks()["connection-resolves"]["observed"]
    assert seen.startswith("'in_database', type 'aws', from metadata database")
    unseen_by_others = pod.version.startswith("3.") and not pod.version.startswith("3.0.")
    assert ("a process outside a task would not see it" in seen) == unseen_by_others
    assert SECRET_KEY not in answer.stdout + answer.stderr
    nothing_left(database, store)


def test_connection_that_does_not_exist_is_named(pod: Pod) -> None:
    answer = prove(pod, 0, PATH.replace("xcom_s3@", "nowhere@"))
    assert answer.code == 1
    assert answer.failing() == {"connection-resolves"}
    assert answer.checks()["s3-put"]["status"] == "skip"


def test_metadata_in_mysql(mysql_pod: Pod, mysql_database: MySQL, store: ObjectStore) -> None:
    answer = prove(mysql_pod, THRESHOLD)
    assert answer.failing() == set(), answer.stderr
    assert set(answer.checks("warn")) == EXPECTED[mysql_pod.version].warnings
    nothing_left(mysql_database, store)
