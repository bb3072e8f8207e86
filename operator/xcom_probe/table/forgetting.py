"""Deleting the rows of given runs that hold a path below one of the bases."""

from __future__ import annotations

from typing import Any, Iterator, NamedTuple

from xcom_probe.database.writing import Writer
from xcom_probe.table.ask import ask
from xcom_probe.table.changes import changes
from xcom_probe.table.paths import parameters
from xcom_probe.table.supported import holds_json
from xcom_probe.table.waiting import RunKey

# Runs that one transaction keeps locked: some 200 statements, well below a second.
BATCH = 50
IN_FLIGHT = ("queued", "running")


class Forgotten(NamedTuple):
    """What became of one run.

    Attributes:
        state: when it was locked; None: there is no such run.
        rows: deleted.
        left: such rows that are still there.
        pickled: small pickled rows, which were not looked into.
    """

    dag_id: str
    run_id: str
    state: str | None
    rows: int
    left: int
    pickled: int

    @property
    def skipped(self) -> str | None:
        """Why the deletion was refused; None if it was not."""
        return f"in flight: {self.state}" if self.state in IN_FLIGHT else None

    def as_json(self) -> dict[str, Any]:
        """With the names of the result document."""
        return {
            "dagId": self.dag_id,
            "runId": self.run_id,
            "state": self.state,
            "rows": self.rows,
            "left": self.left,
            "skipped": self.skipped,
        }


class Forgetting:
    """The deletion, in transactions of `BATCH` runs. What is committed stays, whatever comes."""

    def __init__(self, writer: Writer, bases: list[str], dry_run: bool) -> None:
        """Prepare for paths below `bases`, none of which is below another.

        Args:
            writer: a connection.
            bases: base paths.
            dry_run: look and count as if, but lock and delete nothing.
        """
        self._writer = writer
        self._changes = changes(writer)
        self._dry_run = dry_run
        is_json = holds_json(writer)
        self._parameters = [parameters(base, is_json) for base in bases]

    def forget(self, runs: list[RunKey]) -> Iterator[Forgotten]:
        """Yield what became of each run, after the commit; sorted by DAG and run.

        The state is looked at with the run locked: it cannot be cleared or started between that
        and the commit.
        """
        wanted = sorted(set(runs))
        for start in range(0, len(wanted), BATCH):
            keys = wanted[start : start + BATCH]
            with self._writer.transaction():
                statement = self._changes.named if self._dry_run else self._changes.lock
                rows = ask(self._writer, statement, {}, runs=keys).all()
                found = {
                    (dag_id, run_id): self._one(number, dag_id, run_id, state)
                    for number, dag_id, run_id, state in rows
                }
            for key in keys:
                yield found.get(key, Forgotten(*key, None, 0, 0, 0))

    def _one(self, number: int, dag_id: str, run_id: str, state: str | None) -> Forgotten:
        rows = 0
        if state not in IN_FLIGHT:
            for given in self._parameters:
                rows += self._delete({**given, "run": number})
        left = sum(self._count({**given, "run": number}) for given in self._parameters)
        if self._dry_run:
            left -= rows
        return Forgotten(dag_id, run_id, state, rows, left, self._pickled(number))

    def _delete(self, given: dict[str, Any]) -> int:
        if self._dry_run:
            return self._count(given)
        return int(ask(self._writer, self._changes.forget, given).rowcount)

    def _count(self, given: dict[str, Any]) -> int:
        return int(ask(self._writer, self._changes.remaining, given).scalar())

    def _pickled(self, number: int) -> int:
        if self._changes.pickled is None:
            return 0
        longest = max(given["longest"] for given in self._parameters)
        given = {"run": number, "longest": longest}
        return int(ask(self._writer, self._changes.pickled, given).scalar())
