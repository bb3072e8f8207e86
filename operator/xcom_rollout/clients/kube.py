"""Kubernetes as plain JSON, over the connection of a lightkube client.

Pod templates are cloned and hashed here, so objects stay the dictionaries that the API server
sent: a typed model would drop fields that it does not know.
"""

import json
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any, Final

import httpx2
import lightkube
from httpx2.websockets import HTTPXWSException, WebSocketUpgradeError
from lightkube.core.generic_client import BasicRequest

from xcom_rollout.api import names
from xcom_rollout.clients.errors import RETRY_SOON, Conflict, Forbidden, KubeError
from xcom_rollout.clients.kube_path import checked, object_path
from xcom_rollout.clients.streams import OpenStreams, close_orderly

Json = dict[str, Any]
Listed = tuple[list[Json], int]
"""Objects, and the resourceVersion of the list."""

PAGE: Final = 500
"""Objects asked for at a time, as kubectl does."""
_PAUSES: Final = (0.5, 2.0)
"""Seconds between the tries to begin a command in a pod."""
_ROUNDING: Final = timedelta(seconds=2)
"""Difference of clocks that a header in whole seconds, and a slow answer, cannot tell from none."""
_MERGE_PATCH: Final = "application/merge-patch+json"
_METADATA_ONLY: Final = "application/json;as=PartialObjectMetadata{};g=meta.k8s.io;v=v1"


class Versions:
    """The newest resourceVersion of each collection that this process has read or written.

    A cache that is older would show what is known to be over.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._seen: dict[tuple[str, str], int] = {}
        self._wanted: set[tuple[str, str]] = set()

    def note(self, path: str, version: int, labels: str = "") -> None:
        """Take the version of an object below `path`, or of a list by a label selector.

        Of lists only those are kept that a cache has been asked for: others are without end.
        """
        with self._lock:
            if labels and (path, labels) not in self._wanted:
                return
            self._seen[path, labels] = max(self._seen.get((path, labels), 0), version)

    def seen(self, path: str, labels: str = "") -> int:
        """Return how new a list by a label selector has to be; 0 where nothing was seen of it.

        It may not be older than any object that the last such list held, or that was read or
        written. Not than the list itself: its version is that of all the cluster, and a watch hears
        of that once a minute. So a deletion may be seen a moment later than a list had shown it.
        """
        with self._lock:
            self._wanted.add((path, labels))
            return max(self._seen.get((path, ""), 0), self._seen.get((path, labels), 0))


class KubeApi:
    """Reads and writes objects by their REST path, such as `api/v1/namespaces/n/pods`.

    Safe for use by several threads. Every method raises `KubeError` when the API server cannot be
    asked or refuses, and `Forbidden` when a right is missing.
    """

    def __init__(self, client: lightkube.Client, versions: "Versions | None" = None) -> None:
        self._client = client
        self._ahead = timedelta(0)
        self.versions = versions or Versions()
        hooks = client._client._client.event_hooks["response"]
        hooks += [hook for hook in (_read_refusal, close_orderly) if hook not in hooks]
        self._watches = OpenStreams()

    @property
    def client(self) -> lightkube.Client:
        """The connection."""
        return self._client

    def now(self) -> datetime:
        """Return the time by the API server's clock, as its last answer told it.

        What Kubernetes records, such as the end of a Job, is compared with this and with no clock
        of another machine.
        """
        return datetime.now(UTC) + self._ahead

    def find(self, path: str) -> Json | None:
        """Return the object, None where there is none."""
        response = self._send("GET", path)
        if response.status_code == httpx2.codes.NOT_FOUND:
            return None
        return self._noted(path.rpartition("/")[0], _json(response, path))

    def list(
        self, path: str, *, labels: str = "", fields: str = "", metadata_only: bool = False
    ) -> list[Json]:
        """Return all objects below `path` that the selectors match.

        With `metadata_only` the server leaves out everything but `metadata`: a Helm release
        weighs up to a megabyte.
        """
        return self.list_at(path, labels=labels, fields=fields, metadata_only=metadata_only)[0]

    def list_at(
        self, path: str, *, labels: str = "", fields: str = "", metadata_only: bool = False
    ) -> Listed:
        """Return all objects below `path`, and the resourceVersion at which they were so.

        The version is 0 where the server's is no number: nothing can be compared with it then.
        """
        items: list[Json] = []
        params: dict[str, str] = {"limit": str(PAGE)}
        if labels:
            params["labelSelector"] = labels
        if fields:
            params["fieldSelector"] = fields
        while True:
            headers = {"Accept": _METADATA_ONLY.format("List")} if metadata_only else None
            answer = _json(self._send("GET", path, params=params, headers=headers), path)
            items += answer.get("items") or []
            more = (answer.get("metadata") or {}).get("continue")
            if not more:
                self.versions.note(path, max(map(version_of, items), default=0), labels)
                return items, version_of(answer)
            params["continue"] = more

    def watch(
        self,
        path: str,
        since: int,
        *,
        labels: str = "",
        metadata_only: bool = False,
        seconds: int,
        silence: float,
    ) -> Iterator[Json]:
        """Yield what happens to the objects below `path`: `type` and `object`, bookmarks too.

        Args:
            since: resourceVersion of a list, or of the last event.
            seconds: after which the server ends the watch.
            silence: seconds without a word after which the connection is taken for lost.

        Also raises `KubeError` where the server has forgotten what happened since.
        """
        params = {
            "watch": "1",
            "allowWatchBookmarks": "true",
            "resourceVersion": str(since),
            "timeoutSeconds": str(seconds),
            **({"labelSelector": labels} if labels else {}),
        }
        headers = {"Accept": _METADATA_ONLY.format("")} if metadata_only else None
        with self._stream(path, params, headers, silence) as lines:
            for line in lines:
                event = json.loads(line)
                if event["type"] == "ERROR":
                    said = event["object"].get("message")
                    raise KubeError(f"watching {path}: {said}", RETRY_SOON)
                yield event

    def end_watches(self) -> None:
        """End all watches, those that begin later too; each raises `KubeError` in its thread."""
        self._watches.end()

    def known_version(self, path: str) -> str | None:
        """Return the resourceVersion of the object where it is known without asking.

        Empty where there surely is no such object; None where it is not known.
        """
        del path
        return None

    def create(self, path: str, body: Json) -> bool:
        """Create the object; return False where one of its name is there already."""
        response = self._send("POST", path, body=body)
        if _reason(response) == "AlreadyExists":
            return False
        self._noted(path, _json(response, path))
        return True

    def review(self, path: str, body: Json) -> Json:
        """Return the answer to a review, an object that is answered and never kept."""
        return _json(self._send("POST", path, body=body), path)

    def replace(self, path: str, body: Json) -> Json:
        """Replace the object; return it as it is stored now.

        Raises:
            Conflict: it has changed since the `resourceVersion` in `body`, or is gone.
        """
        response = self._send("PUT", path, body=body)
        if response.status_code in (httpx2.codes.CONFLICT, httpx2.codes.NOT_FOUND):
            raise Conflict(f"{path} was changed by somebody else: {_message(response)}")
        return self._noted(path.rpartition("/")[0], _json(response, path))

    def patch(self, path: str, body: Json) -> None:
        """Merge `body` into the object.

        Raises:
            Conflict: it has changed since the `resourceVersion` in `body`, or is gone.
        """
        response = self._send("PATCH", path, body=body, headers={"Content-Type": _MERGE_PATCH})
        if response.status_code in (httpx2.codes.CONFLICT, httpx2.codes.NOT_FOUND):
            raise Conflict(f"{path} was changed by somebody else: {_message(response)}")
        self._noted(path.rpartition("/")[0], _json(response, path))

    def delete(self, path: str, *, uid: str, grace_seconds: int | None) -> None:
        """Delete the object if it still has this UID; one that is gone is deleted.

        Args:
            grace_seconds: None leaves a pod its own grace period.
        """
        body: Json = {
            "apiVersion": "v1",
            "kind": "DeleteOptions",
            "preconditions": {"uid": uid},
        }
        if grace_seconds is not None:
            body["gracePeriodSeconds"] = grace_seconds
        response = self._send("DELETE", path, body=body)
        # Conflict: the precondition failed, so the object of this UID is gone.
        if response.status_code not in (httpx2.codes.NOT_FOUND, httpx2.codes.CONFLICT):
            self._noted(path.rpartition("/")[0], _json(response, path))

    def log(self, namespace: str, pod: str, container: str) -> str | None:
        """Return the whole log of the container; None where there is none to be had."""
        path = f"{object_path(namespace, 'pods', pod)}/log"
        response = self._send("GET", path, params={"container": container})
        if response.status_code in (httpx2.codes.NOT_FOUND, httpx2.codes.BAD_REQUEST):
            return None
        if response.is_error:
            raise _refused(response, path)
        return response.content.decode("utf-8", "replace")

    def run(
        self,
        namespace: str,
        pod: str,
        container: str,
        command: Sequence[str],
        stdin: bytes,
        *,
        timeout: float,
    ) -> str:
        """Run a command in a container, feed it `stdin`, return what it printed, errors first.

        A kubelet that cannot be reached for a moment shows as a 5xx before the command begins;
        that is tried again.

        Args:
            timeout: seconds for the command.
        """
        path = f"{object_path(namespace, 'pods', pod)}/exec"
        pauses = iter(_PAUSES)
        while True:
            try:
                answer = self._client.exec(
                    pod,
                    namespace=namespace,
                    container=container,
                    command=command,
                    stdin=stdin,
                    stdout=True,
                    stderr=True,
                    decode=None,
                    timeout=timeout,
                )
            except WebSocketUpgradeError as refused:
                response = refused.response
                pause = next(pauses, None) if response.is_server_error else None
                if pause is None:
                    raise _refused(response, path) from refused
                time.sleep(pause)
            except (httpx2.HTTPError, HTTPXWSException, OSError) as error:
                raise KubeError(
                    f"cannot run a process in pod {namespace}/{pod}, container {container}: "
                    f"{_words(error)}",
                    RETRY_SOON,
                ) from error
            else:
                return "\n".join(_text(stream) for stream in (answer.stderr, answer.stdout))

    def _send(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        body: Json | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> httpx2.Response:
        request = self._request(method, path, params=params, body=body, headers=headers)
        try:
            response: httpx2.Response = self._client._client.send(request)
        except httpx2.HTTPError as error:
            raise _unreachable(method, path, error) from error
        self._ahead = _ahead(response)
        if _lacks_right(response):
            raise _refused(response, path)
        return response

    @contextmanager
    def _stream(
        self,
        path: str,
        params: Mapping[str, str],
        headers: Mapping[str, str] | None,
        silence: float,
    ) -> Iterator[Iterator[bytes]]:
        """Yield the lines of an answer as they come."""
        request = self._request("GET", path, params=params, headers=headers)
        request.extensions["timeout"] = {**request.extensions["timeout"], "read": silence}
        try:
            response: httpx2.Response = self._client._client.send(request, stream=True)
            try:
                if response.is_error:
                    response.read()
                    raise _refused(response, path)
                with self._watches.reading(response):
                    yield _lines(response)
            finally:
                response.close()
        except httpx2.HTTPError as error:
            raise _unreachable("WATCH", path, error) from error

    def _noted(self, path: str, answer: Json) -> Json:
        self.versions.note(path, version_of(answer))
        return answer

    def _request(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        body: Json | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> httpx2.Request:
        query = dict(params or {})
        if method in ("POST", "PUT", "PATCH"):
            query["fieldManager"] = names.MANAGER
        path = checked(path)
        # lightkube's public methods know neither metadata-only lists nor delete preconditions.
        return self._client._client.build_adapter_request(
            BasicRequest(
                method=method,
                url=path,
                params=query,
                data=body,
                headers=dict(headers) if headers else None,
            )
        )


def version_of(item: Mapping[str, Any]) -> int:
    """Return the resourceVersion of an object or a list; 0 where it is no number.

    Versions of one collection can be compared as numbers (Kubernetes API concepts, "Resource
    versions").
    """
    text = str((item.get("metadata") or {}).get("resourceVersion") or "")
    return int(text) if text.isdecimal() else 0


def _lines(response: httpx2.Response) -> Iterator[bytes]:
    """Yield the lines of a watch, each a JSON document: they end with \\n and nothing else."""
    rest = b""
    for piece in response.iter_bytes():
        *lines, rest = (rest + piece).split(b"\n") if b"\n" in piece else (rest + piece,)
        yield from (line for line in lines if line)


def _unreachable(method: str, path: str, error: Exception) -> KubeError:
    return KubeError(
        f"the Kubernetes API server cannot be asked ({method} {path}): {_words(error)}", RETRY_SOON
    )


def _ahead(response: httpx2.Response) -> timedelta:
    """Return how much the server's clock is ahead; zero where it is within what it rounds."""
    try:
        told = parsedate_to_datetime(response.headers["Date"])
    except (KeyError, TypeError, ValueError):
        return timedelta(0)
    ahead = told - datetime.now(UTC)
    return ahead if abs(ahead) > _ROUNDING else timedelta(0)


def _json(response: httpx2.Response, path: str) -> Json:
    if response.is_error:
        raise _refused(response, path)
    value = response.json()
    if not isinstance(value, dict):
        raise KubeError(f"{path}: expected a JSON object, got {type(value).__name__}")
    return value


def _read_refusal(response: httpx2.Response) -> None:
    """Read why a WebSocket was refused, before the connection is closed."""
    if response.is_error:
        response.read()


def _refused(response: httpx2.Response, path: str) -> KubeError:
    if _lacks_right(response):
        return Forbidden(
            f"the operator may not {response.request.method} {path}: {_message(response)}; grant "
            "it the right in the Role of its chart"
        )
    return KubeError(
        f"the Kubernetes API server answered {response.status_code} to "
        f"{response.request.method} {path}: {_message(response)}",
        RETRY_SOON if response.is_server_error else 15.0,
    )


def _status(response: httpx2.Response) -> Json:
    try:
        value = response.json()
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def _reason(response: httpx2.Response) -> str:
    return str(_status(response).get("reason", "")) if response.is_error else ""


def _lacks_right(response: httpx2.Response) -> bool:
    """Tell a missing right from a quota or an admission rule, which answer 403 too."""
    if response.status_code == httpx2.codes.UNAUTHORIZED:
        return True
    forbidden = response.status_code == httpx2.codes.FORBIDDEN
    return forbidden and 'User "' in _message(response)


def _message(response: httpx2.Response) -> str:
    return str(_status(response).get("message") or response.text[:300])


def _text(stream: str | bytes | None) -> str:
    return stream.decode("utf-8", "replace") if isinstance(stream, bytes) else stream or ""


def _words(error: Exception) -> str:
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
