"""Checks of the object store: the connection that is really used, the bucket, the rights."""

from __future__ import annotations

from typing import Any

from xcom_probe.airflow import connections
from xcom_probe.checks import Check, Outcome, Skip, failed, passed
from xcom_probe.checks.s3 import Storage, status_of

_BAD_CREDENTIALS = {
    "AuthorizationHeaderMalformed": "the region of the connection is not that of the bucket",
    "ExpiredToken": "the session token has expired",
    "InvalidAccessKeyId": "the access key is unknown to the store",
    "InvalidToken": "the session token is not valid",
    "RequestTimeTooSkewed": "the clocks of this pod and of the store differ too much",
    "SignatureDoesNotMatch": "the secret key does not belong to the access key",
}


def connection_resolves(storage: Storage) -> Outcome:
    """Is the connection in the path one that exists here?"""
    if storage.blocked:
        raise Skip(storage.blocked)
    conn_id = storage.location.conn_id
    if conn_id is None:
        return passed(
            "no connection in the path: the default credentials of the pod are used",
            "a connection that exists, or none in the path",
        )
    variable = f"AIRFLOW_CONN_{conn_id.upper()}"
    found = connections.find_connection(conn_id)
    if found is None:
        return failed(
            f"{conn_id!r} is in no secrets backend, in no variable {variable} and not in "
            "the metadata database",
            f"connection {conn_id!r} exists",
            f"Create connection {conn_id!r} (airflow connections add {conn_id} ..., or the "
            f"variable {variable} in every Airflow pod), or correct the path.",
        )
    return passed(
        f"{conn_id!r}, type {found.connection.conn_type!r}, from {found.source}",
        f"connection {conn_id!r} exists",
    )


def endpoint_reachable(storage: Storage) -> Outcome:
    """Does the address answer at all?"""
    storage.require_s3()
    head = storage.head()
    expected = f"an HTTP answer from {storage.endpoint()}"
    if head.reached:
        return passed(f"{storage.endpoint()} answered", expected)
    return failed(f"{storage.endpoint()}: {head.problem}", expected)


def credentials_accepted(storage: Storage) -> Outcome:
    """Does the store know the credentials that the connection gives?"""
    head = storage.head()
    expected = "credentials that the store accepts"
    if head.code == "NoCredentials":
        return failed(head.problem or "no credentials found", expected)
    where = "credentials from {}".format(storage.credentials() or "nowhere (anonymous)")
    if head.code in _BAD_CREDENTIALS:
        return failed(
            f"{where}: HTTP {head.status} {head.code}: {_BAD_CREDENTIALS[head.code]}",
            expected,
        )
    if head.status == 401:
        return failed(f"{where}: HTTP 401 {head.code}", expected)
    return passed(f"{where} accepted", expected)


def bucket_exists(storage: Storage) -> Outcome:
    """Is the bucket there? Asked by HEAD, which creates nothing."""
    head, bucket = storage.head(), storage.location.bucket
    expected = f"bucket {bucket!r} exists and may be listed"
    if head.status == 200:
        return passed(f"bucket {bucket!r} exists", expected)
    if head.listed:
        return passed(f"LIST under the prefix is allowed, so {bucket!r} exists", expected)
    if head.code == "NoSuchBucket":
        return failed(f"bucket {bucket!r} does not exist", expected)
    return failed(
        f"HTTP {head.status} {head.code} for bucket {bucket!r}",
        expected,
        "Allow s3:ListBucket on the bucket (at least for the prefix) to this identity, and check "
        "that the bucket is in the region and account of the connection.",
    )


def s3_put(storage: Storage) -> Outcome:
    """May an object be written under the prefix?"""
    storage.require_s3()
    if not storage.functional:
        raise Skip("--functional-s3 is not given")
    return _attempt(storage.put, f"wrote {storage.key}", "PUT", storage)


def s3_get(storage: Storage) -> Outcome:
    """Does reading it back give the same bytes?"""
    from botocore.exceptions import ClientError

    try:
        body = storage.get()
    except ClientError as refused:
        return _refused(refused, "GET", storage)
    expected = f"the {len(storage.body)} bytes that were written"
    if body == storage.body:
        return passed(expected, expected)
    return failed(f"{len(body)} other bytes", expected)


def s3_list(storage: Storage) -> Outcome:
    """Does LIST under the prefix show it?"""
    from botocore.exceptions import ClientError

    try:
        keys = storage.listed()
    except ClientError as refused:
        return _refused(refused, "LIST", storage)
    expected = f"{storage.key} in the list"
    if storage.key in keys:
        return passed(expected, expected)
    return failed(f"{len(keys)} keys, not this one", expected)


def s3_delete(storage: Storage) -> Outcome:
    """May it be removed?"""
    return _attempt(storage.delete, f"removed {storage.key}", "DELETE", storage)


def _attempt(action: Any, done: str, verb: str, storage: Storage) -> Outcome:
    from botocore.exceptions import ClientError

    try:
        action()
    except ClientError as refused:
        return _refused(refused, verb, storage)
    return passed(done, f"{verb} allowed under the prefix")


def _refused(error: Any, verb: str, storage: Storage) -> Outcome:
    return failed(
        "{} {}: HTTP {} {}".format(
            verb, storage.key, status_of(error), error.response.get("Error", {}).get("Code", "")
        ),
        f"{verb} allowed under the prefix",
    )


_RIGHTS = (
    "Allow s3:PutObject, s3:GetObject and s3:DeleteObject on the objects below the prefix and "
    "s3:ListBucket on the bucket to the identity of the connection."
)


TABLE: tuple[Check, ...] = (
    Check(
        "connection-resolves",
        connection_resolves,
        "With a connection that does not exist Airflow silently uses the default credentials of "
        "the pod: another account, another endpoint, and paths that other pods cannot read.",
        "Make the secrets backend or the metadata database reachable from this pod, then look "
        "again.",
        needs=("provider-installed", "option-path"),
    ),
    Check(
        "s3-endpoint-reachable",
        endpoint_reachable,
        "Every push above the threshold and every pull of such a value would fail.",
        "Check endpoint_url of the connection, DNS, network policies and TLS from this pod.",
        needs=("connection-resolves",),
    ),
    Check(
        "s3-credentials",
        credentials_accepted,
        "Every push above the threshold and every pull of such a value would fail.",
        "Correct login and password (or role, region and token) of the connection in the path.",
        needs=("s3-endpoint-reachable",),
    ),
    Check(
        "bucket-exists",
        bucket_exists,
        "s3fs would try to create a missing bucket at the first push: a bucket that nobody set "
        "up, without encryption, policy or lifecycle.",
        "Create the bucket with its policy, or correct the path. The probe creates none.",
        needs=("s3-credentials",),
    ),
    Check(
        "s3-put",
        s3_put,
        "A task that pushes a value above the threshold would fail.",
        _RIGHTS,
        needs=("bucket-exists",),
    ),
    Check(
        "s3-get",
        s3_get,
        "A task that pulls an offloaded value would fail, or get a path instead of the value.",
        _RIGHTS,
        needs=("s3-put",),
    ),
    Check(
        "s3-list",
        s3_list,
        "The backend lists before it writes, and the sweep of orphans needs it.",
        _RIGHTS,
        needs=("s3-put",),
    ),
    Check(
        "s3-delete",
        s3_delete,
        "A task that runs again first removes its old values; without the right it would fail.",
        _RIGHTS,
        needs=("s3-put",),
    ),
)
