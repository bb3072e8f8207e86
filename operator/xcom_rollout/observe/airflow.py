"""What Airflow's REST API returns during a kill."""

from xcom_rollout.airflow_api.airflow import AirflowApi, open_airflow
from xcom_rollout.airflow_api.each import Answers
from xcom_rollout.airflow_api.runs import watched_runs
from xcom_rollout.clients.errors import ExternalError
from xcom_rollout.decide.ledger import Kill, Ledger, RunKey, RunStage, Strategy
from xcom_rollout.decide.observed import AirflowView, Rollout
from xcom_rollout.decide.requests import kill_request
from xcom_rollout.wiring import Clients


def asked_for(rollout: Rollout, ledger: Ledger) -> bool:
    """Return whether a decision will need Airflow's API."""
    kill = ledger.kill
    if kill is None:
        request = kill_request(rollout)
        return request is not None and request.strategy is Strategy.IMMEDIATE
    if kill.finished_at is not None:
        return False
    return bool(kill.runs or _held(kill)) or kill.strategy is Strategy.IMMEDIATE


def view(clients: Clients, rollout: Rollout, ledger: Ledger) -> AirflowView:
    """Return Airflow's view; why it could not be asked is part of that, not an error."""
    try:
        airflow = open_airflow(
            clients.http, clients.api, clients.memo, clients.airflow_url, rollout
        )
        return _view(airflow, ledger.kill)
    except ExternalError as error:
        return AirflowView(error=error.message)


def _view(airflow: AirflowApi, kill: Kill | None) -> AirflowView:
    watched = _watched(kill)
    runs = watched_runs(airflow, watched, since=kill.engaged_at) if kill else Answers({}, {})
    busy: set[str] = set()
    if kill is None or (kill.strategy is Strategy.IMMEDIATE and not kill.reverting):
        busy = {run.key.dag_id for run in airflow.in_flight()}
    paused = airflow.paused({key.dag_id for key in watched} | _held(kill) | busy)
    return AirflowView(
        runs=tuple(runs.found[key] for key in sorted(runs.found)),
        unread={key: error.message for key, error in runs.refused.items()},
        paused_dags=frozenset(dag for dag, is_paused in paused.found.items() if is_paused),
        missing_dags=frozenset(dag for dag, said in paused.found.items() if said is None),
        unread_dags={dag: error.message for dag, error in paused.refused.items()},
        busy_dags=frozenset(dag for dag in busy if paused.found.get(dag) is False),
        major=airflow.major,
    )


def _held(kill: Kill | None) -> frozenset[str]:
    return frozenset() if kill is None else frozenset(kill.dags_still_held)


def _watched(kill: Kill | None) -> frozenset[RunKey]:
    """Return the runs of the kill that may still change."""
    over = (RunStage.RECOVERED, RunStage.HEALED)
    return frozenset(run.key for run in (kill.runs if kill else ()) if run.stage not in over)
