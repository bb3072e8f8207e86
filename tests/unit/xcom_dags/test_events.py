"""Events are one line each, with names from a closed catalogue."""

from __future__ import annotations

import json
import logging
import shlex
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xcom_dags.events import CATALOGUE, event_line, log_event

VALUES = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(), st.lists(st.text(), max_size=3)
)


def test_the_catalogue_is_closed() -> None:
    with pytest.raises(ValueError, match=r"'pred_lost' is not in the catalogue; use one of .*dag_"):
        event_line("pred_lost")


def test_a_prefix_goes_before_the_name_except_for_dag_loaded() -> None:
    assert event_line("pred_load_failed", prefix="s43_") == (
        "event=s43_pred_load_failed severity=error"
    )
    assert event_line("dag_loaded", prefix="s43_") == "event=dag_loaded severity=info"


@pytest.mark.parametrize("prefix", ["s43", "S43_", "a b_", "_", "s43_ "])
def test_a_wrong_prefix_is_refused_with_what_to_write(prefix: str) -> None:
    with pytest.raises(ValueError, match="underscore at the end"):
        event_line("dag_loaded", prefix=prefix)


@pytest.mark.parametrize("name", ["event", "severity", "a b", "a=b", ""])
def test_a_wrong_field_name_is_refused(name: str) -> None:
    fields: dict[str, Any] = {name: 1}
    with pytest.raises(ValueError, match="reserved or no plain name"):
        event_line("dag_loaded", **fields)


@given(event=st.sampled_from(sorted(CATALOGUE)), value=VALUES, other=st.text())
def test_no_value_breaks_a_line_or_hides_another_field(
    event: str, value: object, other: str
) -> None:
    line = event_line(event, value=value, other=other, last=1)
    assert line.isprintable()
    assert "\n" not in line
    names = [part.split("=", 1)[0] for part in shlex.split(line, posix=True)]
    assert names == ["event", "severity", "value", "other", "last"]


@given(value=st.text())
def test_text_can_be_read_back(value: str) -> None:
    written = event_line("dag_loaded", value=value).split(" value=", 1)[1]
    assert (json.loads(written) if written.startswith('"') else written) == value


def test_values_that_are_not_json_are_told_all_the_same() -> None:
    moment = datetime(2026, 5, 19, 22, 29, 41, tzinfo=UTC)
    loop: list[object] = []
    loop.append(loop)
    line = event_line("dag_loaded", at=moment, what=object, nan=float("nan"), loop=loop)
    assert "at=2026-05-19T22:29:41+00:00" in line
    assert "nan=nan" in line
    assert "class 'object'" in line


def test_events_are_logged_at_their_level(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    logger = logging.getLogger("dag")
    log_event(logger, "pred_persist_failed", key="BTC/0", reason="100% full")
    log_event(logger, "acquire_outcome", keys=5)
    assert [(record.levelname, record.getMessage()) for record in caplog.records] == [
        ("ERROR", 'event=pred_persist_failed severity=error key=BTC/0 reason="100% full"'),
        ("INFO", "event=acquire_outcome severity=info keys=5"),
    ]
