"""Which task instance a value belongs to."""

from __future__ import annotations

from typing import NamedTuple


class TaskRow(NamedTuple):
    """The names by which XCom finds a task instance; `map_index` is -1 if it is not mapped."""

    dag_id: str
    task_id: str
    run_id: str
    map_index: int
