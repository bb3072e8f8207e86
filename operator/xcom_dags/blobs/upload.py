"""A sink whose bytes become one object, in parts that leave while the next one is filled."""

from __future__ import annotations

import contextlib
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import Any, Mapping

from xcom_dags.blobs import checksum

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
        self._pool = ThreadPoolExecutor(PARTS)
        self._upload_id = ""
        self._flying: set[Future[bytearray]] = set()
        self._spare: list[bytearray] = []
        self._begun = 0
        # Digest and ETag of what has arrived, by number.
        self._arrived: dict[int, tuple[bytes, str]] = {}
        self._part = bytearray(part_size)
        self._used = 0
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
        """Does not commit: a writer that fails closes its sink too."""

    def commit(self) -> str:
        """Make the object appear, whole.

        Returns:
            The checksum of the object, see `checksum`.
        """
        rest = bytes(memoryview(self._part)[: self._used])
        if not self._upload_id:
            whole = checksum.of_object([checksum.of_part(rest)])
            self._client.put_object(Body=rest, ChecksumSHA256=whole, **self._target, **self._extra)
            return whole
        self._send(rest)
        for part in self._flying:
            part.result()
        arrived = sorted(self._arrived.items())
        self._client.complete_multipart_upload(
            **self._target,
            UploadId=self._upload_id,
            MultipartUpload={
                "Parts": [
                    {"PartNumber": number, "ETag": etag, "ChecksumSHA256": checksum.text(digest)}
                    for number, (digest, etag) in arrived
                ]
            },
        )
        self._upload_id = ""
        return checksum.of_object([digest for _, (digest, _) in arrived])

    def _send(self, body: Any) -> None:
        if not self._upload_id:
            self._upload_id = self._client.create_multipart_upload(
                **self._target, **self._extra, ChecksumAlgorithm="SHA256"
            )["UploadId"]
        self._begun += 1
        self._flying.add(self._pool.submit(self._put, self._begun, body))

    def _put(self, number: int, body: Any) -> Any:
        digest = checksum.of_part(body)
        answer = self._client.upload_part(
            **self._target,
            UploadId=self._upload_id,
            PartNumber=number,
            Body=body,
            # S3 refuses the part if another digest comes out.
            ChecksumSHA256=checksum.text(digest),
        )
        self._arrived[number] = (digest, answer["ETag"])
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

        # The error that led here is the one reported. Parts that stay are removed by the bucket's
        # rule for incomplete uploads.
        with contextlib.suppress(BotoCoreError, ClientError):
            self._client.abort_multipart_upload(**self._target, UploadId=self._upload_id)
