"""One namespace with an Airflow release installed by Helm, and what is seen of it from outside."""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType

from harness import tools
from harness.apiserver import ApiServer
from harness.shell import run
from standin.airflow import PASSWORD, USER, Airflow
from standin.charts import ChartRepository
from standin.kube import Json, Kube
from standin.node import Node
from standin.settings import OBJECT_STORAGE, Loaded

RELEASE = "airflow"
ROLLOUT = "demo"
PATH = "s3://aws_default@bucket/xcom"
THRESHOLD = 1000
VALUES: Json = {
    "fernetKey": "eGNvbS1yb2xsb3V0LWRlbW8tZmVybmV0LWtleS0wMDE=",
    "webserverSecretKey": "local-to-the-tests",
    "data": {"metadataConnection": {"host": "postgres.invalid"}},
    "migrateDatabaseJob": {"enabled": False},
    "webserver": {"defaultUser": {"enabled": False}},
    # A value of the user's own, in a section that the flip writes to.
    "config": {"core": {"parallelism": "7"}},
}


@dataclass(frozen=True)
class Site:
    """What all places share: the API server, the chart, and files made once."""

    kubeconfig: Path
    pki: Path
    chart: Path
    repository: str
    chart_name: str
    chart_version: str
    probe: Path
    work: Path
    """Folder of the operator's, as it outlives the restart of a container."""


@contextmanager
def open_site(server: ApiServer, folder: Path, probe: Path) -> Iterator[Site]:
    """A site beside an API server; its chart repository serves while the block runs.

    Args:
        folder: for what is made, in folders of its own: `charts` and `work`.
    """
    for name in ("charts", "work"):
        (folder / name).mkdir()
    with ChartRepository(folder / "charts") as charts:
        yield Site(
            kubeconfig=server.kubeconfig,
            pki=server.folder / "pki",
            chart=charts.archive,
            repository=charts.url,
            chart_name=charts.name,
            chart_version=charts.version,
            probe=probe,
            work=folder / "work",
        )


@dataclass(frozen=True)
class Revision:
    """The newest revision of a Helm release."""

    number: int
    status: str
    values: Json

    @property
    def offload(self) -> tuple[str, str] | None:
        """Path and threshold; None while it is the database backend."""
        config = self.values.get("config") or {}
        if config.get("core", {}).get("xcom_backend") != OBJECT_STORAGE:
            return None
        section = config["common.io"]
        return section["xcom_objectstorage_path"], section["xcom_objectstorage_threshold"]


class Place:
    """A context manager; the release is installed when its block begins."""

    def __init__(self, site: Site, node: Node, namespace: str) -> None:
        self.site, self.node, self.namespace = site, node, namespace
        self.kube = Kube(site.kubeconfig)
        self.airflow = Airflow(self.kube, node, namespace, RELEASE)
        self.findings: dict[str, list[Json]] = {"static": [], "dynamic": []}
        """What the audits find in the DAG code and in the table."""
        self.recommended = 500
        """Bytes that a calibration recommends."""
        self.samples: list[list[str]] = []
        """File names of the samples that each proof was given."""
        self.probes: list[list[str]] = []
        """The arguments of every probe that a Job ran."""
        self._open = ExitStack()

    def __enter__(self) -> Place:
        self.kube.create(
            "/api/v1/namespaces",
            {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": self.namespace}},
        )
        secret = {"username": USER, "password": PASSWORD}
        self.kube.create(
            f"/api/v1/namespaces/{self.namespace}/secrets",
            {
                "apiVersion": "v1",
                "kind": "Secret",
                "metadata": {"name": "airflow-api"},
                "stringData": secret,
            },
        )
        self.helm(
            *("install", RELEASE, str(self.site.chart), "--values", "-"),
            stdin=json.dumps(VALUES),
        )
        self.node.answer_probes(self.namespace, self._probe)
        self._open.enter_context(self.airflow)
        self.tick()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._open.close()

    def helm(self, *arguments: str, stdin: str | None = None) -> str:
        """Run helm on this namespace, as a person would."""
        where = ("--kubeconfig", self.site.kubeconfig, "--namespace", self.namespace)
        return run(tools.tool("helm"), *arguments, *where, stdin=stdin, timeout=60)

    def tick(self) -> None:
        """Let a moment pass in Airflow and on the node."""
        self.airflow.tick()
        self.node.tick(self.namespace)

    # -- the rollout, as a user handles it ---------------------------------------------------

    def manifest(self, name: str = ROLLOUT) -> Json:
        """Return a valid rollout for the release, its rehearsal attested."""
        at = datetime.now(UTC) - timedelta(hours=1)
        attestation = {
            "by": "ana",
            "at": at.isoformat(),
            "evidence": "https://example.org/rehearsal",
            "expiresAt": (at + timedelta(days=10)).isoformat(),
        }
        chart = {
            "repository": self.site.repository,
            "name": self.site.chart_name,
            "version": self.site.chart_version,
        }
        return {
            "apiVersion": "xcomrollout.dev/v1alpha1",
            "kind": "XComBackendRollout",
            "metadata": {
                "name": name,
                "namespace": self.namespace,
                "annotations": {"xcomrollout.dev/rehearsal-attestation": json.dumps(attestation)},
            },
            "spec": {
                "airflow": {
                    "release": RELEASE,
                    "api": {
                        "service": "airflow-webserver",
                        "port": self.airflow.port,
                        "credentialsSecretRef": {"name": "airflow-api"},
                    },
                },
                "backend": {"type": "ObjectStorage", "objectStorage": {"path": PATH}},
                "threshold": {"bytes": str(THRESHOLD)},
                "delivery": {"type": "Helm", "helm": {"chart": chart}},
            },
        }

    def declare(self, **spec: Json) -> None:
        """Create the rollout, with top-level members of its spec replaced."""
        manifest = self.manifest()
        manifest["spec"] |= spec
        self.kube.create(self._rollouts(), manifest)

    def change(self, spec: Json) -> None:
        """Merge into the rollout's spec."""
        self.kube.merge(f"{self._rollouts()}/{ROLLOUT}", {"spec": spec})

    def ask_for_proofs(self) -> None:
        """Ask for all proofs and audits again, as `kubectl xbr prove` does."""
        annotations = {"xcomrollout.dev/prove": json.dumps({"by": "ana"})}
        self.kube.merge(f"{self._rollouts()}/{ROLLOUT}", {"metadata": {"annotations": annotations}})

    def kill(self, **more: str) -> None:
        """Engage the kill-switch, as `kubectl xbr kill` does; `more` is of its request."""
        request = {"by": "ben", "at": datetime.now(UTC).isoformat(), "reason": "a test", **more}
        annotations = {"xcomrollout.dev/kill": json.dumps(request)}
        self.kube.merge(f"{self._rollouts()}/{ROLLOUT}", {"metadata": {"annotations": annotations}})

    def delete(self) -> None:
        """Delete the rollout, as `kubectl delete xbr` does."""
        self.kube.delete(f"{self._rollouts()}/{ROLLOUT}")

    def rollout(self) -> Json | None:
        """Return the rollout, None where it is gone."""
        return self.kube.find(f"{self._rollouts()}/{ROLLOUT}")

    def status(self, name: str = ROLLOUT) -> Json:
        """Return the rollout's status; empty before the first, and where the rollout is gone."""
        found = self.kube.find(f"{self._rollouts()}/{name}") or {}
        status: Json = found.get("status") or {}
        return status

    def conditions(self, name: str = ROLLOUT) -> dict[str, str]:
        """Return each condition as `True (Reason)`."""
        return {
            entry["type"]: f"{entry['status']} ({entry['reason']})"
            for entry in self.status(name).get("conditions") or []
        }

    def said(self, name: str = ROLLOUT) -> str:
        """Return the conditions with their messages, for a person."""
        status = self.status(name)
        lines = [f"phase {status.get('phase')}"]
        lines += [
            f"{entry['type']}={entry['status']} {entry['reason']}: {entry['message']}"
            for entry in status.get("conditions") or []
        ]
        return "\n".join(lines)

    def revision(self) -> Revision:
        """Return the newest revision of the release."""
        return self.revisions()[-1]

    def revisions(self) -> list[Revision]:
        """Return the revisions of the release, oldest first, read from Helm's own Secrets."""
        secrets = self.kube.list(
            f"/api/v1/namespaces/{self.namespace}/secrets", f"owner=helm,name={RELEASE}"
        )
        return sorted(map(_revision, secrets), key=lambda revision: revision.number)

    def _rollouts(self) -> str:
        return f"/apis/xcomrollout.dev/v1alpha1/namespaces/{self.namespace}/xcombackendrollouts"

    # -- what the probe finds ----------------------------------------------------------------

    def _probe(self, pod: Json, loaded: Loaded, arguments: list[str], given: bytes | None) -> Json:
        self.probes.append(arguments)
        if "prove" in arguments:
            if "--samples" in arguments:
                self.samples.append(self._mounted_samples(pod))
            return self._prove(loaded, arguments)
        if "audit" in arguments:
            return self._audit("static" if "--static" in arguments else "dynamic")
        if "calibrate" in arguments:
            found = {"recommendedThreshold": self.recommended}
            return {"command": "calibrate", "verdict": "pass", "calibration": found}
        keys = None
        if given is not None or "--runs-file" in arguments:
            listed = self._mounted_runs(pod) if given is None else json.loads(given)
            keys = [(run["dagId"], run["runId"]) for run in listed]
        if "forget" in arguments:
            runs = self.airflow.forget(keys or [])
            return {"command": "forget", "verdict": "pass", "runs": runs}
        if "rehydrate" in arguments:
            return {"command": "rehydrate", "verdict": "pass", **self.airflow.rehydrate(keys)}
        return {"command": "census", "verdict": "pass", "runs": self.airflow.census(keys)}

    def _prove(self, loaded: Loaded, arguments: list[str]) -> Json:
        """The pod must hold the settings to come; nothing else is looked at here."""
        expected = {
            "backend": OBJECT_STORAGE,
            "path": arguments[arguments.index("--expect-path") + 1],
            "threshold": int(arguments[arguments.index("--expect-threshold") + 1]),
        }
        seen = {name: getattr(loaded, name) for name in expected}
        check = {
            "name": "effective-settings",
            "status": "pass" if seen == expected else "fail",
            "observed": str(seen),
            "expected": str(expected),
            "why": "",
            "remedy": "",
        }
        return {
            "command": "prove",
            "verdict": check["status"],
            "checks": [check],
            "facts": {"executor": "KubernetesExecutor"},
        }

    def _audit(self, kind: str) -> Json:
        found = self.findings[kind]
        members = {"findings": found, "unreadable": []} if kind == "static" else {"tasks": found}
        return {"command": "audit", "verdict": "fail" if found else "pass", kind: members}

    def _mounted_samples(self, pod: Json) -> list[str]:
        return sorted(self._mounted(pod, "/opt/xcom-probe-samples"))

    def _mounted_runs(self, pod: Json) -> list[Json]:
        runs: list[Json] = json.loads(self._mounted(pod, "/opt/xcom-probe-runs")["runs.json"])
        return runs

    def _mounted(self, pod: Json, folder: str) -> Json:
        """Return the data of the ConfigMap that the Job's pod mounts at a folder."""
        mounts = {
            mount["name"]: mount["mountPath"]
            for mount in pod["spec"]["containers"][0]["volumeMounts"]
        }
        for volume in pod["spec"]["volumes"]:
            if mounts.get(volume["name"]) == folder:
                path = f"/api/v1/namespaces/{self.namespace}/configmaps/"
                data: Json = self.kube.get(path + volume["configMap"]["name"])["data"]
                return data
        raise LookupError(f"the Job's pod mounts nothing at {folder}")


def _revision(secret: Json) -> Revision:
    packed = base64.b64decode(base64.b64decode(secret["data"]["release"]))
    release = json.loads(gzip.decompress(packed))
    return Revision(release["version"], release["info"]["status"], release.get("config") or {})
