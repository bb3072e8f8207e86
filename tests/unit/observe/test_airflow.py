"""What Airflow refuses to tell of one run or DAG is said of that one, and nothing else is lost."""

from types import SimpleNamespace
from typing import cast

import pytest

from listed_runs import START
from nasty_http import NastyServer, Reply
from opened_airflow import is_airflow, opened
from xcom_rollout.decide.ledger import Kill, Ledger, RecoveringRun, RunKey, RunStage
from xcom_rollout.decide.observed import AirflowView, DagRun, Rollout
from xcom_rollout.observe import airflow
from xcom_rollout.wiring import Clients

KEYS = [RunKey("a", "r"), RunKey("b", "r"), RunKey("gone", "r")]


def run(key: RunKey) -> Reply:
    return Reply(body={"dag_id": key.dag_id, "dag_run_id": key.run_id, "state": "failed"})


@pytest.mark.parametrize("status", [403, 500])
def test_a_run_and_a_dag_that_cannot_be_read_are_named_and_the_others_are_seen(
    status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = tuple(RecoveringRun(key, 1, stage=RunStage.STOPPING) for key in KEYS)
    ledger = Ledger(kill=Kill(1, START, "ana", "test", runs=runs))
    with NastyServer() as server:
        is_airflow(server, "2.11.2")
        listed = [{"dag_id": "a", "is_paused": True}]
        server.answer("/api/v1/dags", Reply(body={"dags": listed, "total_entries": 1}))
        server.answer("/api/v1/dags/b", Reply(status, {}))
        server.answer("/api/v1/dags/a/dagRuns/r", run(KEYS[0]))
        server.answer("/api/v1/dags/b/dagRuns/r", Reply(status, {}))
        monkeypatch.setattr(airflow, "open_airflow", lambda *_: opened(server))
        nothing = SimpleNamespace(http=None, api=None, memo=None, airflow_url="")
        seen: AirflowView = airflow.view(cast("Clients", nothing), cast("Rollout", None), ledger)
    assert seen.error == ""
    assert seen.runs == (DagRun(KEYS[0], "failed", None),)
    assert seen.paused_dags == {"a"}
    assert seen.missing_dags == {"gone"}
    assert seen.unread.keys() == {KEYS[1]}
    assert seen.unread_dags.keys() == {"b"}
    assert str(status) in seen.unread[KEYS[1]]
