"""The S3 store as the provider's file system reaches it: one client, few requests."""

from __future__ import annotations

import socket
import ssl
import time
import uuid
from email.utils import parsedate_to_datetime
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

# A server that redirects every request keeps botocore asking for the bucket's region, by the
# hundred, until Python's stack is full.
_MOST_REQUESTS = 10

# How far the first look got.
ANSWERED = "answered"
NO_CREDENTIALS = "no credentials"
NOT_S3 = "not S3"
TLS = "TLS"
UNREACHABLE = "unreachable"

# Every S3 server that the provider was tried with sends one of them with every answer.
_S3_HEADERS = ("x-amz-request-id", "x-amz-id-2", "x-amz-bucket-region")


class Look(NamedTuple):
    """The answers to one HEAD on the bucket and one LIST under the prefix.

    Attributes:
        came: how far it got, one of the constants above.
        status: HTTP status of the HEAD, 0 without one.
        code: S3 error code, which only the answer to LIST holds. Empty if all is well.
        listed: LIST under the prefix was allowed.
        problem: what went wrong on the way to an answer.
        skew: the store's clock minus the one here, in seconds; None if it did not say.
    """

    came: str
    status: int = 0
    code: str = ""
    listed: bool = False
    problem: str = ""
    skew: float | None = None


class _Circle(Exception):
    """Too many requests were made for one question."""


class Storage:
    """What the S3 checks share: one client, one look, one probe object."""

    def __init__(self, path: str, functional: bool, blocked: str = "") -> None:
        """`blocked` says why Airflow cannot be asked here; empty if it can."""
        self.path = path
        self.blocked = blocked
        self.location = Location.parse(path)
        self.functional = functional
        self.key = "/".join(
            part for part in (self.location.prefix, "_xcom_probe", uuid.uuid4().hex) if part
        )
        # The connection in the path, once `connection-resolves` has found it.
        self.connection: Any = None
        self.body = uuid.uuid4().bytes * 64
        self._client: Any = None
        self._session: Any = None
        self._endpoint = ""
        self._look: Look | None = None
        self._requests = 0
        self._put = False

    def require_s3(self) -> None:
        """Raise Skip unless the path is one of S3: for the other stores the round trip speaks."""
        if self.location.scheme not in S3_SCHEMES:
            scheme = self.location.scheme
            raise Skip(
                f"the path has scheme {scheme!r}, not s3; the round trip (`prove`, `roundtrip`) "
                "checks this store"
            )

    def client(self) -> Any:
        """A boto3 client with session, endpoint and settings of the provider's file system.

        Making it sends nothing. Raises whatever the provider or botocore say of the connection.
        """
        if self._client is None:
            from botocore.config import Config

            hook = connections.s3_hook(self.location.conn_id)
            self._session = hook.get_session()
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
            self._client = self._session.client("s3", endpoint_url=endpoint, config=config)
            self._endpoint = str(self._client.meta.endpoint_url)
        return self._client

    def endpoint(self) -> str:
        """The address that requests go to."""
        self.client()
        return self._endpoint

    def credentials(self) -> str:
        """Where the credentials come from, in botocore's words; empty if there are none.

        Getting them may take requests, for example to STS.
        """
        self.client()
        credentials = self._session.get_credentials()
        if credentials is None:
            return ""
        frozen = credentials.get_frozen_credentials()
        for value in (frozen.secret_key, frozen.token):
            redact.secret(value)
        return str(credentials.method)

    def look(self) -> Look:
        """Look at the bucket, once. Never creates it: boto3 does what it is asked, s3fs more."""
        if self._look is None:
            self.client().meta.events.register("before-send.s3", self._count)
            try:
                self._look = self._classified(self._at_bucket())
            except _Circle:
                self._look = Look(NOT_S3, problem="it redirects every request")
            self._client.meta.events.unregister("before-send.s3", self._count)
        return self._look

    def _count(self, **_: Any) -> None:
        self._requests += 1
        if self._requests > _MOST_REQUESTS:
            raise _Circle

    def _classified(self, look: Look) -> Look:
        """A TLS server answers plain HTTP with 400 or hangs up: that is neither dead nor not S3."""
        odd = look.status and look.came in (NOT_S3, UNREACHABLE)
        if odd and self.endpoint().startswith("http:") and self._speaks_tls():
            return Look(TLS, look.status, problem="the port uses TLS")
        return look

    def _at_bucket(self) -> Look:
        from botocore import exceptions

        try:
            self.credentials()
        except Exception as problem:  # noqa: BLE001 - the credentials' own store may be anything
            return self._without_credentials(redact.error(problem))
        try:
            answer = self._client.head_bucket(Bucket=self.location.bucket)
        except exceptions.ClientError as refused:
            answer = refused.response
            if status_of(answer) >= 500:
                return Look(UNREACHABLE, problem=f"HTTP {status_of(answer)}")
        except exceptions.SSLError as problem:
            return Look(TLS, problem=redact.error(problem))
        except (exceptions.ConnectionError, exceptions.HTTPClientError) as problem:
            return Look(UNREACHABLE, problem=_with_cause(problem))
        except exceptions.BotoCoreError as problem:
            # No credentials, or a way to sign that botocore does not know.
            return self._without_credentials(redact.error(problem))
        return self._below_prefix(status_of(answer), _skew(answer))

    def _below_prefix(self, status: int, skew: float | None) -> Look:
        """An answer to HEAD has no body, so it cannot say why, nor who answers; LIST can."""
        from botocore.exceptions import BotoCoreError, ClientError
        from botocore.parsers import ResponseParserError

        try:
            answer = self._client.list_objects_v2(
                Bucket=self.location.bucket, Prefix=self.location.prefix, MaxKeys=1
            )
        except ClientError as refused:
            code = str(refused.response.get("Error", {}).get("Code", ""))
            # Without an error of S3 in the body, botocore calls the status the code.
            if code.isdigit() or not code:
                return Look(NOT_S3, status_of(refused.response), skew=skew)
            return Look(ANSWERED, status, code, skew=skew)
        except ResponseParserError:
            return Look(NOT_S3, status, skew=skew)
        except BotoCoreError as problem:
            return Look(UNREACHABLE, status, problem=_with_cause(problem))
        headers = answer.get("ResponseMetadata", {}).get("HTTPHeaders", {})
        if answer.get("Name") is None and not any(name in headers for name in _S3_HEADERS):
            return Look(NOT_S3, status, skew=skew)
        return Look(ANSWERED, status, listed=True, skew=skew)

    def _without_credentials(self, problem: str) -> Look:
        """No request can be signed: at least see whether the address answers."""
        try:
            socket.create_connection(self.address(), CONNECT_TIMEOUT).close()
        except OSError as unreachable:
            return Look(UNREACHABLE, problem=redact.error(unreachable))
        return Look(NO_CREDENTIALS, problem=problem)

    def address(self) -> tuple[str, int]:
        """Host and port of the endpoint."""
        parts = urlsplit(self.endpoint())
        return parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)

    def _speaks_tls(self) -> bool:
        """Does the endpoint's port answer a TLS handshake? Whose certificate does not matter."""
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        try:
            with socket.create_connection(self.address(), CONNECT_TIMEOUT) as plain:
                context.wrap_socket(plain).close()
        except OSError:
            return False
        return True

    def put(self) -> None:
        """Write the probe object, which `close` removes."""
        from botocore.exceptions import ClientError

        self._put = True
        try:
            with ending.held():
                self.client().put_object(Bucket=self.location.bucket, Key=self.key, Body=self.body)
        except ClientError as refused:
            # The store said no, so there is nothing to remove; after a timeout nobody knows.
            self._put = status_of(refused.response) >= 500
            raise

    def get(self) -> bytes:
        """Read the probe object."""
        answer = self.client().get_object(Bucket=self.location.bucket, Key=self.key)
        return bytes(answer["Body"].read())

    def delete(self) -> None:
        """Remove the probe object. To remove one that is not there needs the same right."""
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


def status_of(answer: Any) -> int:
    """HTTP status of a botocore answer, 0 if it has none."""
    return int(answer.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


def _with_cause(problem: Any) -> str:
    """The error with the one below it, which botocore keeps out of some messages."""
    cause = getattr(problem, "kwargs", {}).get("error")
    text = redact.error(problem)
    if not isinstance(cause, Exception) or str(cause) in str(problem):
        return text
    return f"{text} ({redact.error(cause)})"


def _skew(answer: Any) -> float | None:
    """Seconds that the clock in the answer's Date header is ahead of the one here."""
    try:
        date = parsedate_to_datetime(answer["ResponseMetadata"]["HTTPHeaders"]["date"])
    except (KeyError, TypeError, ValueError):
        return None
    return date.timestamp() - time.time()
