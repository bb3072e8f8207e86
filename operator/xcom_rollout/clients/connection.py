"""The connection to one API server, by the official client: its address, trust and credentials.

The official client reads kubeconfigs and service accounts, renews tokens, and holds the pool of
connections. It never retries a request by itself, and follows no redirect: the callers decide about
retries, because they know whether a request may take effect twice.
"""

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import unquote, urlencode, urlsplit

import urllib3
from kubernetes.client import ApiClient, Configuration
from kubernetes.client.exceptions import ApiException
from kubernetes.client.rest import RESTResponse, should_bypass_proxies
from kubernetes.config import ConfigException

from xcom_rollout import __version__
from xcom_rollout.clients.errors import RETRY_SOON, KubeconfigError, KubeError
from xcom_rollout.clients.kube_path import checked
from xcom_rollout.clients.pod_process import Printed, ProcessRefused, Proxy, Trust, run_process
from xcom_rollout.clients.streams import OpenStreams

TIMEOUT: Final = 10.0
"""Seconds in which a connection is made, and in which a part of an answer has to arrive."""
_KEPT: Final = 64
"""Idle connections that are kept: as many as there are workers. More may be open."""
_AUTH: Final = ("BearerToken",)
"""The only login method of the official client's requests; Basic uses it too."""


@dataclass(frozen=True)
class Answer:
    """The API server's answer to one request."""

    method: str
    path: str
    status: int
    content: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_error(self) -> bool:
        return self.status >= 400

    @property
    def is_server_error(self) -> bool:
        return self.status >= 500


@dataclass(frozen=True)
class Access:
    """How the API server is reached, for another kind of client.

    Attributes:
        authorization: the header's value, such as `Bearer ...`; empty for none.
        proxy_url: of the proxy, its login included; empty for none.
    """

    server: str
    authorization: str
    trust: Trust
    proxy_url: str


class Connection:
    """Sends requests to one API server. Safe for use by several threads.

    Attributes:
        server: its address.
        namespace: of the pod, or of the kubeconfig's context.
        context: of the kubeconfig; empty in a pod.
        kubeconfig: its file, or several as in KUBECONFIG; empty in a pod.
    """

    def __init__(
        self,
        configuration: Configuration,
        *,
        namespace: str = "default",
        context: str = "",
        kubeconfig: str = "",
    ) -> None:
        """Create the connection without sending a request.

        Raises:
            KubeconfigError: the proxy cannot be used.
        """
        # Not 0, for which urllib3 (2.8) raises an error at a redirect.
        configuration.retries = False
        configuration.connection_pool_maxsize = _KEPT
        configuration.keep_alive = True
        self._configuration = configuration
        self._proxy = _proxy_of(configuration)
        try:
            self._client = ApiClient(configuration)
        except (urllib3.exceptions.HTTPError, ImportError, ValueError) as error:
            raise KubeconfigError(
                "the proxy to the Kubernetes API server cannot be used; check proxy-url of the "
                f"kubeconfig, and HTTPS_PROXY: {words(error)}"
            ) from error
        self._renewing = threading.Lock()
        self._trust = Trust(
            verify=bool(configuration.verify_ssl),
            ca_file=configuration.ssl_ca_cert,
            certificate_file=configuration.cert_file,
            key_file=configuration.key_file,
            server_name=configuration.tls_server_name,
        )
        self.server = str(configuration.host)
        self.namespace, self.context, self.kubeconfig = namespace, context, kubeconfig

    @property
    def in_pod(self) -> bool:
        """Whether the credentials are those of the pod's service account."""
        return not self.kubeconfig

    def access(self) -> Access:
        """Return how the API server is reached now.

        Raises:
            KubeError: the credentials cannot be renewed.
        """
        with _reaching("LOGIN", self.server):
            authorization = self.login().get("authorization") or ""
        proxy_url = (self._configuration.proxy or "") if self._proxy else ""
        return Access(self.server, authorization, self._trust, proxy_url)

    def close(self) -> None:
        """Close the idle connections."""
        self._client.close()

    def send(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
    ) -> Answer:
        """Return the answer to a request, whatever its status is.

        Raises:
            KubeError: there was none.
        """
        with _reaching(method, path):
            response = self._begin(method, path, query, headers, body, TIMEOUT)
            content = response.read()
        return Answer(method, path, response.status, content, response.headers)

    @contextmanager
    def stream(
        self,
        path: str,
        open_streams: OpenStreams,
        *,
        query: Mapping[str, str],
        headers: Mapping[str, str] | None,
        silence: float,
    ) -> Iterator[Answer | Iterator[bytes]]:
        """Yield the pieces of an answer as they arrive, or the answer where it is a refusal.

        Args:
            open_streams: which can end it.
            silence: seconds without data after which the connection is considered lost.

        Raises:
            KubeError: there was no answer, or the connection was lost or ended.
        """
        with _reaching("WATCH", path):
            answer = self._begin("GET", path, query, headers, None, silence)
            response: urllib3.HTTPResponse = answer.response
            try:
                if answer.status >= 400:
                    yield Answer("GET", path, answer.status, answer.read(), answer.headers)
                    return
                with open_streams.reading(response):
                    yield _pieces(response)
            finally:
                # Not returned to the pool: the rest would be read as the answer of another request.
                response.close()

    def run(
        self, path: str, query: Sequence[tuple[str, str]], stdin: bytes, *, timeout: float
    ) -> Printed | Answer:
        """Run a process in a pod and return what it printed, or the answer where it is refused.

        Args:
            path: of `exec` below the pod.
            timeout: seconds for the process once it has started.

        Raises:
            KubeError: there was no answer, or it did not end in time.
        """
        address = urlsplit(f"{self.server}/{checked(path)}")
        url = address._replace(
            scheme="wss" if address.scheme == "https" else "ws", query=urlencode(query)
        ).geturl()
        with _reaching("GET", path):
            login = self.login()
        try:
            return run_process(
                url,
                {"User-Agent": _AGENT, **login},
                stdin,
                trust=self._trust,
                proxy=self._proxy,
                begin_within=TIMEOUT,
                timeout=timeout,
            )
        except ProcessRefused as refused:
            return Answer("GET", path, refused.status, refused.content)

    def _begin(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None,
        headers: Mapping[str, str] | None,
        body: Mapping[str, Any] | None,
        silence: float,
    ) -> RESTResponse:
        url = f"{self.server}/{checked(path)}"
        if query:
            url += f"?{urlencode(query)}"
        sent = {
            "Accept": "application/json",
            "Accept-Encoding": "gzip",
            "User-Agent": _AGENT,
            **({"Content-Type": "application/json"} if body is not None else {}),
            **(headers or {}),
            **self.login(),
        }
        return self._client.call_api(method, url, sent, body, _request_timeout=(TIMEOUT, silence))

    def login(self) -> dict[str, str]:
        """Return the headers that log in; renews what is about to expire, in one thread."""
        headers: dict[str, str] = {}
        with self._renewing:
            self._client.update_params_for_auth(headers, [], _AUTH, "", "", None)
        return headers


_AGENT: Final = f"xcom-rollout/{__version__}"


def words(error: BaseException) -> str:
    """Return an error in words."""
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__


def unreachable(method: str, path: str, error: Exception) -> KubeError:
    """Return the error for a request without an answer."""
    return KubeError(
        f"the Kubernetes API server cannot be reached ({method} {path}): {words(error)}", RETRY_SOON
    )


@contextmanager
def _reaching(method: str, path: str) -> Iterator[None]:
    try:
        yield
    except (urllib3.exceptions.HTTPError, ApiException, ConfigException, OSError) as error:
        # ApiException: the official client raises it for each TLS error.
        raise unreachable(method, path, error) from error


def _pieces(response: urllib3.HTTPResponse) -> Iterator[bytes]:
    """Yield data as it arrives. A proxy that speaks HTTP/1.0 sends no chunks."""
    if response.chunked:
        yield from response.stream()
        return
    read: Callable[[], bytes] = response.read1
    yield from iter(read, b"")


def _proxy_of(configuration: Configuration) -> Proxy | None:
    """Return the proxy, None for none; let the official client log in to it."""
    if not configuration.proxy or should_bypass_proxies(
        configuration.host, configuration.no_proxy or ""
    ):
        return None
    proxy = urlsplit(configuration.proxy)
    login = None
    if proxy.username:
        login = (unquote(proxy.username), unquote(proxy.password or ""))
        configuration.proxy_headers = urllib3.make_headers(proxy_basic_auth=":".join(login))
    return Proxy(proxy.scheme, proxy.hostname or "", proxy.port or 80, login)
