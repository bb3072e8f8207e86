"""A chart as Helm's record holds it."""

import base64
import copy
import io
import json
import tarfile

import pytest

from xcom_rollout.clients.errors import Malformed
from xcom_rollout.clients.kube import Json
from xcom_rollout.deliver.chart import archive_of, content_digest, dependencies


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
    with pytest.raises(Malformed, match="holds no chart"):
        archive_of({"metadata": None})
