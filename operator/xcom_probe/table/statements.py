"""The queries on the tables, each a complete statement."""

from __future__ import annotations

from typing import NamedTuple


class Statements(NamedTuple):
    """The statements for one kind of database and one type of `xcom.value`.

    A row that holds a path is recognized by its first bytes: a JSON string that begins with
    `prefix`. Its size is asked first, because that does not fetch a large value.

    Attributes:
        in_flight: runs queued or running, their tasks with such rows and the number of rows.
            The grouped LATERAL part makes the database go from each run to its rows by the
            primary key of `xcom`, whatever it estimates the size of the table to be.
        exactly: the same for the runs given, in any state; a run without such rows gives one row.
        count_in_flight: runs queued or running.
        pickled: rows of those that a pickled path could be in; None where nothing is pickled.
        paths: of the runs given, every such row with its value.
        finished: of a range of runs, those not in flight with such rows, and the number of rows.
        waiting: rows of runs in flight that TriggerDagRunOperator wrote the run id of the run it
            triggered to, of tasks that did not end since, with `trigger_dag_id` as it was rendered
            (NULL where Airflow no longer keeps it). A task that resumes after a deferral is queued
            with a `next_method`. A value that is not a string is NULL where the column is JSON.
        boundary: the run from which on there are more than `rows` rows below `high`.
        sizes: of the rows of a range of runs, by task: how many have a size, rounded up to one of
            32 steps between powers of two, and whether they hold a path below the base.
        tasks: of the rows of a range of runs, by task and key: how many there are, their bytes
            and the largest, how many would be offloaded and their bytes, how many hold a path
            below the base, are pickled, are to be read one by one, and are too large for that.
            On PostgreSQL it ends with an error if a value is not JSON, unless `every` row is read.
        suspects: the rows to be read one by one. Any other value is plain JSON, which every backend
            reads alike.
    """

    in_flight: str
    exactly: str
    count_in_flight: str
    pickled: str | None
    paths: str
    finished: str
    waiting: str
    boundary: str
    sizes: str
    tasks: str
    suspects: str


# The rows of a range are found by the primary key of `xcom`, which begins with the run.
NEWEST = "SELECT max(dag_run_id) FROM xcom"
OLDEST_SINCE = "SELECT min(id) FROM dag_run WHERE coalesce(queued_at, start_date) >= :since"
