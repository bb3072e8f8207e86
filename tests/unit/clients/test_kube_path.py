"""No name leads out of its namespace, kind or server, whoever has let it through before."""

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kubernetes.client import Configuration

from nasty_http import NastyServer, Reply
from xcom_rollout.clients.connection import Connection
from xcom_rollout.clients.errors import KubeError
from xcom_rollout.clients.kube import KubeApi
from xcom_rollout.clients.kube_path import checked, object_path, segment
from xcom_rollout.stored.names import config_map_path

HOSTILE = (
    "../../other/secrets/db",
    "..",
    ".",
    "",
    "a/b",
    "..%2F..%2Fother",
    "%2e%2e",
    "a\\b",
)


@pytest.fixture
def server() -> Iterator[NastyServer]:
    with NastyServer() as server:
        yield server


def test_a_path_is_made_of_its_parts() -> None:
    assert object_path("ns", "secrets", "a.b") == "api/v1/namespaces/ns/secrets/a.b"
    assert object_path("ns", "jobs", version="batch/v1") == "apis/batch/v1/namespaces/ns/jobs"
    assert config_map_path("ns") == "api/v1/namespaces/ns/configmaps"


@pytest.mark.parametrize("name", HOSTILE)
def test_a_name_that_leads_elsewhere_is_refused(name: str) -> None:
    with pytest.raises(KubeError, match="is not the name of a Kubernetes object"):
        object_path("ns", "secrets", name)
    with pytest.raises(KubeError, match="is not the name of a Kubernetes object"):
        object_path(name, "secrets", "x")
    with pytest.raises(KubeError, match="is not the name of a Kubernetes object"):
        config_map_path("ns", name)


@given(st.text(max_size=20))
def test_a_name_stays_one_segment(name: str) -> None:
    try:
        made = segment(name)
    except KubeError:
        return
    assert made not in ("", ".", "..")
    assert not set(made) & set("/?#\\")
    assert made.isascii()
    assert checked(f"api/v1/namespaces/ns/secrets/{made}")


@pytest.mark.parametrize(
    "path",
    [
        "api/v1/namespaces/ns/secrets/../../other/secrets/db",
        "api/v1/namespaces/ns/secrets/..%2f..%2Fother",
        "api/v1/namespaces/ns/secrets/%2E%2e/x",
        "api/v1/namespaces/ns//secrets",
        "api/v1/namespaces/ns/secrets/x?watch=true",
        "api/v1/namespaces/ns/secrets/x#y",
    ],
)
def test_a_path_made_by_hand_is_checked_before_it_is_sent(server: NastyServer, path: str) -> None:
    server.answer("/" + path, Reply(body={}))
    api = KubeApi(Connection(Configuration(host=server.url)))
    with pytest.raises(KubeError, match="is not sent to the Kubernetes API server"):
        api.find(path)
    assert server.received == []
