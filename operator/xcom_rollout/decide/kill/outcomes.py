"""Outcomes of tries for runs: a failed one keeps its error and puts off the next."""

from collections.abc import Collection, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from xcom_rollout.decide.kill.common import IN_FLIGHT
from xcom_rollout.decide.ledger import Ledger, RecoveringRun, RunKey
from xcom_rollout.decide.observed import DagRun

FIRST_RETRY: Final = timedelta(seconds=5)
LONGEST_RETRY: Final = timedelta(minutes=5)


def was_cleared(run: RecoveringRun, seen: DagRun) -> bool:
    """Whether a run that was stopped has been cleared, judged by what is seen now.

    Only a clear resets the start: it took place, even if the re-run has ended by now.
    """
    return seen.state in IN_FLIGHT or seen.start_date != run.start_date


def failed_try(
    run: RecoveringRun, why: str, now: datetime, *, transient: bool = False
) -> RecoveringRun:
    """Return the run after another failed try: each doubles the delay of the next one.

    Args:
        transient: whether the failure is unrelated to the run. Such a try does not count.
    """
    since = run.failing_since or now
    run = replace(run, unread=False)
    if transient:
        return replace(run, error=why[:500], failing_since=since, next_try=now + FIRST_RETRY)
    delay = min(FIRST_RETRY * 2 ** min(run.tries, 10), LONGEST_RETRY)
    return replace(
        run, error=why[:500], failing_since=since, tries=run.tries + 1, next_try=now + delay
    )


def unread_try(run: RecoveringRun, why: str, now: datetime) -> RecoveringRun:
    """Return the run after Airflow has refused to return it once more.

    Where a try of something else had failed before, that stays recorded.
    """
    only_looks = run.unread or not run.error
    return replace(failed_try(run, f"Airflow does not return it: {why}", now), unread=only_looks)


def asked_to_stop(ledger: Ledger, runs: Collection[RunKey], now: datetime) -> Ledger:
    """Return the ledger after Airflow was asked, without an error, to stop these runs of its kill.

    One that continues, because of a teardown task or a missing DAG, is not stopped again at once.
    """
    kill = ledger.kill
    if kill is None:
        return ledger
    asked = tuple(
        replace(failed_try(run, "", now), error="") for run in kill.runs if run.key in runs
    )
    return replace(ledger, kill=kill.with_runs(asked))


def with_errors(
    ledger: Ledger,
    errors: Mapping[RunKey, str],
    now: datetime,
    *,
    transient: Collection[RunKey] = (),
) -> Ledger:
    """Return the ledger with the error of each of these runs of its kill.

    Args:
        transient: runs whose failure is unrelated to them.
    """
    kill = ledger.kill
    if kill is None or not errors:
        return ledger
    failed = tuple(
        failed_try(run, errors[run.key], now, transient=run.key in transient)
        for run in kill.runs
        if run.key in errors
    )
    return replace(ledger, kill=kill.with_runs(failed))
