"""A chart with dependencies is pulled once from a repository that asks for a login."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import httpx2
import pytest

from set_ups.certificates import Authority
from standin.bench import Bench, after_a_restart
from standin.private_charts import (
    PASSWORD,
    USER,
    PrivateRepository,
    private_charts,
    push,
    registry,
)
from xcom_rollout.clients.errors import HelmError
from xcom_rollout.clients.kube import Json
from xcom_rollout.decide.settings import object_storage

TARGET = object_storage("s3://c@b/p", "1048576", None)
DELIVERED = "xcom_objectstorage_threshold = 1048576"

REFERENCES: Json = {
    "credentialsSecretRef": {"name": "charts"},
    "caRef": {"kind": "ConfigMap", "name": "charts-ca"},
}


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path / "ca")


@pytest.fixture
def certificate(authority: Authority, tmp_path: Path) -> Path:
    return authority.issue(tmp_path / "certificate")


@pytest.fixture
def private(bench: Bench, certificate: Path) -> Iterator[PrivateRepository]:
    with private_charts(bench.repository, certificate) as repository:
        yield repository


@pytest.fixture
def closed(bench: Bench, private: PrivateRepository, authority: Authority) -> Bench:
    """A release whose chart has dependencies, and a rollout that names the private repository."""
    bench.install(chart="parent")
    trust(bench, authority)
    return replace(bench, repository=private.url, access=REFERENCES)


def trust(bench: Bench, authority: Authority) -> None:
    words = ("create", "configmap", "charts-ca", f"--from-file=ca.crt={authority.file}")
    bench.server.kubectl("-n", bench.namespace, *words)


def login(bench: Bench, **data: str) -> None:
    literals = [f"--from-literal={key}={value}" for key, value in data.items()]
    words = ("create", "secret", "generic", "charts", *literals)
    bench.server.kubectl("-n", bench.namespace, *words)


def written(folder: Path) -> list[Path]:
    """The files that hold the password."""
    files = [file for file in folder.rglob("*") if file.is_file()]
    return [file for file in files if PASSWORD.encode() in file.read_bytes()]


def test_a_chart_is_pulled_with_the_login_of_a_secret_that_is_on_no_disk_and_command_line(
    closed: Bench, private: PrivateRepository, tmp_path: Path
) -> None:
    login(closed, url=private.url, username=USER, password=PASSWORD)
    closed.delivery(chart="parent").keep_chart()
    assert [given for given in private.logins if given], "the login was used"
    assert private.shown == []
    assert written(tmp_path / "work") == []
    asked = len(private.logins)
    after_a_restart(closed).delivery(chart="parent").apply(TARGET, 1)
    assert DELIVERED in closed.data()["airflow.cfg"]
    assert len(private.logins) == asked, "the kept chart needs no repository"


def test_a_secret_that_is_meant_for_another_repository_is_not_sent(
    closed: Bench, private: PrivateRepository
) -> None:
    login(closed, url="https://charts.example.org", username=USER, password=PASSWORD)
    with pytest.raises(HelmError, match="the key url of the Secret 'charts' is not the address"):
        closed.delivery(chart="parent").keep_chart()
    assert [given for given in private.logins if given] == []


def test_a_wrong_password_is_told_with_the_answer_of_the_repository(
    closed: Bench, private: PrivateRepository
) -> None:
    login(closed, url=private.url, username=USER, password="wr0ng-one")
    with pytest.raises(HelmError, match=r"cannot be pulled from https://.*401") as caught:
        closed.delivery(chart="parent").keep_chart()
    assert "wr0ng-one" not in caught.value.message
    (said,) = closed.delivery(chart="parent").forecast(TARGET)
    assert "401" in said


def test_a_missing_secret_holds_the_first_delivery_and_names_the_field(closed: Bench) -> None:
    (said,) = closed.delivery(chart="parent").forecast(TARGET)
    assert "credentialsSecretRef.name: there is no Secret 'charts' in the namespace" in said


def test_an_authority_that_is_not_named_is_not_trusted(
    closed: Bench, private: PrivateRepository
) -> None:
    login(closed, url=private.url, username=USER, password=PASSWORD)
    untrusting = replace(closed, access={"credentialsSecretRef": {"name": "charts"}})
    with pytest.raises(HelmError, match="certificate signed by unknown authority"):
        untrusting.delivery(chart="parent").keep_chart()
    assert [given for given in private.logins if given] == []


@pytest.mark.parametrize("kind", ["docker-registry", "generic"])
def test_a_chart_is_pulled_from_a_registry_that_asks_for_a_login(
    bench: Bench, authority: Authority, certificate: Path, tmp_path: Path, kind: str
) -> None:
    bench.install(chart="parent")
    trust(bench, authority)
    archive = tmp_path / "parent-1.0.0.tgz"
    archive.write_bytes(httpx2.get(f"{bench.repository}/{archive.name}", trust_env=False).content)
    with registry(tmp_path / "registry", certificate, authority.file) as address:
        push(archive, f"{address}/charts", authority.file, tmp_path)
        if kind == "generic":
            login(bench, url=f"{address}/charts", username=USER, password=PASSWORD)
        else:
            host = address.removeprefix("oci://")
            words = ("--docker-server", host, "--docker-username", USER)
            bench.server.kubectl(
                *("-n", bench.namespace, "create", "secret", kind, "charts", *words),
                *("--docker-password", PASSWORD),
            )
        closed = replace(bench, repository=f"{address}/charts", access=REFERENCES)
        without = replace(closed, access={"caRef": REFERENCES["caRef"]})
        with pytest.raises(
            HelmError, match=r"cannot be pulled from oci://.*(401|basic credential)"
        ):
            without.delivery(chart="parent").keep_chart()
        closed.delivery(chart="parent").keep_chart()
    assert written(tmp_path / "work") == []
    after_a_restart(closed).delivery(chart="parent").apply(TARGET, 1)
    assert DELIVERED in bench.data()["airflow.cfg"]
