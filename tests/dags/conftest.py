"""A real S3 server for what DAGs import."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from probe_world import BUCKET, ObjectStore, object_store
from xcom_dags.blobs import BlobStore


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ObjectStore]:
    """MinIO, with a key of its own to encrypt by."""
    with object_store(tmp_path_factory.mktemp("s3") / "server") as running:
        yield running


RUN_ID = "manual__2026-01-01T00:00:00+00:00"


@pytest.fixture
def blobs(server: ObjectStore) -> Iterator[Callable[..., BlobStore]]:
    """Makes stores in the bucket, which is empty before and after."""

    def make(**changes: Any) -> BlobStore:
        settings: dict[str, Any] = {
            "base": f"s3://{BUCKET}/predictions",
            "run_id": RUN_ID,
            "schema": "predictions",
            "version": 1,
            "client": server.client(),
            "logger": logging.getLogger("dag"),
            **changes,
        }
        return BlobStore(settings.pop("base"), settings.pop("run_id"), **settings)

    yield make
    client = server.client()
    for key in server.all_keys():
        client.delete_object(Bucket=BUCKET, Key=key)
