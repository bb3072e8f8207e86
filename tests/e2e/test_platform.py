"""Airflow below a chart of a team's own, its tasks in another namespace (make test-long).

| As found in the field | Here |
|---|---|
| Airflow is a dependency of a chart that is in Git alone | `platform`, whose dependency is pulled |
| `multiNamespaceMode`, ClusterRoles | a rule for the operator, or the rollout is held |
| `[kubernetes_executor] namespace` | `platform-tasks`, with copies of what task pods mount |
| something mirrors these copies | a mirror of the test's, which stops before the kill |
| the triggerer is a StatefulSet with a volume | a volume made by hand |

A copy that does not follow is the fault that this is about: its tasks would offload forever.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from harness.cluster import Cluster
from harness.flights import (
    BYSTANDER,
    LATE,
    STAY,
    STEADY,
    WAY_BACK,
    Flights,
    accepting,
    asleep,
    landed,
    wait_for_dags,
)
from harness.operator import OperatorInstall, RolloutOnCluster
from harness.stack import AIRFLOW_2, AIRFLOW_3, PLATFORM, AirflowStack
from harness.waiting import NotYetError, wait_for

pytestmark = pytest.mark.long

HOME, TASKS = PLATFORM.namespace, PLATFORM.tasks
CONFIG = f"{PLATFORM.release}-config"
MINE = {STEADY, "wb_keys", "wb_deferred"}
VOLUME = "platform-triggerer-logs"
# The node of the tests keeps everything there, and removes it.
LOGS = "/var/lib/xcom-rollout-node/triggerer-logs"
KILL_SECONDS = 600.0
CLUSTER_RULES = {
    "rbac": {
        "helmDelivery": {
            "clusterRules": [
                {
                    "apiGroups": ["rbac.authorization.k8s.io"],
                    "resources": ["clusterroles", "clusterrolebindings"],
                    "verbs": ["get", "patch"],
                }
            ]
        }
    }
}


class Mirror:
    """Brings each change of the release's airflow.cfg to the namespace of the tasks."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self._over = threading.Event()
        self._thread: threading.Thread | None = None

    def copy(self, kind: str, name: str) -> None:
        found = self.cluster.kubectl_json("-n", HOME, "get", kind, name)
        kept = {key: found[key] for key in ("apiVersion", "kind", "type", "data") if key in found}
        self.cluster.apply({**kept, "metadata": {"name": name, "namespace": TASKS}})

    def copy_all(self) -> None:
        """Copy what task pods mount or name."""
        for secret in self.cluster.kubectl_json("-n", HOME, "get", "secrets")["items"]:
            if secret["type"] == "Opaque":
                self.copy("secret", secret["metadata"]["name"])
        for name in (CONFIG, "airflow-dags"):
            self.copy("configmap", name)
        self.copy("serviceaccount", f"{PLATFORM.release}-worker")

    def start(self) -> None:
        self._over.clear()
        self._thread = threading.Thread(target=self._follow, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._over.set()
        if self._thread is not None:
            self._thread.join()

    def _follow(self) -> None:
        seen = ""
        while not self._over.wait(2.0):
            words = ("-n", HOME, "get", "configmap", CONFIG, "-o", "jsonpath={.data}")
            said = self.cluster.kubectl(*words)
            if said != seen:
                self.copy("configmap", CONFIG)
                seen = said


def _make_volume(cluster: Cluster) -> None:
    """Make the volume that the triggerer's claim asks for, writable for Airflow's user."""
    host = {"name": "logs", "hostPath": {"path": LOGS, "type": "DirectoryOrCreate"}}
    container = {
        "name": "own",
        "image": cluster.load_image(PLATFORM.image),
        "imagePullPolicy": "IfNotPresent",
        "command": ["chmod", "0777", "/logs"],
        "securityContext": {"runAsUser": 0},
        "volumeMounts": [{"name": "logs", "mountPath": "/logs"}],
    }
    cluster.apply(
        [
            {
                "apiVersion": "v1",
                "kind": "PersistentVolume",
                "metadata": {"name": VOLUME},
                "spec": {
                    "capacity": {"storage": "1Gi"},
                    "accessModes": ["ReadWriteOnce"],
                    "storageClassName": "by-hand",
                    "persistentVolumeReclaimPolicy": "Retain",
                    "hostPath": host["hostPath"],
                },
            },
            {
                "apiVersion": "v1",
                "kind": "Pod",
                "metadata": {"name": "own-logs", "namespace": HOME},
                "spec": {"restartPolicy": "Never", "containers": [container], "volumes": [host]},
            },
        ]
    )
    done = "--for=jsonpath={.status.phase}=Succeeded"
    cluster.kubectl("-n", HOME, "wait", "pod/own-logs", done, "--timeout=90s")


@pytest.fixture
def platform(cluster: Cluster) -> Iterator[tuple[AirflowStack, Mirror]]:
    mirror = Mirror(cluster)
    with (
        asleep(cluster, AIRFLOW_2),
        asleep(cluster, AIRFLOW_3),
        AirflowStack(cluster, PLATFORM) as stack,
    ):
        stack.bring_storage([WAY_BACK])
        _make_volume(cluster)
        stack.bring_airflow()
        mirror.copy_all()
        mirror.start()
        OperatorInstall(cluster).install()
        wait_for_dags(stack, MINE, unpause=MINE)
        yield stack, mirror
        mirror.stop()
        stack.uninstall(storage=False)
        cluster.kubectl("delete", "pv", VOLUME, "--ignore-not-found")
    OperatorInstall(cluster).install()


def _lags(rollout: RolloutOnCluster, status: str) -> Callable[[], str]:
    """Return what gives the message of a kill that waits for a copy; `status` of Stalled."""

    def seen() -> str:
        found = rollout.conditions()
        reverted = found.get("Reverted", {})
        stalled = found.get("Stalled", {}).get("status")
        if reverted.get("reason") != "ConfigNotCopied" or stalled != status:
            raise NotYetError(f"{reverted}; Stalled={stalled}")
        return str(reverted["message"])

    return seen


def _do(cluster: Cluster, command: str) -> None:
    """Run a command as the message has it."""
    folder = os.path.dirname(cluster.kubectl_command[0])
    environment = {
        **os.environ,
        "KUBECONFIG": str(cluster.kubeconfig),
        "PATH": f"{folder}:{os.environ['PATH']}",
    }
    subprocess.run(["bash", "-c", command], env=environment, check=True)


def _states(flights: Flights) -> dict[str, str]:
    return {dag: flights.api.run_state(dag, run) for dag, run in flights.runs if dag != STEADY}


def test_a_kill_waits_for_the_copy_of_the_configuration_and_no_task_is_handed_a_path(
    platform: tuple[AirflowStack, Mirror],
) -> None:
    stack, mirror = platform
    cluster = stack.cluster
    rollout = RolloutOnCluster(stack)
    rollout.prepare()
    rollout.delete()
    rollout.apply(accepting)
    rollout.xbr("attest", rollout.name, "--evidence", "tests/e2e")
    held = rollout.wait_condition("Armed", "False", reason="NotArmed", deadline=400)["message"]
    assert "clusterroles" in held, held

    flights = Flights(stack, time.time() + 2 * STAY.total_seconds())
    across = flights.go_live(rollout, lambda: OperatorInstall(cluster).install(CLUSTER_RULES))
    assert rollout.thresholds_delivered() == ["database", "-1", "1048576"]
    assert rollout.status()["delivery"]["valuesPath"] == PLATFORM.under
    kinds = cluster.kubectl("-n", HOME, "get", "statefulset", "-o", "name")
    assert kinds.split() == [f"statefulset.apps/{PLATFORM.release}-triggerer"]

    keys, late = flights.start("wb_keys"), flights.start(LATE, seconds=60)
    still = flights.start(BYSTANDER, seconds=240)
    wake = time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime(time.time() + 300))
    deferred = flights.start("wb_deferred", wake=wake)
    flights.wait("wb_keys", keys, "hold", "running")
    flights.wait("wb_deferred", deferred, "alarm", "deferred")
    flights.wait(BYSTANDER, still, "hold", "running")
    flights.wait(LATE, late, "late", "running")

    mirror.stop()
    begin = time.monotonic()
    rollout.xbr("kill", rollout.name, "--reason", "test")
    wait_for("the kill waits for the copy", _lags(rollout, "False"), 60, interval=0.5)
    # In the namespace with the previous copy: it offloads, though -1 is delivered.
    missed = flights.start("wb_keys")
    flights.wait("wb_keys", missed, "hold", "running")
    flights.note_offloaded()
    assert ("wb_keys", missed) in flights.offloaded, "a task there starts with the old settings"
    said = wait_for("the command is given", _lags(rollout, "True"), 120, interval=1)
    assert set(_states(flights).values()) <= {"running", "success"}, "nothing is stopped meanwhile"
    (command,) = re.findall(r"copy it now: (kubectl patch .*)$", said)
    print(f"{time.monotonic() - begin:.0f} s: {command}", flush=True)
    _do(cluster, command)
    mirror.start()
    flights.end_steady(across)
    try:
        rollout.wait_condition("Ready", reason="Reverted", deadline=KILL_SECONDS)
    finally:
        print(json.dumps(rollout.kill_status(), indent=1), flush=True)
    print(f"reverted after {time.monotonic() - begin:.0f} s", flush=True)

    assert landed(flights, rollout, deadline=300) == []
    assert rollout.kill_status()["runs"]["failed"] == 0
    assert rollout.thresholds_delivered()[-2:] == ["-1", "database"]
    settings = stack.values()["config"]
    assert "xcom_backend" not in settings.get("core", {}), "the values are as they were"
