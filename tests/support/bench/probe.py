"""Probe: wall time of a proof's process against `airflow version` in the same pod template.

The operator makes real proof Jobs for a rollout. Their pod templates, unchanged but for the
command, are run again in turns: once with the proof's own command, once with `airflow version`. A
wrapper in the container measures its child: Kubernetes keeps container times in whole seconds.
"""

from __future__ import annotations

import copy
import json
import os
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bench import page
from bench.kill import require_operator
from harness.cluster import Cluster
from harness.operator import RolloutOnCluster
from harness.say import say, step
from harness.shell import HarnessError
from harness.stack import NAMESPACE, AirflowStack
from harness.waiting import NotYetError
from xcom_rollout.api.names import LABEL_COMPONENT, LABEL_KIND, LABEL_ROLLOUT

ROUNDS = int(os.environ.get("BENCH_ROUNDS", "5"))
VERSION = ("airflow", "version")
MARK = "XBR-BENCH "

# Runs its arguments and prints what that took.
TIMED = """
import json, resource, subprocess, sys, time
begin = time.monotonic()
code = subprocess.run(sys.argv[1:]).returncode
seconds = time.monotonic() - begin
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(flush=True)
print("XBR-BENCH " + json.dumps({"code": code, "seconds": seconds,
      "cpu": used.ru_utime + used.ru_stime, "mib": used.ru_maxrss / 1024}))
"""

# Runs the probe in this process, with each request to S3 counted and timed.
COUNTED = """
import asyncio, functools, json, os, runpy, sys, time
import aiobotocore.httpsession, botocore.httpsession
calls = []
def timed(method, begin):
    calls.append((method, time.monotonic() - begin))
def wrap(session):
    inner = session.send
    if asyncio.iscoroutinefunction(inner):
        @functools.wraps(inner)
        async def send(self, request):
            begin = time.monotonic()
            try:
                return await inner(self, request)
            finally:
                timed(request.method, begin)
    else:
        @functools.wraps(inner)
        def send(self, request):
            begin = time.monotonic()
            try:
                return inner(self, request)
            finally:
                timed(request.method, begin)
    session.send = send
for name in ("AIOHTTPSession", "HttpxSession"):
    if hasattr(aiobotocore.httpsession, name):
        wrap(getattr(aiobotocore.httpsession, name))
wrap(botocore.httpsession.URLLib3Session)
end_now = os._exit
def end(code):
    print(flush=True)
    print("XBR-BENCH " + json.dumps({"code": code, "requests": len(calls),
          "seconds": sum(seconds for _, seconds in calls)}), flush=True)
    end_now(code)
# The probe ends its process at once, without Python's clearing up.
os._exit = end
sys.argv = sys.argv[1:]
try:
    runpy.run_path(sys.argv[0], run_name="__main__")
except SystemExit as stop:
    end(stop.code or 0)
end(0)
"""


@dataclass(frozen=True)
class Run:
    """One process: seconds of wall time and of processor time, most memory in MiB."""

    seconds: float
    cpu: float
    mib: float


@dataclass(frozen=True)
class Result:
    """The runs of one component, and what S3 had to do with them."""

    component: str
    version: tuple[Run, ...]
    proof: tuple[Run, ...]
    s3_requests: int
    s3_seconds: float


class ProbeBenchmark:
    """The benchmark on an instance that is installed, with the operator beside it."""

    def __init__(self, stack: AirflowStack) -> None:
        self.cluster = stack.cluster
        self.rollout = RolloutOnCluster(stack, "bench")
        self._number = 0

    def measure(self) -> str:
        """Return the results as Markdown.

        Raises:
            HarnessError: a process failed: no figure then.
        """
        self.rollout.delete()
        self.rollout.prepare()
        self.rollout.apply()
        try:
            self.rollout.wait_condition("Proven", deadline=300)
            jobs = self.cluster.kubectl_json(
                *("-n", NAMESPACE, "get", "jobs"),
                *("-l", f"{LABEL_ROLLOUT}={self.rollout.name},{LABEL_KIND}=proof"),
            )["items"]
            newest = {
                job["metadata"]["labels"][LABEL_COMPONENT]: job
                for job in sorted(jobs, key=lambda job: str(job["metadata"]["creationTimestamp"]))
            }
            results = [self._component(name, job) for name, job in sorted(newest.items())]
        finally:
            self.cluster.kubectl("-n", NAMESPACE, "delete", "jobs", "-l", "xbr-bench=probe")
            self.rollout.delete()
        if not results:
            raise HarnessError("the operator left no proof Job to take the template from")
        return report(results)

    def _component(self, component: str, job: Mapping[str, Any]) -> Result:
        template = job["spec"]["template"]
        proof = template["spec"]["containers"][0]["command"]
        with step(f"{component}: {ROUNDS} rounds"):
            # Files of the image are read from the disk for the first time here: not counted.
            self._timed(template, VERSION)
            self._timed(template, proof)
            version: list[Run] = []
            ours: list[Run] = []
            for _ in range(ROUNDS):
                version.append(self._timed(template, VERSION))
                ours.append(self._timed(template, proof))
                say(f"airflow version {version[-1].seconds:.2f} s, proof {ours[-1].seconds:.2f} s")
            counted = self._run(template, ["python", "-c", COUNTED, *proof[1:]])
        return Result(
            component, tuple(version), tuple(ours), counted["requests"], counted["seconds"]
        )

    def _timed(self, template: Mapping[str, Any], command: Sequence[str]) -> Run:
        told = self._run(template, ["python", "-c", TIMED, *command])
        return Run(told["seconds"], told["cpu"], told["mib"])

    def _run(self, template: Mapping[str, Any], command: Sequence[str]) -> dict[str, Any]:
        """Run one Job to its end, and return what the wrapper printed.

        Raises:
            HarnessError: the Job or its process failed.
        """
        self._number += 1
        name = f"bench-probe-{self._number}"
        spec = copy.deepcopy(template["spec"])
        spec["containers"][0]["command"] = list(command)
        labels = {"xbr-bench": "probe"}
        self.cluster.kubectl("-n", NAMESPACE, "delete", "job", name, "--ignore-not-found")
        self.cluster.apply(
            {
                "apiVersion": "batch/v1",
                "kind": "Job",
                "metadata": {"name": name, "namespace": NAMESPACE, "labels": labels},
                "spec": {
                    "backoffLimit": 0,
                    "template": {"metadata": {"labels": labels}, "spec": spec},
                },
            }
        )

        def ended() -> bool:
            job = self.cluster.kubectl_json("-n", NAMESPACE, "get", "job", name)
            status = job.get("status", {})
            if not status.get("succeeded") and not status.get("failed"):
                raise NotYetError(json.dumps(status))
            return True

        self.cluster.wait_for(f"Job {name} to end", ended, 180)
        log = self.cluster.kubectl("-n", NAMESPACE, "logs", f"job/{name}")
        marked = [line for line in log.splitlines() if line.startswith(MARK)]
        told: dict[str, Any] = json.loads(marked[-1].removeprefix(MARK)) if marked else {}
        if told.get("code") != 0:
            raise HarnessError(f"Job {name} ({' '.join(command[-8:])}) failed:\n{log[-3000:]}")
        return told


def report(results: Sequence[Result]) -> str:
    """Return the results of both components as Markdown."""
    rows, notes = [], []
    for result in results:
        version = statistics.median(run.seconds for run in result.version)
        proof = statistics.median(run.seconds for run in result.proof)
        rows.append(
            (
                result.component,
                _spread(result.version),
                _spread(result.proof),
                f"{proof / version:.2f}",
                f"{result.s3_requests} in {result.s3_seconds:.2f} s",
                f"**{(proof - result.s3_seconds) / version:.2f}**",
            )
        )
        notes.append(
            f"- {result.component}: processor time {_median(result.version, 'cpu'):.2f} s and "
            f"{_median(result.proof, 'cpu'):.2f} s, memory {_median(result.version, 'mib'):.0f} "
            f"and {_median(result.proof, 'mib'):.0f} MiB at most (version, proof)"
        )
    header = (
        *("Pod template", "`airflow version`, s", "Proof, s", "Ratio"),
        *("S3 requests", "Ratio without S3"),
    )
    return "\n".join(
        [
            f"Median of {ROUNDS} runs in turns, in brackets the least and the most.",
            "",
            page.table(header, rows),
            "",
            *notes,
        ]
    )


def _spread(runs: Sequence[Run]) -> str:
    seconds = [run.seconds for run in runs]
    return f"{statistics.median(seconds):.2f} ({min(seconds):.2f} to {max(seconds):.2f})"


def _median(runs: Sequence[Run], field: str) -> float:
    return statistics.median(float(getattr(run, field)) for run in runs)


def measure() -> str:
    """Measure on the cluster of `CLUSTER`, where Airflow and the operator are installed.

    Raises:
        HarnessError: they are not there, or something went wrong on the way.
    """
    cluster = Cluster.from_env()
    require_operator(cluster)
    with AirflowStack(cluster) as stack:
        return ProbeBenchmark(stack).measure()
