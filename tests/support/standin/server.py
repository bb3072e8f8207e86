"""HTTP servers on loopback whose clients may be stopped at any moment."""

from __future__ import annotations

import ssl
import sys
from http.server import ThreadingHTTPServer


class Server(ThreadingHTTPServer):
    """A thread for each connection; a client that is gone is not an error."""

    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        if not isinstance(sys.exception(), (ConnectionError, ssl.SSLEOFError)):
            super().handle_error(request, client_address)  # type: ignore[arg-type]
