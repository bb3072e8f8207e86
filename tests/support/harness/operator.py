"""The operator on a cluster, and one rollout as its user sees it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from harness.cluster import Cluster
from harness.paths import REPO
from harness.say import step
from harness.shell import HarnessError
from harness.stack import INSTANCES, AirflowStack, airflow_values
from harness.waiting import NotYetError, wait_for

OPERATOR_NAMESPACE = "xcom-rollout"
OPERATOR_CHART = REPO / "charts" / "xcom-rollout"
EXAMPLE = REPO / "docs" / "examples" / "demo.yaml"
ROLLOUT = "demo"
API_SECRET = "airflow-api"


class OperatorInstall:
    """The operator's own chart, installed as a user installs it."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster

    def install(self, values: Mapping[str, Any] | None = None) -> None:
        """Build and load the image, install or upgrade the chart, wait until it runs.

        It watches the namespaces of the Airflows that are there: a Role needs its namespace.

        Args:
            values: of the operator's chart, beside those that every test needs.

        Raises:
            HarnessError: a step failed; what was last seen is in the message.
        """
        namespaces = self._namespaces()
        if not namespaces:
            # The last Airflow is gone: there is nothing to watch.
            where = ("--namespace", OPERATOR_NAMESPACE, "--ignore-not-found")
            self.cluster.helm("uninstall", "xcom-rollout", *where, "--wait")
            return
        repository, _, tag = self.cluster.load_image("operator").rpartition(":")
        with step("the operator by Helm"):
            crds = "".join(
                f"---\n{file.read_text()}" for file in sorted((OPERATOR_CHART / "crds").iterdir())
            )
            self.cluster.apply(crds)
            self.cluster.helm(
                *("upgrade", "--install", "xcom-rollout", str(OPERATOR_CHART)),
                *("--namespace", OPERATOR_NAMESPACE, "--create-namespace"),
                *("--set", f"image.repository={repository}", "--set-string", f"image.tag={tag}"),
                *("--set", "image.pullPolicy=IfNotPresent"),
                *("--set", f"watchNamespaces={{{','.join(namespaces)}}}"),
                *("--set", "rbac.letNamespacesGo=true"),
                *("--values", "-", "--wait", "--timeout", "120s"),
                stdin=json.dumps(dict(values or {})),
            )

    def _namespaces(self) -> list[str]:
        found = self.cluster.kubectl_json("get", "namespaces")["items"]
        active = {ns["metadata"]["name"] for ns in found if ns["status"]["phase"] == "Active"}
        wanted = (name for each in INSTANCES for name in each.namespaces)
        return [name for name in wanted if name in active]

    def pod(self, *, deadline: float = 60.0) -> str:
        """Name of the pod that runs now; waited for when there is none.

        Raises:
            WaitTimeoutError: none ran within `deadline` seconds.
        """

        def running() -> str:
            pods = self.cluster.kubectl_json("--namespace", OPERATOR_NAMESPACE, "get", "pods")
            for pod in pods["items"]:
                metadata, phase = pod["metadata"], pod["status"].get("phase")
                if phase == "Running" and "deletionTimestamp" not in metadata:
                    return str(metadata["name"])
            seen = [
                f"{pod['metadata']['name']} {pod['status'].get('phase')}" for pod in pods["items"]
            ]
            raise NotYetError(", ".join(seen) or "no pod")

        return wait_for("a running pod of the operator", running, deadline)

    def kill_hard(self) -> str:
        """End the operator's process with SIGKILL, as a node failure would; return the pod."""
        pod = self.pod()
        self.cluster.kubectl(
            *("--namespace", OPERATOR_NAMESPACE, "delete", "pod", pod),
            *("--grace-period=0", "--force"),
        )
        return pod

    def uninstall(self) -> None:
        """Remove the operator, its CRD and every rollout."""
        with step("removing the operator"):
            kubectl = self.cluster.kubectl
            kubectl(
                "delete", "namespace", OPERATOR_NAMESPACE, "--ignore-not-found", "--timeout=90s"
            )
            kubectl(
                *("delete", "crd", "xcombackendrollouts.xcomrollout.dev", "--ignore-not-found"),
            )


class RolloutOnCluster:
    """One `XComBackendRollout`, through kubectl and `kubectl xbr` only."""

    def __init__(self, stack: AirflowStack, name: str = ROLLOUT) -> None:
        self.stack = stack
        self.cluster = stack.cluster
        self.namespace, self.release = stack.namespace, stack.release
        self.name = name

    def manifest(self, change: Callable[[dict[str, Any]], None] | None = None) -> dict[str, Any]:
        """Return the example of the documentation for this Airflow, changed by `change`."""
        text: dict[str, Any] = yaml.safe_load(EXAMPLE.read_text())
        chart = self.stack.chart
        text["metadata"] |= {"name": self.name, "namespace": self.namespace}
        text["spec"]["airflow"]["release"] = self.release
        text["spec"]["airflow"]["api"]["service"] = self.stack.instance.web_service
        text["spec"]["delivery"]["helm"]["chart"] = {
            "repository": chart.repository,
            "name": chart.name,
            "version": chart.version,
        }
        if change is not None:
            change(text)
        return text

    def prepare(self) -> None:
        """Make the Secret with the credentials that the operator uses at Airflow's API."""
        self.cluster.apply(
            {
                "apiVersion": "v1",
                "kind": "Secret",
                "metadata": {"name": API_SECRET, "namespace": self.namespace},
                "stringData": {"username": "admin", "password": "admin"},
            }
        )

    def apply(self, change: Callable[[dict[str, Any]], None] | None = None) -> str:
        """`kubectl apply`, as a user does it.

        Raises:
            CommandError: the API server refused it.
        """
        return self.cluster.kubectl("apply", "-f", "-", stdin=json.dumps(self.manifest(change)))

    def delete(self) -> None:
        """Delete the rollout and its ledger; the backend stays as it is."""
        words = ("--namespace", self.namespace, "delete", "--ignore-not-found")
        self.cluster.kubectl(*words, "xbr", self.name)
        self.cluster.kubectl(*words, "configmap", f"xbr-{self.name}-ledger")

    def get(self) -> dict[str, Any]:
        """The resource as it is."""
        found: dict[str, Any] = self.cluster.kubectl_json(
            "--namespace", self.namespace, "get", "xbr", self.name
        )
        return found

    def status(self) -> dict[str, Any]:
        return dict(self.get().get("status") or {})

    def kill_status(self) -> dict[str, Any]:
        """What the status says of the kill; empty before one."""
        return dict(self.status().get("killSwitch") or {})

    def conditions(self) -> dict[str, dict[str, str]]:
        return {entry["type"]: entry for entry in self.status().get("conditions", [])}

    def wait_condition(
        self, kind: str, status: str = "True", *, reason: str | None = None, deadline: float
    ) -> dict[str, str]:
        """Wait until the condition has this status, and reason if one is given; return it.

        Raises:
            WaitTimeoutError: not within `deadline` seconds; says all conditions.
        """

        def reached() -> dict[str, str]:
            found = self.conditions()
            entry = found.get(kind)
            if entry and entry["status"] == status and reason in (None, entry["reason"]):
                return entry
            raise NotYetError(
                "; ".join(
                    f"{c['type']}={c['status']} {c['reason']}: {c['message']}"
                    for c in found.values()
                )
                or "no conditions yet"
            )

        wanted = f"{kind}={status}" + (f" ({reason})" if reason else "")
        return wait_for(f"rollout {self.name}: {wanted}", reached, deadline, interval=0.5)

    def xbr(self, *words: str, check: bool = True, timeout: float = 600, live: bool = False) -> str:
        """Run `kubectl xbr ...`; `live` shows its output while it runs.

        Raises:
            HarnessError: `check` and the exit code is not 0.
        """
        environment = {
            **os.environ,
            "KUBECONFIG": str(self.cluster.kubeconfig),
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        }
        command = [*self.cluster.kubectl_command[:1], "xbr", *words, "-n", self.namespace]
        return _run_shown(command, environment, check=check, timeout=timeout, live=live)

    def events(self) -> list[tuple[str, str]]:
        """Reason and message of each Event of the rollout, oldest first."""
        found = self.cluster.kubectl_json(
            *("--namespace", self.namespace, "get", "events"),
            *("--field-selector", f"involvedObject.name={self.name}"),
        )["items"]
        ordered = sorted(
            found, key=lambda event: event.get("lastTimestamp") or event.get("eventTime") or ""
        )
        return [(event["reason"], event["message"]) for event in ordered]

    def revision(self) -> int:
        """Number of the newest Helm revision of the release."""
        return max(self._revisions())

    def thresholds_delivered(self, after: int = 0) -> list[str]:
        """Threshold (or `database`) of each Helm revision above `after`, oldest first.

        Helm keeps the newest ten.
        """
        return [_threshold(self._values(number)) for number in self._revisions() if number > after]

    def _revisions(self) -> list[int]:
        history = json.loads(
            self.cluster.helm("history", self.release, "--namespace", self.namespace, "-o", "json")
        )
        return sorted(int(entry["revision"]) for entry in history)

    def _values(self, revision: int) -> Mapping[str, Any]:
        text = self.cluster.helm(
            *("get", "values", self.release, "--namespace", self.namespace, "-o", "json"),
            *("--revision", str(revision)),
        )
        return airflow_values(self.stack.instance, dict(json.loads(text) or {}))


def _threshold(values: Mapping[str, Any]) -> str:
    config = values.get("config") or {}
    backend = (config.get("core") or {}).get("xcom_backend") or ""
    if not backend.endswith("XComObjectStorageBackend"):
        return "database"
    return str((config.get("common.io") or {}).get("xcom_objectstorage_threshold"))


def _run_shown(
    command: Sequence[str],
    environment: Mapping[str, str],
    *,
    check: bool,
    timeout: float,
    live: bool,
) -> str:
    begin = time.monotonic()
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=dict(environment),
    )
    lines: list[str] = []
    if process.stdout is None:
        raise AssertionError("stdout was asked for")
    for line in process.stdout:
        lines.append(line)
        if live:
            print(f"     {line.rstrip()}", flush=True)
        if time.monotonic() - begin > timeout:
            process.kill()
            raise HarnessError(f"{' '.join(command)} took longer than {timeout} s")
    code = process.wait()
    output = "".join(lines)
    if check and code != 0:
        raise HarnessError(f"{' '.join(command)} ended with code {code}:\n{output}")
    return output
