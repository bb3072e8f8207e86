"""Requests to Airflow's REST API, and what to do when it refuses them; any version of the API."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import httpx2

from xcom_rollout.clients.errors import AirflowError
from xcom_rollout.clients.kube import Json

WRITE_TIMEOUT: Final = 30.0
"""Seconds for a change: clearing a run with many task instances takes its time."""


@dataclass(frozen=True)
class Dialect:
    """What a version of the API wants to be asked differently.

    Attributes:
        prefix: of every path.
        every_dag: query that lists DAGs whose files are gone, too, with no more than is needed.
        clear: body that queues a whole run again, on the code that it ran on.
        login: what to check where the user is refused, in words.
    """

    prefix: str
    every_dag: Mapping[str, Any]
    clear: Json
    login: str


class Rest:
    """One Airflow, asked as one user. Safe for use by several threads."""

    def __init__(
        self, http: httpx2.Client, base: str, dialect: Dialect, auth: httpx2.Auth, secret: str
    ) -> None:
        """Use the web server at `base`; `secret` names where `auth` was read, for messages."""
        self.dialect = dialect
        self._http = http
        self._base = base
        self._auth = auth
        self._secret = secret

    def ask(
        self,
        method: str,
        path: str,
        query: Mapping[str, Any] | None = None,
        body: Json | None = None,
    ) -> Json | None:
        """Return the answer's JSON object, None for 404.

        Args:
            path: below the dialect's prefix, starting with `/`.

        Raises:
            AirflowError: it refused, could not be reached, or answered something else.
        """
        try:
            response = self._http.request(
                method,
                f"{self._base}{self.dialect.prefix}{path}",
                params=query,
                json=body,
                auth=self._auth,
                timeout=httpx2.USE_CLIENT_DEFAULT if method == "GET" else WRITE_TIMEOUT,
            )
        except httpx2.HTTPError as error:
            raise unreachable(self._base, error) from error
        if response.status_code == httpx2.codes.NOT_FOUND:
            return None
        if response.is_error:
            raise AirflowError(self._refusal(method, path, response))
        if not response.content:
            return {}
        return json_object(self._base, f"{method} {self.dialect.prefix}{path}", response)

    def missing(self, path: str) -> AirflowError:
        """Return the error of a 404 where every Airflow answers."""
        return AirflowError(
            f"there is no {self.dialect.prefix}{path} at {self._base}; check that "
            "spec.airflow.api.service and port name Airflow's web server"
        )

    def _refusal(self, method: str, path: str, response: httpx2.Response) -> str:
        where = f"Airflow's API at {self._base}"
        if response.status_code == httpx2.codes.UNAUTHORIZED:
            return (
                f"{where} refuses the user of the Secret {self._secret} (401): check its keys "
                f"username and password, and {self.dialect.login}"
            )
        if response.status_code == httpx2.codes.FORBIDDEN:
            return (
                f"{where} forbids {method} {path} to the user of the Secret {self._secret} (403): "
                "it needs the rights to read DAGs and runs, pause DAGs, edit and clear runs "
                "(role Op)"
            )
        return f"{where} answered {response.status_code} to {method} {path}: {said(response)}"


def json_object(base: str, request: str, response: httpx2.Response) -> Json:
    """Return the JSON object of an answer.

    Raises:
        AirflowError: it is something else.
    """
    try:
        answer = response.json()
    except ValueError:
        answer = None
    if not isinstance(answer, dict):
        raise AirflowError(
            f"{base} answered {request} with {response.status_code} and something that is not a "
            "JSON object; check that spec.airflow.api names Airflow's web server"
        )
    return answer


def unreachable(base: str, error: httpx2.HTTPError) -> AirflowError:
    """Return the error of a request that got no answer."""
    return AirflowError(
        f"Airflow's API at {base} cannot be reached ({type(error).__name__}: {error}); check "
        "spec.airflow.api.service and port, and that the web server runs"
    )


def said(response: httpx2.Response) -> str:
    """Return the beginning of an answer on one line."""
    return " ".join(response.text[:300].split())
