"""What is told of changed conditions, how Events are named, and the form of a log line."""

import json
import logging
import sys

import pytest

from xcom_rollout.controller.events import (
    MESSAGE_LIMIT,
    Note,
    Severity,
    event_name,
    notes_of,
    shortened,
)
from xcom_rollout.controller.logs import JsonFormatter, configure
from xcom_rollout.controller.status_diff import differs, transitions, without_nulls

ABOUT = {"name": "demo", "uid": "1"}


def condition(kind: str, status: str, reason: str, message: str = "m") -> dict[str, str]:
    return {"type": kind, "status": status, "reason": reason, "message": message}


def notes(*conditions: dict[str, str], before: list[dict[str, str]] | None = None) -> list[Note]:
    return notes_of(transitions({"conditions": before or []}, {"conditions": list(conditions)}))


def test_a_stall_is_one_warning() -> None:
    assert notes(
        condition("Ready", "False", "ProofFailed"),
        condition("Reconciling", "False", "ProofFailed"),
        condition("Stalled", "True", "ProofFailed"),
        condition("Proven", "False", "ProofFailed"),
        condition("Offloading", "False", "NotReached"),
    ) == [Note(Severity.WARNING, "ProofFailed", "m")]


def test_a_threshold_below_the_recommended_one_is_a_warning_that_stalls_nothing() -> None:
    assert notes(
        condition("Ready", "False", "AuditsRunning"),
        condition("Calibrated", "True", "ThresholdBelowRecommendation"),
    ) == [Note(Severity.WARNING, "ThresholdBelowRecommendation", "m")]


def test_progress_is_told_and_what_merely_moves_along_is_not() -> None:
    before = [
        condition("Ready", "False", "ProofsRunning"),
        condition("Accepted", "True", "Accepted"),
        condition("Proven", "False", "ProofsRunning"),
    ]
    told = notes(
        condition("Ready", "False", "DeliveringReaders"),
        condition("Accepted", "True", "Undisturbed"),
        condition("Proven", "True", "ProofsGreen"),
        condition("ReadersConfirmed", "False", "DeliveringReaders"),
        before=before,
    )
    assert [note.reason for note in told] == ["ProofsGreen", "DeliveringReaders"]
    assert {note.severity for note in told} == {Severity.NORMAL}


def test_a_new_message_alone_is_not_told() -> None:
    before = [condition("Proven", "False", "PodsBeingReplaced", "2 of 3")]
    assert not notes(condition("Proven", "False", "PodsBeingReplaced", "1 of 3"), before=before)


def test_the_same_note_has_the_same_name_and_another_has_another() -> None:
    note = Note(Severity.NORMAL, "Live", "all is well")
    name = event_name(ABOUT, note)
    assert name == event_name(ABOUT, Note(Severity.NORMAL, "Live", "all is well"))
    assert name.startswith("demo.")
    assert name != event_name(ABOUT, Note(Severity.WARNING, "Live", "all is well"))
    assert name != event_name({**ABOUT, "uid": "2"}, note)


def test_a_long_message_is_cut_to_what_the_api_server_takes() -> None:
    assert shortened("short") == "short"
    cut = shortened("x" * 5000)
    assert len(cut) <= MESSAGE_LIMIT
    assert cut.endswith(" ...")


def test_null_and_absent_are_the_same_in_a_status() -> None:
    assert without_nulls({"a": None, "b": [{"c": None}]}) == {"b": [{}]}
    assert not differs({"b": 1}, {"a": None, "b": 1})
    assert differs({"b": 1}, {"b": 2})
    assert differs(None, {"b": 2})


def test_a_log_line_is_one_json_object_with_what_was_given() -> None:
    try:
        raise ValueError("wrong\nthing")
    except ValueError:
        record = logging.getLogger("x").makeRecord(
            "x", logging.ERROR, "f", 1, "pass %s", ("failed",), sys.exc_info(), extra={"key": "a/b"}
        )
    line = JsonFormatter().format(record)
    assert "\n" not in line
    entry = json.loads(line)
    assert entry["message"] == "pass failed"
    assert entry["level"] == "error"
    assert entry["key"] == "a/b"
    assert "ValueError: wrong" in entry["exception"]


def test_libraries_only_speak_up_when_something_is_wrong(
    capsys: pytest.CaptureFixture[str],
) -> None:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    try:
        configure("info")
        logging.getLogger("httpx2").info("HTTP Request: GET ...")
        logging.getLogger("kopf.activities").info("chatter")
        logging.getLogger("xcom_rollout").info("started")
    finally:
        root.handlers[:], root.level = handlers, level
    (line,) = capsys.readouterr().err.splitlines()
    assert json.loads(line)["message"] == "started"
