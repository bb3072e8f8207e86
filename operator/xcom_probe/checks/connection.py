"""Checks of the connection in the path: that it is the one used, and that it says something."""

from __future__ import annotations

import json
import re
from typing import Any

from xcom_probe import redact, runtime
from xcom_probe.airflow import aws_connection, connections, storage, versions
from xcom_probe.checks import Check, Outcome, Skip, failed, passed, warned
from xcom_probe.checks.location import AZURE_SCHEMES, S3_SCHEMES
from xcom_probe.checks.s3 import Storage
from xcom_probe.model import CannotLook

_SECRET_NAME = re.compile(r"secret|token|passw|private|credential|saml", re.IGNORECASE)
_OTHER_CREDENTIALS = ("aws_access_key_id", "profile_name", "role_arn", "session_kwargs")
_ANSWER_SECONDS = 20
_URL = re.compile(r"https?://[^/\s]+(/\S*)?$")


def connection_resolves(store: Storage) -> Outcome:
    """Is the connection in the path one that exists here?"""
    if store.blocked:
        raise Skip(store.blocked)
    conn_id = store.location.conn_id
    if conn_id is None:
        return passed(
            "no connection in the path: the default credentials of the pod are used",
            "a connection that exists, or none in the path",
        )
    variable = f"AIRFLOW_CONN_{conn_id.upper()}"
    expected = f"connection {conn_id!r} exists"
    try:
        found = connections.find_connection(conn_id)
    except connections.Unreadable as problem:
        return failed(
            f"{problem}, so the default credentials of the pod are used",
            "a JSON object or a URI that Airflow can read",
            f"Set {variable} to a JSON object (conn_type, login, password, extra), or to a URI in "
            "which every part is percent-encoded.",
        )
    if found is None:
        return failed(
            f"{conn_id!r} is not in a secrets backend, not in a variable {variable} and not in "
            "the metadata database",
            expected,
            f"Create connection {conn_id!r} (airflow connections add {conn_id} ..., or the "
            f"variable {variable} in every Airflow pod), or correct the path"
            + (": percent-encoding is not decoded there." if "%" in conn_id else ".")
            + _container(store),
        )
    store.connection = found.connection
    return passed(
        f"{conn_id!r}, type {found.connection.conn_type!r}, from {found.source}{found.remark}",
        expected,
    )


def _container(store: Storage) -> str:
    """The advice for CONTAINER@ACCOUNT.dfs.core.windows.net, the form that Azure itself uses."""
    place = store.location
    if place.scheme not in AZURE_SCHEMES or "." not in place.bucket:
        return ""
    return (
        " Airflow takes the part before @ as a connection, not as a container: use "
        f"{place.scheme}://CONNECTION@{place.conn_id}/PREFIX, and set the account in the "
        "connection."
    )


def connection_settings(store: Storage) -> Outcome:
    """Does the provider understand what the connection holds?"""
    if store.location.scheme not in S3_SCHEMES:
        return passed(f"not checked for {store.location.scheme}://", "")
    expected = "a connection of type aws, of which the amazon provider reads every setting"
    doubts: list[str] = []
    if store.connection is not None:
        problems, doubts = _problems(store.connection)
        if problems:
            return failed("; ".join(problems), expected)
    try:
        endpoint = store.endpoint()
    except Exception as problem:  # noqa: BLE001 - of the provider, of boto3 or of botocore
        return failed(f"no client can be created from it: {redact.error(problem)}", expected)
    if doubts:
        return warned("; ".join(doubts), expected)
    return passed(f"a client for {endpoint}", expected)


def _problems(connection: Any) -> tuple[list[str], list[str]]:
    """What makes the connection useless, and what is only strange."""
    problems, doubts = [], []
    try:
        extra = json.loads(connection.extra or "{}")
    except ValueError:
        return ["extra is not JSON, so Airflow ignores all of it"], []
    if not isinstance(extra, dict):
        return ["extra is JSON but not an object, so Airflow ignores all of it"], []
    _remember_secrets(extra)
    provider = versions.version_numbers(runtime.version(runtime.PROVIDERS["amazon"]) or "")
    for name, meant in aws_connection.ignored_extras(extra, provider).items():
        if meant:
            problems.append(f"extra {name!r} is ignored, {meant!r} is read")
        else:
            doubts.append(f"extra {name!r} is ignored")
    url = extra.get("endpoint_url")
    if url and not (isinstance(url, str) and _URL.match(url)):
        problems.append(f"endpoint_url {url!r} is not a URL with http:// or https://")
    if bool(connection.login) != bool(connection.password):
        given, missing = ("login", "password") if connection.login else ("password", "login")
        half = f"{given} is set and {missing} is not, so both are ignored"
        if any(extra.get(name) for name in _OTHER_CREDENTIALS):
            doubts.append(half)
        else:
            problems.append(f"{half} and the default credentials of the pod are used")
    kind = connection.conn_type
    if kind and kind != aws_connection.CONN_TYPE:
        doubts.append(f"type {kind!r}: the provider warns, and treats it as type 'aws'")
    if "verify" in extra:
        doubts.append(
            "extra 'verify' is not used for XCom: only hooks use it, the file system does not"
        )
    return problems, doubts


def _remember_secrets(extra: Any, secret: bool = False) -> None:
    if isinstance(extra, dict):
        for name, value in extra.items():
            _remember_secrets(value, secret or bool(_SECRET_NAME.search(str(name))))
    elif secret and isinstance(extra, str):
        redact.secret(extra)


def store_filesystem(store: Storage) -> Outcome:
    """Can Airflow's own path object make its file system? That sends nothing."""
    expected = f"a file system for {store.location.scheme}://"
    try:
        system = storage.storage_path(store.path).fs
    except CannotLook:
        raise
    except Exception as problem:  # noqa: BLE001 - of Airflow, a provider or fsspec
        return failed(redact.error(problem), expected)
    return passed(f"{type(system).__module__}.{type(system).__qualname__}", expected)


def store_answers(store: Storage) -> Outcome:
    """Does a store that has no checks of its own answer, and is the bucket there?"""
    scheme = store.location.scheme
    if scheme in S3_SCHEMES:
        return passed("see the s3- checks", "")
    if scheme == "file":
        return passed("a folder, not a store", "")
    expected = f"bucket {store.location.bucket!r} can be listed within {_ANSWER_SECONDS} s"
    try:
        storage.ask_bucket(store.path, _ANSWER_SECONDS)
    except FileNotFoundError as problem:
        return failed(f"the bucket does not exist: {redact.error(problem)}", expected)
    except Exception as problem:  # noqa: BLE001 - no right, no way there: reported as it is
        return failed(redact.error(problem), expected)
    return passed(f"bucket {store.location.bucket!r} was listed", expected)


TABLE: tuple[Check, ...] = (
    Check(
        "connection-resolves",
        connection_resolves,
        "With a connection that does not exist Airflow silently uses the default credentials of "
        "the pod: another account, another endpoint, and paths that other pods cannot read.",
        "Make the secrets backend or the metadata database reachable from this pod, then run the "
        "probe again.",
        needs=("provider-installed", "path-form", "option-path"),
    ),
    Check(
        "connection-settings",
        connection_settings,
        "An ignored setting sends requests to another endpoint, or signs them with other "
        "credentials, without a warning.",
        "Correct the connection: conn_type aws, login and password for keys, and in extra the "
        "names that the amazon provider documents (endpoint_url, region_name, role_arn, "
        "config_kwargs, ...). For a private CA set AWS_CA_BUNDLE in every Airflow pod.",
        needs=("connection-resolves",),
    ),
    Check(
        "store-filesystem",
        store_filesystem,
        "Every push above the threshold and every pull of such a value would fail.",
        "Install the provider of this store with its extra, in a version from this Airflow's "
        "constraints: for S3 apache-airflow-providers-amazon[s3fs], for gs:// "
        "apache-airflow-providers-google, for abfs:// apache-airflow-providers-microsoft-azure.",
        needs=("connection-settings",),
    ),
    Check(
        "store-answers",
        store_answers,
        "Every push above the threshold and every pull of such a value would fail, some of them "
        "only after minutes.",
        "Create the bucket (on Azure the container), or correct its name in the path or the "
        "address and credentials in the connection, and allow the identity to list it.",
        needs=("store-filesystem",),
    ),
)
