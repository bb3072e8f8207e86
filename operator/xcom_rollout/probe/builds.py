"""Inspect the pods of a release: the stamp of their DAGs, the commit of their image, the tags."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any, Final

from xcom_rollout.clients.errors import ActionFailed, Forbidden, KubeError, Malformed
from xcom_rollout.clients.kube import Json, KubeApi
from xcom_rollout.clients.memo import Memo
from xcom_rollout.clients.parallel import in_parallel
from xcom_rollout.decide.build_verdict import Reading, reading
from xcom_rollout.decide.ledger import BuildSource, Component
from xcom_rollout.probe.exec import CONCURRENCY, ask_probe
from xcom_rollout.release.catalog import config_maps
from xcom_rollout.release.objects import (
    component_of,
    list_workloads,
    main_container,
    mounted_config_maps,
    task_template,
    template_of,
)
from xcom_rollout.release.pods import (
    container_status,
    has_ended,
    is_terminating,
    list_pods,
    run_of,
    runs_task,
    trouble,
)

_TAGS_FROM: Final = (
    "scheduler",
    "dag-processor",
    "triggerer",
    "api-server",
    "webserver",
    "worker",
)
"""Components whose pods can query the database, the likeliest first."""


@dataclass(frozen=True)
class Names:
    """Where an image's commit is searched for.

    Attributes:
        labels: names of annotations and labels of the pod.
        variables: names of environment variables of a process in the container.
    """

    labels: tuple[str, ...]
    variables: tuple[str, ...]


@dataclass(frozen=True)
class PodSeen:
    """What one pod shows.

    Attributes:
        image: reference in the pod's spec; empty where there is no main container.
        digest: the running image, as the node reports it; empty before it runs.
        readings: of the sources stamp and image; none for a task's pod, which keeps its build.
        note: further information.
    """

    name: str
    component: str
    image: str
    digest: str
    readings: tuple[Reading, ...] = ()
    note: str = ""


@dataclass(frozen=True)
class BuildReport:
    """Everything that was seen at one time.

    Attributes:
        template: the readings of the template of task pods; none where there is no such template.
        tags: the builds that parsed DAGs are tagged with, one reading for each DAG and tag.
    """

    pods: tuple[PodSeen, ...]
    template: tuple[Reading, ...]
    tags: tuple[Reading, ...]

    @property
    def readings(self) -> tuple[Reading, ...]:
        of_pods = (seen for pod in self.pods for seen in pod.readings)
        return (*of_pods, *self.template, *self.tags)


@dataclass(frozen=True)
class _Pod:
    item: Json
    spec: Json
    status: Mapping[str, Any]
    document: Mapping[str, Any] = field(default_factory=dict)
    error: str = ""

    @property
    def name(self) -> str:
        return str(self.item["metadata"]["name"])

    @property
    def runs(self) -> bool:
        return bool((self.status.get("state") or {}).get("running"))


def look(
    api: KubeApi,
    probe: bytes,
    namespace: str,
    release: str,
    names: Names,
    dags: Sequence[str] = (),
    *,
    tags: bool = True,
    task_pods: bool = False,
) -> BuildReport:
    """Inspect every running pod of the release, and the database through one of them.

    Pods that have ended or are about to end are left out.

    Args:
        probe: the zipapp that runs in the pods.
        dags: judge the tags of these DAGs only; empty: of all that are present.
        tags: whether to query the database.
        task_pods: whether tasks have pods of their own in addition to workers.

    Raises:
        KubeError: the cluster could not be asked.
    """
    items = list_pods(api, namespace, release)
    pods = [_pod(item) for item in items if not has_ended(item) and not is_terminating(item)]
    lasting = [pod for pod in pods if not runs_task(pod.item)]
    asked = [pod for pod in lasting if pod.runs]
    tags_pod = min(
        (pod for pod in asked if tags and component_of(pod.item) in _TAGS_FROM),
        key=lambda pod: (_TAGS_FROM.index(component_of(pod.item)), pod.name),
        default=None,
    )
    answered = in_parallel(
        _asker(api, probe, namespace, names, tags_pod), asked, workers=CONCURRENCY
    )
    by_name = {pod.name: pod for pod in answered}
    seen = tuple(
        _seen(by_name.get(pod.name, pod), names)
        for pod in sorted(pods, key=lambda pod: (component_of(pod.item), pod.name))
    )
    return BuildReport(
        seen,
        _of_template(api, namespace, release, names, seen, task_pods),
        ()
        if tags_pod is None
        else tag_readings(by_name[tags_pod.name].document, tags_pod.name, dags),
    )


def tag_readings(
    document: Mapping[str, Any], pod: str, dags: Sequence[str] = ()
) -> tuple[Reading, ...]:
    """Return the readings of the tags `build=...` that the probe saw in `pod`'s database."""
    found = (document.get("provenance") or {}).get("builds")
    if found is None:
        why = f"cannot be read: {_trouble_of(document)}"
        return (Reading(BuildSource.TAGS, f"the DAGs, asked in {pod},", None, why),)
    by_id: dict[str, list[str | None]] = {
        str(item["dagId"]): [str(tag) for tag in item["builds"]] for item in found
    }
    readings: list[Reading] = []
    for dag_id in dags or by_id:
        absent = "has no tag build=..." if dag_id in by_id else "is not in the database"
        readings += (
            reading(BuildSource.TAGS, f"the DAG {dag_id}", build, absent)
            for build in by_id.get(dag_id) or [None]
        )
    return tuple(readings)


def stamp_readings(
    document: Mapping[str, Any], pod: str, mounts: Iterable[str]
) -> tuple[Reading, ...]:
    """Return the readings of the stamps that the probe saw in `pod`.

    Pods that read no DAGs have an empty folder that is not on a volume.

    Args:
        mounts: paths at which the container has volumes.
    """
    paths = [PurePosixPath(path) for path in mounts]
    readings = []
    for item in (document.get("provenance") or {}).get("stamps") or []:
        folder = PurePosixPath(item["folder"])
        mounted = any(folder.is_relative_to(path) for path in paths)
        if item["empty"] and item["folder"] and not mounted:
            continue
        readings.append(reading(BuildSource.STAMP, f"the pod {pod}", item["sha"], item["problem"]))
    return tuple(readings)


def _trouble_of(document: Mapping[str, Any]) -> str:
    problems = [item for item in document.get("checks") or [] if item.get("status") == "error"]
    return str(problems[0]["observed"]) if problems else "the probe did not answer"


def _pod(item: Json) -> _Pod:
    try:
        spec = main_container((item.get("spec") or {}).get("containers") or [], component_of(item))
    except ActionFailed as problem:
        return _Pod(item, {}, {}, error=problem.message)
    return _Pod(item, spec, container_status(item) or {})


def _asker(
    api: KubeApi, probe: bytes, namespace: str, names: Names, tags_pod: _Pod | None
) -> Callable[[_Pod], _Pod]:
    variables = [word for name in names.variables for word in ("--env", name)]

    def ask(pod: _Pod) -> _Pod:
        arguments = [
            "provenance",
            *variables,
            *(["--tags"] if pod is tags_pod else []),
            "--markers",
        ]
        try:
            document = ask_probe(api, namespace, pod.name, pod.spec["name"], probe, arguments)
        except Forbidden:
            raise
        except (KubeError, Malformed) as problem:
            return _Pod(pod.item, pod.spec, pod.status, error=problem.message)
        return _Pod(pod.item, pod.spec, pod.status, document)

    return ask


def _seen(pod: _Pod, names: Names) -> PodSeen:
    image, digest = str(pod.spec.get("image", "")), str(pod.status.get("imageID", ""))
    component = component_of(pod.item)
    if runs_task(pod.item):
        run = run_of(pod.item) or "an unknown run"
        note = f"runs a task of {run}; keeps the build that it started with"
        return PodSeen(pod.name, component, image, digest, (), note)
    where = f"the pod {pod.name}"
    metadata = pod.item["metadata"]
    if not pod.runs or "provenance" not in pod.document:
        why = pod.error or trouble(pod.item) or "it is not running yet"
        if pod.document:
            why = _trouble_of(pod.document)
        blind = Reading(BuildSource.STAMP, where, None, f"cannot be read: {why}")
        images = _image_readings(where, metadata, {}, names)
        return PodSeen(pod.name, component, image, digest, (blind, *images), why)
    mounts = [str(mount["mountPath"]) for mount in pod.spec.get("volumeMounts") or []]
    stamps = stamp_readings(pod.document, pod.name, mounts)
    environment = pod.document["provenance"]["environment"]
    images = _image_readings(where, metadata, environment, names)
    note = "" if stamps else "has no DAGs"
    return PodSeen(pod.name, component, image, digest, (*stamps, *images), note)


def _image_readings(
    where: str, metadata: Mapping[str, Any], environment: Mapping[str, Any], names: Names
) -> tuple[Reading, ...]:
    annotated = {**(metadata.get("labels") or {}), **(metadata.get("annotations") or {})}
    claims = [(name, annotated[name]) for name in names.labels if name in annotated]
    claims += [
        (name, environment[name] or "(something else)")
        for name in names.variables
        if environment.get(name) is not None
    ]
    if not claims:
        sought = " or ".join((*names.labels, *names.variables)) or "no name is configured"
        return (Reading(BuildSource.IMAGE, where, None, f"is not known (checked: {sought})"),)
    return tuple(
        reading(BuildSource.IMAGE, f"{where} ({name})", str(value), "is empty")
        for name, value in claims
    )


def _of_template(
    api: KubeApi,
    namespace: str,
    release: str,
    names: Names,
    pods: Sequence[PodSeen],
    beside: bool,
) -> tuple[Reading, ...]:
    """Return what the next pod of a task will run, as far as its template or an equal image shows.

    Long-lived workers are among the other pods; where there are some, tasks usually run only there.

    Args:
        beside: whether tasks also run in pods of their own.
    """
    workloads = list_workloads(api, namespace, release)
    components = {component_of(item) for item in workloads}
    if Component.SCHEDULER not in components or (Component.WORKER in components and not beside):
        return ()
    where = "the template of task pods"
    maps = config_maps(api, Memo(), namespace)
    try:
        scheduler = template_of(Component.SCHEDULER, workloads, maps)
        mounted = (
            maps.fact(name, task_template) for name in sorted(mounted_config_maps(scheduler))
        )
        template = next((found for found in mounted if found is not None), None)
        if template is None:
            # Tasks run in the scheduler's own pod.
            return ()
        main = template.main
    except ActionFailed as problem:
        return (Reading(BuildSource.IMAGE, where, None, f"is not known: {problem.message}"),)
    variables = {item["name"]: item.get("value") for item in main.get("env") or []}
    own = _image_readings(where, template.metadata, variables, names)
    if any(seen.build is not None for seen in own):
        return own
    image = str(main.get("image", ""))
    for pod in pods:
        inherited = [
            seen for seen in pod.readings if seen.source is BuildSource.IMAGE and seen.build
        ]
        if pod.image == image and inherited:
            return tuple(
                Reading(
                    BuildSource.IMAGE, f"{where}, which has the image of {pod.name},", seen.build
                )
                for seen in inherited
            )
    return (Reading(BuildSource.IMAGE, where, None, f"is not known: no running pod has {image}"),)
