"""Whether one look at the world can be reused for another decision, after a ledger record."""

from dataclasses import replace

from xcom_rollout.decide.ledger import Kill, Ledger, RunKey, RunStage


def serves_on(before: Ledger, after: Ledger) -> bool:
    """Return whether a look that was made with the ledger `before` can be reused with `after`.

    It can where only the stages of runs have changed, and no run was added: then the look contains
    everything that is needed, and the next action for a run (its pods, its clear) is judged by what
    was seen at the same moment. Progress of the kill itself always needs a new look, and so does a
    run that was stopped where tasks run in workers: these are not inspected before.
    """
    kill, now = before.kill, after.kill
    if kill is None or now is None or {run.key for run in kill.runs} != {r.key for r in now.runs}:
        return False
    if _to_be_looked_for(now) - _to_be_looked_for(kill):
        return False
    same = replace(after, kill=kill, resource_version=before.resource_version)
    return same == before and _of_the_order(kill) == _of_the_order(now)


def _to_be_looked_for(kill: Kill) -> set[RunKey]:
    """Return the stopped runs whose processes may be in workers."""
    return {
        run.key for run in kill.runs if run.stage is RunStage.STOPPED and run.stopped_at is not None
    }


def _of_the_order(kill: Kill) -> Kill:
    return replace(kill, runs=(), emptied_attempt=0, rehydrated_attempt=0, queued_at=None)
