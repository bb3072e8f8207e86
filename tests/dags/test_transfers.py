"""What happens between the parts of a large blob: it is read and written whole, or not at all."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow
import pytest
from botocore.config import Config

from cutting import cutter
from probe_world import ACCESS_KEY, BUCKET, SECRET_KEY, ObjectStore, object_store
from set_ups.certificates import Authority
from xcom_dags.blobs import BlobMalformed, BlobStore, BlobUnreachable
from xcom_dags.blobs.client import CONNECT_TIMEOUT, settings
from xcom_dags.blobs.layout import split_uri

pytestmark = pytest.mark.airflow

Make = Callable[..., BlobStore]
PART = 5 * 1024 * 1024
# More parts than are on their way at a time, and one that is not full.
LARGE = np.random.default_rng(1).integers(0, 255, 9 * PART + 12_345, dtype="u1")


def name(reference: dict[str, Any]) -> str:
    return split_uri(reference["uri"])[1]


def unfinished(server: ObjectStore, key: str) -> list[str]:
    """Uploads of a key that are neither complete nor aborted. (MinIO lists them by whole keys.)"""
    answer = server.client().list_multipart_uploads(Bucket=BUCKET, Prefix=key)
    return [upload["Key"] for upload in answer.get("Uploads", [])]


def before(client: Any, operation: str, act: Callable[[dict[str, Any]], None], nth: int) -> Any:
    """The client, which calls `act` with the request before it sends the `nth` of its kind."""
    seen = []

    def count(params: dict[str, Any], **_: Any) -> None:
        seen.append(params)
        if len(seen) == nth:
            act(params)

    client.meta.events.register(f"before-call.s3.{operation}", count)
    return client


def test_more_parts_than_are_sent_at_a_time_come_back_in_order(
    blobs: Make, server: ObjectStore
) -> None:
    store = blobs(part_size=PART)
    reference = store.put("large", {"y": LARGE, "last": np.arange(3)})
    head = server.client().head_object(Bucket=BUCKET, Key=name(reference))
    assert head["ETag"].endswith('-10"')
    read = store.get(reference)
    assert np.array_equal(read["y"], LARGE)
    assert read["last"].tolist() == [0, 1, 2]


@pytest.mark.parametrize("over", [-1, 0, 1])
def test_objects_about_as_large_as_a_part_come_back(blobs: Make, over: int) -> None:
    store = blobs(part_size=PART)
    frame = store.put("frame", {"y": LARGE[:1000]})["bytes"] - 1000
    reference = store.put("edge", {"y": LARGE[: PART - frame + over]})
    assert reference["bytes"] == PART + over
    assert np.array_equal(store.get(reference)["y"], LARGE[: PART - frame + over])


@pytest.mark.parametrize("size", [1000, 2 * PART])
def test_the_checksum_is_the_one_that_s3_itself_made(
    blobs: Make, server: ObjectStore, size: int
) -> None:
    reference = blobs(part_size=PART).put("same", {"y": LARGE[:size]})
    head = server.client().head_object(Bucket=BUCKET, Key=name(reference), ChecksumMode="ENABLED")
    assert reference["checksum_sha256"] == head["ChecksumSHA256"]


@pytest.mark.parametrize(("operation", "size"), [("PutObject", 1000), ("UploadPart", 3 * PART)])
def test_bytes_that_change_on_their_way_are_refused_by_the_server(
    blobs: Make, server: ObjectStore, operation: str, size: int
) -> None:
    def damage(params: dict[str, Any]) -> None:
        params["body"] = b"other bytes"

    store = blobs(part_size=PART, client=before(server.client(), operation, damage, 1))
    with pytest.raises(BlobUnreachable, match=r"damaged: .*(Mismatch|BadDigest)"):
        store.put("damaged", {"y": LARGE[:size]})
    assert server.all_keys() == []


def test_a_blob_written_in_parts_of_another_size_is_read_by_those(blobs: Make) -> None:
    reference = blobs(part_size=PART + 1).put("large", {"y": LARGE})
    assert np.array_equal(blobs(part_size=PART).get(reference)["y"], LARGE)


@pytest.fixture(params=["http", "https"])
def endpoint(
    request: pytest.FixtureRequest,
    server: ObjectStore,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[str]:
    """Of the server, and of another with a certificate that the environment trusts."""
    if request.param == "http":
        yield server.endpoint
        return
    authority = Authority(tmp_path / "authority")
    monkeypatch.setenv("AWS_CA_BUNDLE", str(authority.file))
    with object_store(tmp_path / "s3", authority.issue(tmp_path / "certificates")) as secure:
        yield secure.endpoint


def test_own_client_hashes_a_body_once_and_signs_that_hash(
    blobs: Make, endpoint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", ACCESS_KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET_KEY)
    store = blobs(part_size=PART, client=None)
    sent: list[Any] = []
    store.client().meta.events.register(
        "before-send.s3.UploadPart", lambda request, **_: sent.append(request.headers)
    )
    reference = store.put("once", {"y": LARGE[: 2 * PART]})
    assert len(sent) == 3
    for headers in sent:
        assert headers["X-Amz-Content-SHA256"] == b"UNSIGNED-PAYLOAD"
        assert b"x-amz-checksum-sha256" in headers["Authorization"]
    assert np.array_equal(store.get(reference)["y"], LARGE[: 2 * PART])


def test_settings_of_a_connection_win_one_by_one() -> None:
    theirs = Config(read_timeout=7, s3={"addressing_style": "path"})
    merged = settings(theirs)
    assert (merged.read_timeout, merged.connect_timeout) == (7, CONNECT_TIMEOUT)
    assert merged.s3 == {"addressing_style": "path", "payload_signing_enabled": False}
    signed = settings(Config(s3={"payload_signing_enabled": True}))
    assert signed.s3 == {"payload_signing_enabled": True}


def test_arrays_are_aligned_in_memory_and_can_be_changed(blobs: Make) -> None:
    store = blobs()
    read = store.get(store.put("many", {"a": np.arange(5), "b": LARGE[:77], "c": np.arange(9.0)}))
    assert [array.ctypes.data % 64 for array in read.values()] == [0, 0, 0]
    read["c"][0] = 1.0


def test_a_blob_that_is_replaced_between_two_parts_is_noticed(
    blobs: Make, server: ObjectStore
) -> None:
    reference = blobs(part_size=PART).put("busy", {"y": LARGE})
    other = bytes(reference["bytes"])

    def replace(_: dict[str, Any]) -> None:
        server.client().put_object(Bucket=BUCKET, Key=name(reference), Body=other)

    reader = blobs(part_size=PART, client=before(server.client(), "GetObject", replace, 3))
    with pytest.raises(BlobMalformed, match=r"busy: another write took the place of .*was read"):
        reader.get(reference)


def test_a_server_that_ignores_the_condition_is_found_out_by_the_checksum(
    blobs: Make, server: ObjectStore
) -> None:
    reference = blobs(part_size=PART).put("busy", {"y": LARGE})
    other = bytes(reference["bytes"])
    client = server.client()

    def ignore(params: dict[str, Any], **_: Any) -> None:
        del params["headers"]["If-Match"]

    def replace(_: dict[str, Any]) -> None:
        server.client().put_object(Bucket=BUCKET, Key=name(reference), Body=other)

    client.meta.events.register("before-call.s3.GetObject", ignore)
    with pytest.raises(
        BlobMalformed, match=r"busy: .* has checksum .*another write took its place"
    ):
        blobs(part_size=PART, client=before(client, "GetObject", replace, 3)).get(reference)


def test_a_server_that_ignores_ranges_is_found_out(blobs: Make, server: ObjectStore) -> None:
    reference = blobs(part_size=PART).put("whole", {"y": LARGE})

    def ignore(params: dict[str, Any]) -> None:
        del params["headers"]["Range"]

    reader = blobs(part_size=PART, client=before(server.client(), "GetObject", ignore, 2))
    with pytest.raises(BlobUnreachable, match=r"whole: .*asked for bytes=\d+-\d+, the store gave"):
        reader.get(reference)


def test_parts_that_break_off_are_read_again(blobs: Make, server: ObjectStore) -> None:
    reference = blobs(part_size=PART).put("broken", {"y": LARGE})
    with cutter(server.endpoint, after=PART // 2) as line:
        through = dataclasses.replace(server, endpoint=line.endpoint).client()
        line.cut(3)
        read = blobs(part_size=PART, client=through).get(reference)
        assert line.made == 3
    assert np.array_equal(read["y"], LARGE)


def test_a_part_that_always_breaks_off_is_unreachable(blobs: Make, server: ObjectStore) -> None:
    reference = blobs(part_size=PART).put("broken", {"y": LARGE})
    with cutter(server.endpoint, after=PART // 2) as line:
        through = dataclasses.replace(server, endpoint=line.endpoint).client()
        line.cut(1000)
        with pytest.raises(BlobUnreachable, match="broken: "):
            blobs(part_size=PART, client=through).get(reference)


def test_connections_are_used_again(blobs: Make, caplog: pytest.LogCaptureFixture) -> None:
    store = blobs(part_size=PART)
    reference = store.put("large", {"y": LARGE})
    caplog.set_level(logging.DEBUG, "urllib3.connectionpool")
    store.get(reference)
    opened = [line for line in caplog.messages if line.startswith("Starting new HTTP")]
    assert len(opened) <= 6


def test_an_upload_that_breaks_off_leaves_nothing(blobs: Make, server: ObjectStore) -> None:
    key = name(blobs().put("lost", {"y": [1.0]}))
    server.client().delete_object(Bucket=BUCKET, Key=key)

    def abort(_: dict[str, Any]) -> None:
        (upload,) = server.client().list_multipart_uploads(Bucket=BUCKET, Prefix=key)["Uploads"]
        server.client().abort_multipart_upload(Bucket=BUCKET, Key=key, UploadId=upload["UploadId"])

    store = blobs(part_size=PART, client=before(server.client(), "UploadPart", abort, 2))
    with pytest.raises(BlobUnreachable, match=r"lost: .*NoSuchUpload"):
        store.put("lost", {"y": LARGE})
    assert server.all_keys() == []
    assert unfinished(server, key) == []


def test_a_producer_that_fails_after_some_parts_leaves_nothing(
    blobs: Make, server: ObjectStore
) -> None:
    key = name(blobs().put("half", {"y": [1.0]}))
    server.client().delete_object(Bucket=BUCKET, Key=key)
    begun = []

    def fail(sink: Any) -> None:
        sink.write(LARGE[: 3 * PART])
        begun.extend(unfinished(server, key))
        raise RuntimeError("half way")

    with pytest.raises(RuntimeError, match="half way"):
        blobs(part_size=PART)._write("half", -1, "npz", {}, fail, "pred_persist_failed")
    assert begun == [key]
    assert server.all_keys() == []
    assert unfinished(server, key) == []


def test_large_tables_go_in_parts_and_come_back(blobs: Make) -> None:
    table = pyarrow.table({"y": LARGE, "z": LARGE[::-1]})
    store = blobs(part_size=PART)
    assert store.get(store.put_table("table", table)).equals(table)


def test_a_large_table_for_a_bucket_that_is_gone_is_unreachable(blobs: Make) -> None:
    store = blobs(base="s3://nobody-made-this/p", part_size=PART)
    with pytest.raises(BlobUnreachable, match=r"bucket of .* is not there"):
        store.put_table("table", pyarrow.table({"y": LARGE, "z": LARGE[::-1]}))
