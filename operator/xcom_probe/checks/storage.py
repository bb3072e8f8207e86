"""Checks of the object store: the connection that is really used, the bucket, the rights."""

from __future__ import annotations

import socket
import uuid
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from xcom_probe import ending, redact
from xcom_probe.airflow import connections
from xcom_probe.checks import Check, Outcome, Skip, failed, passed

# A store that does not answer has to be reported within about ten seconds.
CONNECT_TIMEOUT = 3
READ_TIMEOUT = 4
ATTEMPTS = 2

S3_SCHEMES = ("s3", "s3a", "s3n")
_BAD_CREDENTIALS = {
    "AuthorizationHeaderMalformed": "the region of the connection is not that of the bucket",
    "ExpiredToken": "the session token has expired",
    "InvalidAccessKeyId": "the access key is unknown to the store",
    "InvalidToken": "the session token is not valid",
    "RequestTimeTooSkewed": "the clocks of this pod and of the store differ too much",
    "SignatureDoesNotMatch": "the secret key does not belong to the access key",
}


class Location(NamedTuple):
    """A base path taken apart: `scheme://conn_id@bucket/prefix`."""

    scheme: str
    conn_id: str | None
    bucket: str
    prefix: str

    @classmethod
    def parse(cls, path: str) -> Location:
        """Take a path apart as `ObjectStoragePath` does; a missing scheme gives an empty one."""
        parts = urlsplit(path)
        userinfo, _, host = parts.netloc.rpartition("@")
        return cls(parts.scheme, userinfo or None, host, parts.path.strip("/"))


class Head(NamedTuple):
    """The answer to one HEAD on the bucket, and to one LIST where that alone does not tell.

    Attributes:
        reached: some HTTP answer came.
        status: HTTP status of the HEAD, 0 without one.
        code: S3 error code, which only the answer to LIST holds. Empty if all is well.
        listed: LIST under the prefix was allowed.
        problem: what went wrong before any HTTP answer.
    """

    reached: bool
    status: int = 0
    code: str = ""
    listed: bool = False
    problem: str = ""


class Storage:
    """What the S3 checks share: one client, one HEAD, one probe object."""

    def __init__(self, path: str, functional: bool, blocked: str = "") -> None:
        """`blocked` says why Airflow cannot be asked here; empty if it can."""
        self.path = path
        self.blocked = blocked
        self.location = Location.parse(path)
        self.functional = functional
        self.key = "/".join(
            part for part in (self.location.prefix, "_xcom_probe", uuid.uuid4().hex) if part
        )
        self.body = uuid.uuid4().bytes * 64
        self._client: Any = None
        self._endpoint = ""
        self._credentials = ""
        self._head: Head | None = None
        self._put = False

    def require_s3(self) -> None:
        """Raise Skip unless the path is one of S3: the other stores have no checks here yet."""
        if self.location.scheme not in S3_SCHEMES:
            raise Skip(f"the path has scheme {self.location.scheme!r}, not s3")

    def client(self) -> Any:
        """A boto3 client with session, endpoint and settings of the provider's file system."""
        if self._client is None:
            from botocore.config import Config

            hook = connections.s3_hook(self.location.conn_id)
            session = hook.get_session()
            credentials = session.get_credentials()
            if credentials is None:
                self._credentials = ""
            else:
                frozen = credentials.get_frozen_credentials()
                for value in (frozen.secret_key, frozen.token):
                    redact.secret(value)
                self._credentials = str(credentials.method)
            settings: dict[str, Any] = dict(
                hook.conn_config.extra_config.get("config_kwargs") or {}
            )
            config = Config(**settings).merge(
                Config(
                    connect_timeout=CONNECT_TIMEOUT,
                    read_timeout=READ_TIMEOUT,
                    retries={"total_max_attempts": ATTEMPTS, "mode": "standard"},
                )
            )
            endpoint = hook.conn_config.get_service_endpoint_url(service_name="s3")
            self._client = session.client("s3", endpoint_url=endpoint, config=config)
            self._endpoint = str(self._client.meta.endpoint_url)
        return self._client

    def endpoint(self) -> str:
        """The address that requests go to."""
        self.client()
        return self._endpoint

    def credentials(self) -> str:
        """Where the credentials come from, in botocore's words; empty if there are none."""
        self.client()
        return self._credentials

    def head(self) -> Head:
        """Look at the bucket, once. Never creates it: boto3 does what it is told, s3fs more."""
        if self._head is None:
            self._head = self._look()
        return self._head

    def _look(self) -> Head:
        from botocore.exceptions import (
            BotoCoreError,
            ClientError,
            CredentialRetrievalError,
            NoCredentialsError,
            PartialCredentialsError,
        )

        client = self.client()
        try:
            client.head_bucket(Bucket=self.location.bucket)
            return Head(True, 200)
        except ClientError as refused:
            status = _status(refused)
            if status >= 500:
                return Head(False, problem=f"HTTP {status}")
            if status == 404:
                return Head(True, status, "NoSuchBucket")
        except (CredentialRetrievalError, NoCredentialsError, PartialCredentialsError) as problem:
            return self._without_credentials(redact.error(problem))
        except BotoCoreError as problem:
            return Head(False, problem=redact.error(problem))
        # An answer to HEAD has no body, so it cannot say why; an answer to LIST can.
        try:
            client.list_objects_v2(
                Bucket=self.location.bucket, Prefix=self.location.prefix, MaxKeys=1
            )
            return Head(True, status, listed=True)
        except ClientError as refused:
            return Head(True, status, str(refused.response.get("Error", {}).get("Code", "")))

    def _without_credentials(self, problem: str) -> Head:
        """No request can be signed: at least see whether the address answers."""
        address = urlsplit(self.endpoint())
        port = address.port or (443 if address.scheme == "https" else 80)
        try:
            socket.create_connection((address.hostname or "", port), CONNECT_TIMEOUT).close()
        except OSError as unreachable:
            return Head(False, problem=redact.error(unreachable))
        return Head(True, 0, "NoCredentials", problem=problem)

    def put(self) -> None:
        """Write the probe object, which `close` removes."""
        from botocore.exceptions import ClientError

        self._put = True
        try:
            with ending.held():
                self.client().put_object(Bucket=self.location.bucket, Key=self.key, Body=self.body)
        except ClientError as refused:
            # The store said no, so there is nothing to remove; after a timeout nobody knows.
            self._put = _status(refused) >= 500
            raise

    def get(self) -> bytes:
        """Read the probe object."""
        answer = self.client().get_object(Bucket=self.location.bucket, Key=self.key)
        return bytes(answer["Body"].read())

    def listed(self) -> list[str]:
        """Keys that LIST returns for the prefix of the probe object."""
        answer = self.client().list_objects_v2(
            Bucket=self.location.bucket, Prefix=self.key.rsplit("/", 1)[0] + "/"
        )
        return [str(item["Key"]) for item in answer.get("Contents", [])]

    def delete(self) -> None:
        """Remove the probe object."""
        self.client().delete_object(Bucket=self.location.bucket, Key=self.key)
        self._put = False

    def close(self) -> str:
        """Remove the probe object if it may still be there; what went wrong, empty if nothing."""
        if not self._put:
            return ""
        try:
            self.delete()
        except Exception as problem:  # noqa: BLE001 - reported, with the key to remove by hand
            return redact.error(problem)
        return ""


def _status(error: Any) -> int:
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


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
            verb, storage.key, _status(error), error.response.get("Error", {}).get("Code", "")
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
