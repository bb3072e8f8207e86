"""What a kill does, step by step, for each strategy: printed when it is engaged. Pure."""

from typing import Final

from xcom_rollout.decide.ledger import FinishedRuns, Strategy

_HEAL: Final = {
    Strategy.RETRIGGER: "stop only those, wait until their task pods are gone, remove their rows "
    "with paths, and clear them: they run again from their start. A run that "
    "another one waits for, and a backfill of Airflow 2, run to their end",
    Strategy.DRAIN: "let those run to their end: no run is touched",
    Strategy.REHYDRATE: "copy the values of those back into the database, for each run as soon as "
    "none of its older tasks still runs: no run is touched",
    Strategy.IMMEDIATE: "stop only those, wait until their task pods are gone, remove their rows "
    "with paths, and clear them: they run again from their start",
}
_FINISHED: Final = {
    FinishedRuns.REHYDRATE: "copy offloaded values of finished runs back into the database",
    FinishedRuns.HOLD: "stay in this state, in which every process can read them, while offloaded "
    "values of finished runs remain (spec.killSwitch.finishedRuns: Hold)",
    FinishedRuns.ACCEPT: "leave offloaded values of finished runs unchanged "
    "(spec.killSwitch.finishedRuns: Accept): a task that reads one later "
    "gets a path",
}


def steps(
    strategy: Strategy,
    *,
    release: str,
    counted: str,
    finished_runs: FinishedRuns = FinishedRuns.REHYDRATE,
    stop_tasks_after: str | None = None,
) -> tuple[str, ...]:
    """Return the steps in words, in their order.

    Args:
        release: name of the Helm release.
        counted: how many runs hold offloaded values, as far as that is known.
        finished_runs: `spec.killSwitch.finishedRuns`.
        stop_tasks_after: `spec.killSwitch.stopTasksAfter`.
    """
    find = f"find the runs in flight that hold offloaded values ({counted})"
    ends = "wait until every process that could still offload has ended"
    if stop_tasks_after and strategy in (Strategy.RETRIGGER, Strategy.IMMEDIATE):
        ends += (
            f" (tasks are given {stop_tasks_after}, then their runs are stopped and run again too)"
        )
    ends += ", then look again for runs that these left behind"
    heal = _HEAL[strategy]
    if strategy is Strategy.IMMEDIATE:
        return (
            "pause the DAGs that have runs in flight, if Airflow's API answers within 20 s",
            f"deliver the database backend to the Helm release {release}: a task that starts in "
            "the meantime may get a path, because this strategy guarantees less than the others",
            find,
            heal,
            f"{ends}; each DAG is unpaused as soon as it is safe",
            "look a last time for a run that holds a path, and wait for the re-runs to succeed",
        )
    again = ", and wait for the re-runs to succeed" if strategy is Strategy.RETRIGGER else ""
    return (
        f"deliver threshold -1 to the Helm release {release}: a process that starts later "
        "offloads nothing, every process can read offloaded values, and no DAG is paused",
        find,
        heal,
        ends,
        _FINISHED[finished_runs],
        "deliver the database backend, and verify it in every pod",
        f"look a last time for a run that holds a path{again}",
    )
