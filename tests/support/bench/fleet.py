"""Live rollouts by the thousand beside a real API server, and the operator as its real process.

Each rollout is in a namespace of its own, with an Airflow release whose objects a real
`helm install` made once. The operator is a user of its own, whose requests the API server's audit
log tells one by one.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import yaml

from bench.standin import Api, running_pod
from harness import tools
from harness.apiserver import ApiServer
from harness.operator import EXAMPLE
from harness.paths import REPO
from harness.say import step
from harness.shell import HarnessError, run
from harness.stack import CHART, LOCAL_CHART, RELEASE, STACK, merge, object_storage_values
from xcom_probe.build import build
from xcom_rollout.clients.times import parse_time
from xcom_rollout.decide.ledger import CensusRecord, Delivered, Ledger, Reader, WayBack
from xcom_rollout.decide.settings import BackendSettings, object_storage
from xcom_rollout.stored.ledger_codec import to_config_map
from xcom_rollout.stored.names import ledger_name

PATH = "s3://aws_default@airflow-xcom/xcom"
THRESHOLD = 1024 * 1024
ROLLOUT = "bench"
CRS = "/apis/xcomrollout.dev/v1alpha1"
OPERATOR = "bench-operator"
"""Name of the user that the operator is."""

Objects = Mapping[str, Sequence[Mapping[str, Any]]]
"""Objects by the path to create them at, with a gap for the namespace."""


class Fleet:
    """Rollouts on one API server."""

    def __init__(self, server: ApiServer, api: Api, interval: int) -> None:
        """Install the CRD, and a release that the others are copied from.

        Args:
            interval: seconds between two counts of offloaded runs of each rollout.
        """
        self.server = server
        self.api = api
        self.interval = interval
        self.folder = server.folder
        self.probe = self.folder / "xcom_probe.pyz"
        build(self.probe)
        self.kubeconfig = server.user_kubeconfig(OPERATOR)
        role = ("--clusterrole=cluster-admin", f"--user={OPERATOR}")
        server.kubectl("create", "clusterrolebinding", OPERATOR, *role)
        for file in sorted((REPO / "crds").glob("*.yaml")):
            server.apply_crd(file)
        with step("a release by helm install, and its objects"):
            self._objects = _release(server)
        self.spaces: list[str] = []

    def grow(self, number: int) -> None:
        """Make rollouts that are live already until there are `number`."""
        more = [f"bench-{number:04}" for number in range(len(self.spaces), number)]
        with step(f"{len(more)} more live rollouts"):
            for space in more:
                self._live(space)
        self.spaces += more

    def hold(self) -> None:
        """Hold all until somebody corrects them; no event would tell that Helm had done it."""
        for space in self.spaces:
            self.api.patch(
                f"{CRS}/namespaces/{space}/xcombackendrollouts/{ROLLOUT}",
                {"spec": {"delivery": {"helm": {"chart": {"version": "0.0.1"}}}}},
            )

    @contextmanager
    def operator(self) -> Iterator[subprocess.Popen[bytes]]:
        """Run the operator while the block runs."""
        environment = {
            **os.environ,
            "KUBECONFIG": str(self.kubeconfig),
            "XBR_NAMESPACES": "*",
            "XBR_PROBE": str(self.probe),
            "XBR_WORK_DIR": str(self.folder / "work"),
            "HELM_BIN": str(tools.tool("helm")),
            # As in the image (Dockerfile).
            "MALLOC_ARENA_MAX": "2",
        }
        command = [sys.executable, "-m", "xcom_rollout"]
        with process(command, environment, self.folder / "operator.log") as running:
            yield running

    def _live(self, space: str) -> None:
        api, readers = self.api, []
        target = object_storage(PATH, str(THRESHOLD), None)
        moment = datetime.now(UTC).replace(microsecond=0)
        api.create(
            "/api/v1/namespaces",
            {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": space}},
        )
        for path, items in self._objects.items():
            for item in items:
                made = api.create(path.format(space), item)
                if path.endswith("deployments"):
                    _rolled(api, f"{path.format(space)}/{made['metadata']['name']}", made)
                    pod = running_pod(api, space, made)
                    readers.append(_reader(pod, target))
        ledger = Ledger(
            baseline=BackendSettings(),
            delivered=Delivered(target, 1, moment),
            readers=tuple(readers),
            # The first census is taken at once: what is made once, such as the probe's ConfigMap,
            # is there before anything is measured.
            census=CensusRecord("earlier", 1, moment - timedelta(seconds=self.interval), ()),
            # Asked once an hour, of an Airflow that is not here: no measurement has any of it.
            way_back=WayBack("shown", moment),
        )
        api.create(
            f"/api/v1/namespaces/{space}/configmaps",
            {
                "apiVersion": "v1",
                "kind": "ConfigMap",
                "metadata": {"name": ledger_name(ROLLOUT)},
                **to_config_map(ledger),
            },
        )
        api.create(f"{CRS}/namespaces/{space}/xcombackendrollouts", self._manifest(space))

    def _manifest(self, space: str) -> dict[str, Any]:
        text: dict[str, Any] = yaml.safe_load(EXAMPLE.read_text())
        text["metadata"] = {"name": ROLLOUT, "namespace": space}
        # The stand-in for the probe answers no audit, and an operator at rest makes none.
        del text["spec"]["gates"]["audit"]
        text["spec"]["census"] = {"interval": f"{self.interval}s"}
        text["spec"]["delivery"]["helm"]["chart"] = {
            "repository": LOCAL_CHART.repository,
            "name": LOCAL_CHART.name,
            "version": LOCAL_CHART.version,
        }
        return text


@contextmanager
def process(
    command: Sequence[str | Path], environment: Mapping[str, str], log: Path
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a program while the block runs.

    Raises:
        HarnessError: something went wrong, or the program has ended by itself; with its last words.
    """
    with log.open("wb") as output:
        running = subprocess.Popen(command, env=environment, stdout=output, stderr=output)
    try:
        yield running
        if running.poll() is not None:
            raise HarnessError(f"{command[0]} has ended by itself")
    except HarnessError as error:
        raise HarnessError(f"{error}\n{log.read_text()[-3000:]}") from error
    finally:
        running.terminate()
        running.wait(timeout=60)


def _release(server: ApiServer) -> Objects:
    """Install Airflow by Helm once; return its objects, as they would be applied elsewhere."""
    values = yaml.safe_load((STACK / "values.yaml").read_text())
    merge(values, object_storage_values(THRESHOLD))
    merge(values, {"config": {"common.io": {"xcom_objectstorage_compression": None}}})
    run(
        *(tools.tool("helm"), "install", RELEASE, CHART, "--namespace", "template"),
        *("--create-namespace", "--values", "-"),
        stdin=yaml.safe_dump(values),
        env={"KUBECONFIG": str(server.kubeconfig)},
    )
    paths = {
        "/api/v1/namespaces/{}/secrets": "secrets",
        "/api/v1/namespaces/{}/configmaps": "configmaps",
        "/apis/apps/v1/namespaces/{}/deployments": "deployments",
    }
    found = {}
    for path, plural in paths.items():
        items = server.kubectl_json("-n", "template", "get", plural)["items"]
        found[path] = [_copied(item) for item in items]
    if not found["/apis/apps/v1/namespaces/{}/deployments"]:
        raise HarnessError("the chart made no Deployment")
    return found


def _copied(item: Mapping[str, Any]) -> dict[str, Any]:
    """An object without what the API server added."""
    metadata = {
        key: item["metadata"][key]
        for key in ("name", "labels", "annotations")
        if key in item["metadata"]
    }
    rest = {key: value for key, value in item.items() if key not in ("metadata", "status")}
    return {**rest, "metadata": metadata}


def _rolled(api: Api, path: str, deployment: Mapping[str, Any]) -> None:
    replicas = int(deployment["spec"].get("replicas", 1))
    fields = ("replicas", "updatedReplicas", "readyReplicas", "availableReplicas")
    api.patch_status(
        path,
        {
            "observedGeneration": deployment["metadata"]["generation"],
            **dict.fromkeys(fields, replicas),
        },
    )


def _reader(pod: Mapping[str, Any], settings: BackendSettings) -> Reader:
    started = parse_time(pod["status"]["containerStatuses"][0]["state"]["running"]["startedAt"])
    metadata = pod["metadata"]
    return Reader(metadata["name"], metadata["uid"], started, settings, started)
