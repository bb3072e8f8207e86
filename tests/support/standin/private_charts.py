"""Chart repositories that ask for a login: the files of an open one behind TLS, and a registry."""

from __future__ import annotations

import base64
import os
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import httpx2
import yaml

from harness import tools
from harness.ports import free_port
from harness.shell import run
from harness.waiting import NotYetError, wait_for
from standin.server import Server

USER, PASSWORD = "charts-reader", "c0rrect-h0rse"
_HASHED = "$2b$05$AuVrxRhKa9X3vfA6TClDX.kotPyxuhHYwSd6gfalhtkEEkE1VW4QG"
"""PASSWORD as htpasswd -B writes it."""


@dataclass
class PrivateRepository:
    """A repository on loopback.

    Attributes:
        url: what `spec.delivery.helm.chart.repository` takes.
        logins: the Authorization of each request, "" where it has none.
        shown: command lines of this machine that had the password in them during a request.
    """

    url: str
    logins: list[str] = field(default_factory=list)
    shown: list[str] = field(default_factory=list)


@contextmanager
def private_charts(open_one: str, certificate: Path) -> Iterator[PrivateRepository]:
    """Serve the files of an open repository to those who log in.

    Args:
        open_one: the address of that repository.
        certificate: a folder with `public.crt` and `private.key` for 127.0.0.1.
    """
    wanted = f"Basic {base64.b64encode(f'{USER}:{PASSWORD}'.encode()).decode()}"

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            given = self.headers.get("Authorization", "")
            repository.logins.append(given)
            repository.shown += _command_lines_with(PASSWORD)
            answer = httpx2.get(f"{open_one}{self.path}", trust_env=False)
            status = answer.status_code if given == wanted else 401
            body = answer.content.replace(open_one.encode(), repository.url.encode())
            body = body if status == 200 else b"log in"
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Say nothing."""

    server = Server(("127.0.0.1", 0), Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate / "public.crt", certificate / "private.key")
    server.socket = context.wrap_socket(server.socket, server_side=True)
    repository = PrivateRepository(f"https://127.0.0.1:{server.server_address[1]}")
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield repository
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def registry(folder: Path, certificate: Path, authority: Path) -> Iterator[str]:
    """Run an OCI registry that knows USER; yields its address, oci://HOST:PORT."""
    folder.mkdir()
    (folder / "htpasswd").write_text(f"{USER}:{_HASHED}\n")
    port = free_port()
    configuration = {
        "version": 0.1,
        "log": {"level": "error", "accesslog": {"disabled": True}},
        "storage": {"filesystem": {"rootdirectory": str(folder / "data")}},
        "auth": {"htpasswd": {"realm": "charts", "path": str(folder / "htpasswd")}},
        "http": {
            "addr": f"127.0.0.1:{port}",
            "tls": {
                "certificate": str(certificate / "public.crt"),
                "key": str(certificate / "private.key"),
            },
        },
    }
    (folder / "config.yml").write_text(yaml.safe_dump(configuration))
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [tools.tool("registry"), "serve", folder / "config.yml"],
            stdout=log,
            stderr=log,
            env={**os.environ, "OTEL_TRACES_EXPORTER": "none"},
        )
    trust = ssl.create_default_context(cafile=str(authority))

    def answers() -> bool:
        if process.poll() is not None:
            raise NotYetError((folder / "log").read_text()[-1000:])
        try:
            found = httpx2.get(f"https://127.0.0.1:{port}/v2/", verify=trust, trust_env=False)
        except httpx2.TransportError as error:
            raise NotYetError(str(error)) from error
        return found.status_code == 401

    try:
        wait_for("the registry to ask for a login", answers, 30)
        yield f"oci://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(timeout=30)


def push(archive: Path, repository: str, authority: Path, folder: Path) -> None:
    """Put a chart into a registry, as the person does who publishes it."""
    login = folder / "publisher.json"
    pair = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
    host = repository.removeprefix("oci://").partition("/")[0]
    login.write_text(f'{{"auths": {{"{host}": {{"auth": "{pair}"}}}}}}')
    words = ("--ca-file", authority, "--registry-config", login)
    run(tools.tool("helm"), "push", archive, repository, *words)


def _command_lines_with(text: str) -> list[str]:
    found = []
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = file.read_bytes()
        except OSError:
            continue
        if text.encode() in words:
            found.append(words.replace(b"\0", b" ").decode(errors="replace"))
    return found
