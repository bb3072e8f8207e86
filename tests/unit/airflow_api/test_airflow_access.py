"""Credentials reach the Service that the spec names and nothing else; a redirect is an error."""

import base64
import ssl
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import httpx2
import pytest

from nasty_http import NastyServer, Reply, redirect
from opened_airflow import (
    NO_RUNS,
    V1_RUNS,
    V2_RUNS,
    api_spec,
    credentials,
    is_airflow,
    kube_with,
    opened,
    token,
)
from set_ups.certificates import Authority
from xcom_rollout.airflow_api import access
from xcom_rollout.airflow_api.access import address, airflow_http, client_for
from xcom_rollout.airflow_api.airflow import airflow_version
from xcom_rollout.clients.errors import AirflowError, AirflowFault
from xcom_rollout.clients.memo import Memo
from xcom_rollout.wiring import AIRFLOW_URL

if TYPE_CHECKING:
    from xcom_rollout.clients.kube import KubeApi


@pytest.fixture
def server() -> Iterator[NastyServer]:
    with NastyServer() as server:
        yield server


@pytest.fixture
def elsewhere() -> Iterator[NastyServer]:
    """A server that nobody's credentials are meant for."""
    with NastyServer() as server:
        yield server


def test_the_address_is_made_of_the_spec() -> None:
    assert address(AIRFLOW_URL, "airflow", api_spec()) == "http://web.airflow.svc:8080"
    spec = api_spec(scheme="https", port=443, path="/team/airflow")
    assert address(AIRFLOW_URL, "ns", spec) == "https://web.ns.svc:443/team/airflow"


@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("service", "evil.example.org/?"),
        ("service", "user@evil"),
        ("service", "web.other"),
        ("service", "web\n"),
        ("scheme", "ftp"),
        ("path", "/../x"),
        ("path", "/x?y"),
        ("path", "@evil"),
        ("path", "/x\n"),
    ],
)
def test_an_address_that_leads_elsewhere_is_refused_where_it_is_made(
    member: str, value: str
) -> None:
    # As if nobody had checked it before: an older CRD, or a mistake in the newer one.
    spec = api_spec().model_copy(update={member: value})
    with pytest.raises(AirflowError, match=f"spec.airflow.api.{member}: .*is not a target for the"):
        address(AIRFLOW_URL, "airflow", spec)


def test_a_path_comes_before_each_request(server: NastyServer) -> None:
    is_airflow(server, "3.3.2", "/airflow")
    server.answer("/airflow/auth/token", token(1))
    server.answer(f"/airflow{V2_RUNS}", NO_RUNS)
    opened(server, path="/airflow").in_flight()
    assert [request.path for request in server.asked()] == [
        "/airflow/auth/token",
        f"/airflow{V2_RUNS}",
    ]


def test_an_airflow_below_another_path_is_named(server: NastyServer) -> None:
    server.answer("/api/v1/version", Reply(404, "Apache Airflow is not at this location"))
    with pytest.raises(AirflowError, match=r"spec.airflow.api.path to the path of its"):
        opened(server)


@pytest.mark.parametrize(
    ("location", "remedy"),
    [
        ("/airflow{path}", 'set spec.airflow.api.path: "/airflow"'),
        ("https://127.0.0.1:{port}{path}", "set spec.airflow.api.scheme: https"),
        ("http://localhost:{elsewhere}{path}", "credentials are not sent to another host"),
        (
            "http://localhost:{elsewhere}/login?next=secret",
            "credentials are not sent to another host",
        ),
        ("/login/", "check spec.airflow.api.service, scheme and path"),
        ("", "check spec.airflow.api.service, scheme and path"),
    ],
)
@pytest.mark.parametrize("at", ["/api/v2/version", "/auth/token", V2_RUNS])
def test_a_redirect_is_an_error_and_gets_no_credentials(
    server: NastyServer, elsewhere: NastyServer, at: str, location: str, remedy: str
) -> None:
    is_airflow(server, "3.3.2")
    server.answer("/auth/token", token(1))
    server.answer(V2_RUNS, NO_RUNS)
    target = location.format(path=at, port=server.port, elsewhere=elsewhere.port)
    server.answer(at, redirect(target, 307))
    if at.endswith("/version"):
        with pytest.raises(AirflowError) as refused:
            airflow_version(airflow_http(), server.url)
    else:
        with pytest.raises(AirflowError) as refused:
            opened(server).in_flight()
    assert remedy in refused.value.message
    assert "answered 307 to" in refused.value.message
    assert "secret" not in refused.value.message
    assert refused.value.fault is AirflowFault.UNREACHABLE
    assert elsewhere.received == []
    assert all(request.path == at for request in server.received[-1:])


def test_a_login_form_that_leads_to_another_host_gets_no_password(
    server: NastyServer, elsewhere: NastyServer
) -> None:
    is_airflow(server, "2.11.2")
    server.answer("/login/", redirect(f"http://localhost:{elsewhere.port}/login/"))
    with pytest.raises(AirflowError, match="credentials are not sent to another host"):
        opened(server, login={"type": "Session"}).in_flight()
    assert elsewhere.received == []
    assert all("p" not in request.body for request in server.received)


def test_a_redirect_with_basic_credentials_is_not_followed(
    server: NastyServer, elsewhere: NastyServer
) -> None:
    is_airflow(server, "2.11.2")
    server.answer(V1_RUNS, redirect(f"http://127.0.0.1:{elsewhere.port}/", 308))
    with pytest.raises(AirflowError, match="redirects to"):
        opened(server).in_flight()
    assert credentials(server.asked()[0]).startswith("Basic ")
    assert elsewhere.received == []


@pytest.mark.parametrize(
    ("reply", "says"),
    [
        (Reply(after=30), "ReadTimeout"),
        (Reply(body="", cut=True), "RemoteProtocolError"),
        (Reply(body="half of this is missing", cut=True), "RemoteProtocolError"),
    ],
)
def test_an_answer_that_does_not_come_is_named(
    server: NastyServer, reply: Reply, says: str
) -> None:
    is_airflow(server, "2.11.2")
    server.answer(V1_RUNS, reply, NO_RUNS)
    http = airflow_http()
    http.timeout = httpx2.Timeout(0.3)
    api = opened(server, http=http)
    with pytest.raises(AirflowError, match=f"cannot be reached.*{says}") as refused:
        api.in_flight()
    assert refused.value.fault is AirflowFault.UNREACHABLE
    assert api.in_flight() == []


# -- TLS -----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("ca"))


def tls(authority: Authority, folder: Path, *, name: str = "127.0.0.1") -> ssl.SSLContext:
    made = authority.issue(folder / "server", name=name)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(made / "public.crt", made / "private.key")
    return context


@pytest.mark.parametrize("kind", ["Secret", "ConfigMap"])
def test_a_certificate_is_checked_by_the_authority_of_the_spec(
    authority: Authority, tmp_path: Path, kind: str
) -> None:
    objects = {"ca.crt": authority.file.read_text()}
    spec = api_spec(scheme="https", caRef={"kind": kind, "name": "ca"})
    kube = kube_with({f"api/v1/namespaces/ns/{kind.lower()}s/ca": objects})
    memo = Memo()
    client = client_for(airflow_http(), kube, memo, "ns", spec)
    with NastyServer(tls(authority, tmp_path)) as server:
        is_airflow(server, "3.3.2")
        assert airflow_version(client, server.url) == (3, 3)
        with pytest.raises(AirflowError, match=r"caRef names the certificate authority"):
            airflow_version(airflow_http(), server.url)
    assert client_for(airflow_http(), kube, memo, "ns", spec) is client


def test_a_certificate_for_another_name_is_refused(authority: Authority, tmp_path: Path) -> None:
    kube = kube_with({"": {"ca.crt": authority.file.read_text()}})
    spec = api_spec(scheme="https", caRef={"kind": "Secret", "name": "ca"})
    client = client_for(airflow_http(), kube, Memo(), "ns", spec)
    with (
        NastyServer(tls(authority, tmp_path, name="web.other.svc")) as server,
        pytest.raises(AirflowError, match="caRef"),
    ):
        airflow_version(client, server.url)


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (None, "caRef.name: there is no Secret 'ca' in the namespace 'ns'"),
        ({"tls.crt": "x"}, "caRef.key: the Secret 'ca' lacks the key ca.crt"),
        ({"ca.crt": "x"}, "caRef: the Secret 'ca' contains no certificates in PEM"),
    ],
)
def test_an_authority_that_cannot_be_read_is_named(data: dict[str, str] | None, says: str) -> None:
    kube = kube_with({} if data is None else {"": data})
    spec = api_spec(scheme="https", caRef={"kind": "Secret", "name": "ca"})
    with pytest.raises(AirflowError, match=f"^spec.airflow.api.{says}"):
        client_for(airflow_http(), kube, Memo(), "ns", spec)


def test_plain_http_spoken_to_a_port_with_tls_is_named(
    authority: Authority, tmp_path: Path
) -> None:
    with NastyServer(tls(authority, tmp_path)) as server:
        plain = server.url.replace("https", "http")
        with pytest.raises(AirflowError, match=r"check spec.airflow.api.*scheme"):
            airflow_version(airflow_http(), plain)


def test_a_secret_is_read_again_where_it_was_changed_and_not_before() -> None:
    stored, known, read = ["p1"], ["1"], []

    def find(path: str) -> dict[str, Any]:
        read.append(path)
        secret = {"username": "u", "password": stored[0]}
        return {"data": {k: base64.b64encode(v.encode()).decode() for k, v in secret.items()}}

    kube = cast("KubeApi", SimpleNamespace(find=find, known_version=lambda _path: known[0]))
    memo = Memo()

    def signed() -> str:
        made = access.credentials(kube, memo, "airflow", api_spec(), "http://web", (2, 11))
        request = next(made.auth.auth_flow(httpx2.Request("GET", "http://web")))
        return request.headers["Authorization"]

    first = signed()
    assert (signed(), len(read)) == (first, 1)
    stored[0], known[0] = "p2", "2"
    second = signed()
    assert second != first
    assert (signed(), len(read)) == (second, 2)
    known[0] = ""
    assert (signed(), len(read)) == (second, 3), "where no version is known it is asked for"
