"""The operator at rest: memory, and requests to the API server in an hour.

The operator runs as its real process beside a real API server that nothing else uses. Rollouts are
live, each in a namespace of its own with an Airflow release whose objects a real `helm install`
made. The operator is a user of its own, whose requests the API server's audit log tells one by one;
they are counted over a whole census interval.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import yaml

from bench import page
from bench.asked import Asked, Counts, asked_by
from bench.standin import Api, census_node, running_pod
from harness import tools
from harness.apiserver import ApiServer
from harness.operator import EXAMPLE
from harness.paths import REPO
from harness.say import say, step
from harness.shell import HarnessError, run
from harness.stack import CHART, LOCAL_CHART, RELEASE, STACK, merge, object_storage_values
from harness.waiting import NotYetError, wait_for
from xcom_probe.build import build
from xcom_rollout.clients.times import parse_time
from xcom_rollout.decide.ledger import CensusRecord, Delivered, Ledger, Reader, WayBack
from xcom_rollout.decide.settings import BackendSettings, object_storage
from xcom_rollout.stored.ledger_codec import to_config_map
from xcom_rollout.stored.names import ledger_name

ROLLOUTS = int(os.environ.get("BENCH_ROLLOUTS", "100"))
INTERVAL = int(os.environ.get("BENCH_INTERVAL", "900"))
"""Seconds between two counts of offloaded runs; the default is that of `spec.census.interval`."""
WINDOW = float(os.environ.get("BENCH_WINDOW", str(INTERVAL + 20)))
"""Seconds that are looked at, from the first census on: until the second has ended."""
HELD_WINDOW = 120
CALM_SECONDS = 30
"""How long the requests are looked at to tell whether held rollouts are looked at rarely by now."""
CALM_DEADLINE = 900
PATH = "s3://aws_default@airflow-xcom/xcom"
THRESHOLD = 1024 * 1024
ROLLOUT = "bench"
CRS = "/apis/xcomrollout.dev/v1alpha1"
OPERATOR = "bench-operator"
"""Name of the user that the operator is."""


@dataclass(frozen=True)
class Rest:
    """One measurement: requests in a window of seconds, and the operator's memory after it."""

    what: str
    rollouts: int
    seconds: float
    requests: Counts
    rss_mib: float
    peak_mib: float

    @property
    def hourly(self) -> float:
        return sum(self.requests.values()) * 3600 / self.seconds


class RestBenchmark:
    """The benchmark on one API server."""

    def __init__(self, server: ApiServer, asked: Asked, api: Api, folder: Path) -> None:
        self.server = server
        self.asked = asked
        self.api = api
        self.folder = folder
        self.probe = folder / "xcom_probe.pyz"
        build(self.probe)
        self.kubeconfig = server.user_kubeconfig(OPERATOR)
        role = ("--clusterrole=cluster-admin", f"--user={OPERATOR}")
        server.kubectl("create", "clusterrolebinding", OPERATOR, *role)

    def measure(self) -> str:
        """Return the results as Markdown."""
        with step("a release by helm install, and its objects"):
            objects = self._release()
        results = []
        spaces = [f"bench-{number:03}" for number in range(ROLLOUTS)]
        self._live(spaces[:1], objects)
        results.append(self._rest("live", spaces[:1], WINDOW))
        if ROLLOUTS > 1:
            self._live(spaces[1:], objects)
            results.append(self._rest("live", spaces, WINDOW))
        for space in spaces:
            # Held until somebody corrects it; no event would tell that Helm had changed the chart.
            self.api.patch(
                f"{CRS}/namespaces/{space}/xcombackendrollouts/{ROLLOUT}",
                {"spec": {"delivery": {"helm": {"chart": {"version": "0.0.1"}}}}},
            )
        results.append(self._rest("held", spaces, HELD_WINDOW))
        return report(results)

    def _rest(self, what: str, spaces: Sequence[str], window: float) -> Rest:
        wanted = "True" if what == "live" else "False"
        with step(f"{len(spaces)} {what}, {window:g} s"), self._operator(spaces) as process:
            wait_for(
                f"{len(spaces)} rollouts {what}",
                lambda: self._all_ready(len(spaces), wanted, counted=what == "live"),
                300,
                interval=3,
            )
            if what == "held":
                with step("until held rollouts are looked at once a minute"):
                    wait_for(
                        "passes to become rare",
                        lambda: self._calm(len(spaces)),
                        CALM_DEADLINE,
                        interval=1,
                    )
            counts, seconds = self._window(window)
            memory = _memory(process.pid)
        return Rest(what, len(spaces), seconds, counts, *memory)

    def _all_ready(self, number: int, wanted: str, *, counted: bool) -> bool:
        seen: Counter[str] = Counter()
        last, since = "", datetime.now(UTC) - timedelta(seconds=INTERVAL)
        for item in self.api.items(f"{CRS}/xcombackendrollouts"):
            taken = ((item.get("status") or {}).get("offloadedRuns") or {}).get("takenAt")
            if counted and (taken is None or parse_time(taken) < since):
                seen["not counted yet"] += 1
                continue
            conditions = (item.get("status") or {}).get("conditions") or []
            ready = [entry for entry in conditions if entry["type"] == "Ready"]
            seen[ready[0]["status"] if ready else "?"] += 1
            last = ready[0]["message"] if ready and ready[0]["status"] != wanted else last
        if seen[wanted] != number:
            raise NotYetError(f"{dict(seen)}; {last}")
        return True

    def _calm(self, rollouts: int) -> bool:
        """Whether no more than about one pass a minute is made over each rollout."""
        counts, seconds = self._window(CALM_SECONDS)
        passes = counts["get", "xcombackendrollouts"] * 60 / seconds / rollouts
        if passes > 1.25:
            raise NotYetError(f"{passes:.1f} passes a minute over each rollout")
        return True

    def _window(self, seconds: float) -> tuple[Counts, float]:
        """Count the operator's requests during `seconds`: a measurement, so it does take time."""
        self.asked.take()
        begin = time.monotonic()
        end = begin + seconds
        while (left := end - time.monotonic()) > 0:
            time.sleep(min(left, 5.0))
        return self.asked.take(), time.monotonic() - begin

    @contextmanager
    def _operator(self, spaces: Sequence[str]) -> Iterator[subprocess.Popen[bytes]]:
        log = self.folder / f"operator-{len(spaces)}.log"
        environment = {
            **os.environ,
            "KUBECONFIG": str(self.kubeconfig),
            "XBR_NAMESPACES": "*",
            "XBR_PROBE": str(self.probe),
            "XBR_WORK_DIR": str(self.folder / "work"),
            "HELM_BIN": str(tools.tool("helm")),
        }
        with log.open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", "xcom_rollout"],
                env=environment,
                stdout=output,
                stderr=output,
            )
        try:
            yield process
            if process.poll() is not None:
                raise HarnessError(f"the operator has ended:\n{log.read_text()[-3000:]}")
        except HarnessError as error:
            raise HarnessError(f"{error}\n{log.read_text()[-3000:]}") from error
        finally:
            process.terminate()
            process.wait(timeout=60)

    def _release(self) -> dict[str, list[dict[str, Any]]]:
        """Install Airflow by Helm once; return its objects, as they would be applied elsewhere."""
        for file in sorted((REPO / "crds").glob("*.yaml")):
            self.server.apply_crd(file)
        values = yaml.safe_load((STACK / "values.yaml").read_text())
        merge(values, object_storage_values(THRESHOLD))
        merge(values, {"config": {"common.io": {"xcom_objectstorage_compression": None}}})
        run(
            *(tools.tool("helm"), "install", RELEASE, CHART, "--namespace", "template"),
            *("--create-namespace", "--values", "-"),
            stdin=yaml.safe_dump(values),
            env={"KUBECONFIG": str(self.server.kubeconfig)},
        )
        paths = {
            "/api/v1/namespaces/{}/secrets": "secrets",
            "/api/v1/namespaces/{}/configmaps": "configmaps",
            "/apis/apps/v1/namespaces/{}/deployments": "deployments",
        }
        found = {}
        for path, plural in paths.items():
            items = self.server.kubectl_json("-n", "template", "get", plural)["items"]
            found[path] = [_copied(item) for item in items]
        if not found["/apis/apps/v1/namespaces/{}/deployments"]:
            raise HarnessError("the chart made no Deployment")
        return found

    def _live(
        self, spaces: Sequence[str], objects: Mapping[str, Sequence[Mapping[str, Any]]]
    ) -> None:
        """Make rollouts that are live already, each with a release of its own."""
        with step(f"{len(spaces)} live rollouts"):
            for space in spaces:
                self._live_one(space, objects)

    def _live_one(self, space: str, objects: Mapping[str, Sequence[Mapping[str, Any]]]) -> None:
        api, readers = self.api, []
        target = object_storage(PATH, str(THRESHOLD), None)
        moment = datetime.now(UTC).replace(microsecond=0)
        api.create(
            "/api/v1/namespaces",
            {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": space}},
        )
        for path, items in objects.items():
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
            # is there before the window begins.
            census=CensusRecord("earlier", 1, moment - timedelta(seconds=INTERVAL), ()),
            # Asked once an hour, of an Airflow that is not here: the window has none of it.
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
        api.create(f"{CRS}/namespaces/{space}/xcombackendrollouts", _manifest(space))


def report(results: Sequence[Rest]) -> str:
    """Return the results as Markdown."""
    rows = [
        (
            f"{result.rollouts} {result.what}",
            f"{result.rss_mib:.0f}",
            f"{result.peak_mib:.0f}",
            f"{result.seconds:.0f}",
            sum(result.requests.values()),
            f"**{result.hourly:,.0f}**",
            f"{result.hourly / result.rollouts:,.0f}",
        )
        for result in results
    ]
    header = (
        *("Rollouts", "RSS, MiB", "Peak RSS, MiB", "Window, s", "Requests in it"),
        *("Requests an hour", "An hour and rollout"),
    )
    lines = [page.table(header, rows), "", "The most frequent requests of each window:", ""]
    for result in results:
        most = ", ".join(
            f"{verb} {resource} {count}" for (verb, resource), count in _top(result.requests)
        )
        lines.append(f"- {result.rollouts} {result.what}: {most}")
    return "\n".join(lines)


def _top(requests: Counts) -> list[tuple[tuple[str, str], int]]:
    return requests.most_common(12)


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


def _manifest(space: str) -> dict[str, Any]:
    text: dict[str, Any] = yaml.safe_load(EXAMPLE.read_text())
    text["metadata"] = {"name": ROLLOUT, "namespace": space}
    # The stand-in for the probe answers no audit, and an operator at rest makes none.
    del text["spec"]["gates"]["audit"]
    text["spec"]["census"] = {"interval": f"{INTERVAL}s"}
    text["spec"]["delivery"]["helm"]["chart"] = {
        "repository": LOCAL_CHART.repository,
        "name": LOCAL_CHART.name,
        "version": LOCAL_CHART.version,
    }
    return text


def _memory(pid: int) -> tuple[float, float]:
    """Resident memory of a process, now and at most, in MiB."""
    text = Path(f"/proc/{pid}/status").read_text()
    found = dict(re.findall(r"^(VmRSS|VmHWM):\s*(\d+) kB$", text, re.MULTILINE))
    return int(found["VmRSS"]) / 1024, int(found["VmHWM"]) / 1024


def measure() -> str:
    """Measure beside an API server that is started for it.

    Raises:
        HarnessError: something went wrong on the way.
    """
    tools.ensure(["helm"])
    with ExitStack() as open_:
        asked = open_.enter_context(asked_by(OPERATOR))
        server = open_.enter_context(ApiServer(*asked.flags))
        api = Api(server)
        open_.callback(api.close)
        open_.enter_context(census_node(server, api))
        say(f"the operator's logs are in {server.folder} while this runs")
        return RestBenchmark(server, asked, api, server.folder).measure()
