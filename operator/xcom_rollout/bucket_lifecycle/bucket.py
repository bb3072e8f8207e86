"""The lifecycle configuration of one bucket, read and written as bytes.

boto3 would parse the document and rewrite only what it knows, so the requests are made here, and
signed by botocore.
"""

import base64
import hashlib
from typing import Any, Final
from urllib.parse import quote
from xml.etree import ElementTree

from xcom_rollout.bucket_lifecycle.document import Rule, lost, merged, own_id, rules, same

_TIMEOUT: Final = 10
_ABSENT: Final = "NoSuchLifecycleConfiguration"


class BucketError(Exception):
    """The store did not answer, refused, or did not keep what was written."""


class ChangedMeanwhileError(BucketError):
    """Somebody else has written the configuration since it was planned."""


class Bucket:
    """One bucket, with the credentials that boto3 finds by itself."""

    def __init__(self, name: str, *, endpoint_url: str | None = None, region: str | None = None):
        """Create it without a request.

        Raises:
            BucketError: boto3 is not installed, or finds no credentials.
        """
        try:
            import boto3
            from botocore.httpsession import URLLib3Session
        except ImportError as problem:
            raise BucketError(
                "boto3 is not installed; install it with: pip install 'xcom-rollout[s3]'"
            ) from problem
        session = boto3.Session(region_name=region)
        self.name = name
        self._credentials = session.get_credentials()
        if self._credentials is None:
            raise BucketError(
                "no credentials found; set AWS_PROFILE, or AWS_ACCESS_KEY_ID and "
                "AWS_SECRET_ACCESS_KEY"
            )
        client: Any = session.client("s3", endpoint_url=endpoint_url)
        self._region = client.meta.region_name or "us-east-1"
        self._url = f"{client.meta.endpoint_url}/{quote(name)}?lifecycle"
        self._http = URLLib3Session(timeout=_TIMEOUT)

    def read(self) -> bytes:
        """The configuration as stored; empty if there is none.

        Raises:
            BucketError: the store did not answer, or refused.
        """
        status, body = self._request("GET")
        if status == 200:
            return body
        if status == 404 and _code(body) == _ABSENT:
            return b""
        raise self._refused("GET", status, body)

    def write(self, document: bytes) -> None:
        """Replace the configuration; remove it if `document` is empty.

        Raises:
            BucketError: the store did not answer, or refused.
        """
        method = "PUT" if document else "DELETE"
        status, body = self._request(method, document)
        if status not in (200, 204):
            raise self._refused(method, status, body)

    def apply(self, planned_on: bytes, own: Rule) -> bytes:
        """Merge our rule into the configuration, and check that it and all others are stored.

        S3 has no conditional write here, so somebody who writes between the second read and the
        write is noticed only if what they wrote is missing afterwards.

        Args:
            planned_on: the configuration that the plan was made on.

        Returns:
            The configuration as stored afterwards.

        Raises:
            ChangedMeanwhileError: the configuration has changed. Nothing is written.
            BucketError: the store did not keep a rule; the old configuration is restored.
        """
        if self.read() != planned_on:
            raise ChangedMeanwhileError(
                f"the lifecycle configuration of {self.name} has changed since the plan; plan again"
            )
        self.write(merged(planned_on, own))
        after = self.read()
        missing = [rule.id or rule.prefix for rule in lost(planned_on, after, own)]
        if missing:
            trouble = f"did not keep the rules {', '.join(missing)} unchanged"
        elif not is_there(after, own):
            trouble = f"did not keep the rule {own_id(own.prefix)}"
        else:
            return after
        self.write(planned_on)
        raise BucketError(f"the store {trouble}; the earlier configuration is restored")

    def _request(self, method: str, body: bytes = b"") -> tuple[int, bytes]:
        from botocore.auth import S3SigV4Auth
        from botocore.awsrequest import AWSRequest
        from botocore.exceptions import BotoCoreError

        headers = {"x-amz-content-sha256": hashlib.sha256(body).hexdigest()}
        if body:
            # The store refuses a configuration without it.
            digest = hashlib.md5(body, usedforsecurity=False).digest()
            headers["Content-MD5"] = base64.b64encode(digest).decode()
            headers["Content-Type"] = "application/xml"
        request = AWSRequest(method=method, url=self._url, data=body, headers=headers)
        try:
            S3SigV4Auth(self._credentials, "s3", self._region).add_auth(request)
            answer: Any = self._http.send(request.prepare())
        except BotoCoreError as problem:
            raise BucketError(f"{method} lifecycle of {self.name}: {problem}") from problem
        return int(answer.status_code), bytes(answer.content)

    def _refused(self, method: str, status: int, body: bytes) -> BucketError:
        code = _code(body) or "no S3 error code"
        return BucketError(f"{method} lifecycle of {self.name}: HTTP {status} {code}")


def is_there(document: bytes, own: Rule) -> bool:
    """Whether a configuration has our rule, with the intended effect."""
    return any(rule.id == own.id and same(rule, own) for rule in rules(document))


def _code(body: bytes) -> str:
    try:
        element = ElementTree.fromstring(body)  # noqa: S314  an answer of the user's own store
    except ElementTree.ParseError:
        return ""
    return next((node.text or "" for node in element.iter() if node.tag.endswith("Code")), "")
