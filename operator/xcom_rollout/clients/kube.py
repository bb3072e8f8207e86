"""Kubernetes as plain JSON, over the connection of the official client.

Pod templates are cloned and hashed here, so objects stay the dictionaries that the API server
sent: a typed model would drop fields that it does not know.
"""

import json
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any, Final

from xcom_rollout.api import names
from xcom_rollout.clients.connection import Answer, Connection
from xcom_rollout.clients.errors import RETRY_LATER, RETRY_SOON, Conflict, Forbidden, KubeError
from xcom_rollout.clients.kube_path import object_path
from xcom_rollout.clients.streams import OpenStreams

Json = dict[str, Any]
Listed = tuple[list[Json], int]
"""Objects, and the resourceVersion of the list."""

PAGE: Final = 500
"""Objects requested at a time, as by kubectl."""
_PAUSES: Final = (0.5, 2.0)
"""Seconds between the tries to start a command in a pod."""
_ROUNDING: Final = timedelta(seconds=2)
"""Smallest detectable difference of clocks: the header has whole seconds, and answers take time."""
_UNAUTHORIZED: Final = 401
_FORBIDDEN: Final = 403
_NOT_FOUND: Final = 404
_CONFLICT: Final = 409
_BAD_REQUEST: Final = 400
_MERGE_PATCH: Final = "application/merge-patch+json"
_APPLY_PATCH: Final = "application/apply-patch+yaml"
_METADATA_ONLY: Final = "application/json;as=PartialObjectMetadata{};g=meta.k8s.io;v=v1"


class Versions:
    """The newest resourceVersion of each collection that this process has read or written.

    A cache that is older would show an outdated state.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._seen: dict[tuple[str, str], int] = {}
        self._wanted: set[tuple[str, str]] = set()

    def note(self, path: str, version: int, labels: str = "") -> None:
        """Record the version of an object below `path`, or of a list by a label selector.

        Only the lists that a cache was asked for are kept: the number of others is unlimited.
        """
        with self._lock:
            if labels and (path, labels) not in self._wanted:
                return
            self._seen[path, labels] = max(self._seen.get((path, labels), 0), version)

    def seen(self, path: str, labels: str = "") -> int:
        """Return how new a list by a label selector has to be; 0 where nothing was seen of it.

        It may not be older than any object that the last such list contained, or that was read or
        written. It may be older than the list itself, whose version is that of the whole cluster,
        which a watch gets once a minute. So a deletion may be seen a moment later than in a list.
        """
        with self._lock:
            self._wanted.add((path, labels))
            return max(self._seen.get((path, ""), 0), self._seen.get((path, labels), 0))


class KubeApi:
    """Reads and writes objects by their REST path, such as `api/v1/namespaces/n/pods`.

    Safe for use by several threads. Every method raises `KubeError` when the API server cannot be
    asked or refuses, and `Forbidden` when a right is missing.
    """

    def __init__(
        self,
        connection: Connection,
        versions: "Versions | None" = None,
        *,
        manager: str = names.MANAGER,
    ) -> None:
        """Take a connection.

        Args:
            versions: those of another that reads and writes the same; None starts empty.
            manager: the field manager that is recorded for what is written.
        """
        self._connection = connection
        self._manager = manager
        self._ahead = timedelta(0)
        self.versions = versions or Versions()
        self._watches = OpenStreams()

    @property
    def connection(self) -> Connection:
        """The connection."""
        return self._connection

    def now(self) -> datetime:
        """Return the time by the API server's clock, derived from its last answer.

        What Kubernetes records, such as the end of a Job, is compared with this and never with the
        clock of another machine.
        """
        return datetime.now(UTC) + self._ahead

    def find(self, path: str) -> Json | None:
        """Return the object, None where there is none."""
        answer = self._send("GET", path)
        if answer.status == _NOT_FOUND:
            return None
        return self._noted(path.rpartition("/")[0], _json(answer))

    def get(self, path: str) -> Json:
        """Return the object; `KubeError` with the status 404 where there is none."""
        return self._noted(path.rpartition("/")[0], _json(self._send("GET", path)))

    def list(
        self, path: str, *, labels: str = "", fields: str = "", metadata_only: bool = False
    ) -> list[Json]:
        """Return all objects below `path` that the selectors match.

        With `metadata_only` the server leaves out everything but `metadata`: a Helm release has up
        to a megabyte.
        """
        return self.list_at(path, labels=labels, fields=fields, metadata_only=metadata_only)[0]

    def list_at(
        self, path: str, *, labels: str = "", fields: str = "", metadata_only: bool = False
    ) -> Listed:
        """Return all objects below `path`, and the resourceVersion of the list.

        The version is 0 where the server's is not a number: nothing can be compared with it then.
        """
        items, version = self.pages(path, labels=labels, fields=fields, metadata_only=metadata_only)
        return list(items), version

    def pages(
        self,
        path: str,
        *,
        labels: str = "",
        fields: str = "",
        metadata_only: bool = False,
        page: int = PAGE,
    ) -> tuple[Iterator[Json], int]:
        """Return the same as `list_at`; further pages are asked for while the objects are taken."""
        params: dict[str, str] = {"limit": str(page)}
        if labels:
            params["labelSelector"] = labels
        if fields:
            params["fieldSelector"] = fields
        headers = {"Accept": _METADATA_ONLY.format("List")} if metadata_only else None
        # All pages are of the version of the first.
        first = _json(self._send("GET", path, params=params, headers=headers))

        def items() -> Iterator[Json]:
            answer, newest = first, 0
            while True:
                for item in answer.get("items") or []:
                    newest = max(newest, version_of(item))
                    yield item
                more = (answer.get("metadata") or {}).get("continue")
                if not more:
                    self.versions.note(path, newest, labels)
                    return
                further = {**params, "continue": more}
                answer = _json(self._send("GET", path, params=further, headers=headers))

        return items(), version_of(first)

    def watch(
        self,
        path: str,
        since: int,
        *,
        labels: str = "",
        fields: str = "",
        metadata_only: bool = False,
        seconds: int,
        silence: float,
    ) -> Iterator[Json]:
        """Yield what happens to the objects below `path`: `type` and `object`, bookmarks too.

        Args:
            since: resourceVersion of a list, or of the last event.
            seconds: after which the server ends the watch.
            silence: seconds without data after which the connection is considered lost.

        Also raises `KubeError` where the server no longer has the events since then.
        """
        params = {
            "watch": "1",
            "allowWatchBookmarks": "true",
            "resourceVersion": str(since),
            "timeoutSeconds": str(seconds),
            **({"labelSelector": labels} if labels else {}),
            **({"fieldSelector": fields} if fields else {}),
        }
        headers = {"Accept": _METADATA_ONLY.format("")} if metadata_only else None
        with self._connection.stream(
            path, self._watches, query=params, headers=headers, silence=silence
        ) as pieces:
            if isinstance(pieces, Answer):
                raise _refused(pieces)
            for line in _lines(pieces):
                event = json.loads(line)
                if event["type"] == "ERROR":
                    said = event["object"].get("message")
                    raise KubeError(f"watching {path}: {said}", RETRY_SOON)
                yield event

    def end_watches(self) -> None:
        """End all watches, including later ones; each raises `KubeError` in its thread."""
        self._watches.end()

    def known_version(self, path: str) -> str | None:
        """Return the resourceVersion of the object where it is known without asking.

        Empty where the object certainly does not exist; None where it is not known.
        """
        del path
        return None

    def create(self, path: str, body: Json) -> bool:
        """Create the object; return False where one of its name exists already."""
        answer = self._send("POST", path, body=body)
        if _reason(answer) == "AlreadyExists":
            return False
        self._noted(path, _json(answer))
        return True

    def review(self, path: str, body: Json) -> Json:
        """Return the answer to a review, an object that is never stored."""
        return _json(self._send("POST", path, body=body))

    def replace(self, path: str, body: Json) -> Json:
        """Replace the object, or its `/status`; return it as stored.

        Raises:
            Conflict: it has changed since the `resourceVersion` in `body`, or is gone.
        """
        answer = self._send("PUT", path, body=body)
        if answer.status in (_CONFLICT, _NOT_FOUND):
            raise Conflict(f"{path} was changed by another client: {_message(answer)}")
        return self._noted(path.removesuffix("/status").rpartition("/")[0], _json(answer))

    def as_applied(self, path: str, body: Json) -> Json:
        """Return the object as it would be after a server-side apply; nothing is stored."""
        answer = self._send(
            "PATCH",
            path,
            params={"dryRun": "All", "force": "true"},
            body=body,
            headers={"Content-Type": _APPLY_PATCH},
        )
        return _json(answer)

    def patch(self, path: str, body: Json) -> None:
        """Merge `body` into the object.

        Raises:
            Conflict: it has changed since the `resourceVersion` in `body`, or is gone.
        """
        answer = self._send("PATCH", path, body=body, headers={"Content-Type": _MERGE_PATCH})
        if answer.status in (_CONFLICT, _NOT_FOUND):
            raise Conflict(f"{path} was changed by another client: {_message(answer)}")
        self._noted(path.rpartition("/")[0], _json(answer))

    def delete(self, path: str, *, uid: str, grace_seconds: int | None) -> None:
        """Delete the object if it still has this UID; a missing one counts as deleted.

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
        answer = self._send("DELETE", path, body=body)
        # Conflict: the precondition failed, so the object of this UID is gone.
        if answer.status not in (_NOT_FOUND, _CONFLICT):
            self._noted(path.rpartition("/")[0], _json(answer))

    def log(self, namespace: str, pod: str, container: str) -> str | None:
        """Return the whole log of the container; None where it has none."""
        path = f"{object_path(namespace, 'pods', pod)}/log"
        answer = self._send("GET", path, params={"container": container})
        if answer.status in (_NOT_FOUND, _BAD_REQUEST):
            return None
        if answer.is_error:
            raise _refused(answer)
        return answer.content.decode("utf-8", "replace")

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

        A kubelet that cannot be reached for a moment shows as a 5xx before the command starts;
        that is retried.

        Args:
            timeout: seconds for the command.
        """
        path = f"{object_path(namespace, 'pods', pod)}/exec"
        query = [
            ("container", container),
            *(("command", word) for word in command),
            *((stream, "true") for stream in ("stdin", "stdout", "stderr")),
        ]
        pauses = iter(_PAUSES)
        while True:
            try:
                printed = self._connection.run(path, query, stdin, timeout=timeout)
            except KubeError as error:
                raise error.reworded(
                    f"cannot run a process in pod {namespace}/{pod}, container {container}: "
                    f"{error.message}"
                ) from error
            if not isinstance(printed, Answer):
                return "\n".join(_text(stream) for stream in (printed.stderr, printed.stdout))
            pause = next(pauses, None) if printed.is_server_error else None
            if pause is None:
                raise _refused(printed)
            time.sleep(pause)

    def _send(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        body: Json | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        query = dict(params or {})
        if method in ("POST", "PUT", "PATCH"):
            query["fieldManager"] = self._manager
        answer = self._connection.send(method, path, query=query, headers=headers, body=body)
        self._ahead = _ahead(answer)
        if _lacks_right(answer):
            raise _refused(answer)
        return answer

    def _noted(self, path: str, answer: Json) -> Json:
        self.versions.note(path, version_of(answer))
        return answer


def version_of(item: Mapping[str, Any]) -> int:
    """Return the resourceVersion of an object or a list; 0 where it is not a number.

    Versions of one collection can be compared as numbers (Kubernetes API concepts, "Resource
    versions").
    """
    text = str((item.get("metadata") or {}).get("resourceVersion") or "")
    return int(text) if text.isdecimal() else 0


def _lines(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Yield the lines of a watch, each a JSON document: they end with \\n and nothing else."""
    rest = b""
    for piece in pieces:
        *lines, rest = (rest + piece).split(b"\n") if b"\n" in piece else (rest + piece,)
        yield from (line for line in lines if line)


def _ahead(answer: Answer) -> timedelta:
    """Return how much the server's clock is ahead; zero where that is within the rounding."""
    try:
        server_time = parsedate_to_datetime(answer.headers["Date"])
    except (KeyError, TypeError, ValueError):
        return timedelta(0)
    ahead = server_time - datetime.now(UTC)
    return ahead if abs(ahead) > _ROUNDING else timedelta(0)


def _json(answer: Answer) -> Json:
    if answer.is_error:
        raise _refused(answer)
    try:
        value = json.loads(answer.content)
    except ValueError:
        value = answer.content[:300].decode("utf-8", "replace")
    if not isinstance(value, dict):
        raise KubeError(f"{answer.path}: expected a JSON object, got {type(value).__name__}")
    return value


def _refused(answer: Answer) -> KubeError:
    request, said = f"{answer.method} {answer.path}", _message(answer)
    facts: dict[str, Any] = {
        "status": answer.status,
        "reason": _reason(answer),
        "said": said,
    }
    if _lacks_right(answer):
        return Forbidden(
            f"the operator is not allowed to {request}: {said}; grant the permission in the Role "
            "of its chart",
            **facts,
        )
    return KubeError(
        f"the Kubernetes API server answered {answer.status} to {request}: {said}",
        RETRY_SOON if answer.is_server_error else RETRY_LATER,
        **facts,
    )


def _status(answer: Answer) -> Json:
    try:
        value = json.loads(answer.content)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def _reason(answer: Answer) -> str:
    return str(_status(answer).get("reason", "")) if answer.is_error else ""


def _lacks_right(answer: Answer) -> bool:
    """Return whether it is a missing right, not a quota or admission rule, which answer 403 too."""
    if answer.status == _UNAUTHORIZED:
        return True
    return answer.status == _FORBIDDEN and 'User "' in _message(answer)


def _message(answer: Answer) -> str:
    return str(_status(answer).get("message") or answer.content[:300].decode("utf-8", "replace"))


def _text(stream: bytes) -> str:
    return stream.decode("utf-8", "replace")
