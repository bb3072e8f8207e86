"""The one place where an action becomes an effect."""

from typing import assert_never

from xcom_rollout.act.clear_runs import clear_runs
from xcom_rollout.act.confirm_readers import confirm_readers
from xcom_rollout.act.delete_pods import delete_pods
from xcom_rollout.act.end_attempts import end_attempts
from xcom_rollout.act.end_standby import end_standby
from xcom_rollout.act.forget_delivery import forget_delivery
from xcom_rollout.act.inspect_builds import inspect_builds
from xcom_rollout.act.pause_dags import set_paused
from xcom_rollout.act.prove_way_back import prove_way_back
from xcom_rollout.act.replace_pods import replace_pods
from xcom_rollout.act.run_job import run_job
from xcom_rollout.act.set_finalizer import set_finalizer
from xcom_rollout.act.set_values import set_values
from xcom_rollout.act.stop_runs import stop_runs
from xcom_rollout.act.write_ledger import write_ledger
from xcom_rollout.decide.actions import (
    Action,
    ClearRuns,
    ConfirmReaders,
    DeletePods,
    EndAttempts,
    EndStandby,
    ForgetDelivery,
    InspectBuilds,
    PauseDags,
    ProveWayBack,
    ReplacePods,
    RunJob,
    SetFinalizer,
    SetValues,
    StopRuns,
    UnpauseDags,
    WriteLedger,
)
from xcom_rollout.decide.observed import Observed
from xcom_rollout.wiring import Clients


def perform(clients: Clients, observed: Observed, action: Action) -> str:
    """Bring about what `action` names. Doing it again changes nothing.

    Returns what people have to know about how it was done; empty for nothing.

    Raises:
        ExternalError: it could not be done, or somebody else was faster (`Conflict`); the next pass
            sees the result.
    """
    rollout = observed.rollout
    match action:
        case WriteLedger():
            write_ledger(clients, rollout, action.ledger, action.report)
        case RunJob():
            run_job(clients, rollout, action)
        case EndStandby():
            end_standby(clients, rollout, action)
        case SetValues():
            return set_values(clients, rollout, action)
        case ForgetDelivery():
            forget_delivery(clients, rollout, action)
        case ConfirmReaders():
            confirm_readers(clients, observed, action)
        case InspectBuilds():
            inspect_builds(clients, observed, action)
        case ProveWayBack():
            prove_way_back(clients, observed, action)
        case PauseDags():
            set_paused(clients, rollout, action.dag_ids, paused=True)
        case UnpauseDags():
            set_paused(clients, rollout, action.dag_ids, paused=False)
        case StopRuns():
            stop_runs(clients, observed, action)
        case DeletePods():
            delete_pods(clients, observed, action)
        case ReplacePods():
            replace_pods(clients, rollout, action)
        case EndAttempts():
            end_attempts(clients, observed, action)
        case ClearRuns():
            clear_runs(clients, observed, action)
        case SetFinalizer():
            set_finalizer(clients, rollout.namespace, rollout.name, present=action.present)
        case _:
            assert_never(action)
    return ""
