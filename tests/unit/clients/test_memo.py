"""What is remembered is not worked out again; errors are not remembered."""

import pytest

from xcom_rollout.clients.memo import Memo


def test_a_result_is_made_once() -> None:
    memo, calls = Memo(), []

    def make() -> int:
        calls.append(1)
        return 42

    assert [memo.get("k", make), memo.get("k", make), len(calls)] == [42, 42, 1]


def test_an_error_is_not_remembered() -> None:
    memo = Memo()
    with pytest.raises(ZeroDivisionError):
        memo.get("k", lambda: 1 // 0)
    assert memo.get("k", lambda: 1) == 1


def test_the_least_used_is_forgotten() -> None:
    memo = Memo(most=2)
    for key in ("a", "b", "a", "c"):
        memo.get(key, lambda: "old")
    assert memo.get("a", lambda: "new") == "old"
    assert memo.get("b", lambda: "new") == "new"
