"""What Airflow's REST API says while the kill-switch is at work."""

from datetime import timedelta
from typing import Final

from xcom_rollout.clients.airflow import AirflowApi, in_parallel, open_airflow
from xcom_rollout.clients.errors import WorldError
from xcom_rollout.decide.ledger import Kill, Ledger, RunKey, RunStage
from xcom_rollout.decide.observed import AirflowView, DagRun, Rollout
from xcom_rollout.decide.requests import kill_request
from xcom_rollout.world import World

FEW: Final = 3
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
        airflow = open_airflow(world.http, world.api, world.memo, world.airflow_url, rollout)
        runs, held = _runs(airflow, ledger.kill), _held(ledger.kill)
        paused = airflow.paused({run.dag_id for run in runs} | held)
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


def _held(kill: Kill | None) -> frozenset[str]:
    return frozenset() if kill is None else frozenset(kill.held_dags) - set(kill.released_dags)


def _runs(airflow: AirflowApi, kill: Kill | None) -> dict[RunKey, DagRun]:
    """Return the runs in flight, and those that the kill still watches."""
    found = {run.key: run for run in airflow.in_flight()}
    watched = {
        run.key for run in (kill.runs if kill else ()) if run.stage is not RunStage.RECOVERED
    }
    if kill is not None and len(watched - found.keys()) > FEW:
        changed = airflow.changed_since(kill.engaged_at - _SKEW)
        found |= {run.key: run for run in changed if run.key in watched and run.key not in found}
    missing = sorted(watched - found.keys())
    return found | {run.key: run for run in in_parallel(airflow.run, missing) if run is not None}
