"""Waiting tells what it saw."""

from __future__ import annotations

import pytest

from harness.shell import HarnessError
from harness.waiting import NotYetError, WaitTimeoutError, wait_for


def test_what_the_predicate_returned_is_returned() -> None:
    answers = iter([None, "", "there"])
    assert wait_for("answer", lambda: next(answers), 5, interval=0) == "there"


@pytest.mark.parametrize("error", [NotYetError("2 of 3 pods"), HarnessError("2 of 3 pods")])
def test_the_last_thing_seen_is_in_the_error(error: Exception) -> None:
    def predicate() -> bool:
        raise error

    with pytest.raises(WaitTimeoutError, match=r"pods ready: not seen within 0 s.*2 of 3 pods"):
        wait_for("pods ready", predicate, 0)


def test_more_can_be_told_on_timeout() -> None:
    with pytest.raises(WaitTimeoutError, match="last seen: 0\nthe whole picture"):
        wait_for("more", lambda: 0, 0, on_timeout=lambda: "the whole picture")


def test_an_error_of_the_test_itself_is_not_waited_for() -> None:
    def predicate() -> bool:
        raise KeyError("typo")

    with pytest.raises(KeyError):
        wait_for("anything", predicate, 60)
