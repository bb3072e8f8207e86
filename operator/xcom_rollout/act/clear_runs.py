"""Queue runs again."""

from functools import partial

from xcom_rollout.act.outcomes import each_run
from xcom_rollout.airflow_api.airflow import AirflowApi, open_airflow
from xcom_rollout.decide.actions import ClearRuns
from xcom_rollout.decide.kill.outcomes import was_cleared
from xcom_rollout.decide.ledger import RecoveringRun, RunKey
from xcom_rollout.decide.observed import Observed
from xcom_rollout.wiring import Clients


def clear_runs(clients: Clients, observed: Observed, action: ClearRuns) -> None:
    """Clear each run; one that is gone is left alone.

    Raises:
        ExternalError: Airflow cannot be asked, or an error could not be recorded.
    """
    airflow = open_airflow(
        clients.http, clients.api, clients.memo, clients.airflow_url, observed.rollout
    )
    kill = observed.ledger.kill
    known = {} if kill is None else {run.key: run for run in kill.runs}

    def clear(key: RunKey) -> None:
        run = known.get(key)
        if run is not None and (run.tries or run.error):
            clear_again(airflow, run)
        else:
            airflow.clear(key)

    each_run(clients, observed, [(key, partial(clear, key)) for key in action.runs])


def clear_again(airflow: AirflowApi, run: RecoveringRun) -> None:
    """Clear a run after a try that failed, unless that has taken effect meanwhile.

    A clear whose answer was lost may take effect later than the look that this one was decided on,
    and a second one would end tasks of the re-run.

    Raises:
        AirflowError: it could not be read, or not cleared.
    """
    seen = airflow.run(run.key)
    if seen is not None and not was_cleared(run, seen):
        airflow.clear(run.key)
