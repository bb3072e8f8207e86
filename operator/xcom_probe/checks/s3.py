"""The S3 store as the provider's file system reaches it: one client, few requests."""

from __future__ import annotations

import socket
import uuid
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from xcom_probe import ending, redact
from xcom_probe.airflow import connections
from xcom_probe.checks import Skip
from xcom_probe.checks.location import S3_SCHEMES, Location

# A store that does not answer has to be reported within about ten seconds.
CONNECT_TIMEOUT = 3
READ_TIMEOUT = 4
ATTEMPTS = 2


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
            status = status_of(refused)
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
            self._put = status_of(refused) >= 500
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


def status_of(error: Any) -> int:
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
