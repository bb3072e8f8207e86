"""A node, and the controllers whose work ends on it: Deployments, StatefulSets, Jobs, pods, logs.

Objects are real and in the API server; only time is made here, in ticks. A Deployment's new pods
come in one tick and its old ones go in the next; a StatefulSet's old pod goes first, for the new
one has its name; a Job's pod runs for one tick and then succeeds; a pod that is to be deleted is
gone one tick later. A pod keeps what it loaded when it was made.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import threading
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any

from standin.builds import Builds
from standin.kube import Json, Kube
from standin.kubelet import Kubelet, Ran, run_here
from standin.settings import Loaded, loaded_by

BEGIN = "-----BEGIN XCOM PROBE RESULT-----"
END = "-----END XCOM PROBE RESULT-----"
PROBE_JOB = "xcomrollout.dev/job-kind"

Probe = Callable[[Json, Loaded, list[str], bytes | None], Json]
"""(pod, what it loaded, the probe's arguments, its list of runs where that is not mounted) -> the
members `verdict`, `checks`, `facts`, ... of the result document."""


def now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def framed(result: Json) -> str:
    """Return a log with the result in it, as the probe prints it."""
    document = {"schema": "xcom-probe/v1", "checks": [], "facts": {}, **result}
    return f"a line of Airflow's own\n{BEGIN}\n{json.dumps(document)}\n{END}\n"


class Node:
    """One node for any number of namespaces; a context manager."""

    def __init__(self, name: str, kubeconfig: Path, pki: Path) -> None:
        """Args: `pki` the folder with a certificate for 127.0.0.1 (`apiserver.crt`, `.key`)."""
        self.name = name
        self._kube = Kube(kubeconfig)
        self._lock = threading.Lock()
        self._logs: dict[tuple[str, str], str] = {}
        self._loaded: dict[str, Loaded] = {}
        """What each pod loaded at its start, by UID."""
        self._late: Loaded | None = None
        self._probes: dict[str, Probe] = {}
        self._builds: dict[str, Builds] = {}
        self._kubelet = Kubelet(
            pki / "apiserver.crt", pki / "apiserver.key", self._log, self._execute
        )

    def __enter__(self) -> Node:
        self._kubelet.__enter__()
        node = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": self.name}}
        self._kube.create("/api/v1/nodes", node)
        self._announce(self._kubelet.port)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._kubelet.__exit__(kind, error, trace)

    @contextmanager
    def away(self) -> Iterator[None]:
        """Nothing listens where the API server looks for the kubelet, while the block runs."""
        self._announce(port=1)
        try:
            yield
        finally:
            self._announce(self._kubelet.port)

    @contextmanager
    def late(self, before: Loaded) -> Iterator[None]:
        """The kubelet knows of no change: what starts while the block runs mounts `before`."""
        with self._lock:
            self._late = before
        try:
            yield
        finally:
            with self._lock:
                self._late = None

    def answer_probes(self, namespace: str, probe: Probe) -> None:
        """Let `probe` say what the probe finds in the Jobs of this namespace."""
        self._probes[namespace] = probe

    def set_builds(self, namespace: str, builds: Builds) -> None:
        """Let the live pods of this namespace report these builds."""
        self._builds[namespace] = builds

    def tick(self, namespace: str) -> None:
        """Let the controllers and the node do what is due in this namespace."""
        pods = self._kube.list(f"/api/v1/namespaces/{namespace}/pods")
        for pod in pods:
            if pod["metadata"].get("deletionTimestamp"):
                self._kube.delete(_path("pods", pod))
        staying = [pod for pod in pods if not pod["metadata"].get("deletionTimestamp")]
        for item in self._kube.list(f"/apis/apps/v1/namespaces/{namespace}/deployments"):
            self._deployment(item, staying)
        for item in self._kube.list(f"/apis/apps/v1/namespaces/{namespace}/statefulsets"):
            self._stateful_set(item, pods)
        for item in self._kube.list(f"/apis/batch/v1/namespaces/{namespace}/jobs"):
            self._job(item, staying)

    def start(self, namespace: str, metadata: Json, spec: Json) -> Json:
        """Create a pod on this node, and let it run at once."""
        pod = self._kube.create(
            f"/api/v1/namespaces/{namespace}/pods",
            {
                "apiVersion": "v1",
                "kind": "Pod",
                "metadata": metadata,
                "spec": {**spec, "nodeName": self.name},
            },
        )
        with self._lock:
            self._loaded[pod["metadata"]["uid"]] = self._late or loaded_by(
                self._kube, namespace, spec
            )
        self._say(pod, "Running")
        return pod

    def loaded(self, uid: str) -> Loaded:
        """Return what the pod with this UID loaded at its start."""
        with self._lock:
            return self._loaded[uid]

    def _deployment(self, item: Json, pods: list[Json]) -> None:
        metadata, spec, template = item["metadata"], item["spec"], item["spec"]["template"]
        made = _made_of(template, "pod-template-hash")
        mine = [pod for pod in pods if _has(pod, spec["selector"]["matchLabels"])]
        current = [pod for pod in mine if _is_of(pod, made, "pod-template-hash")]
        old = [pod for pod in mine if pod not in current]
        if current:
            for pod in old:
                self._kube.delete(_path("pods", pod))
            old = []
        else:
            # Names that say the same in every namespace, so that stories can be compared.
            for number in range(spec["replicas"]):
                name = f"{metadata['name']}-{metadata['generation']}-{number}"
                named = {**made, "name": name}
                current.append(self.start(metadata["namespace"], named, template["spec"]))
        self._count("deployments", item, updated=len(current), others=len(old))

    def _stateful_set(self, item: Json, pods: list[Json]) -> None:
        """Replace one pod at a time, the last first.

        Args:
            pods: of the namespace, those included that are going: a name is free once its pod went.
        """
        metadata, spec, template = item["metadata"], item["spec"], item["spec"]["template"]
        made = _made_of(template, "controller-revision-hash")
        owner = {
            "apiVersion": "apps/v1",
            "kind": "StatefulSet",
            "name": metadata["name"],
            "uid": metadata["uid"],
            "controller": True,
        }
        there = {pod["metadata"]["name"]: pod for pod in pods}
        updated = others = 0
        settled = True
        for number in reversed(range(spec["replicas"])):
            name = f"{metadata['name']}-{number}"
            pod = there.get(name)
            if pod is None:
                named = {**made, "name": name, "ownerReferences": [owner]}
                self.start(metadata["namespace"], named, _claimed(spec, name))
                updated += 1
                settled = False
            elif pod["metadata"].get("deletionTimestamp"):
                settled = False
            elif _is_of(pod, made, "controller-revision-hash"):
                updated += 1
            else:
                others += 1
                if settled:
                    self._kube.delete(_path("pods", pod))
                settled = False
        self._count("statefulsets", item, updated=updated, others=others)

    def _count(self, plural: str, item: Json, *, updated: int, others: int) -> None:
        """Write the status of a workload whose pods are all ready."""
        every = updated + others
        status = {
            "observedGeneration": item["metadata"]["generation"],
            "replicas": every,
            "updatedReplicas": updated,
            "readyReplicas": every,
            "availableReplicas": every,
        }
        if {key: (item.get("status") or {}).get(key) for key in status} != status:
            path = _path(plural, item, "apis/apps/v1") + "/status"
            self._kube.merge(path, {"status": status})

    def _job(self, item: Json, pods: list[Json]) -> None:
        metadata, status = item["metadata"], item.get("status") or {}
        if any(entry["type"] in ("Complete", "Failed") for entry in status.get("conditions") or []):
            return
        path = _path("jobs", item, "apis/batch/v1") + "/status"
        mine = [
            pod for pod in pods if _has(pod, {"batch.kubernetes.io/job-name": metadata["name"]})
        ]
        if not mine and status.get("startTime"):
            # Its only pod was ended, and there is no retry.
            self._end_job(path, ("FailureTarget", "Failed"), {"failed": 1})
            return
        if not mine:
            template = item["spec"]["template"]
            made = {
                "name": f"{metadata['name']}-pod",
                "labels": template["metadata"]["labels"],
                "annotations": template["metadata"].get("annotations") or {},
            }
            pod = self.start(metadata["namespace"], made, template["spec"])
            if not _waits(pod):
                self._run(pod)
            running = {"startTime": now(), "active": 1, "ready": 1}
            self._kube.merge(path, {"status": running})
            return
        if any(_waits(pod) for pod in mine):
            return
        for pod in mine:
            self._say(pod, "Succeeded")
        ended = {"succeeded": len(mine), "completionTime": now()}
        self._end_job(path, ("SuccessCriteriaMet", "Complete"), ended)

    def _end_job(self, path: str, kinds: tuple[str, ...], how: Json) -> None:
        conditions = [
            {"type": kind, "status": "True", "lastTransitionTime": now(), "lastProbeTime": now()}
            for kind in kinds
        ]
        done: Json = {"active": 0, "ready": 0, "terminating": 0, "conditions": conditions}
        self._kube.merge(path, {"status": done | how})

    def _run(self, pod: Json) -> None:
        """Make the log of a Job's pod: what it sees is what is there when it starts."""
        metadata = pod["metadata"]
        container = pod["spec"]["containers"][0]
        arguments = [*container.get("command", []), *container.get("args", [])]
        result = self._probes[metadata["namespace"]](
            pod, self.loaded(metadata["uid"]), arguments, None
        )
        with self._lock:
            self._logs[metadata["namespace"], metadata["name"]] = framed(result)

    def _say(self, pod: Json, phase: str) -> None:
        """Write the status of a pod whose containers all run, or have all ended well."""
        started = (pod.get("status") or {}).get("startTime") or now()
        ready = phase == "Running"
        state: Json = {"running": {"startedAt": started}}
        if not ready:
            ended = {"exitCode": 0, "reason": "Completed", "startedAt": started}
            state = {"running": None, "terminated": {**ended, "finishedAt": now()}}
        containers = [
            {
                "name": container["name"],
                "image": container["image"],
                "imageID": "sha256:" + hashlib.sha256(container["image"].encode()).hexdigest(),
                "ready": ready,
                "restartCount": 0,
                "state": state,
            }
            for container in pod["spec"]["containers"]
        ]
        conditions = [{"type": "Ready", "status": str(ready)}]
        status = {"phase": phase, "startTime": started, "conditions": conditions}
        self._kube.merge(
            _path("pods", pod) + "/status", {"status": {**status, "containerStatuses": containers}}
        )

    def _log(self, namespace: str, pod: str) -> str | None:
        with self._lock:
            return self._logs.get((namespace, pod))

    def _announce(self, port: int) -> None:
        status = {
            "addresses": [{"type": "InternalIP", "address": "127.0.0.1"}],
            "daemonEndpoints": {"kubeletEndpoint": {"Port": port}},
        }
        self._kube.merge(f"/api/v1/nodes/{self.name}/status", {"status": status})

    def _execute(self, namespace: str, pod: str, command: list[str], stdin: bytes) -> Ran:
        """Run the probe: `_KNOWN` commands in live pods, questions in one that waits.

        `attempts` is really run, beside the processes of this machine.
        """
        found = self._kube.find(f"/api/v1/namespaces/{namespace}/pods/{pod}")
        if found is None:
            return Ran("", f"no pod {pod}", 1)
        if _waits(found):
            return self._answer(found, command, stdin)
        if command[:2] != ["python", "-c"] or not _KNOWN & set(command):
            return Ran("", f"this pod does not know the command {command[:1]}", 127)
        size = next((int(word) for word in command if word.isdigit()), len(stdin))
        if len(stdin) != size:
            return Ran("", f"{len(stdin)} of {size} bytes arrived", 1)
        if "attempts" in command:
            return run_here((sys.executable, *command[1:]), dict(os.environ), stdin)
        if "provenance" in command:
            component = found["metadata"]["labels"]["component"]
            return Ran(framed(self._builds[namespace].answer(component, command)))
        return self._inspect(found)

    def _answer(self, pod: Json, command: list[str], stdin: bytes) -> Ran:
        """Run a command beside a process that waits for that."""
        size = next((int(word) for word in command if word.isdigit()), 0)
        if len(stdin) != size:
            return Ran("", f"{len(stdin)} of {size} bytes arrived", 1)
        metadata = pod["metadata"]
        probe, loaded = self._probes[metadata["namespace"]], self.loaded(metadata["uid"])
        return Ran(framed(probe(pod, loaded, command, stdin or None)))

    def _inspect(self, pod: Json) -> Ran:
        loaded = self.loaded(pod["metadata"]["uid"])
        options: dict[str, Any] = {
            name: {"value": value, "source": "airflow.cfg"}
            for name, value in (
                ("path", loaded.path),
                ("threshold", str(loaded.threshold)),
                ("compression", loaded.compression),
            )
        }
        facts = {"backendClass": loaded.backend, "objectStorage": options}
        return Ran(framed({"verdict": "pass", "facts": facts}))


_KNOWN = frozenset({"inspect", "configured", "provenance", "attempts"})


def _waits(pod: Json) -> bool:
    """Whether the process of a pod does nothing until it is ended."""
    return "standby" in (pod["spec"]["containers"][0].get("command") or [])


def _made_of(template: Json, label: str) -> Json:
    """Return the metadata of a pod of this template, whose revision is in a label."""
    text = json.dumps([template["metadata"], template["spec"]], sort_keys=True)
    return {
        "labels": {**template["metadata"]["labels"], label: f"{zlib.crc32(text.encode()):08x}"},
        "annotations": template["metadata"].get("annotations") or {},
    }


def _is_of(pod: Json, made: Json, label: str) -> bool:
    """Whether a pod was made of the template that this metadata comes from."""
    return _has(pod, {label: made["labels"][label]})


def _claimed(spec: Json, pod: str) -> Json:
    """Return the spec of a StatefulSet's pod with the volumes that are claimed for it."""
    template: Json = spec["template"]["spec"]
    claims = [claim["metadata"]["name"] for claim in spec.get("volumeClaimTemplates") or []]
    volumes = [
        {"name": name, "persistentVolumeClaim": {"claimName": f"{name}-{pod}"}} for name in claims
    ]
    return {**template, "volumes": [*(template.get("volumes") or []), *volumes]}


def _has(item: Json, labels: dict[str, str]) -> bool:
    found = item["metadata"].get("labels") or {}
    return all(found.get(key) == value for key, value in labels.items())


def _path(plural: str, item: Json, api: str = "api/v1") -> str:
    metadata = item["metadata"]
    return f"/{api}/namespaces/{metadata['namespace']}/{plural}/{metadata['name']}"
