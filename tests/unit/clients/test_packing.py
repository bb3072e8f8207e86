"""Lists of runs fit into an annotation."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xcom_rollout.clients.packing import pack_runs, unpack_runs
from xcom_rollout.decide.ledger import RunKey

RUNS = st.frozensets(st.builds(RunKey, st.text(max_size=20), st.text(max_size=20)), max_size=20)


@given(RUNS)
def test_runs_are_unpacked_as_they_were_packed(runs: frozenset[RunKey]) -> None:
    assert unpack_runs(pack_runs(runs)) == sorted(runs)


def test_ten_thousand_runs_fit() -> None:
    runs = {RunKey(f"dag_{n % 50}", f"manual__2026-01-01T00:00:{n}") for n in range(10_000)}
    packed = pack_runs(runs)
    assert len(packed) < 256 * 1024
    assert set(unpack_runs(packed)) == runs


@pytest.mark.parametrize("text", ["", "{", '[["a"]]', "gzip:AAAA", "gzip:!"])
def test_something_else_is_refused(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - of several kinds
        unpack_runs(text)
