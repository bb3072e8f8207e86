"""Logins to Airflow: a password with each request, a token, a session, a given token.

Airflow 3 answers a token whose key was changed (the official chart generates a new one at every
upgrade unless `jwtSecret` is set) with 403, as it does where the user lacks a right; Airflow 2 may
answer a session that it does not know with 403, too. So after a 403 a login is tried, once.
"""

import re
import threading
import time
from abc import abstractmethod
from collections.abc import Generator
from typing import Any, Final
from urllib.parse import urlsplit

import httpx2

from xcom_rollout.airflow_api.rest import json_object, redirected, said
from xcom_rollout.clients.errors import RETRY_LATER, RETRY_SOON, AirflowError, AirflowFault

TOKEN_PATH: Final = "/auth/token"
FORM_PATH: Final = "/login/"
REMEMBERED: Final = 60.0
"""Seconds for which a 403 right after a login is read as a missing right, not as an expired login:
FAB allows five logins in 40 s, and each costs a check of the password."""
_INVALID_TOKEN: Final = "invalid jwt"
_CSRF_FIELD: Final = re.compile(r"<input\b[^>]*\bname=[\"']csrf_token[\"'][^>]*>")
_VALUE: Final = re.compile(r"\bvalue=[\"']([^\"']+)[\"']")
_REFUSED: Final = (httpx2.codes.UNAUTHORIZED, httpx2.codes.FORBIDDEN)

Flow = Generator[httpx2.Request, httpx2.Response, None]
Login = Generator[httpx2.Request, httpx2.Response, str]


class BearerAuth(httpx2.Auth):
    """Authenticates requests with a given token."""

    def __init__(self, token: str) -> None:
        self._token = token

    def auth_flow(self, request: httpx2.Request) -> Flow:
        """Send the request with the token."""
        request.headers["Authorization"] = f"Bearer {self._token}"
        yield request


class LoginAuth(httpx2.Auth):
    """Authenticates requests by a login, and logs in where its result is absent or refused.

    Checking a password costs Airflow much of the time of a request, so the result of a login is
    kept as long as it is valid. Safe for use by several threads: they share one login.
    """

    requires_response_body = True

    def __init__(self, base: str, user: str, password: str, secret: str) -> None:
        """Log in at `base`; `secret` is where user and password were read, for messages."""
        self._base = base
        self._user, self._password = user, password
        self._secret = secret
        self._pass = ""
        self._forbidden: tuple[str, float] = ("", 0.0)
        """A login that got 403 right afterwards, and when (time.monotonic)."""
        self._lock = threading.Lock()

    @abstractmethod
    def _log_in(self, extensions: Any) -> Login:
        """Send the requests of a login, and return what authenticates requests.

        Args:
            extensions: of each request, because they contain its time limit.

        Raises:
            AirflowError: the login failed.
        """

    @abstractmethod
    def _sign(self, request: httpx2.Request, gained: str) -> httpx2.Request:
        """Return the request with the result of the login."""

    def auth_flow(self, request: httpx2.Request) -> Flow:
        """Send the request, after a login if necessary.

        Raises:
            AirflowError: the login failed.
        """
        used = self._pass
        if used:
            response = yield self._sign(request, used)
            if not self._worth_a_login(response, used):
                return
        with self._lock:
            if self._pass == used:
                self._pass = yield from self._log_in(request.extensions)
            fresh = self._pass
        response = yield self._sign(request, fresh)
        if response.status_code == httpx2.codes.FORBIDDEN:
            self._forbidden = (fresh, time.monotonic())

    def _worth_a_login(self, response: httpx2.Response, used: str) -> bool:
        if response.status_code == httpx2.codes.UNAUTHORIZED:
            return True
        if response.status_code != httpx2.codes.FORBIDDEN:
            return False
        forbidden, since = self._forbidden
        genuine = forbidden == used and time.monotonic() - since < REMEMBERED
        return not genuine or _INVALID_TOKEN in response.text.lower()

    def _refused(self, status: int) -> AirflowError:
        return AirflowError(
            f"Airflow's API at {self._base} rejects the login of the user of the Secret "
            f"{self._secret} ({status}): check its keys username and password",
            fault=AirflowFault.UNAUTHORIZED,
            status=status,
        )

    def _failed(self, request: str, response: httpx2.Response) -> AirflowError:
        status = response.status_code
        return AirflowError(
            f"Airflow's API at {self._base} answered {status} to {request}: {said(response)}",
            # Each try counts where the number of logins is limited.
            RETRY_LATER if status == httpx2.codes.TOO_MANY_REQUESTS else RETRY_SOON,
            status=status,
        )


class TokenAuth(LoginAuth):
    """Airflow 3: a login returns a token, valid for 24 h unless its key is changed."""

    def _sign(self, request: httpx2.Request, gained: str) -> httpx2.Request:
        request.headers["Authorization"] = f"Bearer {gained}"
        return request

    def _log_in(self, extensions: Any) -> Login:
        response = yield httpx2.Request(
            "POST",
            f"{self._base}{TOKEN_PATH}",
            json={"username": self._user, "password": self._password},
            extensions=extensions,
        )
        status, request = response.status_code, f"POST {TOKEN_PATH}"
        if response.is_redirect:
            raise redirected(self._base, request, TOKEN_PATH, response)
        if status in _REFUSED:
            raise self._refused(status)
        if status == httpx2.codes.NOT_FOUND:
            raise AirflowError(
                f"Airflow's API at {self._base} has no {request} (404): its [core] auth_manager "
                "does not issue tokens for a user name and password, as FabAuthManager and "
                "SimpleAuthManager do; set spec.airflow.api.login.type: Bearer, and store a token "
                f"in the key token of the Secret {self._secret}",
                fault=AirflowFault.UNAUTHORIZED,
                status=status,
            )
        if response.is_error:
            raise self._failed(request, response)
        token = json_object(self._base, request, response).get("access_token")
        if not isinstance(token, str) or not token:
            raise AirflowError(
                f"Airflow's API at {self._base} answered {request} without an access_token",
                status=status,
            )
        return token


class SessionAuth(LoginAuth):
    """Airflow 2: the login form of its web pages returns a session, which is a cookie."""

    def _sign(self, request: httpx2.Request, gained: str) -> httpx2.Request:
        request.headers["Cookie"] = gained
        return request

    def _log_in(self, extensions: Any) -> Login:
        address = f"{self._base}{FORM_PATH}"
        form = yield httpx2.Request("GET", address, extensions=extensions)
        if form.is_redirect:
            raise redirected(self._base, f"GET {FORM_PATH}", FORM_PATH, form)
        if form.is_error:
            raise self._failed(f"GET {FORM_PATH}", form)
        fields = {"username": self._user, "password": self._password}
        if (token := _csrf_token(form.text)) is not None:
            fields["csrf_token"] = token
        cookies = _cookies(form)
        response = yield httpx2.Request(
            "POST",
            address,
            data=fields,
            # Flask-WTF requires the origin of a form that is sent by https.
            headers={"Cookie": _header(cookies), "Referer": address},
            extensions=extensions,
        )
        request = f"POST {FORM_PATH}"
        if response.is_error:
            raise self._failed(request, response)
        # A wrong password shows the form again; the right one redirects to a page of Airflow's.
        again = urlsplit(response.headers.get("Location", FORM_PATH)).path.rstrip("/")
        if again.endswith(FORM_PATH.rstrip("/")):
            raise self._refused(response.status_code)
        cookies |= _cookies(response)
        if not cookies:
            raise AirflowError(
                f"Airflow's API at {self._base} answered {request} without a cookie; use another "
                "spec.airflow.api.login.type",
                status=response.status_code,
            )
        return _header(cookies)


def _csrf_token(page: str) -> str | None:
    field = _CSRF_FIELD.search(page)
    value = _VALUE.search(field[0]) if field else None
    return value[1] if value else None


def _cookies(response: httpx2.Response) -> dict[str, str]:
    pairs = (line.partition(";")[0] for line in response.headers.get_list("Set-Cookie"))
    return {name.strip(): value for name, _, value in (pair.partition("=") for pair in pairs)}


def _header(cookies: dict[str, str]) -> str:
    return "; ".join(f"{name}={value}" for name, value in cookies.items())
