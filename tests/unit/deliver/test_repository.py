"""What is asked of a chart repository."""

from pathlib import Path

import pytest

from xcom_rollout.clients.errors import HelmError
from xcom_rollout.clients.helm import HelmRunner
from xcom_rollout.clients.kube import Json
from xcom_rollout.deliver.repository import compose, pull
from xcom_rollout.deliver.repository_access import Access, Login


def umbrella(**changes: str) -> Json:
    item = {"name": "airflow", "version": "1.16.0", "repository": "https://me:s3cr3t@charts.x"}
    metadata = {"name": "top", "version": "1.0.0", "dependencies": [item | changes]}
    return {"metadata": metadata}


def helm(folder: Path, text: str) -> HelmRunner:
    program = folder / "helm"
    program.write_text(f"#!/bin/sh\n{text}\n")
    program.chmod(0o755)
    return HelmRunner(str(program), folder)


@pytest.mark.parametrize(
    "changes",
    [
        {"name": "--post-renderer=x"},
        {"name": "../x"},
        {"version": "--ca-file=x"},
        {"version": "^1"},
    ],
)
def test_a_chart_yaml_gives_helm_no_option(tmp_path: Path, changes: dict[str, str]) -> None:
    ran = tmp_path / "ran"
    with pytest.raises(HelmError, match="cannot be requested by name"):
        compose(helm(tmp_path, f"touch {ran}"), umbrella(**changes), tmp_path, Access())
    assert not ran.exists()


def test_a_password_in_the_address_of_a_repository_is_not_told(tmp_path: Path) -> None:
    says = "echo 'Error: https://me:s3cr3t@charts.x/index.yaml: 404' >&2; exit 1"
    with pytest.raises(HelmError, match=r"https://charts\.x/index\.yaml: 404") as caught:
        compose(helm(tmp_path, says), umbrella(), tmp_path, Access())
    assert "s3cr3t" not in caught.value.message
    assert "Package it with its dependencies" in caught.value.message


def test_an_authority_is_trusted_beside_those_of_the_system(tmp_path: Path) -> None:
    """The charts that one depends on may be in public repositories too."""
    says = 'cat "${SSL_CERT_DIR%%:*}/ca.crt" >&2; echo "$SSL_CERT_DIR $*" >&2; exit 1'
    with pytest.raises(HelmError, match=r"PEM .*/authorities:.+") as caught:
        compose(helm(tmp_path, says), umbrella(), tmp_path, Access(authorities="PEM\n"))
    assert "--ca-file" not in caught.value.message


def test_a_password_may_hold_any_character(tmp_path: Path) -> None:
    says = """
while [ $# -gt 0 ]; do [ "$1" = --repository-config ] && cat "$2" >&2; shift; done; exit 1"""
    access = Access(Login("https://charts.x", "ana", 'p\N{GRINNING FACE}"w'))
    repository = "https://charts.x"
    with pytest.raises(HelmError) as caught:
        pull(helm(tmp_path, says), repository, "airflow", "1.16.0", tmp_path, access)
    assert "p\N{GRINNING FACE}" in caught.value.message
