"""An unchanged ledger is not read again, and a changed one always is."""

import json

import pytest

import large_kill as large
from xcom_rollout.clients.errors import Malformed
from xcom_rollout.clients.kube import Json
from xcom_rollout.clients.memo import Memo
from xcom_rollout.decide.ledger import Ledger
from xcom_rollout.stored.ledger_codec import to_config_map
from xcom_rollout.stored.ledger_memory import LedgerMemory


def stored(ledger: Ledger, version: str) -> Json:
    """What the API server gives back: without empty members."""
    written = {key: value for key, value in to_config_map(ledger).items() if value}
    metadata = {"name": "l", "namespace": "n", "resourceVersion": version}
    return json.loads(json.dumps({"metadata": metadata, **written}))  # type: ignore[no-any-return]


@pytest.mark.parametrize("runs", [10, 5000])
def test_the_same_content_is_the_same_ledger_at_its_newest_version(runs: int) -> None:
    ledger, memory = large.ledger(large.kill(runs)), LedgerMemory()
    first = memory.read(stored(ledger, "1"))
    second = memory.read(stored(ledger, "2"))
    assert second.kill is first.kill
    assert (first.resource_version, second.resource_version) == ("1", "2")


def test_what_somebody_else_wrote_is_read() -> None:
    memory = LedgerMemory()
    memory.read(stored(large.ledger(large.kill(10)), "1"))
    memory.wrote(
        to_config_map(large.ledger(large.kill(20))), large.ledger(large.kill(20)), "uid", None
    )
    read = memory.read(stored(large.ledger(large.kill(30)), "3"))
    assert read.kill == large.kill(30)
    assert memory.listed_for == "", "who wrote it may not have published its lists"


def test_what_was_written_is_not_read_again() -> None:
    ledger, memory = large.ledger(large.kill(10)), LedgerMemory()
    memory.wrote(to_config_map(ledger), ledger, "uid", None)
    assert memory.read(stored(ledger, "9")).kill is ledger.kill
    assert memory.listed_for == "uid"


def test_what_was_written_is_known_at_the_version_of_the_answer_and_no_other() -> None:
    ledger, memory = large.ledger(large.kill(10)), LedgerMemory()
    memory.wrote(to_config_map(ledger), ledger, "uid", stored(ledger, "9"))
    assert memory.written is not None
    assert (memory.written.kill, memory.written.resource_version) == (ledger.kill, "9")
    assert memory.at("9") is memory.written
    assert memory.at("10") is None


def test_what_was_stored_otherwise_than_it_was_written_is_read() -> None:
    ledger, memory = large.ledger(large.kill(10)), LedgerMemory()
    other = stored(large.ledger(large.kill(20)), "9")
    memory.wrote(to_config_map(ledger), ledger, "uid", other)
    assert memory.written is None
    assert memory.at("9") is None
    assert memory.read(other).kill == large.kill(20)


def test_a_damaged_ledger_is_an_error_each_time() -> None:
    memory = LedgerMemory()
    memory.read(stored(Ledger(), "1"))
    for _ in range(2):
        with pytest.raises(Malformed, match="Restore it from a backup"):
            memory.read({**stored(Ledger(), "2"), "data": {"ledger.json": "{}"}})


def test_one_version_of_each_ledger_is_kept() -> None:
    memo = Memo()
    memory = LedgerMemory.of(memo, "n", "l")
    for count in (10, 20):
        memory.read(stored(large.ledger(large.kill(count)), str(count)))
    assert LedgerMemory.of(memo, "n", "l") is memory
    assert memory.ledger is not None
    assert memory.ledger.kill == large.kill(20)
