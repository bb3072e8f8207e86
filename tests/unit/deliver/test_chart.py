"""A chart as Helm's record holds it."""

import base64
import copy
import io
import json
import tarfile

import pytest

from xcom_rollout.clients.errors import Malformed
from xcom_rollout.clients.kube import Json
from xcom_rollout.deliver.chart import (
    Packed,
    archive_of,
    content_digest,
    dependencies,
    dependency_sources,
)


def file(name: str, text: str) -> Json:
    return {"name": name, "data": base64.b64encode(text.encode()).decode()}


CHART: Json = {
    "metadata": {"apiVersion": "v2", "name": "airflow", "version": "1.16.0", "keywords": []},
    "lock": None,
    "templates": [file("templates/b.yaml", "b"), file("templates/a.yaml", "{{ a }}\r\n")],
    "values": {"a": "1e6", "b": 1e6, "c": None, "d": ["on"], "e": 1048576},
    "schema": base64.b64encode(b'{"type": "object"}').decode(),
    "files": [file("README.md", "ü"), file("crds/x.yaml", "x"), file("requirements.lock", "l")],
}


def members(archive: bytes) -> dict[str, bytes]:
    with tarfile.open(fileobj=io.BytesIO(archive)) as opened:
        return {
            member.name: stream.read()
            for member in opened
            if (stream := opened.extractfile(member)) is not None
        }


def test_an_archive_holds_all_that_the_record_has_byte_for_byte() -> None:
    found = members(archive_of(CHART))
    assert found.pop("airflow/Chart.yaml") == json.dumps(CHART["metadata"]).encode()
    assert json.loads(found.pop("airflow/values.yaml")) == CHART["values"]
    assert found == {
        "airflow/values.schema.json": b'{"type": "object"}',
        "airflow/templates/a.yaml": b"{{ a }}\r\n",
        "airflow/templates/b.yaml": b"b",
        "airflow/README.md": "ü".encode(),
        "airflow/crds/x.yaml": b"x",
    }


def test_equal_charts_give_equal_archives_and_digests() -> None:
    other = copy.deepcopy(CHART)
    other["templates"].reverse()
    assert archive_of(other) == archive_of(CHART)
    assert content_digest(other) == content_digest(CHART)


@pytest.mark.parametrize(
    ("part", "value"),
    [
        ("templates", [file("templates/a.yaml", "{{ b }}")]),
        ("values", {"a": 1}),
        ("schema", None),
        ("files", []),
        ("metadata", {"apiVersion": "v2", "name": "airflow", "version": "1.16.1"}),
    ],
)
def test_each_part_is_in_the_digest(part: str, value: object) -> None:
    assert content_digest({**CHART, part: value}) != content_digest(CHART)


def test_dependencies_count_and_their_merged_values_do_not() -> None:
    needs = [{"name": "postgresql", "version": "13", "repository": "https://x", "enabled": True}]
    chart = {**CHART, "metadata": {**CHART["metadata"], "dependencies": needs}}
    assert dependencies(chart) == ("postgresql",)
    assert dependencies(CHART) == ()
    assert content_digest(chart) == content_digest({**chart, "values": {}})
    newer = [{**needs[0], "version": "14"}]
    other = {**chart, "metadata": {**chart["metadata"], "dependencies": newer}}
    assert content_digest(other) != content_digest(chart)


def test_a_record_without_a_chart_is_named() -> None:
    with pytest.raises(Malformed, match="contains no chart"):
        archive_of({"metadata": None})


REPOSITORY = "https://charts.example"


def umbrella(*items: Json, lock: list[Json] | None = None) -> Json:
    listed = [{"repository": REPOSITORY, "enabled": True, **item} for item in items]
    locked = [{"repository": REPOSITORY, **item} for item in lock or []]
    return {
        **CHART,
        "metadata": {**CHART["metadata"], "dependencies": listed},
        "lock": {"dependencies": locked} if locked else None,
    }


AIRFLOW: Json = {"name": "airflow", "version": "1.16.0"}
REDIS: Json = {"name": "redis", "version": "18.1.0"}
ALIASED: Json = {"name": "af", "alias": "af", "version": "1.x"}


@pytest.mark.parametrize(
    ("chart", "found"),
    [
        (umbrella(AIRFLOW), [("airflow", "airflow", "1.16.0")]),
        (
            umbrella({**AIRFLOW, "version": "1.x"}, lock=[AIRFLOW, REDIS]),
            [("airflow", "airflow", "1.16.0")],
        ),
        (umbrella(ALIASED, lock=[AIRFLOW]), [("af", "airflow", "1.16.0")]),
        (
            umbrella(REDIS, ALIASED, lock=[AIRFLOW, REDIS]),
            [("redis", "redis", "18.1.0"), ("af", "airflow", "1.16.0")],
        ),
    ],
    ids=["no lock", "a range", "an alias", "an alias beside another"],
)
def test_dependencies_are_found_by_the_lock(chart: Json, found: list[tuple[str, str, str]]) -> None:
    sources = dependency_sources(chart)
    assert [(one.key, one.name, one.version) for one in sources] == found
    assert all(one.repository == REPOSITORY and "enabled" not in one.entry for one in sources)


@pytest.mark.parametrize(
    ("chart", "says"),
    [
        (umbrella(ALIASED), "its Chart.lock does not identify its dependency af"),
        (umbrella(ALIASED, lock=[AIRFLOW, REDIS]), "does not identify its dependency af"),
        (umbrella({**AIRFLOW, "repository": "file://../airflow"}), "airflow comes from its own"),
        (umbrella({**AIRFLOW, "repository": ""}), "airflow comes from its own files"),
    ],
    ids=["an alias without a lock", "two that fit", "a folder", "vendored"],
)
def test_a_dependency_of_which_the_origin_is_not_on_record_is_named(chart: Json, says: str) -> None:
    with pytest.raises(Malformed, match=says):
        dependency_sources(chart)


def test_defaults_of_a_dependency_do_not_become_those_of_its_parent() -> None:
    own = archive_of({**CHART, "values": {"config": {"core": {"a": 1}, "api": {}}, "size": 5}})
    merged = {"config": {"core": {"a": 1, "b": 2}, "api": {}}, "size": 6, "global": {}}
    chart = {**umbrella(ALIASED, lock=[AIRFLOW]), "values": {"af": merged, "size": 5}}
    (source,) = dependency_sources(chart)
    found = members(archive_of(chart, [Packed(source, own)]))
    assert json.loads(found["airflow/values.yaml"]) == {
        "af": {"config": {"core": {"b": 2}}, "size": 6, "global": {}},
        "size": 5,
    }
    assert found["airflow/charts/airflow-1.16.0.tgz"] == own
    (entry,) = json.loads(found["airflow/Chart.yaml"])["dependencies"]
    assert (entry["name"], entry["alias"], entry["version"]) == ("airflow", "af", "1.x")
