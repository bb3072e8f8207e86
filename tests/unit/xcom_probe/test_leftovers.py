"""Which folders a later round trip may remove."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from xcom_probe.roundtrip.leftovers import ABANDONED_AFTER, abandoned, new_run_id

NOW = datetime(2024, 2, 29, 12, 30, tzinfo=UTC)
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


def test_a_folder_is_abandoned_only_when_no_round_trip_can_still_be_running() -> None:
    run_id = new_run_id(NOW)
    assert not abandoned(run_id, NOW)
    assert not abandoned(run_id, NOW + ABANDONED_AFTER)
    assert abandoned(run_id, NOW + ABANDONED_AFTER + timedelta(seconds=1))
    # The clock of the pod that made it was ahead.
    assert not abandoned(run_id, NOW - timedelta(minutes=5))


def test_the_time_in_a_run_id_is_utc() -> None:
    local = NOW.astimezone(timezone(timedelta(hours=5)))
    assert not abandoned(new_run_id(local), NOW + ABANDONED_AFTER)


def test_run_ids_are_unique_and_of_the_characters_of_real_ones() -> None:
    one, other = new_run_id(NOW), new_run_id(NOW)
    assert one != other
    assert {":", "+"} <= set(one)


@pytest.mark.parametrize(
    "name",
    [
        "manual__2020-01-01T00:00:00+00:00",
        "xcom_probe__",
        "xcom_probe__0123456789abcdef0123456789abcdef",
        "xcom_probe__2020-13-41T00:00:00.000000+00:00_0123456789abcdef0123456789abcdef",
        # An id has a random part: without a name of its own, a test has another in each process.
        pytest.param(new_run_id(LONG_AGO) + "-of-somebody", id="more behind it"),
        pytest.param("x" + new_run_id(LONG_AGO), id="more before it"),
        "",
    ],
)
def test_what_another_made_is_never_abandoned(name: str) -> None:
    assert not abandoned(name, NOW)
