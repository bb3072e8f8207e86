"""What the demo shows, a chapter for each step.

Every line that this prints under a step was read from the cluster, the database or the bucket a
moment before; a step that does not see what it must see ends the demo with an error and a bundle.
"""

from __future__ import annotations

import gzip
import json
import time
from collections.abc import Sequence
from typing import Any

from demo.story import Story
from harness.airflow import by_task
from harness.cluster import Cluster
from harness.operator import EXAMPLE, OperatorInstall, RolloutOnCluster
from harness.paths import REPO
from harness.shell import HarnessError
from harness.stack import NAMESPACE, XCOM_BUCKET, AirflowStack

JSON_REPORT = "json_report"
"""DAG whose task returns JSON as a string."""
EVIDENCE = "https://wiki.example.org/kill-switch-rehearsal"


class Demo:
    """The demo on one cluster."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.stack = AirflowStack(cluster)
        self.operator = OperatorInstall(cluster)
        self.rollout = RolloutOnCluster(self.stack)
        self.story = Story()

    def run(self) -> None:
        """Show all chapters.

        Raises:
            HarnessError: something that must be seen was not.
        """
        self.bring_up()
        self.declare()
        self.prove()
        self.audit()
        self.rehearse()
        self.readers_first()
        self.offload()
        self.bare_revert()
        self.kill()
        self.story.closing_table()

    def bring_up(self) -> None:
        with self.story.chapter("A Kubernetes cluster") as chapter:
            self.cluster.up()
            nodes = self.cluster.kubectl_json("get", "nodes")["items"]
            for node in nodes:
                info = node["status"]["nodeInfo"]
                chapter.saw(
                    f"node {node['metadata']['name']}, kubelet {info['kubeletVersion']}, "
                    f"{info['containerRuntimeVersion']}, provider {self.cluster.provider.name}"
                )
        with self.story.chapter("Airflow, Postgres and an S3 server") as chapter:
            self.rollout_gone()
            self.stack.install()
            chapter.saw(f"Airflow answers: {self.stack.api.health()['metadatabase']['status']}")
            executor = self.cluster.kubectl(
                *("-n", NAMESPACE, "exec", "deploy/airflow-scheduler", "-c", "scheduler", "--"),
                *("airflow", "version"),
            )
            chapter.saw(f"Airflow {executor.strip().splitlines()[-1]}, KubernetesExecutor")
        with self.story.chapter("The operator, by its own chart") as chapter:
            self.operator.install()
            chapter.saw(f"pod {self.operator.pod()} runs")
            self.rollout.prepare()

    def rollout_gone(self) -> None:
        """Remove what an earlier demo left, so that each demo begins at the database backend."""
        if "xcombackendrollouts" in self.cluster.kubectl("api-resources", check=False):
            self.rollout.delete()

    def declare(self) -> None:
        with self.story.chapter("A rollout is declared") as chapter:
            run = self.stack.api.trigger(JSON_REPORT)
            self.stack.api.wait_run(JSON_REPORT, run, deadline=180)
            chapter.saw(f"{JSON_REPORT}/{run} has left a string that is JSON in the table")
            self._bad_spec(chapter.saw)
            self.rollout.apply(_accept_no_json)
            self.story.show(
                f"grep -v {JSON_REPORT} {EXAMPLE.relative_to(REPO)} | kubectl apply -f -",
                f"xcombackendrollout.xcomrollout.dev/{self.rollout.name} created",
            )
            accepted = self.rollout.wait_condition("Accepted", deadline=30)
            chapter.saw(f"Accepted: {accepted['message']}")
            self.story.show("kubectl get xbr -n airflow", self._get())

    def prove(self) -> None:
        with self.story.chapter("Proofs inside pods cloned from scheduler and worker") as chapter:
            self.rollout.wait_condition("Proven", deadline=300)
            for proof in self.rollout.status()["proofs"]:
                facts = proof.get("facts", {})
                shown = ", ".join(f"{name} {value}" for name, value in sorted(facts.items())[:6])
                chapter.saw(f"{proof['component']}: {proof['verdict']} by {proof['job']}; {shown}")
            if self.rollout.thresholds_delivered()[-1] != "database":
                raise HarnessError("something was delivered before the rehearsal was attested")
            chapter.saw("nothing was delivered yet: the release still holds the database backend")

    def audit(self) -> None:
        with self.story.chapter("Audits of the DAG code and of the values in the table") as chapter:
            held = self.rollout.wait_condition(
                "Audited", "False", reason="AuditFailed", deadline=300
            )
            chapter.saw(f"held: {held['message']}")
            for audit in self.rollout.status()["audits"]:
                findings = audit.get("findings") or []
                if not any(JSON_REPORT in finding for finding in findings):
                    raise HarnessError(f"the {audit['kind']} audit found {findings}")
                looked = audit["facts"].get("files") or audit["facts"].get("rows")
                chapter.saw(
                    f"{audit['kind']}: {audit['verdict']} by {audit['job']}, {looked} "
                    f"{'files' if audit['kind'] == 'static' else 'rows'}; {'; '.join(findings)}"
                )
            self.rollout.apply()
            self.story.show(
                f"kubectl apply -f {EXAMPLE.relative_to(REPO)}",
                f"xcombackendrollout.xcomrollout.dev/{self.rollout.name} configured",
            )
            done = self.rollout.wait_condition("Audited", deadline=60)
            chapter.saw(done["message"])

    def rehearse(self) -> None:
        with self.story.chapter("No rehearsal, no cut-over") as chapter:
            held = self.rollout.wait_condition(
                "Rehearsed", "False", reason="RehearsalRequired", deadline=60
            )
            chapter.saw(f"held: {held['message']}")
            words = ("attest", self.rollout.name, "--evidence", EVIDENCE)
            self.story.show(f"kubectl xbr {' '.join(words)} -n airflow", self.rollout.xbr(*words))
            done = self.rollout.wait_condition("Rehearsed", deadline=60)
            chapter.saw(done["message"])

    def readers_first(self) -> None:
        with self.story.chapter("Readers first, then the threshold") as chapter:
            ready = self.rollout.wait_condition("ReadersConfirmed", deadline=300)
            chapter.saw(f"{ready['message']}")
            live = self.rollout.wait_condition("Ready", deadline=300)
            chapter.saw(f"Ready: {live['message']}")
            delivered = _collapse(self.rollout.thresholds_delivered())
            if delivered[-3:] != ["database", "-1", "1048576"]:
                raise HarnessError(f"Helm revisions hold {delivered}")
            chapter.saw(f"thresholds of the Helm revisions, in order: {', '.join(delivered)}")
            self.story.show("kubectl get xbr -n airflow", self._get())

    def offload(self) -> None:
        with self.story.chapter("A DAG run returns 2 MiB") as chapter:
            run = self.stack.api.trigger("offload_demo")
            self.stack.api.wait_run("offload_demo", run, deadline=180)
            row = self.stack.database.xcom("offload_demo", run, "produce")
            if row is None:
                raise HarnessError(f"run {run} of offload_demo left no row of task produce")
            chapter.saw(f"the row in Postgres, {len(row.value)} bytes: {row.value.decode()}")
            key = self.stack.xcom_bucket.key_of(row)
            body = self.stack.xcom_bucket.read(key)
            plain = gzip.decompress(body) if key.endswith(".gz") else body
            chapter.saw(
                f"the object s3://{XCOM_BUCKET}/{key}: {len(body)} bytes, {plain[:40]!r}..."
            )
            received = self.stack.database.received("offload_demo", run)
            chapter.saw(
                f"downstream was handed a {received['type']} with sha256 "
                f"{received['sha256'][:16]}..., equal to what was returned"
            )

    def bare_revert(self) -> None:
        with self.story.chapter("What a bare revert would do to a run") as chapter:
            run = self.stack.api.trigger("bare_revert")
            self.stack.api.wait_run("bare_revert", run, "failed", deadline=180)
            received = self.stack.database.received("bare_revert", run)
            if received["type"] != "str" or "s3://" not in received["starts"]:
                raise HarnessError(f"the task on BaseXCom was handed {received}")
            chapter.saw(
                "a task whose pod is back on BaseXCom was handed a "
                f"{received['type']}, without any error: {received['starts']}"
            )

    def kill(self) -> None:
        api, database = self.stack.api, self.stack.database
        with self.story.chapter("Runs in flight that hold offloaded values") as chapter:
            slow = [api.trigger("offload_slow", {"seconds": 900}) for _ in range(2)]
            still = api.trigger("bystander", {"seconds": 60})
            for run in slow:
                api.wait_task("offload_slow", run, "hold", {"running"}, deadline=180)
                row = database.xcom("offload_slow", run, "produce")
                if row is None or not row.is_path:
                    raise HarnessError(f"run {run} of offload_slow holds no offloaded value")
                chapter.saw(f"offload_slow/{run} is running and holds {row.path}")
            api.wait_task("bystander", still, "hold", {"running"}, deadline=120)
            chapter.saw(f"bystander/{still} is running and holds inline values only")
        with self.story.chapter("The kill-switch") as chapter:
            words = ("kill", self.rollout.name, "--reason", "demo", "--wait")
            begin = time.monotonic()
            self.story.show(f"kubectl xbr {' '.join(words)} -n airflow", "")
            self.rollout.xbr(*words, live=True)
            done = self.rollout.wait_condition("Ready", reason="Reverted", deadline=60)
            chapter.saw(f"{done['message']} ({time.monotonic() - begin:.0f} s with the command)")
            status = self.rollout.status()
            chapter.saw(f"status.killSwitch: {json.dumps(status['killSwitch'], sort_keys=True)}")
            chapter.saw(
                f"status.offloadedRuns: {json.dumps(status['offloadedRuns'], sort_keys=True)}"
            )
        with self.story.chapter("Nothing was corrupted, nothing else was touched") as chapter:
            for run in slow:
                api.wait_run("offload_slow", run, deadline=120)
                offloaded = [row for row in database.xcoms("offload_slow", run) if row.is_path]
                if offloaded:
                    raise HarnessError(f"offload_slow/{run} still holds {offloaded}")
                produced = database.xcom("offload_slow", run, "produce")
                size = len(produced.value) if produced else 0
                received = database.received("offload_slow", run)
                chapter.saw(
                    f"offload_slow/{run} ran again, its value is inline ({size} bytes), "
                    f"downstream was handed a {received['type']} equal to it"
                )
            api.wait_run("bystander", still, deadline=180)
            tries = {
                name: t.try_number for name, t in by_task(api.tasks("bystander", still)).items()
            }
            if set(tries.values()) != {1}:
                raise HarnessError(f"bystander/{still} was touched: tries {tries}")
            chapter.saw(f"bystander/{still} went on to success, every task on its first try")
            backend = self.cluster.kubectl(
                *("-n", NAMESPACE, "exec", "deploy/airflow-scheduler", "-c", "scheduler", "--"),
                *("airflow", "config", "get-value", "core", "xcom_backend"),
            )
            chapter.saw(f"the scheduler's backend: {backend.strip().splitlines()[-1]}")
            self.story.show("kubectl get xbr -n airflow", self._get())
            for reason, message in self.rollout.events()[-12:]:
                self.story.console.print(f"     {reason}: {message[:160]}", markup=False)

    def _bad_spec(self, saw: Any) -> None:
        """A spec with a threshold of 1MB is refused by the API server, with what to write."""

        def one_megabyte(manifest: dict[str, Any]) -> None:
            manifest["spec"]["threshold"]["bytes"] = "1MB"

        try:
            self.rollout.apply(one_megabyte)
        except HarnessError as error:
            saw(f"threshold 1MB is refused: {str(error).strip().splitlines()[-1]}")
            return
        raise HarnessError("the API server took a threshold of 1MB")

    def _get(self) -> str:
        return self.cluster.kubectl("-n", NAMESPACE, "get", "xbr")


def _accept_no_json(manifest: dict[str, Any]) -> None:
    audit = manifest["spec"]["gates"]["audit"]
    audit["accepted"] = [entry for entry in audit["accepted"] if entry.get("dagId") != JSON_REPORT]


def _collapse(items: Sequence[str]) -> list[str]:
    """Return `items` without repetitions that follow each other."""
    return [item for number, item in enumerate(items) if number == 0 or items[number - 1] != item]
