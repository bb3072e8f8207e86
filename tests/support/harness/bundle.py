"""What a person needs to find out why a test on a cluster failed, gathered in one folder."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from harness.shell import HarnessError

Kubectl = Callable[..., str]
_RESOURCE = "xcombackendrollouts.xcomrollout.dev"
# Read by people, except the first, which holds every field.
_OVERVIEWS = {
    "all.json": (
        "get",
        "pods,jobs,deployments,statefulsets,replicasets,services,configmaps",
        "-A",
        "-o",
        "json",
    ),
    "pods.txt": ("get", "pods", "-A", "-o", "wide"),
    "events.txt": (
        *("get", "events", "-A", "--sort-by=.metadata.creationTimestamp"),
        "-o",
        "custom-columns=LAST:.lastTimestamp,TIME:.eventTime,NS:.metadata.namespace,"
        "KIND:.involvedObject.kind,NAME:.involvedObject.name,REASON:.reason,MESSAGE:.message",
    ),
    "nodes.txt": ("describe", "nodes"),
    "pods-described.txt": ("describe", "pods", "-A"),
    "jobs-described.txt": ("describe", "jobs", "-A"),
    "rollouts.yaml": ("get", _RESOURCE, "-A", "-o", "yaml"),
    "rollouts-described.txt": ("describe", _RESOURCE, "-A"),
}


def gather(kubectl: Kubectl, folder: Path) -> None:
    """Write overviews, and `logs/<namespace>/<pod>/<container>[.previous].log` of every pod.

    What cannot be read is noted in its place: a bundle never hides the failure that it is
    made for. Secrets are left out.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for name, command in _OVERVIEWS.items():
        (folder / name).write_text(_said(kubectl, *command))
    for pod in _pods(kubectl):
        _logs(kubectl, pod, folder / "logs")


def _said(kubectl: Kubectl, *command: str) -> str:
    try:
        return kubectl(*command)
    except HarnessError as error:
        return f"{error}\n"


def _pods(kubectl: Kubectl) -> list[dict[str, Any]]:
    try:
        return list(json.loads(kubectl("get", "pods", "-A", "-o", "json"))["items"])
    except HarnessError:
        # The overviews hold the reason.
        return []


def _logs(kubectl: Kubectl, pod: dict[str, Any], folder: Path) -> None:
    metadata, status = pod["metadata"], pod.get("status", {})
    namespace, name = metadata["namespace"], metadata["name"]
    target = folder / namespace / name
    target.mkdir(parents=True, exist_ok=True)
    for kind in ("initContainerStatuses", "containerStatuses"):
        for container in status.get(kind, []):
            command = ("--namespace", namespace, "logs", name, "-c", container["name"])
            log = target / f"{container['name']}.log"
            log.write_text(_said(kubectl, *command))
            if container.get("restartCount", 0) > 0:
                before = log.with_suffix(".previous.log")
                before.write_text(_said(kubectl, *command, "--previous"))
