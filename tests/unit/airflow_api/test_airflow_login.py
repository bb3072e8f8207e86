"""Logins to Airflow over real connections: tokens whose key was changed, missing rights, forms."""

from collections.abc import Iterator

import pytest

from nasty_http import NastyServer, Reply, redirect
from opened_airflow import NO_RUNS, V1_RUNS, V2_RUNS, credentials, is_airflow, opened, token
from xcom_rollout.airflow_api.airflow import AirflowApi, in_parallel
from xcom_rollout.clients.errors import AirflowError, AirflowFault
from xcom_rollout.clients.memo import Memo

ROTATED = Reply(403, {"detail": "Invalid JWT token"})
FORBIDDEN = Reply(403, {"detail": "Forbidden"})


@pytest.fixture
def server() -> Iterator[NastyServer]:
    with NastyServer() as server:
        yield server


def test_a_token_of_a_changed_key_is_replaced(server: NastyServer) -> None:
    is_airflow(server, "3.3.2")
    server.answer("/auth/token", token(1), token(2))
    server.answer(V2_RUNS, NO_RUNS, ROTATED, NO_RUNS)
    api = opened(server)
    api.in_flight()
    api.in_flight()
    assert [credentials(request) for request in server.asked(V2_RUNS)] == [
        "Bearer token-1",
        "Bearer token-1",
        "Bearer token-2",
    ]


def test_a_key_that_changes_twice_is_followed(server: NastyServer) -> None:
    is_airflow(server, "3.3.2")
    server.answer("/auth/token", token(1), token(2), token(3))
    server.answer(V2_RUNS, NO_RUNS, ROTATED, NO_RUNS, ROTATED, NO_RUNS)
    api = opened(server)
    for _ in range(3):
        api.in_flight()
    assert len(server.asked("/auth/token")) == 3


def test_a_missing_right_costs_one_login_and_is_named(server: NastyServer) -> None:
    is_airflow(server, "3.3.2")
    server.answer("/auth/token", token(1), token(2), token(3))
    server.answer(V2_RUNS, NO_RUNS)
    server.answer("/api/v2/dags/d", FORBIDDEN)
    api = opened(server)
    api.in_flight()
    for _ in range(5):
        with pytest.raises(AirflowError, match="forbids PATCH /dags/d") as refused:
            api.set_paused("d", True)
        assert refused.value.fault is AirflowFault.FORBIDDEN
    assert len(server.asked("/auth/token")) == 2


def test_a_right_that_is_missing_from_the_start_is_asked_for_with_one_login(
    server: NastyServer,
) -> None:
    is_airflow(server, "3.3.2")
    server.answer("/auth/token", token(1), token(2))
    server.answer(V2_RUNS, FORBIDDEN)
    api = opened(server)
    for _ in range(3):
        with pytest.raises(AirflowError, match="forbids GET"):
            api.in_flight()
    assert len(server.asked("/auth/token")) == 1


def test_a_changed_key_is_seen_behind_a_missing_right(server: NastyServer) -> None:
    is_airflow(server, "3.3.2")
    server.answer("/auth/token", token(1), token(2))
    server.answer("/api/v2/dags/d", FORBIDDEN, ROTATED, Reply(body={}))
    api = opened(server)
    with pytest.raises(AirflowError, match="forbids"):
        api.set_paused("d", True)
    api.set_paused("d", True)
    assert len(server.asked("/auth/token")) == 2


def test_threads_share_one_login(server: NastyServer) -> None:
    is_airflow(server, "3.3.2")
    server.answer("/auth/token", token(1))
    for number in range(8):
        server.answer(f"/api/v2/dags/d{number}", Reply(body={}))
    api = opened(server)
    in_parallel(lambda dag: api.set_paused(dag, True), [f"d{n}" for n in range(8)], workers=8)
    assert len(server.asked("/auth/token")) == 1


# -- a session ---------------------------------------------------------------------------------

FORM = Reply(
    body='<form><input id="csrf_token" name="csrf_token" type="hidden" value="c-1"></form>',
    headers={"Set-Cookie": "session=before; HttpOnly; Path=/"},
)
IN = Reply(302, "", {"Location": "/home", "Set-Cookie": "session=inside; HttpOnly; Path=/"})
AGAIN = redirect("/login/?next=/home")


def session(server: NastyServer, memo: Memo | None = None) -> AirflowApi:
    is_airflow(server, "2.11.2")
    return opened(server, memo=memo, login={"type": "Session"})


def test_a_session_is_opened_by_the_login_form_and_kept(server: NastyServer) -> None:
    server.answer("/login/", FORM, method="GET")
    server.answer("/login/", IN, method="POST")
    server.answer(V1_RUNS, NO_RUNS)
    memo = Memo()
    session(server, memo).in_flight()
    session(server, memo).in_flight()
    _, sent = server.asked("/login/")
    assert sent.body == "username=u&password=p&csrf_token=c-1"
    assert sent.headers["Cookie"] == "session=before"
    assert {credentials(request) for request in server.asked(V1_RUNS)} == {"session=inside"}


def test_a_session_that_ended_is_opened_again(server: NastyServer) -> None:
    server.answer("/login/", FORM, method="GET")
    server.answer("/login/", IN, method="POST")
    # Airflow 2.11 with basic_auth beside session answers 403 to a session that it does not know.
    server.answer(V1_RUNS, NO_RUNS, Reply(403, {"title": "Forbidden"}), NO_RUNS)
    api = session(server)
    api.in_flight()
    api.in_flight()
    assert len(server.asked("/login/")) == 4


def test_a_wrong_password_in_the_form_is_named(server: NastyServer) -> None:
    server.answer("/login/", FORM, method="GET")
    server.answer("/login/", AGAIN, method="POST")
    with pytest.raises(AirflowError, match=r"rejects the login.*Secret airflow-api") as refused:
        session(server).in_flight()
    assert refused.value.fault is AirflowFault.UNAUTHORIZED
    assert server.asked(V1_RUNS) == []


def test_too_many_logins_are_tried_again_later(server: NastyServer) -> None:
    server.answer("/login/", FORM, method="GET")
    server.answer("/login/", Reply(429, "slow down"), method="POST")
    with pytest.raises(AirflowError, match="429 to POST /login/: slow down") as refused:
        session(server).in_flight()
    assert refused.value.retry_after >= 10


# -- which login, and what it needs -------------------------------------------------------------


def test_a_bearer_token_is_sent_as_it_is(server: NastyServer) -> None:
    is_airflow(server, "3.3.2")
    server.answer(V2_RUNS, NO_RUNS)
    opened(server, secret={"token": "theirs"}, login={"type": "Bearer"}).in_flight()
    assert [request.path for request in server.asked()] == [V2_RUNS]
    assert credentials(server.asked()[0]) == "Bearer theirs"


@pytest.mark.parametrize(
    ("login", "secret", "lacks"),
    [
        ("Bearer", {"username": "u", "password": "p"}, "lacks the key token, which login Bearer"),
        ("Token", {"token": "t"}, "lacks the key username and password, which login Token"),
        ("Token", {"username": "u"}, "lacks the key password, which login Token"),
    ],
)
def test_a_secret_without_a_key_that_the_login_needs_is_named(
    server: NastyServer, login: str, secret: dict[str, str], lacks: str
) -> None:
    is_airflow(server, "3.3.2")
    with pytest.raises(AirflowError, match=f"credentialsSecretRef.name: the Secret .* {lacks}"):
        opened(server, secret=secret, login={"type": login})
    assert server.asked() == []


@pytest.mark.parametrize(
    ("version", "login", "instead"),
    [
        ("2.11.2", "Token", "use Basic, Session or Bearer"),
        ("3.3.2", "Basic", "use Token or Bearer"),
        ("3.3.2", "Session", "use Token or Bearer"),
    ],
)
def test_a_login_that_this_airflow_does_not_know_is_refused(
    server: NastyServer, version: str, login: str, instead: str
) -> None:
    is_airflow(server, version)
    with pytest.raises(
        AirflowError, match=rf"login.type: .* does not support the login.*{instead}"
    ):
        opened(server, login={"type": login})
    assert server.asked() == []


def test_no_cookie_of_an_answer_is_sent_with_another_request(server: NastyServer) -> None:
    is_airflow(server, "2.11.2")
    server.answer(V1_RUNS, Reply(body=NO_RUNS.body, headers={"Set-Cookie": "session=u; Path=/"}))
    api = opened(server)
    api.in_flight()
    api.in_flight()
    assert all("Cookie" not in request.headers for request in server.received)
