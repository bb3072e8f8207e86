"""The order of a kill, and why it keeps the invariant.

Invariant: at no instant can a task be handed a path as data; no run is lost, cleared twice or
stopped without need; no DAG is left paused; what is blocked is reported, while the rest continues.

It follows from two facts. A process on the object storage backend reads both kinds of rows at every
threshold, -1 included. A process on the database backend hands out a path as data, without an
error. So every process has to read both kinds for as long as a run in flight can read a row with a
path, and the backend is changed last, not first.

    writers-stopped   threshold -1. Every process, old or new, reads both kinds. A process that
                      starts from now on writes inline. No DAG is paused, Airflow and the store are
                      not needed, and a task that starts meanwhile works correctly.
    writers-gone      A process that started before may still write a path: a task pod when it
                      returns, the triggerer when it ends a deferred task. Each is seen gone. From
                      then on the set of rows with paths can only shrink.
    census-found      Taken at once, so that healing need not wait for the slowest old task.
    census-frozen     Taken when the set can only shrink, so that it misses none. It covers every
                      base path that was ever delivered.
    each run          Retrigger: set to failed (only where Airflow says that it could clear it),
                      its pods seen gone (a late attempt writes over the re-run's row), its rows
                      with paths removed (a clear removes none: a task that the re-run skips would
                      leave one), cleared. Drain: left to end. Rehydrate: values copied back.
                      A run without progress stays readable and delays the revert, not the other
                      runs. So does one that Airflow refuses to return: nothing is done to it, and
                      nothing is concluded about it.
    finished-values   Rows of finished runs are read across DAGs and by include_prior_dates.
    reverted          Nothing that runs, or can be started, reads a path now.
    census-last       For what this theory has missed: for one run in flight with a path, every
                      process is made able to read again, and another round begins.

No step compares the chart of the spec with that of the release: each delivery of a kill is made
with the chart that the release runs, so somebody who upgrades it meanwhile stops nothing.

Every Job is bound to the kill, the round and the moment that it was sent for, so no clock is
compared and no old answer is used. An effect that might not be visible later is recorded before: a
run is `Stopping` before Airflow is asked to stop it, as a run that failed by itself looks the same.

Example. Run A holds a path and sleeps; run B holds none, and its task pod from before will return
a large value. -1 is delivered: both continue, both read. `found` lists A: it is stopped, its pod
ends, its row is removed, it is cleared and runs again, inline. B's pod returns and offloads: its
next task reads that through the reader backend. Now no writer is left; `frozen` lists B, which is
healed in the same way. The database backend is delivered; `last` finds nothing.

Immediate is the exception: the database backend is delivered at `writers-stopped`, with the busy
DAGs paused as far as Airflow answers. A task that starts meanwhile may be handed a path.
"""

from typing import Final

from xcom_rollout.api.names import Condition
from xcom_rollout.decide.kill.counting import (
    found_counted,
    frozen_counted,
    last_counted,
    overdue_counted,
)
from xcom_rollout.decide.kill.revert import (
    all_safe,
    dags_released,
    finished,
    finished_values,
    no_run_lost,
    pods_confirmed,
    pods_replaced,
    reverted,
    runs_recovered,
    still_reverted,
)
from xcom_rollout.decide.kill.rows import emptied, rehydrated
from xcom_rollout.decide.kill.runs import (
    attempts_ended,
    chosen,
    cleared,
    drained,
    none_stuck,
    read,
    stopped,
)
from xcom_rollout.decide.kill.standby import standby_ended
from xcom_rollout.decide.kill.writers import begun, kept, writers_gone, writers_stopped
from xcom_rollout.decide.release_steps import no_helm_operation, release_exists, sole_owner
from xcom_rollout.decide.table import Step

_REVERTED: Final = Condition.REVERTED
_RECOVERED: Final = Condition.RECOVERED

# The latest stage comes first: runs that cannot be stopped must not delay the clear of others.
KILL_TABLE: Final = (
    Step("sole-owner", "Refused", Condition.ACCEPTED, sole_owner),
    Step("release-found", "Refused", Condition.ACCEPTED, release_exists),
    Step("kill-begun", "Killing", _REVERTED, begun),
    Step("resource-kept", "Killing", _REVERTED, kept),
    Step("no-helm-operation", "Killing", _REVERTED, no_helm_operation),
    Step("writers-stopped", "Killing", _REVERTED, writers_stopped),
    Step("runs-read", "Recovering", _RECOVERED, read, blocking=False),
    Step("none-stuck", "Recovering", _RECOVERED, none_stuck, blocking=False),
    Step("attempts-ended", "Recovering", _RECOVERED, attempts_ended, blocking=False),
    Step("runs-emptied", "Recovering", _RECOVERED, emptied, blocking=False),
    Step("runs-cleared", "Recovering", _RECOVERED, cleared, blocking=False),
    Step("runs-chosen", "Recovering", _RECOVERED, chosen, blocking=False),
    Step("runs-stopped", "Recovering", _RECOVERED, stopped, blocking=False),
    Step("runs-rehydrated", "Recovering", _RECOVERED, rehydrated, blocking=False),
    Step("census-found", "Recovering", _RECOVERED, found_counted, blocking=False),
    Step("dags-released", "Recovering", _RECOVERED, dags_released, blocking=False),
    Step("writers-gone", "Recovering", _RECOVERED, writers_gone, blocking=False),
    Step("overdue-counted", "Recovering", _RECOVERED, overdue_counted, blocking=False),
    Step("census-frozen", "Recovering", _RECOVERED, frozen_counted, blocking=False),
    Step("runs-drained", "Recovering", _RECOVERED, drained, blocking=False),
    Step("runs-recovered", "Recovering", _RECOVERED, runs_recovered, blocking=False),
    Step("all-safe", "Recovering", _RECOVERED, all_safe),
    Step("finished-values", "Recovering", _REVERTED, finished_values),
    Step("reverted", "Reverting", _REVERTED, reverted),
    Step("pods-replaced", "Reverting", _REVERTED, pods_replaced),
    Step("pods-confirmed", "Reverting", _REVERTED, pods_confirmed),
    Step("census-last", "Reverting", _RECOVERED, last_counted),
    Step("standby-ended", "Reverting", _RECOVERED, standby_ended, blocking=False),
    Step("all-recovered", "Recovering", _RECOVERED, runs_recovered),
    Step("all-released", "Recovering", _RECOVERED, dags_released),
    Step("no-run-lost", "Recovering", _RECOVERED, no_run_lost),
    Step("finished", "Recovering", _RECOVERED, finished),
)
"""A kill in progress."""

FINISHED_TABLE: Final = (
    Step("sole-owner", "Refused", Condition.ACCEPTED, sole_owner),
    Step("release-found", "Refused", Condition.ACCEPTED, release_exists),
    Step("still-reverted", "Drifted", _REVERTED, still_reverted),
    Step("finished", "Recovering", _RECOVERED, finished),
)
"""A kill that has finished and whose request stands."""
