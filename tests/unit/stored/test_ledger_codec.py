"""The ledger survives its way through a ConfigMap, whatever it holds."""

import base64
import gzip
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from xcom_rollout.clients.errors import ActionFailed, Malformed
from xcom_rollout.clients.kube import Json
from xcom_rollout.decide.ledger import (
    Audit,
    BuildQuestion,
    BuildSeen,
    BuildSource,
    Calibration,
    CensusRecord,
    Delivered,
    Freshness,
    Kill,
    Ledger,
    OffloadedRun,
    Proof,
    Reader,
    RunKey,
    RunStage,
    Strategy,
)
from xcom_rollout.stored.ledger_codec import decode, encode, from_config_map, to_config_map
from xcom_rollout.stored.packing import LIMIT, PLAIN_LIMIT, pack, unpack

TIMES = st.datetimes(
    datetime(2020, 1, 1),  # noqa: DTZ001 - hypothesis adds the zone
    datetime(2040, 1, 1),  # noqa: DTZ001
    timezones=st.just(UTC),
)
NO_TIME = st.none() | TIMES
KILLS = st.builds(
    Kill,
    engaged_at=TIMES,
    held_dags=...,
    released_dags=...,
    hold_error=...,
    reverted_at=NO_TIME,
    runs=...,
    verified=...,
    finished_at=NO_TIME,
    queued_at=NO_TIME,
)
LEDGERS = st.builds(
    Ledger,
    baseline=...,
    delivered=st.none() | st.builds(Delivered, at=TIMES),
    proofs=st.lists(
        st.builds(
            Proof, observed_at=TIMES, failed=..., warnings=..., drift=..., facts=..., message=...
        ),
        max_size=2,
    ).map(tuple),
    audits=st.lists(
        st.builds(Audit, observed_at=TIMES, findings=..., failed=..., facts=..., message=...),
        max_size=2,
    ).map(tuple),
    calibration=st.none() | st.builds(Calibration, observed_at=TIMES, facts=...),
    build=st.none()
    | st.builds(
        BuildSeen,
        question=st.builds(
            BuildQuestion,
            pods=st.lists(st.tuples(st.text(), NO_TIME), max_size=3).map(tuple),
        ),
        observed_at=TIMES,
        differing=...,
        unseen=...,
        readings=...,
        left_out=...,
    ),
    readers=st.lists(st.builds(Reader, started_at=TIMES, seen_at=TIMES, error=...), max_size=2).map(
        tuple
    ),
    census=st.none() | st.builds(CensusRecord, taken_at=TIMES, old_runs=..., after_revert=...),
    kill=st.none() | KILLS,
    past_kills=st.lists(KILLS, max_size=2).map(tuple),
)


def config_map(ledger: Ledger, version: str = "7") -> Json:
    """What the API server gives back for what is written."""
    written = json.loads(json.dumps(to_config_map(ledger)))
    return {"metadata": {"name": "l", "namespace": "n", "resourceVersion": version}, **written}


@given(LEDGERS)
@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow], deadline=None)
def test_a_ledger_is_read_as_it_was_written(ledger: Ledger) -> None:
    read = from_config_map(config_map(ledger))
    assert read == replace(ledger, resource_version="7")
    assert encode(read) == encode(ledger)


def large(runs: int) -> Ledger:
    found = tuple(
        OffloadedRun(
            RunKey(f"dag_{n % 97}", f"scheduled__2026-01-01T00:00:00+00:00_{n:05}"), n, "running"
        )
        for n in range(runs)
    )
    return Ledger(census=CensusRecord("job", 1, datetime(2026, 1, 1, tzinfo=UTC), found))


def test_a_large_ledger_is_compressed_and_fits_a_config_map() -> None:
    ledger = large(10_000)
    content = to_config_map(ledger)
    assert content["data"] == {}
    assert list(content["binaryData"]) == ["ledger.json.gz"]
    assert len(json.dumps(content)) < LIMIT
    assert from_config_map(config_map(ledger)).census == ledger.census


def test_a_small_ledger_can_be_read_by_a_person() -> None:
    assert json.loads(to_config_map(large(2))["data"]["ledger.json"])["ledger"]["census"]["runs"]


def test_what_cannot_fit_is_refused() -> None:
    noise = "".join(chr(0x4E00 + (n * 7919) % 20000) for n in range(900_000))
    with pytest.raises(ActionFailed, match="a ConfigMap holds"):
        pack("k", noise)


@given(st.integers(PLAIN_LIMIT - 2, PLAIN_LIMIT + 2))
def test_packing_changes_at_its_limit_and_loses_nothing(size: int) -> None:
    packed = pack("k", "x" * size)
    assert bool(packed["data"]) == (size <= PLAIN_LIMIT)
    assert unpack("k", packed) == "x" * size


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "cannot be read"),
        ("[]", "schema is None"),
        ('{"schema": "xcom-rollout-ledger/v3", "ledger": {}}', "run the operator version"),
        ('{"schema": "xcom-rollout-ledger/v1"}', "cannot be read"),
        ('{"schema": "xcom-rollout-ledger/v1", "ledger": {"proofs": 3}}', "cannot be read"),
    ],
)
def test_a_damaged_ledger_is_an_error_and_never_an_empty_one(text: str, expected: str) -> None:
    with pytest.raises(Malformed, match=expected):
        decode(text)


@pytest.mark.parametrize(
    "content",
    [
        {},
        {"data": {"other": "x"}},
        {"binaryData": {"ledger.json.gz": "AAAA"}},
        {"binaryData": {"ledger.json.gz": "no base64!"}},
    ],
)
def test_a_config_map_without_a_ledger_names_itself_and_the_remedy(content: Json) -> None:
    broken = {"metadata": {"name": "l", "namespace": "n", "resourceVersion": "1"}, **content}
    with pytest.raises(Malformed, match=r"ConfigMap n/l.*Restore it from a backup"):
        from_config_map(broken)


FIRST_VERSION = """
{"schema": "xcom-rollout-ledger/v1", "ledger": {
  "baseline": {"backend": null, "path": null, "threshold": null, "compression": null},
  "delivered": {"settings": {"backend": "airflow.models.xcom.BaseXCom", "path": null,
    "threshold": null, "compression": null}, "revision": 4, "at": "2026-10-01T10:00:05Z"},
  "census": {"job": "xbr-demo-census-scheduler-2", "attempt": 2,
    "taken_at": "2026-10-01T10:00:10Z", "runs": [{"key": {"dag_id": "a", "run_id": "1"},
    "rows": 2, "state": "running"}], "old_runs": [], "after_revert": true},
  "kill": {"attempt": 1, "engaged_at": "2026-10-01T10:00:00Z", "by": "ana", "reason": "S3",
    "held_dags": ["a", "b"], "released_dags": ["b"], "hold_error": "",
    "reverted_at": "2026-10-01T10:00:05Z", "runs": [{"key": {"dag_id": "a", "run_id": "1"},
    "rows": 2, "stage": "Stopped", "start_date": "2026-10-01T09:00:00Z", "message": ""}],
    "verified": false, "finished_at": null, "queued_at": null}}}
"""


@pytest.mark.parametrize(
    "damage",
    [
        lambda packed: packed[:-10],
        lambda packed: packed[:5],
        lambda packed: packed[:15] + bytes([packed[15] ^ 0xFF]) + packed[16:],
        lambda packed: packed[:-6] + bytes(6),
        lambda _: gzip.compress(b"[" * 100_000),
        lambda _: gzip.compress(b"\xff\xfe"),
    ],
    ids=["cut", "cut in its head", "a flipped bit", "another sum", "depths", "no text"],
)
def test_a_damaged_ledger_that_is_compressed_names_itself_and_the_remedy(
    damage: Callable[[bytes], bytes],
) -> None:
    packed = damage(gzip.compress(encode(Ledger()).encode(), mtime=0))
    content = {"binaryData": {"ledger.json.gz": base64.b64encode(packed).decode()}}
    metadata = {"name": "xbr-demo-ledger", "namespace": "airflow", "resourceVersion": "7"}
    with pytest.raises(Malformed, match=r"airflow/xbr-demo-ledger.*Restore it from a backup"):
        from_config_map({"metadata": metadata, **content})


def test_a_ledger_with_a_thousand_faults_is_told_in_a_few_words() -> None:
    document = json.loads(encode(Ledger()))
    document["ledger"]["proofs"] = [{"component": n} for n in range(1000)]
    with pytest.raises(Malformed, match=r"proofs\.0\.component.*and \d{4} more") as refused:
        decode(json.dumps(document))
    assert len(refused.value.message) < 1000
    assert "\n" not in refused.value.message


def test_a_kill_that_the_version_before_began_is_read() -> None:
    kill = decode(FIRST_VERSION).kill
    assert kill is not None
    assert kill.strategy is Strategy.RETRIGGER
    assert (kill.held_dags, kill.released_dags) == (("a", "b"), ("b",))
    assert [(str(run.key), run.stage) for run in kill.runs] == [("a/1", RunStage.STOPPED)]


def test_a_field_that_had_another_name_before_is_read() -> None:
    question = BuildQuestion("0123456", (BuildSource.IMAGE,), (), (), (), "digest", ())
    ledger = Ledger(
        build=BuildSeen(question, Freshness.FRESH, "all of it", datetime(2026, 1, 1, tzinfo=UTC))
    )
    text = encode(ledger)
    assert '"sources":["image"]' in text
    assert decode(text.replace('"sources":', '"legs":')) == ledger


@pytest.mark.parametrize(
    ("where", "named"),
    [
        (("ledger", "soul"), "soul"),
        (("ledger", "kill", "mood"), "kill.mood"),
        (("ledger", "kill", "runs", 0, "key", "map"), r"kill\.runs\[\]\.key\.map"),
    ],
)
def test_a_field_of_a_later_version_is_refused_and_not_lost(
    where: tuple[str | int, ...], named: str
) -> None:
    document = json.loads(FIRST_VERSION)
    inner = document
    for step in where[:-1]:
        inner = inner[step]
    inner[where[-1]] = "x"
    with pytest.raises(Malformed, match=f"it has the fields {named}, which this operator"):
        decode(json.dumps(document))
