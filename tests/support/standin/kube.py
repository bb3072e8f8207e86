"""The API server as the stand-ins use it: plain JSON, as an administrator."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx2
from lightkube import Client
from lightkube.config.kubeconfig import KubeConfig

Json = dict[str, Any]


def client_of(kubeconfig: Path) -> Client:
    """Return a client with the connection that the kubeconfig describes."""
    return Client(config=KubeConfig.from_file(kubeconfig).get(), field_manager="stand-in")


class Kube:
    """Objects by their REST path. Safe for use by several threads."""

    def __init__(self, kubeconfig: Path) -> None:
        # lightkube knows how to read a kubeconfig; its HTTP client is all that is used of it.
        self._http: httpx2.Client = client_of(kubeconfig)._client._client

    def find(self, path: str) -> Json | None:
        """Return the object, None where there is none."""
        response = self._http.get(path)
        if response.status_code == httpx2.codes.NOT_FOUND:
            return None
        return _json(response)

    def get(self, path: str) -> Json:
        return _json(self._http.get(path))

    def list(self, path: str, labels: str = "") -> list[Json]:
        params = {"labelSelector": labels} if labels else {}
        items: list[Json] = _json(self._http.get(path, params=params))["items"]
        return items

    def create(self, path: str, body: Json) -> Json:
        return _json(self._http.post(path, json=body))

    def merge(self, path: str, body: Json) -> Json | None:
        """Merge-patch the object; None where it is gone."""
        headers = {"Content-Type": "application/merge-patch+json"}
        response = self._http.patch(path, json=body, headers=headers)
        if response.status_code == httpx2.codes.NOT_FOUND:
            return None
        return _json(response)

    def delete(self, path: str) -> None:
        """Delete the object at once; one that is gone is deleted."""
        response = self._http.delete(path, params={"gracePeriodSeconds": "0"})
        if response.status_code != httpx2.codes.NOT_FOUND:
            _json(response)


def _json(response: httpx2.Response) -> Json:
    if response.is_error:
        request = response.request
        raise RuntimeError(
            f"{request.method} {request.url.path}: {response.status_code} {response.text[:1000]}"
        )
    answer: Json = response.json()
    return answer
