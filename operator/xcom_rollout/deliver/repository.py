"""Charts from repositories: a whole one, or those that the chart in Helm's record depends on.

An umbrella chart often is in Git only and in no repository, while its dependency, Airflow's chart,
is. Then Helm's record has the former, and the repository named in Chart.yaml has the latter.
"""

import json
import os
import re
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from xcom_rollout.api.v1alpha1 import HelmChart
from xcom_rollout.clients.errors import HelmError, Malformed
from xcom_rollout.clients.helm import HelmRunner
from xcom_rollout.clients.kube import Json
from xcom_rollout.clients.memory_file import memory_file
from xcom_rollout.deliver.chart import Packed, archive_of, dependency_sources
from xcom_rollout.deliver.repository_access import OCI, Access, Login, refusal

_NAME: Final = re.compile("[A-Za-z0-9][A-Za-z0-9._-]*")
_VERSION: Final = re.compile("[v0-9][A-Za-z0-9.+-]*")
_CERT_DIRS: Final = "/etc/ssl/certs:/etc/pki/tls/certs"
"""Where Go looks by itself (crypto/x509/root_linux.go)."""
_ALIAS: Final = "repository"
"""What a repository with a login is called in the configuration that helm is given."""
_USER: Final = re.compile(r"//[^/@]*@")
_PACKAGE_IT: Final = (
    "Package it with its dependencies (helm dependency build, helm package) and publish it in the "
    "repository in spec.delivery.helm.chart"
)


def pull_whole(helm: HelmRunner, chart: HelmChart, folder: Path, access: Access) -> bytes:
    """Return the archive of the chart that the spec names.

    Raises:
        HelmError: the repository cannot be reached or has no such chart, or the Secret of the spec
            is meant for another.
    """
    if refused := refusal(access, chart):
        raise HelmError(refused)
    try:
        return pull(helm, chart.repository, chart.name, chart.version, folder, access)
    except HelmError as error:
        raise HelmError(
            f"spec.delivery.helm.chart: {chart.name} {chart.version} depends on other charts, so "
            "Helm's record of the release is incomplete, and it cannot be pulled from "
            f"{chart.repository}: {error.message}"
        ) from error


def compose(helm: HelmRunner, chart: Json, folder: Path, access: Access) -> bytes:
    """Return an archive of the chart in Helm's record, with its dependencies.

    Raises:
        HelmError: a dependency cannot be pulled, or it is not known from where.
    """
    packed = []
    try:
        for one in dependency_sources(chart):
            archive = pull(helm, one.repository, one.name, one.version, folder, access)
            packed.append(Packed(one, archive))
        return archive_of(chart, packed)
    except (HelmError, Malformed) as error:
        why = _USER.sub("//", error.message)
        raise HelmError(
            f"Helm's record of the chart cannot be completed: {why}. {_PACKAGE_IT}"
        ) from error


def pull(
    helm: HelmRunner, repository: str, name: str, version: str, folder: Path, access: Access
) -> bytes:
    """Return the archive of a chart.

    Args:
        access: what opens the repository, if it is the one that this is meant for.

    Raises:
        HelmError: the repository cannot be reached or has no such chart.
    """
    if not (_NAME.fullmatch(name) and _VERSION.fullmatch(version)):
        # It becomes part of the command line, and Chart.yaml is not trusted.
        raise HelmError(f"the chart {name!r} of version {version!r} cannot be requested by name")
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix="pull-") as place:
        target = Path(place) / "charts"
        target.mkdir()
        wanted = ("--version", version, "--destination", str(target))
        _pull(helm, repository, name, wanted, access, Path(place))
        got = target / f"{name}-{version}.tgz"
        if not got.is_file():
            # Helm reads a version such as 1.16 as a range.
            found = ", ".join(sorted(path.name for path in target.iterdir())) or "nothing"
            raise HelmError(
                f"{version!r} must be one exact version of the chart {name}; the repository "
                f"returned {found}"
            )
        return got.read_bytes()


def _pull(
    helm: HelmRunner,
    repository: str,
    name: str,
    wanted: Sequence[str],
    access: Access,
    place: Path,
) -> None:
    """Have helm put the archive where `wanted` says. The login is in no argument and on no disk."""
    login = access.login_for(repository)
    if access.authorities:
        (place / "authorities").mkdir()
        (place / "authorities" / "ca.crt").write_text(access.authorities)
        helm = _trusting(helm, place / "authorities")
    if repository.startswith(f"{OCI}://"):
        chart = f"{repository.rstrip('/')}/{name}"
        if login is None:
            helm.run(("pull", chart, *wanted))
            return
        with memory_file(_json(login.docker_config(repository))) as config:
            helm.run(("pull", chart, *wanted, "--registry-config", config.path), files=[config])
        return
    if not isinstance(login, Login):
        helm.run(("pull", name, "--repo", repository, *wanted))
        return
    entry = {"name": _ALIAS, "url": repository}
    entry |= {"username": login.username, "password": login.password}
    with memory_file(_json({"apiVersion": "v1", "repositories": [entry]})) as config:
        known = ("--repository-config", config.path, "--repository-cache", str(place))
        update = ("repo", "update", _ALIAS, "--fail-on-repo-update-fail", *known)
        helm.run(update, files=[config], explains=True)
        helm.run(("pull", f"{_ALIAS}/{name}", *wanted, *known), files=[config])


def _trusting(helm: HelmRunner, folder: Path) -> HelmRunner:
    """Return a helm that trusts the certificates in a folder too.

    `--ca-file` would take the place of the public authorities, which another repository, or the
    place of an archive, may need. Go reads SSL_CERT_DIR beside the system's bundle.
    """
    present = helm.environment.get("SSL_CERT_DIR") or os.environ.get("SSL_CERT_DIR") or _CERT_DIRS
    trusted = {"SSL_CERT_DIR": f"{folder}:{present}"}
    return replace(helm, environment={**helm.environment, **trusted})


def _json(value: Json) -> bytes:
    # As UTF-8: helm reads it as YAML, which has no pairs of surrogates.
    return json.dumps(value, ensure_ascii=False).encode()
