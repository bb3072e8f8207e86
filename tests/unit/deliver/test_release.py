"""Helm's own record of a release."""

import base64
import gzip
import json
from datetime import UTC, datetime

import pytest

from xcom_rollout.clients.errors import Malformed
from xcom_rollout.clients.kube import Json
from xcom_rollout.deliver.release import decode_release

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
    with pytest.raises(Malformed, match=r"Secret sh.helm.release.v1.airflow.v7 holds no Helm"):
        decode_release(broken)
