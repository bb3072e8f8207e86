"""A blob comes back whole and as it was, or with an error that says what is wrong."""

from __future__ import annotations

import io
import json
import logging
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from probe_world import BUCKET, ObjectStore
from xcom_dags.blobs import BlobAbsent, BlobMalformed, BlobStore, BlobUnreachable
from xcom_dags.blobs.layout import split_uri

pytestmark = pytest.mark.airflow

Make = Callable[..., BlobStore]
RUN_FOLDER = "predictions/manual__2026-01-01T00%3A00%3A00%2B00%3A00"
ARRAYS: dict[str, Any] = {
    "y": np.arange(12, dtype="<f8").reshape(3, 4),
    "labels": np.array(["a", "bb", "ñ"]),
    "when": np.array(["2026-01-01", "NaT"], dtype="datetime64[D]"),
    "empty": np.empty((0, 3), dtype="<i4"),
    "scalar": np.float32(1.5),
    "nan": np.array([np.nan, np.inf]),
    "big-endian": np.arange(3, dtype=">i2"),
    "fortran": np.asfortranarray(np.arange(6).reshape(2, 3)),
    "structured": np.array([(1, 2.0)], dtype=[("a", "<i4"), ("b", "<f8")]),
}


def same(one: Any, other: Any) -> bool:
    """Equal in dtype, shape and every value, NaN included."""
    one, other = np.asarray(one), np.asarray(other)
    return bool(
        one.dtype == other.dtype
        and one.shape == other.shape
        and one.tobytes() == np.asarray(other, order="C").tobytes()
    )


def replace(server: ObjectStore, reference: dict[str, Any], data: bytes) -> None:
    server.client().put_object(Bucket=BUCKET, Key=split_uri(reference["uri"])[1], Body=data)


def content(server: ObjectStore, reference: dict[str, Any]) -> bytes:
    key = split_uri(reference["uri"])[1]
    return bytes(server.client().get_object(Bucket=BUCKET, Key=key)["Body"].read())


def test_arrays_come_back_equal_in_dtype_shape_and_values(blobs: Make) -> None:
    store = blobs()
    read = store.get(json.loads(json.dumps(store.put("BTC/0", ARRAYS))))
    assert set(read) == set(ARRAYS)
    assert [name for name in ARRAYS if not same(read[name], ARRAYS[name])] == []


@given(
    data=st.binary(max_size=320),
    dtype=st.sampled_from(["u1", "<i4", ">f8", "<c16", "S3", "M8[ms]", "<f2"]),
)
@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_any_array_comes_back_equal(blobs: Make, data: bytes, dtype: str) -> None:
    size = np.dtype(dtype).itemsize
    array = np.frombuffer(data[: len(data) // size * size], dtype=dtype)
    store = blobs()
    assert same(store.get(store.put("any", {"a": array}))["a"], array)


def test_reference_says_all_and_numpy_alone_can_read_the_object(
    blobs: Make, server: ObjectStore
) -> None:
    reference = blobs().put("BTC/0", {"y": ARRAYS["y"]})
    assert reference["uri"] == f"s3://{BUCKET}/{RUN_FOLDER}/BTC/0.npz"
    assert reference["arrays"] == {"y": {"shape": [3, 4], "dtype": "<f8"}}
    data = content(server, reference)
    assert len(data) == reference["bytes"]
    with np.load(io.BytesIO(data), allow_pickle=False) as archive:
        assert same(archive["y"], ARRAYS["y"])


def test_objects_are_encrypted_by_the_server(blobs: Make, server: ObjectStore) -> None:
    key = split_uri(blobs().put("a", {"y": [1.0]})["uri"])[1]
    assert server.client().head_object(Bucket=BUCKET, Key=key)["ServerSideEncryption"] == "AES256"


def test_mapped_tasks_do_not_overwrite_each_other(blobs: Make) -> None:
    store = blobs()
    references = [store.put("part", {"n": [index]}, map_index=index) for index in range(3)]
    assert [int(store.get(reference)["n"][0]) for reference in references] == [0, 1, 2]


def test_large_arrays_go_in_parts_and_come_back(blobs: Make, server: ObjectStore) -> None:
    store = blobs(part_size=5 * 1024 * 1024)
    values = {
        "a": np.random.default_rng(1).integers(0, 255, 23_000_001, dtype="u1"),
        "b": np.arange(1000),
    }
    reference = store.put("large", values)
    key = split_uri(reference["uri"])[1]
    # An ETag with a dash is that of several parts.
    assert "-" in server.client().head_object(Bucket=BUCKET, Key=key)["ETag"]
    read = store.get(reference)
    assert same(read["a"], values["a"])
    assert same(read["b"], values["b"])


def test_tables_come_back_equal(blobs: Make) -> None:
    table = pyarrow.table({"id": [1, 2, 3], "name": ["a", None, "ü"], "x": [0.5, None, 2.0]})
    store = blobs()
    reference = store.put_table("orders", table)
    assert reference["arrays"]["name"] == {"shape": [3], "dtype": "string"}
    assert store.get(reference).equals(table)


COLUMNS = {
    "a timestamp in seconds": pyarrow.array([1, None], pyarrow.timestamp("s")),
    "one with a zone": pyarrow.array([1, None], pyarrow.timestamp("s", "UTC")),
    "a time in seconds": pyarrow.array([1, None], pyarrow.time32("s")),
    "a date in milliseconds": pyarrow.array([86_400_000, None], pyarrow.date64()),
    "a large list": pyarrow.array([[1], None], pyarrow.large_list(pyarrow.int32())),
    "a list of fixed size": pyarrow.array([[1, 2], None], pyarrow.list_(pyarrow.int32(), 2)),
    "a map": pyarrow.array([[("a", 1)], None], pyarrow.map_(pyarrow.string(), pyarrow.int32())),
    "a struct with a list": pyarrow.array([{"a": [0]}, None]),
    "a dictionary of numbers": pyarrow.array([7, 7]).dictionary_encode(),
    "a half float": pyarrow.array([None], pyarrow.float16()),
    "nothing but nulls": pyarrow.array([None, None]),
}


@pytest.mark.parametrize("column", COLUMNS.values(), ids=COLUMNS)
@pytest.mark.parametrize("rows", ["all", "none"])
def test_what_is_written_as_a_table_can_be_read_whatever_its_types(
    blobs: Make, column: Any, rows: str
) -> None:
    store, table = blobs(), pyarrow.table({"c": column})
    table = table if rows == "all" else table.slice(0, 0)
    back = store.get(store.put_table("typed", table))
    assert back.num_rows == table.num_rows
    assert back.column("c").to_pylist() == table.column("c").to_pylist()


@pytest.mark.parametrize("kind", [pyarrow.struct([]), pyarrow.month_day_nano_interval()])
def test_a_column_that_parquet_cannot_hold_is_refused_before_anything_is_written(
    blobs: Make, server: ObjectStore, kind: Any
) -> None:
    table = pyarrow.table({"ok": [1], "bad": pyarrow.array([None], kind)})
    with pytest.raises(ValueError, match=r"column 'bad' has the type .* Parquet cannot hold"):
        blobs().put_table("never", table)
    assert server.all_keys() == []


MASKED = np.ma.array([1.0, 2.0], mask=[False, True])


@pytest.mark.parametrize(
    "value",
    [
        MASKED,
        [MASKED, [3.0, 4.0]],
        np.ma.masked,
        np.ma.array([(1, 2.0)], dtype=[("a", int), ("b", float)], mask=[(False, True)]),
    ],
)
def test_masked_values_are_refused_and_not_lost(blobs: Make, value: Any) -> None:
    with pytest.raises(ValueError, match="array 'y' is masked, and a mask is not kept"):
        blobs().put("masked", {"y": value})


def test_a_masked_array_without_a_masked_value_is_its_data(blobs: Make) -> None:
    store = blobs()
    back = store.get(store.put("plain", {"y": np.ma.array([1.0, 2.0])}))
    assert back["y"].tolist() == [1.0, 2.0]


def test_a_blob_that_is_not_there_is_absent(blobs: Make, server: ObjectStore) -> None:
    store = blobs()
    reference = store.put("gone", {"y": [1.0]})
    server.client().delete_object(Bucket=BUCKET, Key=split_uri(reference["uri"])[1])
    with pytest.raises(BlobAbsent, match=r"gone: there is no object s3://.*its producer"):
        store.get(reference)


def test_a_truncated_blob_fails_with_both_sizes(blobs: Make, server: ObjectStore) -> None:
    store = blobs()
    reference = store.put("cut", ARRAYS)
    whole = content(server, reference)
    for size in (0, 1, len(whole) // 2, len(whole) - 1):
        replace(server, reference, whole[:size])
        with pytest.raises(BlobMalformed, match=rf"cut: .* not {len(whole)}|cut: "):
            store.get(reference)


def test_every_changed_byte_is_noticed(blobs: Make, server: ObjectStore) -> None:
    store = blobs()
    reference = store.put("flip", {"y": np.arange(20, dtype="<i4")})
    whole = content(server, reference)
    for position in range(0, len(whole), 7):
        changed = bytearray(whole)
        changed[position] ^= 0x41
        replace(server, reference, bytes(changed))
        with pytest.raises(BlobMalformed, match="flip: "):
            store.get(reference)


def test_another_write_of_the_same_key_is_noticed(blobs: Make) -> None:
    store = blobs()
    first = store.put("same", {"y": [1.0, 2.0]})
    store.put("same", {"y": [1.0, 3.0]})
    with pytest.raises(BlobMalformed, match="another write took its place"):
        store.get(first)


def test_readers_see_the_old_blob_or_the_new_one_while_it_is_written(blobs: Make) -> None:
    store = blobs(part_size=5 * 1024 * 1024)
    versions = [np.full(12_000_000, value, dtype="u1") for value in (1, 2)]
    references = [store.put("busy", {"y": versions[0]})]
    writer = threading.Thread(
        target=lambda: references.append(store.put("busy", {"y": versions[1]}))
    )
    writer.start()
    outcomes = set()
    while writer.is_alive():
        try:
            outcomes.add(int(blobs().get(references[0])["y"][0]))
        except BlobMalformed as problem:
            # Before it was read, "its place"; while it was read, "the place of" it.
            assert "another write took" in str(problem)  # noqa: PT017
            outcomes.add(2)
    writer.join()
    assert outcomes <= {1, 2}
    assert int(store.get(references[1])["y"][-1]) == 2


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"schema": "other"}, "schema is 'predictions', not 'other'"),
        ({"version": 2}, "schema version is 1, not 2"),
        ({"run_id": "another"}, "the folder of this run"),
        ({"base": f"s3://{BUCKET}/elsewhere"}, "the folder of this run"),
        ({"base": "s3://other/predictions"}, "the folder of this run"),
    ],
)
def test_a_store_for_something_else_refuses(
    blobs: Make, changes: dict[str, Any], said: str
) -> None:
    reference = blobs().put("BTC", {"y": [1.0]})
    with pytest.raises(BlobMalformed, match=f"BTC: .*{said}"):
        blobs(**changes).get(reference)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"arrays": {"y": {"shape": [3], "dtype": "<f8"}}}, r"shape \[2\], not \[3\]"),
        ({"arrays": {"y": {"shape": [2], "dtype": "<f4"}}}, "dtype <f8, not <f4"),
        ({"arrays": {"z": {"shape": [2], "dtype": "<f8"}}}, "array 'z' is missing"),
        ({"arrays": {}}, "array 'y' is too much"),
        ({"checksum_sha256": f"{'0' * 43}="}, "another write"),
        ({"bytes": 7}, "not 7"),
        ({"format": "pickle"}, "format 'pickle' is unknown"),
        ({"checksum_sha256": "x"}, "checksum_sha256 'x' is not that of"),
        ({"checksum_sha256": f"{'0' * 43}=-2"}, "checksum_sha256 .* is not that of"),
        ({"part_size": 0}, "in parts of 0"),
        ({"bytes": "7"}, "bytes is '7', no int"),
        ({"more": 1}, "field 'more' is unknown"),
    ],
)
def test_a_reference_that_does_not_fit_its_blob_is_told(
    blobs: Make, change: dict[str, Any], said: str
) -> None:
    store = blobs()
    reference = {**store.put("BTC", {"y": [1.0, 2.0]}), **change}
    with pytest.raises(BlobMalformed, match=f"BTC.*{said}"):
        store.get(reference)


def test_an_unresolved_path_in_place_of_a_reference_is_told(blobs: Make) -> None:
    path: Any = "s3://aws_default@bucket/xcom/dag/run/task/uuid"
    with pytest.raises(BlobMalformed, match="expected a dictionary as returned by"):
        blobs().get(path)


@pytest.mark.parametrize("key", ["", "/a", "a/", "a//b", "../a", "a/../b", ".", "a b", "a\n", "é"])
def test_keys_that_could_leave_the_run_or_confuse_are_refused(blobs: Make, key: str) -> None:
    with pytest.raises(ValueError, match=r"key .* is not allowed; write"):
        blobs().put(key, {"y": [1.0]})


def test_objects_that_need_pickle_are_refused(blobs: Make, server: ObjectStore) -> None:
    with pytest.raises(ValueError, match="'y' has dtype object, which needs pickle"):
        blobs().put("a", {"y": [object()]})
    assert server.all_keys() == []


def test_a_bucket_that_is_gone_is_unreachable_and_logged(
    blobs: Make, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    store = blobs(base="s3://nobody-made-this/p", event_prefix="s43_")
    with pytest.raises(BlobUnreachable, match=r"bucket of .* is not there"):
        store.put("BTC", {"y": [1.0]})
    (line,) = [message for message in caplog.messages if message.startswith("event=")]
    assert line.startswith("event=s43_pred_persist_failed severity=error run_id=manual__")
    assert "key=BTC fault=BlobUnreachable" in line


def test_a_failing_producer_leaves_no_object(blobs: Make, server: ObjectStore) -> None:
    store = blobs()
    with pytest.raises(RuntimeError, match="half way"):
        store._write("a", -1, "npz", {}, _fail_half_way, "pred_persist_failed")
    assert server.all_keys() == []


def _fail_half_way(sink: Any) -> None:
    sink.write(b"x" * 1000)
    raise RuntimeError("half way")
