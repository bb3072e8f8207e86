"""The API server as the stand-ins use it: plain JSON, as an administrator."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from xcom_rollout.clients.connection import Answer
from xcom_rollout.clients.kubeconfig import from_kubeconfig

Json = dict[str, Any]


class Kube:
    """Objects by their REST path. Safe for use by several threads."""

    def __init__(self, kubeconfig: Path) -> None:
        self._connection = from_kubeconfig(str(kubeconfig))

    def find(self, path: str) -> Json | None:
        """Return the object, None where there is none."""
        answer = self._send("GET", path)
        return None if answer.status == 404 else _json(answer)

    def get(self, path: str) -> Json:
        return _json(self._send("GET", path))

    def list(self, path: str, labels: str = "") -> list[Json]:
        params = {"labelSelector": labels} if labels else {}
        items: list[Json] = _json(self._send("GET", path, query=params))["items"]
        return items

    def create(self, path: str, body: Json) -> Json:
        return _json(self._send("POST", path, body=body))

    def merge(self, path: str, body: Json) -> Json | None:
        """Merge-patch the object; None where it is gone."""
        headers = {"Content-Type": "application/merge-patch+json"}
        answer = self._send("PATCH", path, body=body, headers=headers)
        return None if answer.status == 404 else _json(answer)

    def delete(self, path: str) -> None:
        """Delete the object at once; one that is gone is deleted."""
        answer = self._send("DELETE", path, query={"gracePeriodSeconds": "0"})
        if answer.status != 404:
            _json(answer)

    def _send(self, method: str, path: str, **rest: Any) -> Answer:
        return self._connection.send(method, path.lstrip("/"), **rest)


def _json(answer: Answer) -> Json:
    if answer.is_error:
        text = answer.content.decode("utf-8", "replace")[:1000]
        raise RuntimeError(f"{answer.method} {answer.path}: {answer.status} {text}")
    value: Json = json.loads(answer.content)
    return value
