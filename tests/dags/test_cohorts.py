"""A cohort is complete, or says that it is not; a partial pool is never had by accident."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import pytest

from probe_world import BUCKET, ObjectStore, free_port
from xcom_dags.blobs import (
    COMPLETE,
    INCONCLUSIVE_TOOLING,
    AllAbsent,
    BlobMalformed,
    BlobStore,
    Cohort,
    IncompleteCohort,
)
from xcom_dags.blobs.layout import split_uri

pytestmark = pytest.mark.airflow

Make = Callable[..., BlobStore]
KEYS = ["BTC", "ETH", "SOL", "ADA", "XRP"]


class Recorder:
    """Metrics as a StatsD server would get them."""

    def __init__(self) -> None:
        self.seen: dict[str, float] = {}

    def incr(self, stat: str) -> None:
        self.seen[stat] = self.seen.get(stat, 0) + 1

    def gauge(self, stat: str, value: float) -> None:
        self.seen[stat] = value

    def timing(self, stat: str, dt: float) -> None:
        self.seen[stat] = dt


def produced(store: BlobStore) -> dict[str, Any]:
    return {key: store.put(key, {"y": [float(index)]}) for index, key in enumerate(KEYS)}


def delete(server: ObjectStore, reference: dict[str, Any]) -> None:
    server.client().delete_object(Bucket=BUCKET, Key=split_uri(reference["uri"])[1])


def test_a_whole_cohort_is_complete(blobs: Make) -> None:
    metrics = Recorder()
    store = blobs(metrics=metrics)
    result = Cohort(KEYS).load(store, produced(store))
    assert result.verdict == COMPLETE
    assert [float(result.pool()[key]["y"][0]) for key in KEYS] == [0.0, 1.0, 2.0, 3.0, 4.0]
    assert metrics.seen["xcom_blob.cohort_count"] == 5
    assert metrics.seen["xcom_blob.cohort_expected"] == 5
    assert "xcom_blob.cohort_incomplete" not in metrics.seen
    assert 0 < metrics.seen["xcom_blob.read.duration"] < 60_000


def test_an_absent_blob_and_a_producer_that_died_make_it_inconclusive(
    blobs: Make, server: ObjectStore, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    metrics = Recorder()
    store = blobs(event_prefix="s43_", metrics=metrics)
    references = produced(store)
    delete(server, references["ETH"])
    references["SOL"] = None
    del references["XRP"]
    result = Cohort(KEYS).load(store, references)
    assert result.verdict == INCONCLUSIVE_TOOLING
    assert list(result.present) == ["BTC", "ADA"]
    assert list(result.missing) == ["ETH", "SOL", "XRP"]
    with pytest.raises(IncompleteCohort, match=r"INCONCLUSIVE_TOOLING: 3 of 5 missing: ETH \("):
        result.pool()
    assert metrics.seen["xcom_blob.cohort_count"] == 2
    assert metrics.seen["xcom_blob.cohort_incomplete"] == 1
    assert metrics.seen["xcom_blob.read.errors"] == 1
    failed, outcome = (line for line in caplog.messages if line.startswith("event="))
    assert failed.startswith("event=s43_pred_load_failed severity=error")
    assert outcome.endswith(
        "verdict=INCONCLUSIVE_TOOLING cohort_count=2 cohort_expected=5 "
        'missing="[\\"ETH\\", \\"SOL\\", \\"XRP\\"]"'
    )


def test_a_malformed_blob_is_an_error_and_not_a_missing_one(
    blobs: Make, server: ObjectStore
) -> None:
    store = blobs()
    references = produced(store)
    key = split_uri(references["ADA"]["uri"])[1]
    server.client().put_object(Bucket=BUCKET, Key=key, Body=b"not an archive")
    with pytest.raises(BlobMalformed, match="ADA: "):
        Cohort(KEYS).load(store, references)


@pytest.mark.parametrize("cause", ["bucket gone", "nobody listens", "every blob deleted"])
def test_nothing_at_all_is_one_fault_of_transport_or_configuration(
    blobs: Make, server: ObjectStore, cause: str
) -> None:
    store = blobs()
    references = produced(store)
    if cause == "every blob deleted":
        for reference in references.values():
            delete(server, reference)
    else:
        client = server.client()
        if cause == "nobody listens":
            import boto3
            from botocore.config import Config

            client = boto3.client(
                "s3",
                endpoint_url=f"http://127.0.0.1:{free_port()}",
                aws_access_key_id="a",
                aws_secret_access_key="b",
                region_name="us-east-1",
                config=Config(retries={"total_max_attempts": 1}),
            )
        else:
            for reference in references.values():
                reference["uri"] = reference["uri"].replace(BUCKET, "nobody-made-this")
        base = references["BTC"]["uri"].split("/predictions")[0] + "/predictions"
        store = blobs(base=base, client=client)
    with pytest.raises(AllAbsent, match="one fault of transport or configuration") as raised:
        Cohort(KEYS).load(store, references)
    said = {
        "bucket gone": "bucket of s3://nobody-made-this",
        "nobody listens": "EndpointConnectionError",
        "every blob deleted": "there is no object",
    }
    assert said[cause] in str(raised.value)


def test_the_store_is_not_quoted_where_it_was_not_asked(blobs: Make) -> None:
    with pytest.raises(AllAbsent, match=r"The first of them, 'BTC': .* no reference$"):
        Cohort(KEYS).load(blobs(), dict.fromkeys(KEYS))


def test_what_nobody_expects_is_refused(blobs: Make) -> None:
    store = blobs()
    reference = store.put("BTC", {"y": [1.0]})
    with pytest.raises(ValueError, match=r"\['DOGE'\] is not expected"):
        Cohort(KEYS).load(store, {"DOGE": reference})
    with pytest.raises(ValueError, match="'ETH' refers to the blob 'BTC'"):
        Cohort(KEYS).load(store, {"ETH": reference})
    for wrong in ([], ["a", "a"]):
        with pytest.raises(ValueError, match="at least one key, each once"):
            Cohort(wrong)


def test_the_list_of_a_mapped_task_is_a_cohort_and_keeps_every_blob(blobs: Make) -> None:
    store = blobs()
    keys = [f"pred/{index}" for index in range(3)]
    found = [store.put(key, {"y": [float(index)]}) for index, key in enumerate(keys)]
    result = Cohort(keys).load(store, found)
    assert result.verdict == COMPLETE
    assert [float(result.pool()[key]["y"][0]) for key in keys] == [0.0, 1.0, 2.0]
    partial = Cohort(keys).load(store, [found[0], None, found[2]])
    assert (partial.verdict, list(partial.missing)) == (INCONCLUSIVE_TOOLING, ["pred/1"])


def test_blobs_of_mapped_tasks_with_one_key_are_refused_and_not_counted_as_one(
    blobs: Make,
) -> None:
    store = blobs()
    found = [store.put("pred", {"y": [float(n)]}, map_index=n) for n in range(5)]
    with pytest.raises(ValueError, match=r"several have the key 'pred'; give .* a key of its own"):
        Cohort(["pred"]).load(store, found)
    with pytest.raises(ValueError, match="is not what put has returned"):
        Cohort(["pred"]).load(store, ["s3://bucket/pred"])  # type: ignore[list-item]


def test_a_text_in_place_of_the_expected_keys_is_refused() -> None:
    with pytest.raises(ValueError, match=r"'BTC' is one text; pass a list: \['BTC'\]"):
        Cohort("BTC")
