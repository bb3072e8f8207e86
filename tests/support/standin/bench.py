"""A small Helm release beside the API server, and the operator's delivery to it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

from harness import tools
from harness.apiserver import ApiServer
from harness.shell import run
from xcom_rollout.api.v1alpha1 import RolloutSpec
from xcom_rollout.clients.kube import Json, KubeApi
from xcom_rollout.clients.memo import Memo
from xcom_rollout.decide.observed import Rollout
from xcom_rollout.deliver.helm import HelmDelivery
from xcom_rollout.wiring import Clients

CONFIG = """apiVersion: v1
kind: ConfigMap
metadata: {name: {{ .Release.Name }}-config}
data:
  airflow.cfg: |
    {{- range $section, $options := .Values.config }}
    [{{ $section }}]
    {{- range $option, $value := $options }}
    {{ $option }} = {{ tpl ($value | toString) $ }}
    {{- end }}
    {{- end }}
  size: {{ .Values.size | toString | quote }}
  file: {{ .Files.Get "file.txt" | quote }}
---
apiVersion: v1
kind: Secret
metadata: {name: {{ .Release.Name }}-jwt-secret}
data:
  jwt-secret: {{ .Values.jwtSecret | default (randAlphaNum 32) | b64enc | quote }}
---
apiVersion: batch/v1
kind: Job
metadata:
  name: {{ .Release.Name }}-hook
  annotations: {"helm.sh/hook": post-upgrade}
spec:
  template: {spec: {restartPolicy: Never, containers: [{name: a, image: a}]}}
{{- if lookup "v1" "ConfigMap" .Release.Namespace "stop" }}{{ fail "stopped" }}{{ end }}
"""
VALUES = """size: 5
jwtSecret: k
word: airflow.models.xcom.BaseXCom
config: {core: {dags_folder: /dags}}
"""
COMPANY = """size: 5
jwtSecret: k
config:
  core: {dags_folder: /dags, xcom_backend: airflow.models.xcom.BaseXCom}
  common.io: {xcom_objectstorage_compression: zip}
"""
COMMUNITY = """apiVersion: v1
kind: Secret
metadata: {name: {{ .Release.Name }}-config}
stringData: {{ .Values.airflow.config | toJson }}
"""
PARENTS = {
    "umbrella": ("small", "airflow", "size: 1\nairflow: {config: {api: {a: b}}}\n"),
    "platform": ("umbrella", "base", "size: 1\n"),
}
"""Charts that run another: its name there, the key of its values, and their own values."""
CHILD = """apiVersion: v1
kind: ConfigMap
metadata: {name: {{ .Release.Name }}-{{ .Chart.Name }}}
data: {size: {{ .Values.size | quote }}}
"""


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: Any) -> None:
        pass


@contextmanager
def small_charts(folder: Path) -> Iterator[str]:
    """A chart repository with charts that make an airflow.cfg, each of version 1.0.0.

    `small`, of 1.0.1 too; `parent` that may need `child`; `company`, which sets a backend of its
    own; `umbrella`, which runs `small` as its dependency `airflow`, and `platform`, which runs
    that as `base`; `community`, which is laid out otherwise.
    """
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
    url = f"http://127.0.0.1:{server.server_address[1]}"
    tools.ensure(("helm",))
    charts = (
        *(("small", "1.0.0"), ("small", "1.0.1"), ("parent", "1.0.0"), ("company", "1.0.0")),
        *(("community", "1.0.0"), ("umbrella", "1.0.0"), ("platform", "1.0.0")),
    )
    for name, version in charts:
        chart = folder / version / name
        metadata: Json = {"apiVersion": "v2", "name": name, "version": version}
        if name == "parent":
            condition = {"name": "child", "version": "1.0.0", "condition": "child.enabled"}
            metadata["dependencies"] = [condition]
            write_chart(
                chart / "charts" / "child",
                {"apiVersion": "v2", "name": "child", "version": "1.0.0"},
                "size: 3\n",
                CHILD,
            )
        if name in PARENTS:
            needed, alias, values = PARENTS[name]
            metadata["dependencies"] = [
                {"name": needed, "alias": alias, "version": "1.0.0", "repository": url}
            ]
            write_chart(chart, metadata, values, CHILD)
            shutil.copytree(folder / "1.0.0" / needed, chart / "charts" / needed)
        else:
            template = COMMUNITY if name == "community" else CONFIG
            write_chart(chart, metadata, COMPANY if name == "company" else VALUES, template)
        (chart / "file.txt").write_text("a file: \u00fc\r\n")
        run(tools.tool("helm"), "package", chart, "--destination", folder)
    run(tools.tool("helm"), "repo", "index", folder, "--url", url)
    thread = Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    yield url
    server.shutdown()
    thread.join()
    server.server_close()


def write_chart(folder: Path, metadata: Json, values: str, template: str) -> None:
    (folder / "templates").mkdir(parents=True)
    (folder / "Chart.yaml").write_text(json.dumps(metadata))
    (folder / "values.yaml").write_text(values)
    (folder / "templates" / "all.yaml").write_text(template)


@dataclass
class Bench:
    """A namespace, with what a test needs to look at it from outside."""

    server: ApiServer
    namespace: str
    repository: str
    world: Clients
    access: Mapping[str, Json] = field(default_factory=dict)
    """What else the spec says of the chart: the Secret and the authority of its repository."""

    @property
    def api(self) -> KubeApi:
        return self.world.api

    def rollout(
        self, version: str = "1.0.0", chart_name: str = "small", values_path: str | None = None
    ) -> Rollout:
        chart: Json = {"repository": self.repository, "name": chart_name, "version": version}
        chart |= self.access
        api = {"service": "web", "credentialsSecretRef": {"name": "airflow-api"}}
        spec = {
            "airflow": {"release": "rel", "api": api},
            "backend": {"type": "ObjectStorage", "objectStorage": {"path": "s3://c@b/p"}},
            "threshold": {"bytes": "1048576"},
            "delivery": {"type": "Helm", "helm": {"chart": chart, "valuesPath": values_path}},
        }
        now = datetime.now(UTC)
        return Rollout(self.namespace, "demo", "uid-1", 1, now, RolloutSpec.model_validate(spec))

    def delivery(
        self, version: str = "1.0.0", chart: str = "small", values_path: str | None = None
    ) -> HelmDelivery:
        return HelmDelivery(self.world, self.rollout(version, chart, values_path))

    def helm(self, *words: str, values: dict[str, Any] | None = None) -> str:
        where = ("--namespace", self.namespace, "--kubeconfig", str(self.server.kubeconfig))
        given = ("--values", "-") if values is not None else ()
        stdin = None if values is None else json.dumps(values)
        return run(tools.tool("helm"), *words, *given, *where, stdin=stdin, timeout=60)

    def install(
        self, values: dict[str, Any] | None = None, *words: str, chart: str = "small"
    ) -> None:
        self.helm(
            "install",
            "rel",
            chart,
            *words,
            "--repo",
            self.repository,
            "--version",
            "1.0.0",
            values=values,
        )

    def values(self) -> object:
        return json.loads(self.helm("get", "values", "rel", "--output", "json"))

    def data(self) -> dict[str, str]:
        found = self.api.find(f"api/v1/namespaces/{self.namespace}/configmaps/rel-config")
        assert found is not None
        return dict(found["data"])

    def secrets(self, labels: str) -> list[Json]:
        path = f"api/v1/namespaces/{self.namespace}/secrets"
        return self.api.list(path, labels=labels)

    def revisions(self) -> Mapping[int, str]:
        """The status of each stored revision by its number."""
        found = (one["metadata"]["labels"] for one in self.secrets("owner=helm,name=rel"))
        return {int(labels["version"]): labels["status"] for labels in found}


def after_a_restart(bench: Bench) -> Bench:
    """The operator's pod was replaced: its folder and all that it remembers are gone."""
    shutil.rmtree(bench.world.work, ignore_errors=True)
    bench.world.work.mkdir()
    return replace(bench, world=replace(bench.world, memo=Memo()))
