"""Everything that `xbr check` reports about a release."""

from collections.abc import Iterator
from datetime import datetime

from xcom_rollout.decide.check.fleet import executor_row, policy_rows, reader_rows, task_rows
from xcom_rollout.decide.check.installed import Installed
from xcom_rollout.decide.check.release import (
    backend_rows,
    key_row,
    owner_row,
    release_rows,
    rollout_rows,
    rule_rows,
)
from xcom_rollout.decide.check.row import Row, change, later
from xcom_rollout.decide.check.web import start_rows, version_row, web_rows
from xcom_rollout.decide.executors import proven_components
from xcom_rollout.decide.ledger import Component
from xcom_rollout.decide.situation import Situation, some


def judge(installed: Installed, now: datetime) -> tuple[Row, ...]:
    """Return a row for each subject, in the order in which they are shown.

    Args:
        now: the time for the steps of the rollout's table that depend on it.
    """
    return tuple(_rows(Situation(installed.observed, now), installed))


def _rows(s: Situation, installed: Installed) -> Iterator[Row]:
    yield from release_rows(s, installed)
    yield owner_row(installed)
    yield version_row(installed)
    yield executor_row(s, installed)
    yield from task_rows(s, installed)
    yield from reader_rows(s, installed)
    yield from backend_rows(s, installed)
    if s.observed.problems:
        yield change("configuration", some(s.observed.problems), reason="CannotObserve")
    yield from filter(None, (key_row(installed),))
    yield from web_rows(installed)
    yield from start_rows(installed)
    yield from policy_rows(installed)
    yield from rule_rows(installed)
    yield from rollout_rows(s, installed)
    yield later(
        "inside the pods",
        "the providers common-io and s3fs, the Airflow connection, the bucket and its "
        "permissions, pickling, values that change in the round trip: Jobs check these in clones "
        f"of the {_cloned(s)} pods; they deliver nothing",
        reason="ProofFailed",
    )


def _cloned(s: Situation) -> str:
    beside = Component.TASK_POD in proven_components(s.observed.executor)
    return "scheduler, the worker and the pod of a task" if beside else "scheduler and the worker"
