"""Write a blob, get a reference; give the reference, get the blob back, verified as a whole."""

from __future__ import annotations

import logging
import struct
import time
import zipfile
from typing import Any, Callable, Mapping

from xcom_dags.blobs import client as s3
from xcom_dags.blobs import metrics as names
from xcom_dags.blobs import npz, parquet
from xcom_dags.blobs.download import Misfit, download
from xcom_dags.blobs.errors import BlobError, BlobMalformed, BlobUnreachable
from xcom_dags.blobs.layout import BucketLocation, object_key, run_folder, split_uri
from xcom_dags.blobs.metrics import Metrics, airflow_metrics
from xcom_dags.blobs.reference import NPZ, PARQUET, BlobReference, difference
from xcom_dags.blobs.upload import Upload
from xcom_dags.events import log_event

PART_SIZE = 8 * 1024 * 1024


class BlobStore:
    """Blobs of one run below one base URL.

    Every write is one object that appears whole or not at all. Every read is compared with its
    reference: size, checksum, schema, names, shapes and dtypes.
    """

    def __init__(
        self,
        base: str,
        run_id: str,
        *,
        schema: str,
        version: int,
        client: Any = None,
        encryption: str | None = "AES256",
        kms_key_id: str | None = None,
        part_size: int = PART_SIZE,
        logger: logging.Logger | None = None,
        event_prefix: str = "",
        metrics: Metrics | None = None,
    ) -> None:
        """A store; this sends no request yet.

        Args:
            base: `s3://connection@bucket/prefix`; without a connection boto3's usual credentials.
            run_id: the DAG run's ID. Only blobs of this run can be written and read.
            schema: name of what the arrays mean; a reader with another one refuses.
            version: of the schema.
            client: a boto3 S3 client to use in place of the connection.
            encryption: `AES256`, `aws:kms`, or None to leave it to the bucket.
            kms_key_id: with `aws:kms`, the key; else the account's default one.
            part_size: bytes per part of a large object, at least 5 MiB (S3's least). Seven
                parts are held in memory at a time.
            logger: where events go.
            event_prefix: put before the events' names, as in `s43_`.
            metrics: where metrics go; by default Airflow's Stats.

        Raises:
            ValueError: an argument is not of its form; the message names it.
        """
        if encryption not in ("AES256", "aws:kms", None):
            raise ValueError(f"encryption {encryption!r}: write 'AES256', 'aws:kms' or None")
        if kms_key_id is not None and encryption != "aws:kms":
            raise ValueError("kms_key_id needs encryption='aws:kms'")
        if part_size < 5 * 1024 * 1024:
            raise ValueError(f"part_size {part_size}: S3 takes parts of 5 MiB and more")
        if not schema or version < 1:
            raise ValueError(f"schema {schema!r}, version {version}: give a name, and 1 or more")
        self.place = BucketLocation.parse(base)
        self.run_id = run_id
        self.folder = run_folder(self.place.prefix, run_id)
        self.schema = schema
        self.version = version
        self._client = client
        self._part_size = part_size
        self._logger = logger or logging.getLogger("airflow.task")
        self._event_prefix = event_prefix
        self._metrics: Metrics = metrics or airflow_metrics()
        self._extra: dict[str, str] = {}
        if encryption:
            self._extra["ServerSideEncryption"] = encryption
        if kms_key_id:
            self._extra["SSEKMSKeyId"] = kms_key_id

    def put(
        self,
        key: str,
        arrays: Mapping[str, Any],
        *,
        map_index: int = -1,
        failed_event: str = "pred_persist_failed",
    ) -> dict[str, Any]:
        """Write arrays as `.npz`; a blob of the same key is replaced in one step.

        Args:
            key: one or more parts between slashes, as `BTC/fold-0`.
            arrays: by name; anything that `numpy.asarray` takes, without Python objects.
            map_index: of a mapped task, so that its instances do not overwrite each other.
            failed_event: logged if it fails.

        Returns:
            The reference, to be returned from the task.

        Raises:
            ValueError: the key or an array is not of its form.
            BlobUnreachable: the store did not take it, after repeated attempts.
        """
        described, ready = npz.prepare(arrays)
        return self._write(
            key, map_index, NPZ, described, lambda sink: npz.write(ready, sink), failed_event
        )

    def put_table(
        self,
        key: str,
        table: Any,
        *,
        map_index: int = -1,
        failed_event: str = "pred_persist_failed",
    ) -> dict[str, Any]:
        """The same for a `pyarrow.Table`, as Parquet. Needs pyarrow."""
        described = parquet.prepare(table)
        return self._write(
            key,
            map_index,
            PARQUET,
            described,
            lambda sink: parquet.write(table, sink),
            failed_event,
        )

    def get(self, reference: Mapping[str, Any]) -> Any:
        """Read a blob by what `put` returned.

        Returns:
            Arrays by name, all in one piece of memory as large as the object; for Parquet a
            `pyarrow.Table`.

        Raises:
            BlobAbsent: there is no such object.
            BlobUnreachable: the store did not answer, or refused.
            BlobMalformed: it is not a reference, or one of another run, schema or version, or the
                object is not what it says; the message has the key and the difference.
        """
        started = time.monotonic()
        wanted: BlobReference | None = None
        try:
            wanted = self._own(BlobReference.parse(reference))
            value = self._read(wanted)
        except BlobError as problem:
            key = wanted.key if wanted else "?"
            self._failed("pred_load_failed", names.READ_ERRORS, key, problem)
            raise
        self._metrics.timing(names.READ_DURATION, (time.monotonic() - started) * 1000)
        return value

    def client(self) -> Any:
        """The boto3 client."""
        if self._client is None:
            self._client = s3.connect(self.place.conn_id)
        return self._client

    def event(self, name: str, **fields: Any) -> None:
        """Log an event of the catalogue, with this store's prefix and run."""
        log_event(self._logger, name, prefix=self._event_prefix, run_id=self.run_id, **fields)

    def gauge(self, name: str, value: float) -> None:
        """Set a metric."""
        self._metrics.gauge(name, value)

    def count(self, name: str) -> None:
        """Add one to a metric."""
        self._metrics.incr(name)

    def _failed(self, event: str, metric: str, key: str, problem: Exception) -> None:
        self._metrics.incr(metric)
        self.event(event, key=key, fault=type(problem).__name__, reason=str(problem))

    def _write(
        self,
        key: str,
        map_index: int,
        kind: str,
        described: dict[str, dict[str, Any]],
        produce: Callable[[Upload], None],
        failed_event: str,
    ) -> dict[str, Any]:
        bucket = self.place.bucket
        name = object_key(self.place.prefix, self.run_id, key, map_index, kind)
        uri = f"s3://{bucket}/{name}"
        started = time.monotonic()
        try:
            try:
                with Upload(self.client(), bucket, name, self._extra, self._part_size) as sink:
                    produce(sink)
                    checksum = sink.commit()
                head = self.client().head_object(Bucket=bucket, Key=name)
            except Exception as problem:
                if not s3.is_transport(problem):
                    raise
                raise s3.fault(problem, key, uri) from problem
            if head["ContentLength"] != sink.count:
                raise BlobUnreachable(
                    f"{key}: {uri} has {head['ContentLength']} bytes, {sink.count} were sent: "
                    "somebody else writes the same key"
                )
        except BlobError as problem:
            self._failed(failed_event, names.WRITE_ERRORS, key, problem)
            raise
        self._metrics.timing(names.WRITE_DURATION, (time.monotonic() - started) * 1000)
        return BlobReference(
            uri=uri,
            key=key,
            format=kind,
            schema=self.schema,
            version=self.version,
            arrays=described,
            bytes=sink.count,
            checksum_sha256=checksum,
            part_size=self._part_size,
        ).as_json()

    def _own(self, reference: BlobReference) -> BlobReference:
        """The reference, if it is one that this store may read."""
        folder = f"s3://{self.place.bucket}/{self.folder}/"
        if not reference.uri.startswith(folder) or "/../" in reference.uri:
            raise BlobMalformed(
                f"{reference.key}: {reference.uri} is not below {folder}, the folder of this run"
            )
        for what, seen, wanted in (
            ("schema", reference.schema, self.schema),
            ("schema version", reference.version, self.version),
        ):
            if seen != wanted:
                raise BlobMalformed(
                    f"{reference.key}: {what} is {seen!r}, not {wanted!r}; its producer and this "
                    "consumer are of different builds"
                )
        return reference

    def _read(self, wanted: BlobReference) -> Any:
        memory = self._load(wanted)
        try:
            value, described = _parse(wanted.format, memory)
        except (ValueError, zipfile.BadZipFile, struct.error) as problem:
            raise BlobMalformed(
                f"{wanted.key}: {wanted.uri} is not {wanted.format} as put writes it: {problem}"
            ) from problem
        unlike = difference(wanted.arrays, described)
        if unlike:
            raise BlobMalformed(f"{wanted.key}: {unlike}")
        return value

    def _load(self, wanted: BlobReference) -> Any:
        """The object's bytes, which are those that were written."""
        bucket, name = split_uri(wanted.uri)
        try:
            head = self.client().head_object(Bucket=bucket, Key=name)
            if head["ContentLength"] != wanted.bytes:
                raise BlobMalformed(
                    f"{wanted.key}: {wanted.uri} has {head['ContentLength']} bytes, not "
                    f"{wanted.bytes}: truncated, or another write took its place"
                )
            memory, checksum = download(
                self.client(), bucket, name, head["ETag"], wanted.bytes, wanted.part_size
            )
        except Misfit as problem:
            raise BlobUnreachable(f"{wanted.key}: {wanted.uri}: {problem}") from problem
        except Exception as problem:
            if not s3.is_transport(problem):
                raise
            raise s3.read_fault(self.client(), problem, wanted.key, wanted.uri) from problem
        if checksum != wanted.checksum_sha256:
            raise BlobMalformed(
                f"{wanted.key}: {wanted.uri} has checksum {checksum}, not "
                f"{wanted.checksum_sha256}: another write took its place, or it was damaged"
            )
        return memory


def _parse(kind: str, memory: Any) -> tuple[Any, dict[str, dict[str, Any]]]:
    if kind == PARQUET:
        table = parquet.read(memory)
        return table, parquet.prepare(table)
    arrays = npz.read(memory)
    return arrays, npz.prepare(arrays)[0] if arrays else {}
