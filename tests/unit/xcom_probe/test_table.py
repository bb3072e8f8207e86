"""What is computed of the rows that the database gives."""

from __future__ import annotations

from argparse import ArgumentTypeError
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xcom_probe.table import mysql, postgresql
from xcom_probe.table.calibrate import LEAST_THRESHOLD, Sizes, threshold
from xcom_probe.table.census import Row
from xcom_probe.table.scan import moment, positive
from xcom_probe.table.tally import DRIFTS, FAILS, OFFLOADS, Kind, Tally, Where

UUID = "7cbbbd4f-5b5c-4d5c-8d6a-0e4f0e9f0c11"
JSON_STRINGS, UNREADABLE = Kind("json-strings", DRIFTS), Kind("not-json", FAILS, FAILS)


@given(st.lists(st.integers(1, 10**9), min_size=1), st.floats(0.001, 1))
def test_quantile_is_one_of_the_sizes_and_covers_its_share(sizes: list[int], share: float) -> None:
    found = Sizes()
    for size in sizes:
        found.add("d", "t", size, 1, size, size)
    quantile = found.quantile(share)
    assert quantile in sizes
    assert sum(size <= quantile for size in sizes) >= share * len(sizes)
    (task,) = found.largest_tasks(1)
    assert (task.rows, task.bytes, task.largest) == (len(sizes), sum(sizes), max(sizes))


@given(st.integers(0, 2**40), st.floats(1, 100))
def test_threshold_is_the_next_power_of_two(size: int, margin: float) -> None:
    found = threshold(size, margin)
    assert found >= max(LEAST_THRESHOLD, size * margin)
    assert found.bit_count() == 1
    assert found == LEAST_THRESHOLD or found // 2 < size * margin


def test_largest_tasks_come_first() -> None:
    found = Sizes()
    for name, size in (("small", 10), ("large", 5000), ("middle", 100)):
        found.add("d", name, size, 1, size, size)
    assert [task.task_id for task in found.largest_tasks(2)] == ["large", "middle"]
    assert found.count_tasks() == 3


def test_the_worst_comes_first_and_what_fails_anyway_last() -> None:
    tally = Tally()
    tally.add(Where("d", "large", "k"), Kind("size", OFFLOADS), 9, 9000, 1000)
    tally.add(Where("d", "broken", "k"), UNREADABLE, 5, 50, 10)
    tally.add(Where("d", "few", "k"), JSON_STRINGS, 1, 10, 10)
    tally.add(Where("d", "many", "k"), JSON_STRINGS, 3, 30, 12, "str becomes dict")
    tally.add(Where("d", "many", "k"), JSON_STRINGS, 1, 15, 15, "str becomes int")
    worst = tally.worst(10)
    assert [item["taskId"] for item in worst] == ["many", "few", "broken", "large"]
    assert worst[0]["rows"] == 4
    assert worst[0]["largestBytes"] == 15
    assert worst[0]["detail"] == "str becomes dict"
    assert [tally.rows(effect) for effect in (FAILS, DRIFTS, OFFLOADS)] == [0, 5, 9]
    assert tally.unreadable() == 5


def test_totals_stay_exact_where_places_are_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("xcom_probe.table.tally._MOST", 10)
    tally = Tally()
    for number in range(100):
        tally.add(Where("d", f"t{number}", "k"), JSON_STRINGS, 1, 1, 1)
    assert tally.rows(DRIFTS) == 100
    assert tally.count() == tally.places(DRIFTS) == 100
    assert len(tally.worst(1000)) <= 20


@pytest.mark.parametrize(
    ("path", "own"),
    [
        (f"s3://c@b/x/dag/run 1/task/{UUID}", True),
        (f"s3://c@b/x/dag/run%201/task/{UUID}.gz", True),
        (f"s3://c@b/x/dag/run 1/other/{UUID}", False),
        (f"s3://c@b/x/dag/run 2/task/{UUID}", False),
        ("s3://c@b/x/report.csv", False),
    ],
)
def test_a_path_of_its_own_names_dag_run_and_task(path: str, own: bool) -> None:
    assert Row("dag", "run 1", "task", -1, "k", path, "s3://c@b/x").is_own is own


def test_moments() -> None:
    day_ago = datetime.now(UTC) - timedelta(days=1)
    assert abs(moment("24h") - day_ago) < timedelta(minutes=1)
    assert abs(moment("86400s") - moment("1d")) < timedelta(minutes=1)
    assert moment("2026-01-31T00:00:00Z") == datetime(2026, 1, 31, tzinfo=UTC)


@pytest.mark.parametrize("text", ["", "24", "1w", "yesterday", "2026-01-31T00:00:00"])
def test_a_moment_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ArgumentTypeError, match="is neither"):
        moment(text)


@pytest.mark.parametrize("text", ["", "0", "-1", "1.5", "many"])
def test_a_number_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ArgumentTypeError, match="is not a whole number"):
        positive(text)


def test_every_kind_of_table_has_every_statement() -> None:
    known = {**postgresql.STATEMENTS, **mysql.STATEMENTS}
    assert {(dialect, "json" in kind) for dialect, kind in known} == {
        (dialect, is_json) for dialect in ("postgresql", "mysql") for is_json in (True, False)
    }
    for (_, kind), statements in known.items():
        assert (statements.pickled is None) is ("json" in kind)
        for statement in statements:
            words = (statement or "SELECT").split()
            assert words[0] == "SELECT"
            assert not {"INSERT", "UPDATE", "DELETE", "INTO"} & set(words)
