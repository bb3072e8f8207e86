"""Airflow with its database and its S3 server, installed by Helm on a cluster.

    stack = AirflowStack(cluster)
    stack.install()
    run_id = stack.api.trigger("offload_demo")

`AirflowStack(cluster, AIRFLOW_3)` is Airflow 3, beside the other one. `CELERY_2` and `CELERY_3` are
with CeleryExecutor and a Redis of their own; their images are built when they are first asked for.
`BOTH_2` and `BOTH_3` are these with KubernetesExecutor beside it.
`PLATFORM` is Airflow 2 below a chart of a team's own, with task pods in another namespace.

| Part | Where |
|---|---|
| Airflow 2 | namespace `airflow`, release `airflow`, BaseXCom until someone changes it |
| Airflow 3 | namespace `airflow3`, release `airflow3`, BaseXCom until someone changes it |
| with CeleryExecutor | namespaces and releases `airflow-celery` and `airflow3-celery` |
| with both executors | namespaces and releases `airflow-both` and `airflow3-both` |
| below an umbrella | namespace and release `platform`, task pods in `platform-tasks` |
| Postgres | one in each of these namespaces, Service `postgres` |
| MinIO | namespace `storage`, Service `minio`; buckets `airflow-xcom` and `charts` |
| Helm chart repository | bucket `charts`, read by anyone: `AirflowStack.chart.repository` |

`AIRFLOW_CHART=official` installs the official Airflow chart from its public repository, which
needs the Internet. Everything else stays as it is.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from string import Template
from typing import Any

import urllib3
import yaml
from minio import Minio, MinioAdmin
from minio.credentials.providers import StaticProvider
from minio.error import MinioAdminException

from harness.airflow import AirflowApi, AirflowDatabase, Bucket
from harness.cluster import Cluster
from harness.forward import PortForward
from harness.paths import E2E
from harness.say import say, step
from harness.shell import HarnessError
from harness.waiting import NotYetError

STACK = E2E / "stack"
DAGS = E2E / "dags"
CHART = E2E / "charts" / "airflow"


@dataclass(frozen=True)
class Instance:
    """One installation of Airflow.

    Attributes:
        major: of its version.
        namespace: where it is; of its Helm release too, which has the same name.
        image: folder in tests/e2e/images.
        values: files in tests/e2e/stack, each changing what the one before says.
        web: component that answers its REST API.
        workers: whether tasks run in workers, which get them from Redis.
        volumes: how many are there to be claimed, as nothing in the cluster creates any.
        under: key of an umbrella chart's values, below which Airflow's are; empty: no umbrella.
        tasks: namespace of the task pods; empty: the same.
    """

    major: int
    namespace: str
    image: str
    values: tuple[str, ...]
    web: str
    workers: bool = False
    volumes: int = 0
    under: str = ""
    tasks: str = ""

    @property
    def namespaces(self) -> tuple[str, ...]:
        return tuple(filter(None, (self.namespace, self.tasks)))

    @property
    def volume_names(self) -> tuple[str, ...]:
        return tuple(f"{self.namespace}-{number}" for number in range(self.volumes))

    @property
    def release(self) -> str:
        return self.namespace

    @property
    def web_service(self) -> str:
        """Service of its REST API, port 8080: what `spec.airflow.api.service` names."""
        return f"{self.release}-{self.web}"


AIRFLOW_2 = Instance(2, "airflow", "airflow", ("values.yaml",), "webserver")
AIRFLOW_3 = Instance(
    3, "airflow3", "airflow3", ("values.yaml", "values-airflow3.yaml"), "api-server"
)
_CELERY = "values-celery.yaml"
CELERY_2 = Instance(
    2, "airflow-celery", "airflow-celery", (*AIRFLOW_2.values, _CELERY), AIRFLOW_2.web, workers=True
)
CELERY_3 = Instance(
    3,
    "airflow3-celery",
    "airflow3-celery",
    (*AIRFLOW_3.values, _CELERY, "values-worker-volumes.yaml"),
    AIRFLOW_3.web,
    workers=True,
    volumes=4,
)
BOTH_2 = replace(
    CELERY_2, namespace="airflow-both", values=(*CELERY_2.values, "values-celery-kubernetes.yaml")
)
BOTH_3 = replace(
    CELERY_3,
    namespace="airflow3-both",
    values=(*AIRFLOW_3.values, _CELERY, "values-two-executors.yaml"),
    volumes=0,
)
PLATFORM = Instance(
    2,
    "platform",
    "airflow",
    (*AIRFLOW_2.values, "values-platform.yaml"),
    AIRFLOW_2.web,
    under="airflow",
    tasks="platform-tasks",
)
INSTANCES = (AIRFLOW_2, AIRFLOW_3, CELERY_2, CELERY_3, BOTH_2, BOTH_3, PLATFORM)
NAMESPACE = AIRFLOW_2.namespace
RELEASE = AIRFLOW_2.release
XCOM_BUCKET = "airflow-xcom"
CHARTS_BUCKET = "charts"
DAG_IDS = frozenset(
    {"bare_revert", "bystander", "json_report", "late_return", "offload_demo", "offload_slow"}
)

_MINIO_ROOT = ("minio-admin", "minio-admin-password")
_MINIO_XCOM = ("airflow-xcom", "airflow-xcom-password")
_ADMIN = ("admin", "admin")
_HEARTBEAT_MAX_AGE_SECONDS = 15.0


@dataclass(frozen=True)
class Chart:
    """A chart that can be pulled from inside the cluster: what `delivery.helm.chart` names."""

    repository: str
    name: str
    version: str


LOCAL_CHART = Chart(
    f"http://minio.storage.svc.cluster.local:9000/{CHARTS_BUCKET}", "airflow", "0.1.0"
)
# In no repository: its dependency is.
UMBRELLA = Chart(LOCAL_CHART.repository, "platform", "1.2.3")
OFFICIAL_CHART = Chart("https://airflow.apache.org", "airflow", "1.16.0")


def object_storage_values(threshold: int) -> dict[str, Any]:
    """The `config` values that select the object backend, as a person would write them.

    Args:
        threshold: bytes; -1 writes nothing to S3 and still reads what is there.
    """
    return {
        "config": {
            "core": {
                "xcom_backend": (
                    "airflow.providers.common.io.xcom.backend.XComObjectStorageBackend"
                )
            },
            "common.io": {
                "xcom_objectstorage_path": f"s3://aws_default@{XCOM_BUCKET}/xcom",
                "xcom_objectstorage_threshold": str(threshold),
                "xcom_objectstorage_compression": "gzip",
            },
        }
    }


def merge(values: dict[str, Any], changes: Mapping[str, Any]) -> None:
    """Change `values` in place as a JSON merge patch does: None removes, mappings go deeper."""
    for key, change in changes.items():
        if change is None:
            values.pop(key, None)
        elif isinstance(change, Mapping):
            inner = values.get(key)
            values[key] = dict(inner) if isinstance(inner, Mapping) else {}
            merge(values[key], change)
        else:
            values[key] = change


# Changes that undo `object_storage_values`: a bare revert to BaseXCom.
DATABASE_VALUES: dict[str, Any] = {"config": {"core": {"xcom_backend": None}, "common.io": None}}


class AirflowStack:
    """The stack on one cluster. Also attaches to one that is installed already.

    Args:
        cluster: where it runs.
        instance: which Airflow it is.
        official: install the official chart; default: whether `AIRFLOW_CHART` is `official`.

    Raises:
        HarnessError: `AIRFLOW_CHART` has another value than `official` or `local`.
    """

    def __init__(
        self, cluster: Cluster, instance: Instance = AIRFLOW_2, *, official: bool | None = None
    ) -> None:
        self.cluster = cluster
        self.instance = instance
        self.namespace, self.release = instance.namespace, instance.release
        self._official = _official_wanted() if official is None else official
        self._open = ExitStack()

    @property
    def chart(self) -> Chart:
        """The chart of the release, as the operator has to pull it."""
        if self.instance.under:
            return UMBRELLA
        return OFFICIAL_CHART if self._official else LOCAL_CHART

    def __enter__(self) -> AirflowStack:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the port-forwards; what is installed stays."""
        self._open.close()
        for name in ("api", "_minio_forward"):
            self.__dict__.pop(name, None)

    # What tests look at.

    @cached_property
    def api(self) -> AirflowApi:
        """Airflow's REST API as user `admin`."""
        forward = self._forward(self.namespace, f"svc/{self.instance.web_service}", 8080)
        api = AirflowApi(forward, *_ADMIN, major=self.instance.major)
        self._open.callback(api.close)
        return api

    @cached_property
    def database(self) -> AirflowDatabase:
        """Airflow's database."""
        return AirflowDatabase(self._psql, major=self.instance.major)

    @cached_property
    def xcom_bucket(self) -> Bucket:
        """The bucket of the XCom objects."""
        return Bucket(self.minio, XCOM_BUCKET)

    def minio(self) -> Minio:
        """A client of the S3 server with all rights."""
        return Minio(
            self._minio_forward.address(), *_MINIO_ROOT, secure=False, http_client=_http_pool()
        )

    def s3_access(self) -> dict[str, str]:
        """Variables with which boto3 reaches the S3 server with all rights."""
        return {
            "AWS_ENDPOINT_URL": f"http://{self._minio_forward.address()}",
            "AWS_ACCESS_KEY_ID": _MINIO_ROOT[0],
            "AWS_SECRET_ACCESS_KEY": _MINIO_ROOT[1],
            "AWS_DEFAULT_REGION": "us-east-1",
        }

    # Installing and removing.

    def install(
        self,
        values: Mapping[str, Any] | None = None,
        *,
        image: str | None = None,
        more_dags: Sequence[Path] = (),
    ) -> None:
        """Bring up storage, database and Airflow, and wait until DAGs can run.

        Installing again changes what differs and nothing else.

        Args:
            values: Helm values on top of `stack/values.yaml`.
            image: folder in tests/e2e/images; by default the instance's.
            more_dags: folders whose files lie in the DAG folder too.

        Raises:
            HarnessError: an image cannot be built, Helm fails, or a deadline passes; the message
                holds what was last seen.
        """
        self.bring_storage(more_dags)
        self.bring_airflow(values, image=image)

    def bring_storage(self, more_dags: Sequence[Path] = ()) -> None:
        """The first part of `install`: S3 server, database, and the ConfigMap of the DAGs."""
        words = {f"{name}_image": self.cluster.load_image(name) for name in ("postgres", "minio")}
        words["namespace"] = self.namespace
        with step("Postgres and MinIO"):
            for namespace in (*self.instance.namespaces, "storage"):
                self.cluster.apply(_namespace(namespace))
            for manifest in ("postgres.yaml", "minio.yaml", "airflow.yaml"):
                self.cluster.apply(Template((STACK / manifest).read_text()).substitute(words))
            for name in self.instance.volume_names:
                self.cluster.apply(_volume(name))
            folders = [DAGS, *more_dags]
            self.cluster.apply(_dags(self.namespace, folders))
            self._rollout("storage", "deployment/minio", deadline=60)
            self._rollout(self.namespace, "deployment/postgres", deadline=60)
        with step("buckets and chart repository"):
            self._make_buckets()
            if not self._official:
                self._publish_chart()

    def bring_airflow(
        self, values: Mapping[str, Any] | None = None, *, image: str | None = None
    ) -> None:
        """The second part of `install`: Airflow itself."""
        airflow_image = self.cluster.load_image(image or self.instance.image)
        with step("Airflow by Helm"):
            wanted = self._install_values(airflow_image)
            merge(wanted, values or {})
            self._remove_jobs_of_other_images(airflow_image)
            self._helm_upgrade(wanted)
        with step("Airflow answers, schedules and knows its DAGs"):
            self.wait_ready()

    def upgrade(self, changes: Mapping[str, Any]) -> None:
        """Change values of the release by Helm as a person would, and return when Helm does.

        Helm itself cannot take a value away from a release: with --reuse-values a null is dropped,
        with --reset-then-reuse-values it is rendered as `<nil>`. So the release's values are read,
        changed, and given as a whole.

        Args:
            changes: merged into the values of the release; None removes a key.
        """
        values = self.values()
        merge(values, changes)
        self._helm_upgrade(values)

    def values(self) -> dict[str, Any]:
        """The values that were given for the release (not the chart's own)."""
        text = self.cluster.helm(
            *("get", "values", self.release, "--namespace", self.namespace, "--output", "json")
        )
        return airflow_values(self.instance, dict(json.loads(text) or {}))

    def _install_values(self, airflow_image: str) -> dict[str, Any]:
        values: dict[str, Any] = {}
        # The version last: an Airflow 3 stays one with the official chart too.
        official = ("values-official.yaml",) if self._official else ()
        for file in (*self.instance.values[:1], *official, *self.instance.values[1:]):
            merge(values, yaml.safe_load((STACK / file).read_text()))
        merge(values, _image_values("airflow", airflow_image))
        if self.instance.workers:
            merge(values, _image_values("redis", self.cluster.load_image("redis")))
        return values

    def _helm_upgrade(self, values: Mapping[str, Any]) -> None:
        given: dict[str, Any] = dict(values)
        if self.instance.under:
            given = {self.instance.under: given}
        with tempfile.TemporaryDirectory() as folder:
            self._upgrade_from(Path(folder), given)

    def _upgrade_from(self, folder: Path, values: Mapping[str, Any]) -> None:
        words = [
            *("upgrade", "--install", self.release, "--namespace", self.namespace),
            *("--reset-values", "--values", "-", "--timeout", "5m"),
        ]
        if self._official:
            words += [OFFICIAL_CHART.name, "--repo", OFFICIAL_CHART.repository]
            words += ["--version", OFFICIAL_CHART.version]
        elif self.instance.under:
            write_umbrella(folder)
            words.append(str(folder))
        else:
            words.append(str(CHART))
        self.cluster.helm(*words, stdin=yaml.safe_dump(dict(values)))

    def wait_ready(self, *, deadline: float = 180.0) -> None:
        """Wait until every pod is of the newest template and its process works.

        `kubectl rollout status` is not enough: the scheduler has no readiness probe, so it is
        complete before the new process exists. The scheduler's own heartbeat decides.

        Raises:
            HarnessError: not within `deadline` seconds.
        """
        for name in self._workloads():
            self._rollout(self.namespace, name, deadline=deadline)
        self.cluster.wait_for("old pods gone", self._no_pod_leaves, deadline, interval=1.0)
        self.cluster.wait_for("scheduler heartbeat", self._scheduler_beats, deadline, interval=0.5)
        self.cluster.wait_for("web server healthy", self._healthy, deadline, interval=0.5)
        self.cluster.wait_for("DAGs parsed", self._dags_known, deadline, interval=1.0)

    def uninstall(self, *, storage: bool = True) -> None:
        """Remove Airflow, database and their data; waits until they are gone.

        Args:
            storage: remove the S3 server too, which another Airflow may be using.
        """
        self.close()
        if self.instance.workers:
            self._end_workers()
        gone = (*self.instance.namespaces, *(("storage",) if storage else ()))
        with step(f"removing the namespaces {' and '.join(gone)}"):
            self.cluster.kubectl(
                *("delete", "namespace", *gone),
                *("--ignore-not-found", "--timeout=180s"),
            )
        # Without their claims these are taken by nobody else.
        if names := self.instance.volume_names:
            self.cluster.kubectl("delete", "persistentvolume", *names, "--ignore-not-found")

    def _end_workers(self) -> None:
        """End them with their tasks, for which they would wait until their grace period is over."""
        words = ("--namespace", self.namespace, "delete", "--ignore-not-found")
        selector = f"component=worker,release={self.release}"
        for kind in ("deployments,statefulsets", "pods"):
            self.cluster.kubectl(*words, kind, "-l", selector, "--wait=false", "--grace-period=1")

    # Parts of install.

    def _rollout(self, namespace: str, name: str, *, deadline: float) -> None:
        self.cluster.kubectl(
            *("--namespace", namespace, "rollout", "status", name),
            f"--timeout={deadline:.0f}s",
        )

    def _remove_jobs_of_other_images(self, image: str) -> None:
        """Delete them: a Job cannot be changed, so Helm would fail; one that is gone it creates."""
        selector = f"tier=airflow,release={self.release}"
        words = ("--namespace", self.namespace, "get", "jobs", "-l", selector)
        for job in self.cluster.kubectl_json(*words)["items"]:
            if job["spec"]["template"]["spec"]["containers"][0]["image"] != image:
                name = job["metadata"]["name"]
                self.cluster.kubectl("--namespace", self.namespace, "delete", "job", name)

    def _make_buckets(self) -> None:
        client = self.minio()
        for bucket in (XCOM_BUCKET, CHARTS_BUCKET):
            if not client.bucket_exists(bucket):
                client.make_bucket(bucket)
        client.set_bucket_policy(CHARTS_BUCKET, json.dumps(public_read(CHARTS_BUCKET)))
        self.add_identity(*_MINIO_XCOM, _read_write(XCOM_BUCKET))

    def add_identity(self, name: str, secret: str, policy: Mapping[str, Any]) -> None:
        """Make the S3 server know an identity that has the rights of this policy and no others."""
        admin = self._minio_admin()
        admin.policy_add(name, policy=dict(policy))
        admin.user_add(name, secret)
        try:
            admin.attach_policy([name], user=name)
        except MinioAdminException as error:
            # What a second install meets.
            if "XMinioAdminPolicyChangeAlreadyApplied" not in str(error):
                raise

    def remove_identity(self, name: str) -> None:
        """Take it away again, with its policy."""
        admin = self._minio_admin()
        admin.user_remove(name)
        admin.policy_remove(name)

    def _minio_admin(self) -> MinioAdmin:
        return MinioAdmin(
            endpoint=self._minio_forward.address(),
            credentials=StaticProvider(*_MINIO_ROOT),
            secure=False,
            http_client=_http_pool(),
        )

    def _publish_chart(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            self.cluster.helm("package", str(CHART), "--destination", folder)
            self.cluster.helm("repo", "index", folder, "--url", LOCAL_CHART.repository)
            client = self.minio()
            for file in sorted(Path(folder).iterdir()):
                client.fput_object(CHARTS_BUCKET, file.name, str(file))

    # What `wait_ready` asks.

    def _pods(self, selector: str) -> list[dict[str, Any]]:
        found = self.cluster.kubectl_json(
            "--namespace", self.namespace, "get", "pods", "-l", selector
        )
        return list(found["items"])

    def _workloads(self) -> list[str]:
        """Deployments and StatefulSets as `kubectl rollout` names them."""
        selector = f"tier=airflow,release={self.release}"
        words = ("get", "deployments,statefulsets", "-l", selector, "-o", "name")
        return self.cluster.kubectl("--namespace", self.namespace, *words).split()

    def _no_pod_leaves(self) -> bool:
        leaving = [
            pod["metadata"]["name"]
            for pod in self._pods(f"tier=airflow,release={self.release},component!=worker")
            if "deletionTimestamp" in pod["metadata"]
        ]
        if leaving:
            raise NotYetError(f"still ending: {', '.join(leaving)}")
        return True

    def _scheduler_beats(self) -> bool:
        names = {
            pod["metadata"]["name"]
            for pod in self._pods(f"component=scheduler,release={self.release}")
            if "deletionTimestamp" not in pod["metadata"]
        }
        ages = self.database.scheduler_heartbeats()
        silent = {
            name for name in names if ages.get(name, float("inf")) > _HEARTBEAT_MAX_AGE_SECONDS
        }
        if not names or silent:
            raise NotYetError(f"pods {sorted(names)}, seconds since heartbeat {ages}")
        return True

    def _healthy(self) -> bool:
        health = self.api.health()
        for component in ("metadatabase", "scheduler"):
            if health[component]["status"] != "healthy":
                raise NotYetError(f"health: {health}")
        return True

    def _dags_known(self) -> bool:
        known = self.api.dag_ids()
        if not known >= DAG_IDS:
            raise NotYetError(f"DAGs {sorted(known)}; import errors {self.api.import_errors()}")
        return True

    # Ways in.

    @cached_property
    def _minio_forward(self) -> PortForward:
        return self._open.enter_context(self._forward("storage", "svc/minio", 9000))

    def _forward(self, namespace: str, target: str, port: int) -> PortForward:
        return PortForward(self.cluster.kubectl_command, namespace, target, port)

    def _psql(self, sql: str, variables: Mapping[str, str]) -> str:
        settings = [word for item in variables.items() for word in ("-v", "=".join(item))]
        return self.cluster.kubectl(
            *("--namespace", self.namespace, "exec", "-i", "deploy/postgres", "--"),
            *("psql", "-h", "/tmp", "-U", "airflow", "-d", "airflow", "-AtqX"),
            *("-v", "ON_ERROR_STOP=1", *settings, "-f", "-"),
            stdin=sql,
        )


def airflow_values(instance: Instance, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return Airflow's part of the values of a release."""
    return dict(values[instance.under] if instance.under else values)


def write_umbrella(folder: Path) -> None:
    """Write the chart of which Airflow's is a dependency, as a team keeps it in Git."""
    airflow = {
        "name": LOCAL_CHART.name,
        "version": LOCAL_CHART.version,
        "repository": LOCAL_CHART.repository,
    }
    chart = {
        "apiVersion": "v2",
        "name": UMBRELLA.name,
        "version": UMBRELLA.version,
        "dependencies": [airflow],
    }
    (folder / "Chart.yaml").write_text(yaml.safe_dump(chart))
    shutil.copytree(CHART, folder / "charts" / LOCAL_CHART.name)


def _official_wanted() -> bool:
    wanted = os.environ.get("AIRFLOW_CHART", "local")
    if wanted not in {"local", "official"}:
        raise HarnessError(f"AIRFLOW_CHART={wanted!r}: use `local` (default) or `official`")
    return wanted == "official"


def _namespace(name: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}


def _volume(name: str) -> dict[str, Any]:
    """A folder of the node that a pod may claim. Its content goes with the node."""
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": name},
        "spec": {
            "storageClassName": "folders",
            "capacity": {"storage": "1Gi"},
            "accessModes": ["ReadWriteOnce"],
            "persistentVolumeReclaimPolicy": "Retain",
            "hostPath": {
                "path": f"/var/lib/xcom-rollout-node/volumes/{name}",
                "type": "DirectoryOrCreate",
            },
        },
    }


def _dags(namespace: str, folders: Sequence[Path]) -> dict[str, Any]:
    """The ConfigMap that holds the DAG folder."""
    found = [file for folder in folders for file in sorted(folder.iterdir()) if file.is_file()]
    files = {file.name: file.read_text() for file in found}
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "airflow-dags", "namespace": namespace},
        "data": files,
    }


def _image_values(name: str, ref: str) -> dict[str, Any]:
    repository, _, tag = ref.rpartition(":")
    return {"images": {name: {"repository": repository, "tag": tag}}}


def _http_pool() -> urllib3.PoolManager:
    # The default pool retries for minutes when the server is away.
    return urllib3.PoolManager(timeout=10.0, retries=urllib3.Retry(total=2, backoff_factor=0.2))


def _policy(*statements: Mapping[str, Any]) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": list(statements)}


def public_read(bucket: str) -> dict[str, Any]:
    """The policy of a bucket whose objects anyone may read."""
    return _policy(
        {
            "Effect": "Allow",
            "Principal": {"AWS": ["*"]},
            "Action": ["s3:GetObject"],
            "Resource": [f"arn:aws:s3:::{bucket}/*"],
        }
    )


def _read_write(bucket: str) -> dict[str, Any]:
    return _policy(
        {
            "Effect": "Allow",
            "Action": ["s3:ListBucket", "s3:GetBucketLocation"],
            "Resource": [f"arn:aws:s3:::{bucket}"],
        },
        {
            "Effect": "Allow",
            "Action": ["s3:GetObject", "s3:PutObject", "s3:DeleteObject"],
            "Resource": [f"arn:aws:s3:::{bucket}/*"],
        },
    )


def main(words: Sequence[str]) -> int:
    """`python -m harness.stack install|uninstall [NAMESPACE]`; returns the exit code."""
    instances = {instance.namespace: instance for instance in INSTANCES}
    verb, name = [*words, "", ""][:2]
    instance = instances.get(name or AIRFLOW_2.namespace)
    if len(words) > 2 or verb not in {"install", "uninstall"} or instance is None:
        say(f"usage: python -m harness.stack install|uninstall [{'|'.join(instances)}]")
        return 2
    try:
        with AirflowStack(Cluster.from_env(), instance) as stack:
            if verb == "install":
                stack.install()
            else:
                stack.uninstall()
    except HarnessError as error:
        say(str(error))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
