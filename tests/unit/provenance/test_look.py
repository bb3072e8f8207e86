"""What the probe saw in a pod, as readings."""

from __future__ import annotations

from typing import Any

from xcom_rollout.decide.build_verdict import Reading
from xcom_rollout.decide.ledger import BuildSource
from xcom_rollout.probe.builds import stamp_readings, tag_readings

SHA = "1" * 40


def document(**stamp: Any) -> dict[str, Any]:
    item = {"folder": "/opt/airflow/dags/repo/dags", "sha": SHA, "problem": "", "empty": False}
    return {"provenance": {"stamps": [{**item, **stamp}], "builds": None}}


def test_a_stamp_is_the_build_of_the_pod() -> None:
    assert stamp_readings(document(), "p", []) == (Reading(BuildSource.STAMP, "the pod p", SHA),)


def test_an_empty_folder_on_no_volume_is_a_pod_without_dags() -> None:
    seen = document(sha=None, problem="no file", empty=True)
    assert stamp_readings(seen, "p", ["/opt/airflow/logs"]) == ()


def test_an_empty_volume_of_dags_is_unknown() -> None:
    seen = document(sha=None, problem="no file", empty=True)
    unknown = (Reading(BuildSource.STAMP, "the pod p", None, "no file"),)
    assert stamp_readings(seen, "p", ["/opt/airflow/dags"]) == unknown


def test_dags_without_a_stamp_are_unknown() -> None:
    seen = document(sha=None, problem="no file")
    assert stamp_readings(seen, "p", []) == (
        Reading(BuildSource.STAMP, "the pod p", None, "no file"),
    )


def test_a_bundle_that_is_not_known_is_unknown() -> None:
    seen = document(folder="", sha=None, problem="a GitDagBundle", empty=False)
    assert [item.build for item in stamp_readings(seen, "p", [])] == [None]


def tags(*dags: tuple[str, list[str]]) -> dict[str, Any]:
    return {"provenance": {"builds": [{"dagId": name, "builds": found} for name, found in dags]}}


def test_each_dag_is_of_the_build_in_its_tag() -> None:
    found = tag_readings(tags(("a", [SHA[:7]]), ("b", [])), "p")
    assert [(item.where, item.build) for item in found] == [
        ("the DAG a", SHA[:7]),
        ("the DAG b", None),
    ]


def test_the_tag_of_a_dag_without_a_stamp_is_unknown() -> None:
    (found,) = tag_readings(tags(("a", ["unknown"])), "p")
    assert (found.build, found.why) == (None, "is 'unknown', which is not a commit")


def test_only_the_dags_named_are_judged_and_one_that_is_not_there_is_unknown() -> None:
    found = tag_readings(tags(("a", [SHA]), ("b", [SHA])), "p", ["b", "c"])
    assert [(item.where, item.build, item.why) for item in found] == [
        ("the DAG b", SHA, ""),
        ("the DAG c", None, "is not in the database"),
    ]


def test_a_database_out_of_reach_is_unknown() -> None:
    seen = {
        "provenance": {"builds": None},
        "checks": [
            {"status": "pass", "observed": "x"},
            {"status": "error", "observed": "no route"},
        ],
    }
    (found,) = tag_readings(seen, "p")
    assert (found.build, found.why) == (None, "cannot be read: no route")
