"""Credentials of a chart repository go where their Secret says, and nowhere else."""

import base64
import json
from typing import Any

import pytest

from xcom_rollout.api.v1alpha1 import HelmChart
from xcom_rollout.clients.errors import Forbidden, HelmError
from xcom_rollout.deliver.repository_access import Access, access_to, covers, refusal

PASSWORD = "pa55-w0rd"
URL = "https://charts.example.org/team"
PEM = "-----BEGIN CERTIFICATE-----\nMII\n-----END CERTIFICATE-----\n"
KEY = "-----BEGIN PRIVATE KEY-----\nMIIk3y\n-----END PRIVATE KEY-----\n"
DOCKER = {"auths": {"registry.example.org:5000": {"auth": "dTpwYTU1LXcwcmQ="}}}


class Kube:
    """The objects of a namespace."""

    def __init__(self, **objects: dict[str, Any]) -> None:
        self.objects = objects

    def find(self, path: str) -> dict[str, Any] | None:
        assert path.startswith("api/v1/namespaces/airflow/")
        return self.objects.get(path.rpartition("/")[2])


def secret(kind: str = "Opaque", **data: str) -> dict[str, Any]:
    coded = {key: base64.b64encode(text.encode()).decode() for key, text in data.items()}
    return {"type": kind, "data": coded}


def docker(text: str) -> dict[str, Any]:
    return secret("kubernetes.io/dockerconfigjson", **{".dockerconfigjson": text})


def login(**changes: str) -> dict[str, Any]:
    return secret(**{"url": URL, "username": "ana", "password": PASSWORD, **changes})


def chart(repository: str = URL, **more: Any) -> HelmChart:
    fields = {"repository": repository, "name": "airflow", "version": "1.16.0", **more}
    return HelmChart.model_validate(fields)


def named(repository: str = URL) -> HelmChart:
    return chart(repository, credentialsSecretRef={"name": "charts"})


def access(spec: HelmChart, **objects: dict[str, Any]) -> Access:
    kube: Any = Kube(**objects)
    return access_to(kube, "airflow", spec)


def test_without_a_secret_nothing_is_sent() -> None:
    assert access(chart()).login_for(URL) is None


def test_the_login_is_for_the_repository_that_the_secret_names() -> None:
    found = access(named(), charts=login())
    assert refusal(found, named()) == ""
    assert found.login_for(URL) == found.login
    assert found.login_for("https://charts.example.org/teammate") is None


@pytest.mark.parametrize(
    ("url", "repository"),
    [
        (URL, URL),
        (f"{URL}/", URL),
        (URL, f"{URL}/"),
        (URL, f"{URL}/stable"),
        ("https://charts.example.org", URL),
        ("https://charts.example.org:443/team", URL),
        ("https://CHARTS.example.org/team", URL),
        ("oci://registry.example.org/charts", "oci://registry.example.org/charts/airflow"),
        ("oci://registry.example.org", "oci://Registry.example.org:443/charts"),
    ],
)
def test_an_address_covers_itself_and_what_is_below(url: str, repository: str) -> None:
    assert covers(url, repository)


@pytest.mark.parametrize(
    ("url", "repository"),
    [
        (URL, "https://evil.example.org/team"),
        (URL, "https://charts.example.org.evil.example/team"),
        (URL, "http://charts.example.org/team"),
        (URL, "oci://charts.example.org/team"),
        (URL, "https://charts.example.org:8443/team"),
        (URL, "https://charts.example.org/"),
        (URL, "https://charts.example.org/team2"),
        (URL, f"{URL}/../other"),
        (URL, f"{URL}/%2e%2e/other"),
        (URL, f"{URL}/%252e%252e/other"),
        ("oci://[registry", "oci://[registry/charts"),
        (URL, "https://charts.example.org:port/team"),
        ("", URL),
        ("https://", "https://"),
        ("charts.example.org/team", URL),
    ],
)
def test_an_address_does_not_cover_another_host_scheme_port_or_path(
    url: str, repository: str
) -> None:
    assert not covers(url, repository)


@pytest.mark.parametrize("server", ["{}", "https://{}", "https://{}/v1/", "{}/charts"])
def test_a_docker_configuration_is_for_the_registries_in_it(server: str) -> None:
    spec = named("oci://registry.example.org:5000/charts")
    ((host, auth),) = DOCKER["auths"].items()
    written = {"auths": {server.format(host): auth}}
    found = access(spec, charts=docker(json.dumps(written)))
    assert refusal(found, spec) == ""
    given = found.login_for(spec.repository)
    assert given is not None
    assert given.docker_config(spec.repository) == DOCKER
    assert found.login_for("oci://registry.example.org/charts") is None


def test_of_a_docker_configuration_the_closest_address_counts() -> None:
    auths = {
        "registry.example.org": {"auth": "all"},
        "registry.example.org/team-a": {"auth": "a"},
        "registry.example.org/team-b": {"auth": "b"},
    }
    spec = named("oci://registry.example.org/team-a/charts")
    found = access(spec, charts=docker(json.dumps({"auths": auths})))
    for repository, wanted in {
        spec.repository: "a",
        "oci://registry.example.org/team-b": "b",
        "oci://registry.example.org/other": "all",
    }.items():
        given = found.login_for(repository)
        assert given is not None
        assert given.docker_config(repository) == {
            "auths": {"registry.example.org": {"auth": wanted}}
        }


@pytest.mark.parametrize("repository", ["oci://[bad/x", "oci://host:port/x"])
def test_an_address_that_is_none_is_refused_and_not_a_fault(repository: str) -> None:
    for given in (docker(json.dumps(DOCKER)), login()):
        found = access(named(), charts=given)
        assert found.login_for(repository) is None
        assert refusal(found, named(repository)) != ""


def test_a_right_that_is_missing_is_a_problem_of_the_chart() -> None:
    class Closed:
        def find(self, path: str) -> None:
            raise Forbidden(f"{path} is forbidden")

    kube: Any = Closed()
    with pytest.raises(HelmError, match=r"^spec\.delivery\.helm\.chart: .*secrets/charts is forb"):
        access_to(kube, "airflow", named())


def test_a_login_is_given_to_a_registry_as_helm_reads_it() -> None:
    spec = named("oci://registry.example.org/charts/team")
    found = access(spec, charts=login(url="oci://registry.example.org/charts"))
    given = found.login_for(spec.repository)
    assert given is not None
    (host, entry), *_ = given.docker_config(spec.repository)["auths"].items()
    assert host == "registry.example.org"
    assert base64.b64decode(entry["auth"]).decode() == f"ana:{PASSWORD}"


@pytest.mark.parametrize(
    ("repository", "found", "words"),
    [
        (URL, login(url="https://other.example.org"), "the key url of the Secret 'charts' is not"),
        (URL, docker(json.dumps(DOCKER)), "does not start with oci://"),
        (
            "oci://ghcr.example.org/charts",
            docker(json.dumps(DOCKER)),
            "create it with --docker-server=ghcr.example.org",
        ),
    ],
)
def test_a_secret_that_is_meant_for_another_place_is_refused_with_the_remedy(
    repository: str, found: dict[str, Any], words: str
) -> None:
    spec = named(repository)
    said = refusal(access(spec, charts=found), spec)
    assert said.startswith("spec.delivery.helm.chart.credentialsSecretRef.name: ")
    assert words in said
    assert "other.example.org" not in said, "what a Secret holds is not shown"


@pytest.mark.parametrize(
    ("objects", "words"),
    [
        ({}, "there is no Secret 'charts' in the namespace 'airflow'; create it with the keys"),
        ({"charts": secret(username="a", password="b")}, "lacks the key url; it is the address"),
        ({"charts": secret(url=URL, username="a")}, "lacks the key password"),
        ({"charts": login(password=f"{PASSWORD}\n")}, "ends with a line feed"),
        ({"charts": {"data": dict.fromkeys(("url", "username", "password"), "%")}}, "is not UTF-8"),
        ({"charts": docker("[]")}, "is not a Docker configuration with auths"),
        ({"charts": docker('{"auths": "x"}')}, "is not a Docker configuration with auths"),
        ({"charts": docker('{"auths": {"x": 3}}')}, "is not a Docker configuration with auths"),
        ({"charts": docker(f'{{"a": "{PASSWORD}"')}, "is not a Docker configuration with auths"),
    ],
)
def test_a_secret_that_is_of_no_use_is_refused_by_name_and_without_its_content(
    objects: dict[str, Any], words: str
) -> None:
    with pytest.raises(HelmError) as caught:
        access(named(), **objects)
    assert words in caught.value.message
    assert "spec.delivery.helm.chart.credentialsSecretRef.name: " in caught.value.message
    assert PASSWORD not in caught.value.message


def test_no_password_is_in_what_is_printed_of_it() -> None:
    assert PASSWORD not in repr(access(named(), charts=login()))
    assert "dTpw" not in repr(access(named(), charts=docker(json.dumps(DOCKER))))


@pytest.mark.parametrize(
    ("kind", "found"),
    [("Secret", secret(**{"ca.crt": f"{KEY}{PEM}"})), ("ConfigMap", {"data": {"ca.crt": PEM}})],
)
def test_an_authority_comes_from_a_secret_or_a_config_map(kind: str, found: dict[str, Any]) -> None:
    spec = chart(caRef={"kind": kind, "name": "ca"})
    assert access(spec, ca=found).authorities == PEM


@pytest.mark.parametrize(
    ("objects", "words"),
    [
        ({}, "caRef.name: there is no ConfigMap 'ca' in the namespace 'airflow'"),
        ({"ca": {"data": {"other": PEM}}}, "caRef.key: the ConfigMap 'ca' has no certificates"),
        ({"ca": {"data": {"ca.crt": "x"}}}, "in its key ca.crt"),
    ],
)
def test_an_authority_that_is_missing_is_refused_by_name(
    objects: dict[str, Any], words: str
) -> None:
    with pytest.raises(HelmError, match=r"^spec\.delivery\.helm\.chart\.caRef") as caught:
        access(chart(caRef={"kind": "ConfigMap", "name": "ca"}), **objects)
    assert words in caught.value.message
