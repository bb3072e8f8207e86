"""What opens a private chart repository: a Secret that says itself where it may be sent, and a CA.

An author of rollouts may name any Secret of the namespace and any host. So a Secret is sent only to
the repository that it names: by its key `url`, as in the repository Secrets of Argo CD, or by the
host in a Docker configuration (kubernetes.io/dockerconfigjson).
"""

import base64
import binascii
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import SplitResult, unquote, urlsplit

from xcom_rollout.api.v1alpha1 import CaReference, HelmChart
from xcom_rollout.clients.errors import Forbidden, HelmError
from xcom_rollout.clients.kube import Json, KubeApi
from xcom_rollout.clients.kube_path import object_path

OCI: Final = "oci"
_FIELD: Final = "spec.delivery.helm.chart"
_SECRET_FIELD: Final = f"{_FIELD}.credentialsSecretRef.name"
_CA_FIELD: Final = f"{_FIELD}.caRef"
_KEYS: Final = ("url", "username", "password")
_DOCKER_TYPE: Final = "kubernetes.io/dockerconfigjson"
_DOCKER_KEY: Final = ".dockerconfigjson"
_API_PATH: Final = re.compile("/v[12]/?$")
_CERTIFICATE: Final = re.compile(
    "-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL
)
_PORTS: Final = {"http": 80, "https": 443, OCI: 443}


@dataclass(frozen=True)
class Login:
    """A user of the repositories below an address."""

    url: str
    username: str
    password: str = field(repr=False)

    def opens(self, repository: str) -> bool:
        return covers(self.url, repository)

    def docker_config(self, repository: str) -> Json:
        """Return it as helm reads it for a registry."""
        pair = base64.b64encode(f"{self.username}:{self.password}".encode()).decode()
        return {"auths": {_host(repository): {"auth": pair}}}


@dataclass(frozen=True)
class DockerLogin:
    """Users of registries, or of what is below a path there, as in a Docker configuration.

    Attributes:
        auths: by address, such as oci://registry.example:5000/team.
    """

    auths: Mapping[str, Any] = field(repr=False)

    def opens(self, repository: str) -> bool:
        return self._closest(repository) is not None

    def docker_config(self, repository: str) -> Json:
        """Return what helm needs of it for a repository that it opens."""
        return {"auths": {_host(repository): self.auths[str(self._closest(repository))]}}

    def _closest(self, repository: str) -> str | None:
        """Return the closest address that is that of the repository, or above it."""
        fitting = [address for address in self.auths if covers(address, repository)]
        return max(fitting, key=len, default=None)


@dataclass(frozen=True)
class Access:
    """What is needed to pull from repositories that are not open to everybody.

    Attributes:
        login: None where none is named.
        authorities: certificates in PEM that are trusted beside the public ones.
    """

    login: Login | DockerLogin | None = None
    authorities: str = ""

    def login_for(self, repository: str) -> Login | DockerLogin | None:
        """Return the login if it is meant for this repository."""
        return self.login if self.login is not None and self.login.opens(repository) else None


def access_to(kube: KubeApi, namespace: str, chart: HelmChart) -> Access:
    """Return what opens the repository of a chart, and those of the charts that it depends on.

    Raises:
        HelmError: the Secret or the authority is missing, incomplete, or must not be read.
        KubeError: one cannot be read for another reason.
    """
    try:
        return _access_to(kube, namespace, chart)
    except Forbidden as error:
        # Of the chart, so that a way back has its last resort, which needs no repository.
        raise HelmError(f"{_FIELD}: {error.message}") from error


def _access_to(kube: KubeApi, namespace: str, chart: HelmChart) -> Access:
    login = None
    if chart.credentials_secret_ref is not None:
        name = chart.credentials_secret_ref.name
        login = _login(kube.find(object_path(namespace, "secrets", name)), namespace, name)
    if chart.ca_ref is None:
        return Access(login)
    return Access(login, _authorities(kube, namespace, chart.ca_ref))


def refusal(access: Access, chart: HelmChart) -> str:
    """Return why the named Secret is not sent to the repository of the chart; empty if it is."""
    login, reference = access.login, chart.credentials_secret_ref
    if login is None or reference is None or login.opens(chart.repository):
        return ""
    return _not_meant(login, reference.name, chart.repository)


def covers(url: str, repository: str) -> bool:
    """Whether a repository is at an address, or below it."""
    try:
        outer, inner = urlsplit(url), urlsplit(repository)
        same = _origin(outer) == _origin(inner)
    except ValueError:
        return False
    parts, below = (_segments(address.path) for address in (outer, inner))
    plain = not any(part in (".", "..") or "%" in part for part in (*parts, *below))
    return same and plain and bool(outer.hostname) and below[: len(parts)] == parts


def _origin(address: SplitResult) -> tuple[str, str | None, int | None]:
    return address.scheme, address.hostname, address.port or _PORTS.get(address.scheme)


def _segments(path: str) -> list[str]:
    return [part for part in unquote(path).split("/") if part]


def _login(found: Json | None, namespace: str, name: str) -> Login | DockerLogin:
    keys = f"{', '.join(_KEYS[:-1])} and {_KEYS[-1]}"
    if found is None:
        raise HelmError(
            f"{_SECRET_FIELD}: there is no Secret {name!r} in the namespace {namespace!r}; create "
            f"it with the keys {keys}, or with type {_DOCKER_TYPE} for a registry"
        )
    data = found.get("data") or {}
    if found.get("type") == _DOCKER_TYPE:
        return _docker_login(name, _decoded(_SECRET_FIELD, name, data.get(_DOCKER_KEY) or ""))
    if missing := [key for key in _KEYS if not data.get(key)]:
        remedy = (
            "; it is the address of the repository, without which the Secret is sent nowhere"
            if "url" in missing
            else ""
        )
        raise HelmError(
            f"{_SECRET_FIELD}: the Secret {name!r} lacks the key {' and '.join(missing)}{remedy}"
        )
    url, username, password = (_decoded(_SECRET_FIELD, name, data[key]) for key in _KEYS)
    if password.endswith("\n") or username.endswith("\n"):
        raise HelmError(
            f"{_SECRET_FIELD}: in the Secret {name!r} the user or the password ends with a line "
            "feed; create it again, with kubectl create secret --from-literal"
        )
    return Login(url.strip(), username, password)


def _docker_login(name: str, text: str) -> DockerLogin:
    try:
        auths = json.loads(text)["auths"]
        return DockerLogin({_address(str(key)): dict(auth) for key, auth in auths.items()})
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        # Without the words of the error: they may quote the content.
        raise HelmError(
            f"{_SECRET_FIELD}: in the Secret {name!r} the key {_DOCKER_KEY} is not a Docker "
            "configuration with auths; create it with kubectl create secret docker-registry"
        ) from error


def _address(server: str) -> str:
    """Return the address of a server in a Docker configuration: HOST, HOST/PATH or https://HOST/v1/."""
    return f"{OCI}://{_API_PATH.sub('', server.partition('://')[2] or server)}"


def _host(repository: str) -> str:
    """Return host and port of an address, empty where it has none."""
    try:
        return urlsplit(repository).netloc
    except ValueError:
        return ""


def _not_meant(login: Login | DockerLogin, name: str, repository: str) -> str:
    if isinstance(login, Login):
        return (
            f"{_SECRET_FIELD}: the key url of the Secret {name!r} is not the address of "
            f"{repository}, nor one above it, so it is not sent there; set url to that address"
        )
    host = _host(repository)
    where = f"a registry, and {repository} does not start with oci://"
    if repository.startswith(f"{OCI}://"):
        where = f"other registries than {host}; create it with --docker-server={host}"
    return f"{_SECRET_FIELD}: the Secret {name!r} is for {where}"


def _authorities(kube: KubeApi, namespace: str, reference: CaReference) -> str:
    plural = "secrets" if reference.kind == "Secret" else "configmaps"
    found = kube.find(object_path(namespace, plural, reference.name))
    where = f"{reference.kind} {reference.name!r}"
    if found is None:
        raise HelmError(f"{_CA_FIELD}.name: there is no {where} in the namespace {namespace!r}")
    text = str((found.get("data") or {}).get(reference.key) or "")
    if reference.kind == "Secret":
        text = _decoded(f"{_CA_FIELD}.name", reference.name, text)
    certificates = _CERTIFICATE.findall(text)
    if not certificates:
        raise HelmError(
            f"{_CA_FIELD}.key: the {where} has no certificates in PEM in its key {reference.key}"
        )
    # Nothing else: the key of a Secret may hold a private key too.
    return "\n".join(certificates) + "\n"


def _decoded(field_name: str, name: str, text: str) -> str:
    try:
        return base64.b64decode(text, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError) as error:
        # Without the words of the error, which quote a byte of it.
        raise HelmError(f"{field_name}: the Secret {name!r} is not UTF-8 text") from error
