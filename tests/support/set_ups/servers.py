"""The servers that a connection's endpoint may name, other than the S3 server of all tests."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from probe_world import object_store
from set_ups.certificates import Authority


@contextmanager
def serve(settings: dict[str, Any], folder: Path, authority: Authority) -> Iterator[str]:
    """Start the server of one set-up; its address."""
    match settings["kind"]:
        case "silent":
            with _silent() as endpoint:
                yield endpoint
        case "http":
            with _http(settings["status"], settings["body"], settings.get("headers", {})) as url:
                yield url
        case "minio":
            with _minio(settings, folder, authority) as endpoint:
                yield endpoint
        case other:
            raise ValueError(f"server kind {other!r}: silent, http or minio")


@contextmanager
def _silent() -> Iterator[str]:
    """A port that accepts connections and says nothing: the worst kind of unreachable."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


@contextmanager
def _http(status: int, body: str, headers: dict[str, str]) -> Iterator[str]:
    """A web server that is not an S3 server: every request gets the same answer."""

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            content = body.encode()
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    for verb in ("GET", "HEAD", "PUT", "POST", "DELETE"):
        setattr(Handler, f"do_{verb}", Handler.answer)
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def _minio(settings: dict[str, Any], folder: Path, authority: Authority) -> Iterator[str]:
    """Another MinIO: with a certificate (`certificate`), in a region (`region`)."""
    certificates = None
    match settings.get("certificate"):
        case "right":
            certificates = authority.issue(folder / "certs")
        case "expired":
            certificates = authority.issue(folder / "certs", expired=True)
        case "other-name":
            certificates = authority.issue(folder / "certs", name="store.example")
    with object_store(folder / "minio", certificates, settings.get("region", "")) as store:
        # What is spoken is not always what the endpoint says.
        address = store.endpoint.partition("://")[2]
        yield "{}://{}".format(settings.get("scheme", "https"), address)
