"""What went wrong is a kind, for one run at a time; what a kill will need is asked beforehand."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from urllib.parse import quote

import pytest

from nasty_http import NastyServer, Reply
from opened_airflow import is_airflow, opened, token
from xcom_rollout.airflow_api.airflow import AirflowApi, DagInfo
from xcom_rollout.airflow_api.rights import (
    MOST_DAGS,
    NO_DAG,
    NO_RUN,
    DagRights,
    describe_missing,
    missing_rights,
)
from xcom_rollout.clients.errors import AirflowError, AirflowFault
from xcom_rollout.clients.memo import Memo
from xcom_rollout.decide.ledger import RunKey

KEY = RunKey("d", "r")
GONE = Reply(404, {"detail": "no such run"})
FORBIDDEN = Reply(403, {"detail": "Forbidden"})


@pytest.fixture
def server() -> Iterator[NastyServer]:
    with NastyServer() as server:
        yield server


def at(key: RunKey, tail: str = "", api: str = "v2") -> str:
    return f"/api/{api}/dags/{key.dag_id}/dagRuns/{quote(key.run_id, safe='')}{tail}"


def run(key: RunKey, state: str = "running") -> Reply:
    shown = {"dag_id": key.dag_id, "dag_run_id": key.run_id, "state": state, "start_date": None}
    return Reply(body=shown)


def dag(name: str = "d", *, active: bool = True, paused: bool = False) -> Reply:
    return Reply(body={"dag_id": name, "is_paused": paused, "is_stale": not active})


def airflow_3(server: NastyServer) -> AirflowApi:
    is_airflow(server, "3.3.2")
    server.answer("/auth/token", token(1), token(2))
    return opened(server)


@pytest.mark.parametrize(
    ("reply", "fault"),
    [
        (Reply(401, {}), AirflowFault.UNAUTHORIZED),
        (FORBIDDEN, AirflowFault.FORBIDDEN),
        (Reply(409, {}), AirflowFault.CONFLICT),
        (Reply(500, {}), AirflowFault.OTHER),
        (Reply(body="<html>"), AirflowFault.UNREACHABLE),
        (Reply(body="", cut=True), AirflowFault.UNREACHABLE),
    ],
)
def test_a_failure_is_of_a_kind(server: NastyServer, reply: Reply, fault: AirflowFault) -> None:
    api = airflow_3(server)
    server.answer("/api/v2/dags/d", dag())
    server.answer(at(KEY), reply)
    with pytest.raises(AirflowError) as failed:
        api.fail(KEY)
    assert failed.value.fault is fault
    assert failed.value.retry_after > 0


def test_a_joined_error_keeps_its_kind() -> None:
    error = AirflowError("no", 7.0, fault=AirflowFault.FORBIDDEN, status=403)
    other = error.reworded("2 failed, the first with: no")
    assert (other.message, str(other)) == ("2 failed, the first with: no",) * 2
    assert (other.fault, other.status, other.retry_after) == (AirflowFault.FORBIDDEN, 403, 7.0)
    assert error.message == "no"


# -- a run that does not do what it is asked to --------------------------------------------------


def test_a_run_with_a_pending_teardown_is_no_error_and_says_its_state(server: NastyServer) -> None:
    api = airflow_3(server)
    server.answer(at(KEY), run(KEY, "running"))
    server.answer("/api/v2/dags/d", dag())
    assert api.fail(KEY) == "running"


def test_a_run_whose_dag_is_gone_cannot_be_stopped_in_silence(server: NastyServer) -> None:
    # Airflow 2.11 answers 200 and does nothing.
    is_airflow(server, "2.11.2")
    server.answer(at(KEY, api="v1"), run(KEY, "queued"))
    server.answer("/api/v1/dags/d", Reply(body={"is_paused": False, "is_active": False}))
    with pytest.raises(AirflowError, match=r"file is missing.*restore the file") as failed:
        opened(server).fail(KEY)
    assert failed.value.fault is AirflowFault.DAG_NOT_FOUND


def test_a_clear_that_fails_for_its_dag_is_gone_says_so(server: NastyServer) -> None:
    # Airflow 2.11 answers 500.
    is_airflow(server, "2.11.2")
    server.answer(at(KEY, "/clear", "v1"), Reply(500, "Ooops!"))
    server.answer("/api/v1/dags/d", Reply(body={"is_paused": False, "is_active": False}))
    with pytest.raises(AirflowError) as failed:
        opened(server).clear(KEY)
    assert failed.value.fault is AirflowFault.DAG_NOT_FOUND


def test_a_run_that_could_be_cleared_is_not_cleared_by_the_question(server: NastyServer) -> None:
    api = airflow_3(server)
    server.answer(at(KEY, "/clear"), Reply(body={"task_instances": []}))
    server.answer("/api/v2/dags/d", dag())
    api.can_clear(KEY)
    (asked,) = server.asked(at(KEY, "/clear"))
    assert '"dry_run":true' in asked.body


@pytest.mark.parametrize(
    ("cleared", "found", "of_dag", "fault"),
    [
        (GONE, GONE, dag(), AirflowFault.RUN_NOT_FOUND),
        (GONE, run(KEY), dag(), AirflowFault.DAG_NOT_FOUND),
        (Reply(body={}), run(KEY), dag(active=False), AirflowFault.DAG_NOT_FOUND),
        (FORBIDDEN, run(KEY), dag(), AirflowFault.FORBIDDEN),
        (Reply(409, "no"), run(KEY), dag(), AirflowFault.CONFLICT),
    ],
)
def test_what_would_stop_a_clear_is_known_before(
    server: NastyServer, cleared: Reply, found: Reply, of_dag: Reply, fault: AirflowFault
) -> None:
    api = airflow_3(server)
    server.answer(at(KEY, "/clear"), cleared)
    server.answer(at(KEY), found)
    server.answer("/api/v2/dags/d", of_dag)
    with pytest.raises(AirflowError) as failed:
        api.can_clear(KEY)
    assert failed.value.fault is fault


def test_a_dag_says_whether_it_is_there_and_paused(server: NastyServer) -> None:
    api = airflow_3(server)
    server.answer("/api/v2/dags/d", dag(paused=True), dag(active=False))
    assert api.dag("d") == DagInfo("d", paused=True, active=True)
    assert api.dag("d") == DagInfo("d", paused=False, active=False)
    assert api.dag("gone") is None


@pytest.mark.parametrize("name", ["..", ".", ""])
def test_an_id_that_is_a_path_is_asked_of_nobody(server: NastyServer, name: str) -> None:
    api = airflow_3(server)
    with pytest.raises(AirflowError, match="cannot be addressed"):
        api.run(RunKey("d", name))
    assert server.asked() == []


# -- rights --------------------------------------------------------------------------------------


def fresh(memo: Memo | None = None, *, after: timedelta = timedelta(0)) -> DagRights:
    return DagRights(memo or Memo(), "x", datetime(2026, 1, 1, tzinfo=UTC) + after)


def test_a_user_with_all_rights_lacks_none(server: NastyServer) -> None:
    assert missing_rights(airflow_3(server)) == ()
    assert all(request.path != f"/api/v2/dags/{NO_DAG}/clear" for request in server.asked())


def test_each_missing_right_is_named_with_its_remedy(server: NastyServer) -> None:
    api = airflow_3(server)
    nothing = RunKey("d", NO_RUN)
    server.answer("/api/v2/dags/d", dag(paused=True), method="GET")
    server.answer("/api/v2/dags/d", FORBIDDEN, method="PATCH")
    server.answer(at(nothing), FORBIDDEN, method="PATCH")
    server.answer(at(nothing, "/clear"), FORBIDDEN)
    missing = missing_rights(api, ["d"])
    assert [right.right for right in missing] == [
        "pause DAGs",
        "set DAG runs to failed",
        "clear DAG runs",
    ]
    assert str(missing[0]) == (
        "spec.airflow.api.credentialsSecretRef: the user is not allowed to pause DAGs (asked "
        "about the DAG d); give it the role Op, or one with the permission can edit on DAGs, or "
        "access_control of the DAG d"
    )
    asked = [request for request in server.asked("/api/v2/dags/d") if request.method == "PATCH"][-1]
    # A mask that names no field, and what the DAG is already.
    assert (asked.query, asked.body) == (f"update_mask={NO_RUN}", '{"is_paused":true}')


def test_a_dag_that_leaves_the_user_out_is_named_before_a_kill_meets_it(
    server: NastyServer,
) -> None:
    api = airflow_3(server)
    for dag_id in "abcdefg":
        server.answer(f"/api/v2/dags/{dag_id}", dag(paused=False), method="GET")
        server.answer(f"/api/v2/dags/{dag_id}", Reply(400, "no such field"), method="PATCH")
        if dag_id != "d":
            server.answer(at(RunKey(dag_id, NO_RUN), "/clear"), FORBIDDEN)
    server.answer(at(RunKey("g", NO_RUN)), FORBIDDEN, method="PATCH")
    assert describe_missing(api, fresh()) == ()
    clear, fail = describe_missing(api, fresh(), list("gfedcba"))
    assert (
        "is not allowed to clear DAG runs (asked about the DAGs a, b, c, e, f and 1 more)" in clear
    )
    assert "is not allowed to set DAG runs to failed (asked about the DAG g)" in fail


def test_a_single_dag_is_asked_about_once_an_hour_but_for_what_was_refused(
    server: NastyServer,
) -> None:
    """Airflow 2 has each change that is asked for, and not refused, in its audit log."""
    api, memo = airflow_3(server), Memo()
    clear, fail = (RunKey("a", NO_RUN), "/clear"), (RunKey("a", NO_RUN), "")
    server.answer("/api/v2/dags/a", dag(paused=False), method="GET")
    server.answer(at(*clear), FORBIDDEN)

    def changes(minutes: int) -> tuple[list[str], int]:
        """Return which changes of the DAG are asked for after this time, and what is missing."""
        before = len(server.asked())
        found = describe_missing(api, fresh(memo, after=timedelta(minutes=minutes)), ["a"])
        asked = [each for each in server.asked()[before:] if each.path.startswith("/api/v2/dags/a")]
        # A set: what is refused is asked twice, with a new token.
        return sorted({each.path for each in asked if each.method != "GET"}), len(found)

    every = sorted(["/api/v2/dags/a", at(*clear), at(*fail)])
    assert changes(0) == (every, 1)
    assert changes(1) == ([at(*clear)], 1)
    server.answer(at(*clear), GONE)
    assert changes(2) == ([at(*clear)], 0)
    assert changes(59) == ([], 0)
    assert changes(60) == (every, 0)


def test_a_right_that_is_missing_altogether_is_told_once(server: NastyServer) -> None:
    api = airflow_3(server)
    for dag_id in (NO_DAG, "a", "b"):
        server.answer(at(RunKey(dag_id, NO_RUN), "/clear"), FORBIDDEN)
    (said,) = describe_missing(api, fresh(), ["a", "b"])
    assert "clear DAG runs;" in said


def test_of_many_dags_some_are_asked_about(server: NastyServer) -> None:
    api = airflow_3(server)
    describe_missing(api, fresh(), [f"dag{number}" for number in range(100)])
    asked = {request.path.split("/")[4] for request in server.asked() if "dags/" in request.path}
    assert len(asked - {NO_DAG}) == MOST_DAGS


def test_rights_are_not_judged_where_airflow_fails(server: NastyServer) -> None:
    api = airflow_3(server)
    server.answer("/api/v2/dags/d", Reply(503, "starting"))
    with pytest.raises(AirflowError, match="503"):
        missing_rights(api, ["d"])


def test_a_user_who_may_do_nothing_is_one_who_is_not_known(server: NastyServer) -> None:
    # Airflow 2.11 answers 403 to a wrong password.
    is_airflow(server, "2.11.2")
    for path in (f"/api/v1/dags/{NO_DAG}", "/api/v1/dags"):
        server.answer(path, FORBIDDEN)
    for tail in ("", "/clear", "/taskInstances"):
        server.answer(at(RunKey(NO_DAG, NO_RUN), tail, "v1"), FORBIDDEN)
    with pytest.raises(AirflowError, match=r"denies every request.*password is wrong") as refused:
        missing_rights(opened(server))
    assert refused.value.fault is AirflowFault.UNAUTHORIZED
    with pytest.raises(AirflowError, match="username and password are wrong"):
        opened(server).dag(NO_DAG)
