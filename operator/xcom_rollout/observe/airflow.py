"""What Airflow's REST API says while the kill-switch is at work."""

from datetime import timedelta
from typing import Final

from xcom_rollout.clients.airflow import AirflowApi, in_parallel, open_airflow
from xcom_rollout.clients.errors import WorldError
from xcom_rollout.decide.ledger import Kill, Ledger, RunKey, RunStage
from xcom_rollout.decide.observed import AirflowView, DagRun, Rollout
from xcom_rollout.decide.requests import kill_request
from xcom_rollout.world import World

FEW: Final = 25
"""Runs up to which asking for each is quicker than paging through all that changed."""
_SKEW: Final = timedelta(minutes=5)
"""How much Airflow's clock may be behind the operator's."""


def asked_for(rollout: Rollout, ledger: Ledger) -> bool:
    """Return whether a decision will need Airflow's word."""
    if ledger.kill is not None:
        return ledger.kill.finished_at is None
    return kill_request(rollout) is not None


def view(world: World, rollout: Rollout, ledger: Ledger) -> AirflowView:
    """Return what Airflow says; why it could not be asked is part of that, and no error."""
    try:
        airflow = open_airflow(world.http, world.api, world.airflow_url, rollout)
        runs = {run.key: run for run in airflow.in_flight()}
        held: set[str] = set()
        if ledger.kill is not None:
            runs |= _recorded(airflow, ledger.kill, frozenset(runs))
            held = set(ledger.kill.held_dags) - set(ledger.kill.released_dags)
        dags = {run.key.dag_id for run in runs.values()} | held
        paused = dict(zip(sorted(dags), in_parallel(airflow.paused, sorted(dags)), strict=True))
    except WorldError as error:
        return AirflowView(error=error.message)
    return AirflowView(
        runs=tuple(runs[key] for key in sorted(runs)),
        unpaused_dags=frozenset(
            dag
            for dag, is_paused in paused.items()
            # A held DAG that is gone (None) needs no unpausing.
            if is_paused is False or (is_paused is None and dag in held)
        ),
    )


def _recorded(airflow: AirflowApi, kill: Kill, seen: frozenset[RunKey]) -> dict[RunKey, DagRun]:
    """Return the runs that the kill still watches and that are not in flight."""
    missing = [
        run.key for run in kill.runs if run.stage is not RunStage.RECOVERED and run.key not in seen
    ]
    found: dict[RunKey, DagRun] = {}
    if len(missing) > FEW:
        wanted = set(missing)
        changed = airflow.changed_since(kill.engaged_at - _SKEW)
        found = {run.key: run for run in changed if run.key in wanted}
        missing = [key for key in missing if key not in found]
    for run in in_parallel(airflow.run, missing):
        if run is not None:
            found[run.key] = run
    return found
