"""Airflow's REST API as the operator opens it, on a server that answers as a test wants."""

from __future__ import annotations

import base64
from functools import cache
from types import SimpleNamespace
from typing import Any, cast

import httpx2

from nasty_http import NastyServer, Received, Reply
from xcom_rollout.airflow_api.access import airflow_http
from xcom_rollout.airflow_api.airflow import AirflowApi, open_airflow
from xcom_rollout.api.v1alpha1 import AirflowApi as ApiSpec
from xcom_rollout.clients.kube import KubeApi
from xcom_rollout.clients.memo import Memo
from xcom_rollout.decide.observed import Rollout

V1_RUNS, V2_RUNS = "/api/v1/dags/~/dagRuns", "/api/v2/dags/~/dagRuns"
NO_RUNS = Reply(body={"dag_runs": [], "total_entries": 0})


@cache
def _shared() -> httpx2.Client:
    # As in the operator, all requests go through one client.
    return airflow_http()


def token(number: int) -> Reply:
    """Return the answer to a login of Airflow 3."""
    return Reply(201, {"access_token": f"token-{number}"})


def api_spec(**changes: Any) -> ApiSpec:
    """Return `spec.airflow.api` with members added or replaced."""
    base = {"service": "web", "credentialsSecretRef": {"name": "airflow-api"}}
    return ApiSpec.model_validate({**base, **changes})


def kube_with(objects: dict[str, dict[str, str]], *, encoded: bool = True) -> KubeApi:
    """Return a Kubernetes whose objects, by path or all by "", have this data."""

    def find(path: str) -> dict[str, Any] | None:
        values = objects.get(path, objects.get(""))
        if values is None:
            return None
        if encoded and "/configmaps/" not in path:
            values = {k: base64.b64encode(v.encode()).decode() for k, v in values.items()}
        return {"data": values}

    # Without a cache no version is known.
    return cast("KubeApi", SimpleNamespace(find=find, known_version=lambda _path: None))


def opened(
    server: NastyServer,
    *,
    secret: dict[str, str] | None = None,
    memo: Memo | None = None,
    http: httpx2.Client | None = None,
    **api: Any,
) -> AirflowApi:
    """Open the API as the operator does, with a Secret as Kubernetes shows it."""
    kube = kube_with({"": {"username": "u", "password": "p"} if secret is None else secret})
    spec = SimpleNamespace(airflow=SimpleNamespace(api=api_spec(**api)))
    rollout = cast("Rollout", SimpleNamespace(namespace="airflow", spec=spec))
    return open_airflow(http or _shared(), kube, memo or Memo(), server.url, rollout)


def is_airflow(server: NastyServer, version: str, path: str = "") -> None:
    """Let the server say that it is Airflow of this version, below a path."""
    api = "v1" if version.startswith("2") else "v2"
    server.answer(f"{path}/api/{api}/version", Reply(body={"version": version}))


def credentials(request: Received) -> str:
    """Return what the request proves its sender by."""
    return request.headers.get("Authorization") or request.headers.get("Cookie") or ""
