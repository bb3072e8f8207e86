"""Requests to Airflow's REST API, and the remedy when it refuses them; any version of the API."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final

import httpx2

from xcom_rollout.clients.errors import AirflowError, AirflowFault
from xcom_rollout.clients.kube import Json

WRITE_TIMEOUT: Final = 30.0
"""Seconds for a change: clearing a run with many task instances takes long."""
_FAULTS: Final[Mapping[int, AirflowFault]] = {
    401: AirflowFault.UNAUTHORIZED,
    403: AirflowFault.FORBIDDEN,
    409: AirflowFault.CONFLICT,
}
_PROVES_NOTHING: Final = (
    httpx2.codes.UNAUTHORIZED,
    httpx2.codes.PROXY_AUTHENTICATION_REQUIRED,
    httpx2.codes.REQUEST_TIMEOUT,
    httpx2.codes.TOO_MANY_REQUESTS,
)
"""Refusals that come before rights are checked."""


@dataclass(frozen=True)
class Dialect:
    """The differences between the versions of the API.

    Attributes:
        major: of the versions of Airflow that have it.
        prefix: of every path.
        every_dag: query that lists DAGs whose files are gone, too, with only the needed fields.
        clear: body that queues a whole run again, on the code that it ran on.
        gone: member of a DAG that shows whether its file is gone, and the value that means yes.
        hides_login: whether an unknown user may be answered like one without rights: with FAB's
            AUTH_ROLE_PUBLIC, which has a default, Airflow 2 treats such a user as the public.
    """

    major: int
    prefix: str
    every_dag: Mapping[str, Any]
    clear: Json
    gone: tuple[str, bool]
    hides_login: bool = False


@dataclass(frozen=True)
class Credentials:
    """What authenticates the operator to Airflow.

    Attributes:
        auth: authenticates requests.
        secret: name of the Secret that it was read from, for messages.
        keys: the keys of that Secret, in words.
        hint: what else to check where the user is refused, in words.
    """

    auth: httpx2.Auth
    secret: str
    keys: str
    hint: str


@dataclass(frozen=True)
class Page:
    """A part of a list.

    Attributes:
        entries: the objects in it.
        total: length of the whole list; None where the answer does not contain it.
        clock: the server's clock; None where the answer does not contain it.
    """

    entries: list[Json]
    total: int | None
    clock: datetime | None = None

    def is_last(self, seen: int) -> bool:
        """Whether nothing follows, after `seen` entries including those of this page."""
        return not self.entries or (self.total is not None and seen >= self.total)


class Rest:
    """One Airflow, asked as one user. Safe for use by several threads."""

    def __init__(
        self, http: httpx2.Client, base: str, dialect: Dialect, credentials: Credentials
    ) -> None:
        """Use the web server at `base`, an address without a slash at its end."""
        self.dialect = dialect
        self._http = http
        self._base = base
        self._credentials = credentials

    def ask(
        self,
        method: str,
        path: str,
        query: Mapping[str, Any] | None = None,
        body: Json | None = None,
    ) -> Json | None:
        """Return the answer's JSON object, None for a 404 of Airflow's own.

        Args:
            path: below the dialect's prefix, starting with `/`.

        Raises:
            AirflowError: it refused, could not be reached, or answered something else.
        """
        response = self._send(method, path, query, body)
        if response.status_code == httpx2.codes.NOT_FOUND:
            self._check_own(method, path, response)
            return None
        if response.is_error:
            raise self._refusal(method, path, response)
        if not response.content:
            return {}
        return json_object(self._base, f"{method} {self.dialect.prefix}{path}", response)

    def listed(self, path: str, member: str, query: Mapping[str, Any]) -> Page:
        """Return a page of a list that every Airflow has, in the answer's `member`.

        Raises:
            AirflowError: as `ask`, and for 404.
        """
        response = self._send("GET", path, query, None)
        if response.status_code == httpx2.codes.NOT_FOUND:
            raise AirflowError(
                f"there is no {self.dialect.prefix}{path} at {self._base}; check that "
                "spec.airflow.api.service and port name Airflow's web server",
                fault=AirflowFault.UNREACHABLE,
                status=404,
            )
        if response.is_error:
            raise self._refusal("GET", path, response)
        page = json_object(self._base, f"GET {self.dialect.prefix}{path}", response)
        return self.page_of(page, path, member, _date(response))

    def page_of(self, answer: Json, path: str, member: str, clock: datetime | None = None) -> Page:
        """Return the page in the `member` of an answer to a request for `path`.

        Raises:
            AirflowError: it contains something else.
        """
        entries, total = answer.get(member), answer.get("total_entries")
        if (
            not isinstance(entries, list)
            or not all(isinstance(entry, dict) for entry in entries)
            or not isinstance(total, int | None)
        ):
            raise AirflowError(
                f"{self._base} answered {self.dialect.prefix}{path} with something other than a "
                f"list of {member}; check that spec.airflow.api names Airflow's web server",
                fault=AirflowFault.UNREACHABLE,
                status=httpx2.codes.OK,
            )
        return Page(entries, total, clock)

    def allows(
        self,
        method: str,
        path: str,
        query: Mapping[str, Any] | None = None,
        body: Json | None = None,
    ) -> bool:
        """Return whether the user has the right that the request needs: False for 403.

        Airflow checks rights before it looks anything up, so a request for something that does not
        exist, or one that is refused for its content, proves the right and changes nothing.

        Raises:
            AirflowError: the user is refused, Airflow cannot be asked or fails, or the answer is
                not from Airflow.
        """
        response = self._send(method, path, query, body)
        if response.status_code == httpx2.codes.FORBIDDEN:
            return False
        if response.status_code == httpx2.codes.NOT_FOUND:
            self._check_own(method, path, response)
        elif response.status_code in _PROVES_NOTHING or response.is_server_error:
            raise self._refusal(method, path, response)
        elif response.is_success and response.content:
            json_object(self._base, f"{method} {self.dialect.prefix}{path}", response)
        return True

    def _check_own(self, method: str, path: str, response: httpx2.Response) -> None:
        """Raise unless a 404 is from Airflow: any other does not prove that a run is gone.

        Both versions of the API have the reason in `detail`.
        """
        answer = _json(response)
        if not isinstance(answer, dict) or "detail" not in answer:
            raise AirflowError(
                f"{self._base} answered 404 to {method} {self.dialect.prefix}{path}, but that "
                f"answer is not from Airflow: {said(response) or 'it is empty'}. The operator "
                "does not treat the object as deleted; check that spec.airflow.api names "
                "Airflow's web server, and check the proxies before it",
                status=response.status_code,
            )

    @property
    def secret(self) -> str:
        """Name of the Secret with the user's credentials."""
        return self._credentials.secret

    def _send(
        self, method: str, path: str, query: Mapping[str, Any] | None, body: Json | None
    ) -> httpx2.Response:
        target = f"{self.dialect.prefix}{path}"
        try:
            response = self._http.request(
                method,
                f"{self._base}{target}",
                params=query,
                json=body,
                auth=self._credentials.auth,
                timeout=httpx2.USE_CLIENT_DEFAULT if method == "GET" else WRITE_TIMEOUT,
                # Credentials are only sent to the address in the spec.
                follow_redirects=False,
            )
        except httpx2.HTTPError as error:
            raise unreachable(self._base, error) from error
        if response.is_redirect:
            raise redirected(self._base, f"{method} {target}", target, response)
        return response

    def _forbidden_hint(self) -> str:
        if not self.dialect.hides_login:
            return ""
        return (
            f"; or the Secret's {self._credentials.keys} are wrong, which Airflow 2 "
            "reports in the same way"
        )

    def _refusal(self, method: str, path: str, response: httpx2.Response) -> AirflowError:
        status = response.status_code
        return AirflowError(
            self._words(method, path, response),
            fault=_FAULTS.get(status, AirflowFault.OTHER),
            status=status,
        )

    def _words(self, method: str, path: str, response: httpx2.Response) -> str:
        where, who = f"Airflow's API at {self._base}", self._credentials
        if response.status_code == httpx2.codes.UNAUTHORIZED:
            return (
                f"{where} rejects the user of the Secret {who.secret} (401): check its "
                f"{who.keys}, and {who.hint}"
            )
        if response.status_code == httpx2.codes.FORBIDDEN:
            return (
                f"{where} forbids {method} {path} to the user of the Secret {who.secret} (403): "
                "it needs the permissions to read DAGs and runs, pause DAGs, edit and clear runs "
                f"(role Op){self._forbidden_hint()}"
            )
        return f"{where} answered {response.status_code} to {method} {path}: {said(response)}"


def json_object(base: str, request: str, response: httpx2.Response) -> Json:
    """Return the JSON object of an answer.

    Raises:
        AirflowError: it is something else.
    """
    answer = _json(response)
    if not isinstance(answer, dict):
        raise AirflowError(
            f"{base} answered {request} with {response.status_code} and something that is not a "
            "JSON object; check that spec.airflow.api names Airflow's web server",
            fault=AirflowFault.UNREACHABLE,
            status=response.status_code,
        )
    return answer


def _json(response: httpx2.Response) -> object:
    try:
        return response.json()
    except (ValueError, RecursionError):
        return None


def unreachable(base: str, error: httpx2.HTTPError) -> AirflowError:
    """Return the error for a request without an answer."""
    hint = "spec.airflow.api.service, port and scheme, and that the web server is running"
    if "CERTIFICATE_VERIFY_FAILED" in str(error):
        hint = "that spec.airflow.api.caRef names the certificate authority of the web server"
    elif "SSL" in str(error):
        hint = "spec.airflow.api.scheme: whether this port uses TLS"
    return AirflowError(
        f"Airflow's API at {base} cannot be reached ({type(error).__name__}: {error}); check "
        f"{hint}",
        fault=AirflowFault.UNREACHABLE,
    )


def redirected(base: str, request: str, target: str, response: httpx2.Response) -> AirflowError:
    """Return the error for an answer that redirects, with the field to set.

    Args:
        base: address from the spec.
        request: the request, in words.
        target: the requested path below `base`.
    """
    here = httpx2.URL(f"{base}{target}")
    try:
        there = here.join(response.headers.get("Location", ""))
    except httpx2.InvalidURL:
        there = here
    prefix = there.path.removesuffix(target)
    within = httpx2.URL(base).path.rstrip("/")
    if there.host != here.host:
        remedy = (
            "credentials are not sent to another host: set Airflow's own Service, or for a proxy "
            "that requires a token, login type Bearer"
        )
    elif there.scheme != here.scheme:
        remedy = (
            f"set spec.airflow.api.scheme: {there.scheme}, and spec.airflow.api.port to the port "
            "that serves it"
        )
    elif prefix not in (there.path, within):
        remedy = f'set spec.airflow.api.path: "{prefix}"'
    else:
        remedy = "check spec.airflow.api.service, scheme and path"
    # Without its query, which may be confidential.
    place = f"{there.scheme}://{there.netloc.decode('ascii')}{there.path}"
    return AirflowError(
        f"Airflow's API at {base} answered {response.status_code} to {request} and redirects to "
        f"{place}, which is not followed; {remedy}",
        fault=AirflowFault.UNREACHABLE,
        status=response.status_code,
    )


def said(response: httpx2.Response) -> str:
    """Return the beginning of an answer on one line."""
    return " ".join(response.text[:300].split())


def _date(response: httpx2.Response) -> datetime | None:
    try:
        moment = parsedate_to_datetime(response.headers.get("Date", ""))
    except ValueError:
        return None
    return moment if moment.tzinfo else None
