"""Clients of everything that observing and acting need, opened once."""

import atexit
import hashlib
import os
import shutil
import socket
import tempfile
import uuid
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Final

import httpx2

from xcom_probe.build import build
from xcom_rollout.airflow_api.access import airflow_http
from xcom_rollout.clients.connection import Connection
from xcom_rollout.clients.helm import HelmRunner
from xcom_rollout.clients.kube import KubeApi
from xcom_rollout.clients.memo import Memo
from xcom_rollout.decide.observed import MOUNT_LAG

AIRFLOW_URL: Final = "{scheme}://{service}.{namespace}.svc:{port}"
PROBE_FILE: Final = "xcom_probe.pyz"


@dataclass(frozen=True)
class Clients:
    """Connections and fixed inputs. Safe for use by several threads.

    Attributes:
        kube: the connection to the cluster.
        api: the cluster as plain JSON.
        helm: the helm command.
        probe: the zipapp that runs inside Airflow's pods.
        probe_digest: its sha256 in hex.
        work: writable folder, for charts and Helm's own files.
        airflow_url: address of Airflow's web server with the fields {scheme}, {service},
            {namespace} and {port}, so that the operator can also run outside of the cluster.
        instance: names this pod, or this process outside of a cluster.
        http: client for Airflow's REST API.
        memo: cached results.
        mount_lag: how late a kubelet may be, as in `decide.observed.MOUNT_LAG`.
    """

    kube: Connection
    api: KubeApi
    helm: HelmRunner
    probe: bytes
    probe_digest: str
    work: Path
    airflow_url: str = AIRFLOW_URL
    instance: str = field(default_factory=lambda: uuid.uuid4().hex[:12])
    http: httpx2.Client = field(default_factory=airflow_http)
    memo: Memo = field(default_factory=Memo)
    mount_lag: timedelta = MOUNT_LAG


def open_clients(
    kube: Connection,
    *,
    probe: Path | None = None,
    helm: str | None = None,
    work: Path | None = None,
) -> Clients:
    """Return the clients that `kube` gives access to. Sends no request yet.

    Args:
        probe: the zipapp; None builds it from the installed package.
        helm: the helm command; None uses HELM_BIN, else `helm` on PATH.
        work: writable folder; None uses XBR_WORK_DIR, else a folder that is removed at the end.

    Raises:
        OSError: the zipapp cannot be read or the folder cannot be made.
    """
    work = work or _work_folder()
    content = _built(work) if probe is None else probe.read_bytes()
    outside = not kube.in_pod
    return Clients(
        kube=kube,
        api=KubeApi(kube),
        helm=HelmRunner(
            binary=helm or os.environ.get("HELM_BIN") or "helm",
            home=work / "helm",
            global_arguments=("--kube-context", kube.context) if outside else (),
            environment={"KUBECONFIG": kube.kubeconfig} if outside else {},
        ),
        probe=content,
        probe_digest=hashlib.sha256(content).hexdigest(),
        work=work,
        airflow_url=os.environ.get("XBR_AIRFLOW_API_URL") or AIRFLOW_URL,
        instance=_instance(in_pod=not outside),
    )


def _instance(*, in_pod: bool) -> str:
    """Return a name that a container of the same pod has again after it was restarted."""
    if not in_pod:
        return uuid.uuid4().hex[:12]
    name = os.environ.get("POD_NAME") or socket.gethostname()
    return hashlib.sha256(name.encode()).hexdigest()[:12]


def _work_folder() -> Path:
    named = os.environ.get("XBR_WORK_DIR")
    if named:
        folder = Path(named)
        folder.mkdir(parents=True, exist_ok=True)
        return folder
    temporary = Path(tempfile.mkdtemp(prefix="xcom-rollout-"))
    atexit.register(shutil.rmtree, temporary, ignore_errors=True)
    return temporary


def _built(work: Path) -> bytes:
    path = work / PROBE_FILE
    build(path)
    return path.read_bytes()
