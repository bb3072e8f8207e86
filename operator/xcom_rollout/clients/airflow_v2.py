"""Version 2 of Airflow's REST API: Airflow 3, where a user's password buys a token."""

from collections.abc import Generator
from typing import Final

import httpx2

from xcom_rollout.clients.airflow_rest import Dialect, json_object, said
from xcom_rollout.clients.errors import AirflowError

LOGIN_PATH: Final = "/auth/token"
_NO_CHOICE_OF_VERSION: Final = (3, 0)
"""Airflow 3.0 re-runs what a run ran on, and answers 422 to a body that says so."""


def v2(version: tuple[int, int]) -> Dialect:
    """Return how to ask Airflow `version` (major, minor), 3.0 or newer."""
    # Left out, run_on_latest_version is what a DAG or the configuration says (3.3): a run would
    # go on with other code than it began with.
    on_its_own_code = {} if version == _NO_CHOICE_OF_VERSION else {"run_on_latest_version": False}
    return Dialect(
        prefix="/api/v2",
        every_dag={"exclude_stale": False},
        # Without dry_run Airflow only says what it would clear.
        clear={"dry_run": False, **on_its_own_code},
        login=f"that [core] auth_manager lets it log in with POST {LOGIN_PATH}",
    )


class TokenAuth(httpx2.Auth):
    """Signs requests with a token, and logs in where there is none or it is refused.

    Checking a password costs Airflow much of the time of a request, so the token is kept as long
    as it is good: 24 h by default, less where the key that signs tokens is changed.
    """

    requires_response_body = True

    def __init__(self, base: str, user: str, password: str, secret: str) -> None:
        """Log in at `base`; `secret` names where user and password were read, for messages."""
        self._base = base
        self._credentials = {"username": user, "password": password}
        self._secret = secret
        self._token = ""

    def auth_flow(
        self, request: httpx2.Request
    ) -> Generator[httpx2.Request, httpx2.Response, None]:
        """Send the request, after a login if need be.

        Raises:
            AirflowError: the login failed.
        """
        if self._token:
            response = yield self._signed(request)
            if response.status_code != httpx2.codes.UNAUTHORIZED:
                return
        # The time limit of a request is one of its extensions.
        login = httpx2.Request(
            "POST",
            f"{self._base}{LOGIN_PATH}",
            json=self._credentials,
            extensions=request.extensions,
        )
        self._token = self._token_of((yield login))
        yield self._signed(request)

    def _signed(self, request: httpx2.Request) -> httpx2.Request:
        request.headers["Authorization"] = f"Bearer {self._token}"
        return request

    def _token_of(self, response: httpx2.Response) -> str:
        status = response.status_code
        where = f"Airflow's API at {self._base}"
        if status in (httpx2.codes.UNAUTHORIZED, httpx2.codes.FORBIDDEN):
            raise AirflowError(
                f"{where} refuses the login of the user of the Secret {self._secret} ({status}): "
                "check its keys username and password"
            )
        if status == httpx2.codes.NOT_FOUND:
            raise AirflowError(
                f"{where} has no POST {LOGIN_PATH} (404): its [core] auth_manager gives no tokens "
                "for a user's name and password; FabAuthManager and SimpleAuthManager do"
            )
        if response.is_error:
            raise AirflowError(f"{where} answered {status} to POST {LOGIN_PATH}: {said(response)}")
        token = json_object(self._base, f"POST {LOGIN_PATH}", response).get("access_token")
        if not isinstance(token, str) or not token:
            raise AirflowError(f"{where} answered POST {LOGIN_PATH} without an access_token")
        return token
