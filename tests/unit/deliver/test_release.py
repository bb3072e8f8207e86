"""Helm's own record of a release."""

import base64
import gzip
import json
from datetime import UTC, datetime

import pytest

from xcom_rollout.clients.errors import Malformed
from xcom_rollout.clients.kube import Json
from xcom_rollout.decide.settings import ABSENT, OBJECT_STORAGE_CLASS
from xcom_rollout.deliver.release import StoredRelease, decode_release

RELEASE: Json = {
    "name": "airflow",
    "version": 7,
    "info": {"status": "deployed", "last_deployed": "2026-01-02T03:04:05.123456789+01:00"},
    "chart": {"metadata": {"name": "airflow", "version": "1.16.0"}},
    "config": {"config": {"core": {"xcom_backend": "x"}}},
}


def secret(release: object, *, packed: bool = True) -> Json:
    raw = json.dumps(release).encode()
    inner = base64.b64encode(gzip.compress(raw) if packed else raw)
    data = {"release": base64.b64encode(inner).decode()}
    return {"metadata": {"name": "sh.helm.release.v1.airflow.v7"}, "data": data}


@pytest.mark.parametrize("packed", [True, False])
def test_a_release_is_read(packed: bool) -> None:
    found = decode_release(secret(RELEASE, packed=packed))
    assert (found.revision, found.status) == (7, "deployed")
    assert (found.chart_name, found.chart_version) == ("airflow", "1.16.0")
    assert found.values == {"config": {"core": {"xcom_backend": "x"}}}
    assert found.updated_at == datetime(2026, 1, 2, 2, 4, 5, 123456, tzinfo=UTC)


def test_a_release_without_values_has_none() -> None:
    assert decode_release(secret({**RELEASE, "config": None})).values == {}


@pytest.mark.parametrize(
    "broken",
    [
        secret({**RELEASE, "chart": None}),
        secret({**RELEASE, "info": {}}),
        secret([]),
        {**secret(RELEASE), "data": {"release": "////"}},
        {**secret(RELEASE), "data": {}},
    ],
)
def test_what_is_no_release_is_named(broken: Json) -> None:
    with pytest.raises(
        Malformed, match=r"Secret sh.helm.release.v1.airflow.v7 contains no readable Helm"
    ):
        decode_release(broken)


MANIFEST = """---
# Source: airflow/templates/configmap.yaml
apiVersion: v1
kind: ConfigMap
metadata: {name: airflow-config}
data:
  airflow.cfg: |
    [core]
    xcom_backend =  %s
"""


def stored(config: Json, backend: str) -> StoredRelease:
    chart = {**RELEASE["chart"], "values": {"config": {"core": {"xcom_backend": "my.Backend"}}}}
    record = {**RELEASE, "config": config, "chart": chart, "manifest": MANIFEST % backend}
    return decode_release(secret(record))


def test_a_backend_that_the_chart_sets_by_default_is_the_one_that_airflow_runs() -> None:
    assert stored({}, "my.Backend").settings.backend == "my.Backend"
    assert not stored({}, "my.Backend").settings.is_database
    assert stored({}, OBJECT_STORAGE_CLASS).settings.reads_offloaded


def test_a_value_that_no_chart_reads_is_no_backend_of_airflow() -> None:
    beside = {"config": {"core": {"xcom_backend": OBJECT_STORAGE_CLASS}}}
    assert stored(beside, "").settings.is_database
    assert stored(beside, "airflow.models.xcom.BaseXCom").settings.is_database


def test_without_a_file_to_be_seen_the_values_are_what_is_known_and_that_is_told() -> None:
    found = decode_release(secret(RELEASE))
    assert found.settings.backend == "x"
    assert "no ConfigMap with the key airflow.cfg" in found.airflow.problem


def test_the_settings_of_a_dependency_are_read_and_its_defaults_known() -> None:
    values = {"airflow": {"config": {"core": {"parallelism": 1, "xcom_backend": "b"}}}}
    chart = {**RELEASE["chart"], "values": values}
    manifest = (MANIFEST % "my.Backend").replace("airflow/", "top/charts/airflow/")
    found = decode_release(secret({**RELEASE, "chart": chart, "manifest": manifest}))
    assert found.airflow.path == ("airflow",)
    assert found.settings.backend == "my.Backend"
    assert found.options == {"core": ("parallelism", "xcom_backend")}
    assert found.settings.as_written["airflow.config.core.xcom_backend"] == ("my.Backend", ABSENT)
