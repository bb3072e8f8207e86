"""Whether one look at the world serves another decision, after a record of the ledger."""

from dataclasses import replace

from xcom_rollout.decide.ledger import Kill, Ledger, RunKey, RunStage


def serves_on(before: Ledger, after: Ledger) -> bool:
    """Return whether a look that was made with the ledger `before` serves one with `after`.

    It does where nothing but the stages of runs has changed, and no run has come: then nobody has
    to be asked for anything that the look does not hold, and what is done next for a run (its
    pods, its clear) is judged by what was seen at the same moment. A mark of the kill's own order
    always takes a new look, and so does a run that was stopped where tasks run in workers: nobody
    looks into these before.
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
