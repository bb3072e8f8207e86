"""The S3 client: through Airflow's connection, or with the credentials of the environment."""

from __future__ import annotations

from typing import Any

from xcom_dags.blobs.errors import BlobAbsent, BlobError, BlobMalformed, BlobUnreachable
from xcom_dags.blobs.layout import split_uri

CONNECT_TIMEOUT = 5
READ_TIMEOUT = 30
# botocore's standard mode repeats what may succeed the next time (throttling, 5xx, connections
# that break), with exponential waiting and jitter, and nothing else.
ATTEMPTS = 5
# The SHA-256 of a body goes in a header (x-amz-checksum-sha256) that is itself signed, and S3
# compares: signing the body as well would only hash each part once more.
_S3 = {"payload_signing_enabled": False}

_ABSENT = frozenset({"NoSuchKey", "404"})
_REFUSED = frozenset({"AccessDenied", "403"})
_REPLACED = frozenset({"PreconditionFailed", "412"})


def connect(conn_id: str | None) -> Any:
    """A boto3 client.

    Args:
        conn_id: the Airflow connection, by the provider's own hook, its settings included. None:
            boto3's usual chain of credentials.

    Raises:
        ValueError: Airflow has no such connection. (The provider's hook would then use other
            credentials, with no error.)
    """
    if conn_id is None:
        import boto3

        return boto3.client("s3", config=settings())
    from airflow.exceptions import AirflowNotFoundException
    from airflow.providers.amazon.aws.hooks.s3 import S3Hook

    try:
        S3Hook.get_connection(conn_id)
    except AirflowNotFoundException:
        raise ValueError(
            f"connection {conn_id!r} is not known to Airflow here; create it, or write "
            "s3://bucket/prefix to use the credentials of the pod"
        ) from None
    merged = settings(S3Hook(aws_conn_id=conn_id).config)
    return S3Hook(aws_conn_id=conn_id, config=merged).get_conn()


def settings(theirs: Any = None) -> Any:
    """A client's `botocore.config.Config`.

    Args:
        theirs: another one, of a connection; what it says wins.
    """
    from botocore.config import Config

    ours = Config(
        connect_timeout=CONNECT_TIMEOUT,
        read_timeout=READ_TIMEOUT,
        retries={"total_max_attempts": ATTEMPTS, "mode": "standard"},
        s3=_S3,
    )
    if theirs is None:
        return ours
    # Config.merge would take `s3` as a whole from one of them.
    return ours.merge(theirs).merge(Config(s3={**_S3, **(theirs.s3 or {})}))


def fault(problem: BaseException, key: str, uri: str) -> BlobError:
    """The error to raise for what the client raised."""
    if _code(problem) == "NoSuchBucket":
        return BlobUnreachable(f"{key}: the bucket of {uri} is not there")
    text = " ".join(str(problem).split())[:400]
    return BlobUnreachable(f"{key}: {uri}: {type(problem).__name__}: {text}")


def read_fault(client: Any, problem: BaseException, key: str, uri: str) -> BlobError:
    """The same for a read, where an absent object is distinguished from every other fault.

    S3 answers HEAD without an explanation, and with 403 for an absent object where listing is
    allowed below a prefix only. A list of just this object shows which it is.
    """
    from botocore.exceptions import BotoCoreError, ClientError

    code = _code(problem)
    if code in _REPLACED:
        return BlobMalformed(f"{key}: another write took the place of {uri} while it was read")
    if code in _ABSENT or code in _REFUSED:
        bucket, name = split_uri(uri)
        try:
            answer = client.list_objects_v2(Bucket=bucket, Prefix=name, MaxKeys=1)
            absent = all(item["Key"] != name for item in answer.get("Contents", []))
        except (BotoCoreError, ClientError) as refused:
            absent = code in _ABSENT
            if _code(refused) == "NoSuchBucket":
                return fault(refused, key, uri)
        if absent:
            return BlobAbsent(f"{key}: there is no object {uri}; its producer did not finish")
    return fault(problem, key, uri)


def _code(problem: BaseException) -> str:
    response = getattr(problem, "response", None) or {}
    return str(response.get("Error", {}).get("Code", ""))


def is_transport(problem: BaseException) -> bool:
    """Whether an error comes from the client, not from the code around it."""
    from boto3.exceptions import Boto3Error
    from botocore.exceptions import BotoCoreError, ClientError

    return isinstance(problem, (Boto3Error, BotoCoreError, ClientError, OSError))
