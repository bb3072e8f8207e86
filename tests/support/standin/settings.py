"""What an Airflow process in a pod would load, read from the ConfigMap that the pod mounts.

Written without the operator's own code on purpose: the two have to agree.
"""

from __future__ import annotations

import configparser
from dataclasses import dataclass

from standin.kube import Json, Kube

OBJECT_STORAGE = "airflow.providers.common.io.xcom.backend.XComObjectStorageBackend"
DATABASE = "airflow.models.xcom.BaseXCom"


@dataclass(frozen=True)
class Loaded:
    """Backend and options as a process loads them, once, at its start."""

    backend: str
    path: str
    threshold: int
    compression: str

    @property
    def reads_offloaded(self) -> bool:
        return self.backend == OBJECT_STORAGE

    def offloads(self, size: int) -> bool:
        """Whether a value of `size` bytes is written as an object."""
        return self.reads_offloaded and 0 <= self.threshold <= size


def loaded_by(kube: Kube, namespace: str, pod_spec: Json) -> Loaded:
    """Return what a pod of this spec loads if it starts now.

    Raises:
        LookupError: it mounts no airflow.cfg.
    """
    for volume in pod_spec.get("volumes") or []:
        name = (volume.get("configMap") or {}).get("name")
        if not name:
            continue
        config_map = kube.get(f"/api/v1/namespaces/{namespace}/configmaps/{name}")
        text = (config_map.get("data") or {}).get("airflow.cfg")
        if text is not None:
            return _parsed(text)
    raise LookupError("the pod mounts no ConfigMap with airflow.cfg")


def _parsed(text: str) -> Loaded:
    parser = configparser.RawConfigParser(strict=False)
    parser.read_string(text)

    def option(section: str, name: str, default: str) -> str:
        return parser.get(section, name, fallback=default) or default

    return Loaded(
        backend=option("core", "xcom_backend", DATABASE),
        path=option("common.io", "xcom_objectstorage_path", ""),
        threshold=int(option("common.io", "xcom_objectstorage_threshold", "-1")),
        compression=option("common.io", "xcom_objectstorage_compression", ""),
    )
