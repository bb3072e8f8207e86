"""Sizes of the inline values in the table, and the threshold that follows from them."""

from __future__ import annotations

import math
from collections import Counter
from typing import Any, NamedTuple

from xcom_probe.database.snapshot import Database
from xcom_probe.table.ask import ask
from xcom_probe.table.paths import parameters
from xcom_probe.table.scan import Limits, ranges
from xcom_probe.table.supported import holds_json, statements

STEPS = 32
"""Sizes are rounded up to one of so many steps between powers of two: by 1/32 at most."""
LEAST_THRESHOLD = 1024
"""Bytes. Below that a request to the store costs more than the row it saves."""
_TASK_QUANTILE = 0.99


class TaskSizes(NamedTuple):
    """The inline values of one task. Sizes are bytes of JSON; `p99` is rounded up."""

    dag_id: str
    task_id: str
    rows: int
    bytes: int
    largest: int
    p99: int

    def as_json(self) -> dict[str, Any]:
        """With the names of the result document."""
        return {
            "dagId": self.dag_id,
            "taskId": self.task_id,
            "rows": self.rows,
            "bytes": self.bytes,
            "largestBytes": self.largest,
            "p99Bytes": self.p99,
        }


class Sizes:
    """How many values there are of which size, for each task. Grows with the tasks only."""

    def __init__(self) -> None:
        self.rows = 0
        self.offloaded_rows = 0
        self.bytes = 0
        self.largest = 0
        self.histogram: Counter[int] = Counter()
        self._tasks: dict[tuple[str, str], _Task] = {}

    @property
    def seen(self) -> int:
        """Rows looked at."""
        return self.rows + self.offloaded_rows

    def add(
        self, dag_id: str, task_id: str, size: int, rows: int, total: int, largest: int
    ) -> None:
        """Count `rows` values of up to `size` bytes, `total` bytes together."""
        self.rows += rows
        self.bytes += total
        self.largest = max(self.largest, largest)
        self.histogram[size] += rows
        task = self._tasks.setdefault((dag_id, task_id), _Task())
        task.bytes += total
        task.largest = max(task.largest, largest)
        task.histogram[size] += rows

    def quantile(self, share: float) -> int:
        """The size in bytes that `share` of the values do not exceed, rounded up to a step."""
        return min(_quantile(self.histogram, share), self.largest)

    def above(self, size: int) -> int:
        """Values of more bytes than `size`, which has to be a power of two."""
        return sum(rows for upto, rows in self.histogram.items() if upto > size)

    def largest_tasks(self, number: int) -> list[TaskSizes]:
        """The tasks with the largest values."""
        ranked = sorted(self._tasks.items(), key=lambda item: (-item[1].largest, item[0]))
        return [
            TaskSizes(
                dag_id,
                task_id,
                sum(task.histogram.values()),
                task.bytes,
                task.largest,
                min(_quantile(task.histogram, _TASK_QUANTILE), task.largest),
            )
            for (dag_id, task_id), task in ranked[:number]
        ]

    def count_tasks(self) -> int:
        """Tasks with inline values."""
        return len(self._tasks)


class _Task:
    def __init__(self) -> None:
        self.bytes = 0
        self.largest = 0
        self.histogram: Counter[int] = Counter()


def measure(database: Database, base: str | None, limit: Limits) -> Sizes:
    """Go over the table and count.

    Args:
        database: an open transaction, which is ended.
        base: rows that hold a path below it are counted apart: the value is not in the table.
        limit: where to end.
    """
    sizes = Sizes()
    statement = statements(database).sizes
    given = parameters(base, holds_json(database))
    for runs in ranges(database, limit, lambda: sizes.seen):
        rows = ask(database, statement, {**given, "low": runs.low, "high": runs.high})
        for dag_id, task_id, path, size, count, total, largest in rows:
            if path:
                sizes.offloaded_rows += int(count)
            else:
                sizes.add(dag_id, task_id, int(size), int(count), int(total), int(largest))
    return sizes


def threshold(size: int, margin: float) -> int:
    """`size` times `margin`, rounded up to a power of two; 1 KiB at least.

    >>> threshold(1500, 2)
    4096
    """
    wanted = max(LEAST_THRESHOLD, math.ceil(size * margin))
    return 1 << (wanted - 1).bit_length()


def _quantile(histogram: Counter[int], share: float) -> int:
    total: int = sum(histogram.values())
    wanted = math.ceil(share * total)
    reached = 0
    for size in sorted(histogram):
        reached += histogram[size]
        if reached >= wanted:
            return size
    return 0
