"""Do something for each run, and record in the ledger where it failed."""

import time
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Final

from xcom_rollout.act.write_ledger import write_ledger
from xcom_rollout.clients.errors import AirflowError, AirflowFault, ExternalError
from xcom_rollout.clients.parallel import in_parallel
from xcom_rollout.decide.kill.outcomes import with_errors
from xcom_rollout.decide.ledger import Ledger, RunKey
from xcom_rollout.decide.observed import Observed
from xcom_rollout.wiring import Clients

WORKERS: Final = 2
"""Runs at a time: a web server with one worker answers them one after the other anyway."""
PATIENCE: Final = 8.0
"""Seconds after which no further run is started: other steps have their turn first."""
_LATER: Final = ExternalError("not started")


def _is_transient(error: ExternalError) -> bool:
    """Whether it is unrelated to the run, such as a web server that is being replaced."""
    return isinstance(error, AirflowError) and error.fault is AirflowFault.UNREACHABLE


def each_run(
    clients: Clients,
    observed: Observed,
    runs: Iterable[tuple[RunKey, Callable[[], None]]],
    done: Callable[[Ledger, set[RunKey], datetime], Ledger] | None = None,
) -> None:
    """Do all of these; a run for which one failed gets its error and a later next try.

    Args:
        done: returns the ledger's next version for the runs for which it succeeded; None changes
            nothing.

    Raises:
        ExternalError: the ledger could not be written, or has been written meanwhile.
    """

    ends = time.monotonic() + PATIENCE

    def attempt(entry: tuple[RunKey, Callable[[], None]]) -> tuple[RunKey, ExternalError | None]:
        key, do = entry
        if time.monotonic() > ends:
            return key, _LATER
        try:
            do()
        except ExternalError as error:
            return key, error
        return key, None

    outcomes = in_parallel(attempt, runs, workers=WORKERS)
    now = clients.api.now()
    failed = {key: error for key, error in outcomes if error is not None and error is not _LATER}
    ledger = with_errors(
        observed.ledger,
        {key: error.message for key, error in failed.items()},
        now,
        transient={key for key, error in failed.items() if _is_transient(error)},
    )
    if done is not None:
        ledger = done(ledger, {key for key, error in outcomes if error is None}, now)
    if ledger != observed.ledger:
        write_ledger(clients, observed.rollout, ledger)
