"""A process in a container, over a WebSocket: its input, its output and its exit.

The channels are those of Kubernetes' remote commands: each message begins with the number of its
channel, and version 5 can also signal that a channel has ended (KEP 4006). `kubernetes.stream`
supports them too, but has no time limit to connect; see docs/decisions/kubernetes-client.md.
"""

import contextlib
import json
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import websocket

from xcom_rollout.clients.errors import RETRY_SOON, KubeError

_STDIN, _STDOUT, _STDERR, _STATUS, _CLOSE = 0, 1, 2, 3, 255
_CLOSES_CHANNELS: Final = "v5.channel.k8s.io"
_PROTOCOLS: Final = (_CLOSES_CHANNELS, "v4.channel.k8s.io")
_PIECE: Final = 32 * 1024
"""Bytes of input in a message, as kubectl sends them."""


@dataclass(frozen=True)
class Trust:
    """How TLS authenticates the server and the client."""

    verify: bool = True
    ca_file: str | None = None
    certificate_file: str | None = None
    key_file: str | None = None
    server_name: str | None = None


@dataclass(frozen=True)
class Proxy:
    """The proxy in front of the API server."""

    scheme: str
    host: str
    port: int
    login: tuple[str, str] | None = None


@dataclass(frozen=True)
class Printed:
    """What a process printed."""

    stdout: bytes
    stderr: bytes


class ProcessRefused(Exception):  # noqa: N818 - named after what happened
    """The API server did not open a WebSocket.

    Attributes:
        status: of the answer.
        content: of it.
    """

    def __init__(self, status: int, content: bytes) -> None:
        super().__init__(f"status {status}")
        self.status, self.content = status, content


def run_process(
    url: str,
    headers: Mapping[str, str],
    stdin: bytes,
    *,
    trust: Trust,
    proxy: Proxy | None,
    begin_within: float,
    timeout: float,
) -> Printed:
    """Run the process that `url` names, feed it `stdin`, and return what it printed.

    Args:
        begin_within: seconds for each step of connecting.
        timeout: seconds for the process.

    Raises:
        ProcessRefused: it was not started.
        KubeError: there was no answer, the connection was lost, or it did not end in time.
    """
    try:
        connection = websocket.create_connection(
            url,
            timeout=begin_within,
            header=dict(headers),
            subprotocols=list(_PROTOCOLS),
            suppress_origin=True,
            redirect_limit=0,
            sslopt=_tls(trust),
            **_through(proxy),
        )
    except websocket.WebSocketBadStatusException as refused:
        raise ProcessRefused(refused.status_code, refused.resp_body or b"") from refused
    except (websocket.WebSocketException, OSError) as error:
        raise KubeError(f"{type(error).__name__}: {error}", RETRY_SOON) from error
    try:
        printed = _talk(connection, stdin, time.monotonic() + timeout)
        with contextlib.suppress(websocket.WebSocketException, OSError):
            connection.send_close()
        return printed
    except websocket.WebSocketTimeoutException as error:
        raise _late() from error
    except (websocket.WebSocketException, OSError) as error:
        raise KubeError(f"{type(error).__name__}: {error}", RETRY_SOON) from error
    finally:
        # Nobody else reads from it, so it may be closed here, without a wait for the other side.
        connection.shutdown()


def _talk(connection: websocket.WebSocket, stdin: bytes, deadline: float) -> Printed:
    for start in range(0, len(stdin), _PIECE):
        _limit(connection, deadline)
        connection.send_binary(bytes((_STDIN,)) + stdin[start : start + _PIECE])
    if connection.subprotocol == _CLOSES_CHANNELS:
        connection.send_binary(bytes((_CLOSE, _STDIN)))
    printed: dict[int, list[bytes]] = {_STDOUT: [], _STDERR: []}
    while True:
        _limit(connection, deadline)
        kind, message = connection.recv_data()
        if kind == websocket.ABNF.OPCODE_CLOSE:
            raise KubeError("the connection ended before the process", RETRY_SOON)
        channel, text = message[0] if message else _CLOSE, message[1:]
        if channel in printed:
            printed[channel].append(text)
        elif channel == _STATUS:
            _check(text)
            return Printed(b"".join(printed[_STDOUT]), b"".join(printed[_STDERR]))


def _limit(connection: websocket.WebSocket, deadline: float) -> None:
    left = deadline - time.monotonic()
    if left <= 0:
        raise _late()
    connection.settimeout(left)


def _late() -> KubeError:
    return KubeError("the process did not end in time", RETRY_SOON)


def _check(status: bytes) -> None:
    """Raise for a process that could not be run; its exit code is not checked."""
    try:
        value: Any = json.loads(status)
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise KubeError(f"no status: {status[:300].decode('utf-8', 'replace')}", RETRY_SOON)
    if value.get("status") == "Failure" and value.get("reason") != "NonZeroExitCode":
        raise KubeError(str(value.get("message") or value), RETRY_SOON)


def _tls(trust: Trust) -> dict[str, Any]:
    if not trust.verify:
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    else:
        context = ssl.create_default_context(cafile=trust.ca_file)
    if trust.certificate_file:
        context.load_cert_chain(trust.certificate_file, trust.key_file)
    name = {"server_hostname": trust.server_name} if trust.server_name else {}
    return {"context": context, **name}


def _through(proxy: Proxy | None) -> dict[str, Any]:
    if proxy is None:
        # It would evaluate the environment by its own rules.
        return {"http_no_proxy": ["*"]}
    if proxy.scheme == "https":
        raise KubeError(
            "processes in pods cannot be run through a TLS proxy (https://); use one with http:// "
            "in HTTPS_PROXY or in proxy-url of the kubeconfig"
        )
    return {
        "http_proxy_host": proxy.host,
        "http_proxy_port": proxy.port,
        "http_proxy_auth": proxy.login,
        "http_no_proxy": ["none.invalid"],
        "proxy_type": proxy.scheme if proxy.scheme.startswith("socks") else "http",
    }
