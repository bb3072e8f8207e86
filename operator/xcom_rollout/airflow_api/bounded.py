"""Limits for answers: neither a slow nor an endless answer blocks the operator.

The client's own time limit applies to each byte, not to the whole answer.
"""

import time
from collections.abc import Iterator
from typing import Final

import httpx2

LONGEST: Final = 60.0
"""Seconds that the body of an answer may take."""
LARGEST: Final = 64 * 1024 * 1024
"""Bytes of the body of an answer, as sent: a page contains the conf of each of its runs."""


class BoundedTransport(httpx2.BaseTransport):
    """Sends requests by another transport, and ends answers that take too long or are too large."""

    def __init__(self, inner: httpx2.BaseTransport) -> None:
        self._inner = inner

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send the request. Reading the answer raises `httpx2.TransportError` beyond the limits."""
        response = self._inner.handle_request(request)
        assert isinstance(response.stream, httpx2.SyncByteStream)  # noqa: S101 - no async transport
        return httpx2.Response(
            response.status_code,
            headers=response.headers,
            stream=_Bounded(response.stream, request),
            extensions=response.extensions,
        )

    def close(self) -> None:
        """Close the other transport."""
        self._inner.close()


class _Bounded(httpx2.SyncByteStream):
    def __init__(self, inner: httpx2.SyncByteStream, request: httpx2.Request) -> None:
        self._inner = inner
        self._request = request

    def __iter__(self) -> Iterator[bytes]:
        end, size = time.monotonic() + LONGEST, 0
        for part in self._inner:
            size += len(part)
            if size > LARGEST:
                raise httpx2.RemoteProtocolError(
                    f"the answer has more than {LARGEST} bytes", request=self._request
                )
            if time.monotonic() > end:
                raise httpx2.ReadTimeout(
                    f"the answer was not complete after {LONGEST:g} s", request=self._request
                )
            yield part

    def close(self) -> None:
        self._inner.close()
