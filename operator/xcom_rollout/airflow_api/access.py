"""Address and credentials of Airflow's REST API: from the spec, Secrets and ConfigMaps.

Credentials must reach the named Service in the rollout's own namespace and nothing else. The spec
is checked when it is stored and when it is read; it is checked here once more, where the address
is built, because this is the last moment at which a wrong one is harmless.
"""

import base64
import binascii
import hashlib
import re
import ssl
from collections.abc import Mapping
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Final

import httpx2

from xcom_rollout.airflow_api.bounded import BoundedTransport
from xcom_rollout.airflow_api.login import BearerAuth, LoginAuth, SessionAuth, TokenAuth
from xcom_rollout.airflow_api.rest import Credentials
from xcom_rollout.api.v1alpha1 import LABEL_PATTERN, PATH_PATTERN, CaReference
from xcom_rollout.api.v1alpha1 import AirflowApi as ApiSpec
from xcom_rollout.clients.errors import AirflowError, AirflowFault
from xcom_rollout.clients.kube import KubeApi
from xcom_rollout.clients.kube_path import object_path
from xcom_rollout.clients.memo import Memo

TIMEOUT: Final = 10.0
"""Seconds that Airflow's REST API may take for one answer."""
FIELD: Final = "spec.airflow.api"
_SECRET_FIELD: Final = f"{FIELD}.credentialsSecretRef.name"
_NAMESPACE_PATTERN: Final = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_USER_KEYS: Final = ("username", "password")
_TOKEN_KEYS: Final = ("token",)
_IN_A_HEADER: Final = re.compile("[!-~]+")


def airflow_http(verify: ssl.SSLContext | None = None) -> httpx2.Client:
    """Return a client for Airflow's REST API.

    Args:
        verify: checks the server's certificate; None checks it against the public authorities.
    """
    # The address is inside the cluster: no proxy of the environment leads there. No connection is
    # kept: the web server is replaced during a kill, and a packet to a deleted pod is never
    # answered. No cookie is kept either: several rollouts share this client, and each request is
    # authenticated separately.
    return httpx2.Client(
        timeout=TIMEOUT,
        trust_env=False,
        follow_redirects=False,
        cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
        transport=BoundedTransport(
            httpx2.HTTPTransport(
                verify=True if verify is None else verify,
                trust_env=False,
                limits=httpx2.Limits(max_keepalive_connections=0),
            )
        ),
    )


def address(template: str, namespace: str, api: ApiSpec) -> str:
    """Return the address of the web server, without a slash at its end.

    Args:
        template: with the fields {scheme}, {service}, {namespace} and {port}, or some of them.

    Raises:
        AirflowError: a part would lead to another host, port or path.
    """
    parts = {
        f"{FIELD}.service": (LABEL_PATTERN, api.service),
        f"{FIELD}.scheme": ("https?", api.scheme),
        f"{FIELD}.path": (PATH_PATTERN, api.path),
        "metadata.namespace": (_NAMESPACE_PATTERN, namespace),
    }
    for field, (pattern, value) in parts.items():
        if not re.fullmatch(pattern, value):
            raise AirflowError(
                f"{field}: {value!r} is not a target for the credentials; use only a name or "
                "path, see docs/reference/crd.md",
                fault=AirflowFault.UNREACHABLE,
            )
    root = template.format(
        scheme=api.scheme, service=api.service, namespace=namespace, port=int(api.port)
    )
    return f"{root.rstrip('/')}{api.path}"


def client_for(
    http: httpx2.Client, kube: KubeApi, memo: Memo, namespace: str, api: ApiSpec
) -> httpx2.Client:
    """Return the client to use: `http`, or one that trusts the authority of `caRef`.

    Raises:
        AirflowError: the object or its key is missing, or holds no certificate.
        KubeError: the object cannot be read.
    """
    if api.ca_ref is None:
        return http
    pem = _certificates(kube, namespace, api.ca_ref)
    digest = hashlib.sha256(pem.encode()).hexdigest()
    return memo.get(("airflow client", digest), lambda: _trusting(pem, api.ca_ref))


def _trusting(pem: str, reference: CaReference | None) -> httpx2.Client:
    try:
        context = ssl.create_default_context(cadata=pem)
    except (ssl.SSLError, ValueError) as error:
        name = "" if reference is None else f" {reference.kind} {reference.name!r}"
        raise AirflowError(
            f"{FIELD}.caRef: the{name} contains no certificates in PEM: {error}",
            fault=AirflowFault.UNREACHABLE,
        ) from error
    return airflow_http(context)


def _certificates(kube: KubeApi, namespace: str, reference: CaReference) -> str:
    plural = "secrets" if reference.kind == "Secret" else "configmaps"
    found = kube.find(object_path(namespace, plural, reference.name))
    where = f"{reference.kind} {reference.name!r}"
    if found is None:
        raise AirflowError(
            f"{FIELD}.caRef.name: there is no {where} in the namespace {namespace!r}",
            fault=AirflowFault.UNREACHABLE,
        )
    text = (found.get("data") or {}).get(reference.key)
    if not text:
        raise AirflowError(
            f"{FIELD}.caRef.key: the {where} lacks the key {reference.key}",
            fault=AirflowFault.UNREACHABLE,
        )
    if reference.kind == "ConfigMap":
        return str(text)
    return _decoded(f"{FIELD}.caRef.name", reference.name, {reference.key: text})[reference.key]


def login_type(api: ApiSpec, version: tuple[int, int]) -> str:
    """Return how to log in to Airflow `version` (major, minor).

    Raises:
        AirflowError: the spec has a login type that this Airflow does not support.
    """
    airflow_2 = version[0] == 2
    if api.login is None:
        return "Basic" if airflow_2 else "Token"
    known = ("Basic", "Session", "Bearer") if airflow_2 else ("Token", "Bearer")
    if api.login.type in known:
        return api.login.type
    raise AirflowError(
        f"{FIELD}.login.type: Airflow {version[0]}.{version[1]} does not support the login "
        f"{api.login.type}; use {', '.join(known[:-1])} or {known[-1]}",
        fault=AirflowFault.UNAUTHORIZED,
    )


def credentials(
    kube: KubeApi,
    memo: Memo,
    namespace: str,
    api: ApiSpec,
    base: str,
    version: tuple[int, int],
) -> Credentials:
    """Return what authenticates requests to the Airflow at `base`.

    Args:
        memo: keeps the result of a login; and the content of the Secret, where its version is known
            without a request.

    Raises:
        AirflowError: the Secret is missing, incomplete or unreadable, or the login unknown.
        KubeError: the Secret cannot be read.
    """
    kind = login_type(api, version)
    keys = _TOKEN_KEYS if kind == "Bearer" else _USER_KEYS
    secret = api.credentials_secret_ref.name
    path = object_path(namespace, "secrets", secret)
    known = kube.known_version(path)
    values = (
        memo.get(
            ("airflow secret", path, known, keys),
            lambda: _secret_values(kube, namespace, secret, keys, kind),
        )
        if known
        else _secret_values(kube, namespace, secret, keys, kind)
    )
    words = "keys username and password" if keys == _USER_KEYS else "key token"
    if kind == "Bearer":
        hint = "that the token is still valid"
        return Credentials(BearerAuth(values["token"]), secret, words, hint)
    user, password = values["username"], values["password"]
    if kind == "Basic":
        hint = (
            "that [api] auth_backends contains basic_auth (otherwise set "
            f"{FIELD}.login.type: Session)"
        )
        basic = httpx2.BasicAuth(user.encode(), password.encode())
        return Credentials(basic, secret, words, hint)
    # The password itself is not a key: keys may be shown.
    digest = hashlib.sha256(password.encode()).hexdigest()
    key = ("airflow login", kind, base, namespace, secret, user, digest)
    made: type[LoginAuth] = TokenAuth if kind == "Token" else SessionAuth
    auth = memo.get(key, lambda: made(base, user, password, secret))
    hint = (
        f"that [core] auth_manager supports a login with POST {base}/auth/token"
        if kind == "Token"
        else "that [api] auth_backends contains session"
    )
    return Credentials(auth, secret, words, hint)


def _secret_values(
    kube: KubeApi, namespace: str, name: str, keys: tuple[str, ...], login: str
) -> Mapping[str, str]:
    found = kube.find(object_path(namespace, "secrets", name))
    wanted = " and ".join(keys)
    if found is None:
        raise AirflowError(
            f"{_SECRET_FIELD}: there is no Secret {name!r} in the namespace {namespace!r}; create "
            f"it with the key{'s' * (len(keys) > 1)} {wanted}, for login {login}",
            fault=AirflowFault.UNAUTHORIZED,
        )
    data = found.get("data") or {}
    if missing := [key for key in keys if not data.get(key)]:
        raise AirflowError(
            f"{_SECRET_FIELD}: the Secret {name!r} lacks the key {' and '.join(missing)}, which "
            f"login {login} needs",
            fault=AirflowFault.UNAUTHORIZED,
        )
    values = _decoded(_SECRET_FIELD, name, {key: data[key] for key in keys})
    for key, value in values.items():
        # As text: httpx's own error for such a header shows the token.
        if value.endswith("\n") or (key in _TOKEN_KEYS and not _IN_A_HEADER.fullmatch(value)):
            raise AirflowError(
                f"{_SECRET_FIELD}: in the Secret {name!r} the key {key} ends with a line feed or "
                "contains characters that a token cannot; create it again, with echo -n or "
                "kubectl create secret --from-literal",
                fault=AirflowFault.UNAUTHORIZED,
            )
    return values


def _decoded(field: str, name: str, data: Mapping[str, str]) -> Mapping[str, str]:
    try:
        return {key: base64.b64decode(text).decode() for key, text in data.items()}
    except (binascii.Error, UnicodeDecodeError) as error:
        raise AirflowError(
            f"{field}: the Secret {name!r} cannot be decoded: {error}",
            fault=AirflowFault.UNAUTHORIZED,
        ) from error
