"""A sink whose bytes become one object, in parts that leave while the next one is filled."""

from __future__ import annotations

import contextlib
import hashlib
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import Any, Mapping

# Parts on their way at a time; with the one that is being filled, the memory needed.
PARTS = 6


class Upload:
    """What is written to it becomes an object at `commit`; without that there is none.

    A context, in one thread. Errors of the client come out of `write` and `commit` as they are.

    Attributes:
        count: bytes written so far.
        closed: False; for those who ask before they write.
    """

    closed = False

    def __init__(
        self, client: Any, bucket: str, name: str, extra: Mapping[str, str], part_size: int
    ) -> None:
        """Nothing is sent before the first part is full.

        Args:
            extra: arguments of the object, such as its encryption.
            part_size: in bytes.
        """
        self._client = client
        self._target = {"Bucket": bucket, "Key": name}
        self._extra = dict(extra)
        self._part_size = part_size
        self._checksum = _checksum(client)
        self._pool = ThreadPoolExecutor(PARTS)
        self._upload_id = ""
        self._flying: set[Future[bytearray]] = set()
        self._spare: list[bytearray] = []
        self._sent: dict[int, dict[str, Any]] = {}
        self._part = bytearray(part_size)
        self._used = 0
        self._digest = hashlib.sha256()
        self.count = 0

    def __enter__(self) -> Upload:
        return self

    def __exit__(self, kind: Any, problem: Any, trace: Any) -> None:
        self._pool.shutdown()
        if self._upload_id:
            self._abort()

    def write(self, data: Any) -> int:
        """Add to the object; the data may be changed afterwards."""
        view = memoryview(data).cast("B")
        self._digest.update(view)
        self.count += view.nbytes
        start = 0
        while start < view.nbytes:
            if self._used == self._part_size:
                self._send(self._part)
                self._part, self._used = self._room(), 0
            piece = view[start : start + self._part_size - self._used]
            self._part[self._used : self._used + piece.nbytes] = piece
            self._used += piece.nbytes
            start += piece.nbytes
        return view.nbytes

    def flush(self) -> None:
        """Only full parts are sent."""

    def close(self) -> None:
        """Says nothing: a writer that fails closes its sink too."""

    def commit(self) -> str:
        """Make the object appear, whole.

        Returns:
            The SHA-256 of what was written, in hex.
        """
        rest = bytes(memoryview(self._part)[: self._used])
        if not self._upload_id:
            self._client.put_object(Body=rest, **self._target, **self._extra)
            return self._digest.hexdigest()
        self._send(rest)
        for part in self._flying:
            part.result()
        self._client.complete_multipart_upload(
            **self._target,
            UploadId=self._upload_id,
            MultipartUpload={"Parts": [self._sent[number] for number in sorted(self._sent)]},
        )
        self._upload_id = ""
        return self._digest.hexdigest()

    def _send(self, body: Any) -> None:
        if not self._upload_id:
            self._upload_id = self._client.create_multipart_upload(
                **self._target, **self._extra, **self._checksum
            )["UploadId"]
        number = len(self._sent) + 1
        self._sent[number] = {"PartNumber": number}
        self._flying.add(self._pool.submit(self._put, number, body))

    def _put(self, number: int, body: Any) -> Any:
        answer = self._client.upload_part(
            **self._target,
            **self._checksum,
            UploadId=self._upload_id,
            PartNumber=number,
            Body=body,
        )
        told = {field: answer[field] for field in ("ETag", "ChecksumCRC32") if field in answer}
        self._sent[number].update(told)
        return body

    def _room(self) -> bytearray:
        """Memory for the next part: of one that has arrived, as new pages take time."""
        if not self._spare:
            if len(self._flying) < PARTS:
                return bytearray(self._part_size)
            arrived, self._flying = wait(self._flying, return_when=FIRST_COMPLETED)
            self._spare.extend(part.result() for part in arrived)
        return self._spare.pop()

    def _abort(self) -> None:
        from botocore.exceptions import BotoCoreError, ClientError

        # The error that led here is what is told. Parts that stay are taken away by the bucket's
        # rule for incomplete uploads.
        with contextlib.suppress(BotoCoreError, ClientError):
            self._client.abort_multipart_upload(**self._target, UploadId=self._upload_id)


def _checksum(client: Any) -> dict[str, str]:
    """The checksum of each part that the server compares, where the client is set to send one.

    boto3 before 1.36 has no such setting, and sends none with its own transfers either.
    """
    asked = getattr(client.meta.config, "request_checksum_calculation", None)
    return {"ChecksumAlgorithm": "CRC32"} if asked == "when_supported" else {}
