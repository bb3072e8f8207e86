"""Airflow's version and its REST API, as far as the configuration shows them."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from xcom_rollout.api.v1alpha1 import PATH_PATTERN
from xcom_rollout.decide.check.installed import Installed, Part, WebOptions, WebService
from xcom_rollout.decide.check.row import Row, change, later, supported, unknown
from xcom_rollout.decide.situation import some
from xcom_rollout.decide.versions import KNOWN, OLDEST, Version, is_known, read_version

_FIELD: Final = "spec.airflow.api"
_PASSWORD_LOGINS: Final = ("fab_auth_manager.FabAuthManager", "simple_auth_manager")
"""Auth managers of Airflow 3 that have POST /auth/token, by a part of their class."""


@dataclass(frozen=True)
class Web:
    """How the REST API is reached, as fields of `spec.airflow.api`; empty: not found."""

    service: str = ""
    port: int = 0
    https: bool = False
    path: str = ""
    login: str = ""
    """Empty also where the default of the version is enough."""


@dataclass(frozen=True)
class _Setting:
    """A part of `Web` as read from the configuration, or why it could not be."""

    value: str = ""
    problem: str = ""


def version_of(installed: Installed) -> Version | None:
    """Return major and minor version of Airflow; None where the chart's values have none."""
    return read_version(installed.record.airflow_version)


def version_row(installed: Installed) -> Row:
    subject = "Airflow version"
    if missing := installed.lacks(Part.RELEASE):
        return unknown(subject, missing)
    written, version = installed.record.airflow_version, version_of(installed)
    if version is None:
        return later(
            subject,
            "the values of the chart do not contain it (airflowVersion)",
            f"{KNOWN} are supported; compare with: airflow version",
        )
    if not is_known(version):
        older = version < OLDEST
        remedy = "upgrade Airflow first" if older else "install a newer operator that supports it"
        return change(subject, f"{written}; {KNOWN} are supported", remedy)
    return supported(subject, f"{written}, from the chart (airflowVersion)")


def web_of(installed: Installed) -> Web:
    """Return how the REST API is reached, as far as that was found."""
    version = version_of(installed)
    service = _service(installed.services, version)
    return Web(
        service.name if service else "",
        service.port if service else 0,
        service.https if service else False,
        _path(installed.web, version).value,
        _login(installed.web, version).value,
    )


def web_rows(installed: Installed) -> Iterable[Row]:
    subject, version = "REST API", version_of(installed)
    service = _service(installed.services, version)
    if missing := installed.lacks(Part.SERVICES):
        yield unknown(subject, missing)
    elif service is None:
        yield later(
            subject,
            "no Service has the labels tier=airflow, release and component=webserver (in Airflow "
            "3: api-server)",
            f"set {_FIELD}.service and port to the Service of Airflow's web server",
            reason="NotArmed",
        )
    else:
        yield supported(subject, f"Service {service.name}, port {service.port}")
    if missing := installed.lacks(Part.WORKLOADS, Part.CONFIG_MAPS):
        yield unknown(f"{subject}: path and login", missing)
        return
    path = _path(installed.web, version)
    if path.problem:
        yield later(f"{subject}: path", path.problem, f"set {_FIELD}.path to it")
    elif path.value:
        yield supported(f"{subject}: path", f"{path.value}, from base_url")
    yield _login_row(f"{subject}: login", installed.web, version, installed.namespace)


def _service(services: Iterable[WebService], version: Version | None) -> WebService | None:
    wanted = "webserver" if version is not None and version[0] == 2 else "api-server"
    listed = sorted(services, key=lambda each: (each.component != wanted, each.name))
    return listed[0] if listed else None


def _path(web: WebOptions, version: Version | None) -> _Setting:
    """Return the path of base_url. Airflow 3 accepts the option's old name as well."""
    old, new = web.webserver_base_url, web.api_base_url
    values = old if version is not None and version[0] == 2 else new or old
    if not values:
        return _Setting()
    if None in values or len(values) > 1:
        return _Setting(problem="the path in base_url is not known (it contains a variable)")
    (url,) = values
    try:
        path = urlsplit(url or "").path.rstrip("/")
    except ValueError:
        return _Setting(problem="base_url is not a URL")
    if not re.fullmatch(PATH_PATTERN, path):
        return _Setting(problem=f"base_url has the path {path!r}, which {_FIELD}.path cannot hold")
    return _Setting(path)


def _login(web: WebOptions, version: Version | None) -> _Setting:
    """Return `login.type`, empty where the default of the version is enough."""
    if version is None:
        return _Setting(problem="it depends on the version of Airflow")
    values = web.auth_backends if version[0] == 2 else web.auth_manager
    option = "[api] auth_backends" if version[0] == 2 else "[core] auth_manager"
    if None in values or len(values) > 1:
        return _Setting(
            problem=f"the value of {option} is not known (it is a variable or set elsewhere)"
        )
    written = next(iter(values), "") or ""
    if version[0] == 2:
        if "basic_auth" in written:
            return _Setting()
        # Airflow's own default.
        return _Setting("Session" if not written or ".session" in written else "Bearer")
    managed = not written or any(name in written for name in _PASSWORD_LOGINS)
    return _Setting("" if managed else "Bearer")


def _login_row(subject: str, web: WebOptions, version: Version | None, namespace: str) -> Row:
    login = _login(web, version)
    if login.problem:
        return later(
            subject,
            login.problem,
            f"set {_FIELD}.login.type and {_FIELD}.credentialsSecretRef",
        )
    default = "Basic" if version is not None and version[0] == 2 else "Token"
    kind = login.value or default
    keys = ("token",) if kind == "Bearer" else ("username", "password")
    literals = " ".join(f"--from-literal={key}=..." for key in keys)
    return later(
        subject,
        f"{kind}, from the configuration; it requires a Secret with {' and '.join(keys)} "
        f"({_FIELD}.credentialsSecretRef). The permissions that a kill needs are checked before "
        "the first delivery",
        f"kubectl create secret generic airflow-api -n {namespace} {literals}, for a user with "
        "the role Op",
        reason="NotArmed",
    )


def start_rows(installed: Installed) -> Iterable[Row]:
    """Report what the containers install when they start."""
    if installed.installs_at_start:
        yield later(
            "packages at start",
            "_PIP_ADDITIONAL_REQUIREMENTS installs packages in "
            f"{some(installed.installs_at_start)} at startup, which a proof does not run",
            "if apache-airflow-providers-common-io or s3fs is among them, build them into the "
            "image instead",
            reason="ProofFailed",
        )
