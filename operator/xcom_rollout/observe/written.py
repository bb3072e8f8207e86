"""The configuration of a component, in airflow.cfg and as variables: read without running it.

A variable from a Secret, and one that a start command exports, are not seen here, nor what `$NAME`
and `$(NAME)` stand for. The effective values, as Airflow itself resolves them, are in the facts of
the scheduler's proof.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from xcom_rollout.clients.errors import ActionFailed
from xcom_rollout.clients.kube import Json
from xcom_rollout.decide.ledger import Component
from xcom_rollout.release.airflow_cfg import parsed_options, variable
from xcom_rollout.release.catalog import Catalog
from xcom_rollout.release.objects import (
    CONFIG_KEY,
    PodTemplate,
    component_of,
    environment_config_maps,
    mounted_config_maps,
    workload_template,
)

Option = tuple[str, str]
"""Section and name."""

EXECUTOR: Final = (("core", "executor"),)
POD_NAMESPACE: Final = (("kubernetes_executor", "namespace"), ("kubernetes", "namespace"))
"""The names that Airflow knows an option by, the one that wins first: Airflow 2 accepts the old
section as well as the new one."""
MULTI_NAMESPACE: Final = (
    ("kubernetes_executor", "multi_namespace_mode"),
    ("kubernetes", "multi_namespace_mode"),
)
NAMESPACE_LIST: Final = (
    ("kubernetes_executor", "multi_namespace_mode_namespace_list"),
    ("kubernetes", "multi_namespace_mode_namespace_list"),
)
API_BASE_URL: Final = (("api", "base_url"),)
WEBSERVER_BASE_URL: Final = (("webserver", "base_url"),)
AUTH_BACKENDS: Final = (("api", "auth_backends"), ("api", "auth_backend"))
AUTH_MANAGER: Final = (("core", "auth_manager"),)
_WANTED: Final = (
    *EXECUTOR,
    *POD_NAMESPACE,
    *MULTI_NAMESPACE,
    *NAMESPACE_LIST,
    *API_BASE_URL,
    *WEBSERVER_BASE_URL,
    *AUTH_BACKENDS,
    *AUTH_MANAGER,
)
_VARIABLES: Final = frozenset(variable(*option) for option in _WANTED)


@dataclass(frozen=True)
class Source:
    """The options of one ConfigMap that are looked for here, and no others."""

    file: Mapping[Option, str | None]
    """None as a value: it is set, and its value is not known."""
    variables: Mapping[str, str | None]
    unreadable: bool = False
    """Whether it holds an airflow.cfg that cannot be parsed."""


@dataclass(frozen=True)
class Written:
    """The configuration written for the scheduler."""

    files: tuple[Mapping[Option, str | None], ...] = ()
    """Options by airflow.cfg; usually there is one."""
    variables: Mapping[str, str | None] | None = None
    """None as a value: set, and the value is kept elsewhere, as in a Secret or another variable."""
    unreadable: tuple[str, ...] = ()
    """ConfigMaps with an airflow.cfg that cannot be parsed."""

    @property
    def executor(self) -> str:
        """The executor, as written; empty where that is not known."""
        found = self.values(EXECUTOR)
        return (next(iter(found)) or "") if len(found) == 1 else ""

    def values(self, option: Sequence[Option]) -> frozenset[str | None]:
        """Return the possible values of an option, by each airflow.cfg; a variable overrides all.

        Args:
            option: its names, the one that wins first.

        Returns:
            Empty where it is not set; None among them where a value is not known.
        """
        given = self.variables or {}
        for name in option:
            if variable(*name) in given:
                return frozenset({given[variable(*name)]})
        return frozenset(
            next(file[name] for name in option if name in file)
            for file in self.files
            if not file.keys().isdisjoint(option)
        )


def written_for_scheduler(workloads: Iterable[Json], maps: Catalog) -> Written:
    """Return what is written; nothing where the scheduler's template is not known.

    Raises:
        KubeError: the cluster could not be asked.
    """
    return written_for((Component.SCHEDULER,), workloads, maps)


def written_for(components: Sequence[str], workloads: Iterable[Json], maps: Catalog) -> Written:
    """Return what is written for the first workload of one of these components; else nothing.

    Raises:
        KubeError: the cluster could not be asked.
    """
    item = next((item for item in workloads if component_of(item) in components), None)
    if item is None:
        return Written()
    try:
        return _written(workload_template(item), maps, item["metadata"].get("namespace"))
    except ActionFailed:
        return Written()


def _written(template: PodTemplate, maps: Catalog, namespace: str | None) -> Written:
    environment = sorted(environment_config_maps(template))
    feeding = [found for name in environment if (found := maps.fact(name, source_of)) is not None]
    files: list[Mapping[Option, str | None]] = []
    unreadable: list[str] = []
    for name in sorted(mounted_config_maps(template)):
        found = maps.fact(name, source_of)
        if found is None:
            continue
        if found.unreadable:
            unreadable.append(name)
        files.append(found.file)
    given: dict[str, str | None] = {}
    for found in feeding:
        given |= found.variables
    for entry in template.main.get("env") or []:
        if entry["name"] in _VARIABLES:
            given |= _variable(entry, maps, namespace)
    return Written(tuple(files), given, tuple(unreadable))


def _variable(entry: Json, maps: Catalog, namespace: str | None) -> Mapping[str, str | None]:
    """Return the variable and its value; nothing where Kubernetes leaves it out."""
    name, source = entry["name"], entry.get("valueFrom")
    if source is None:
        return {name: _known(str(entry.get("value") or ""))}
    if (source.get("fieldRef") or {}).get("fieldPath") == "metadata.namespace":
        return {name: namespace}
    reference = source.get("configMapKeyRef")
    if reference is None:
        return {name: None}
    held = maps.fact(reference["name"], texts_of) or {}
    if reference["key"] in held:
        return {name: _known(held[reference["key"]])}
    return {} if reference.get("optional") else {name: None}


def _known(value: str) -> str | None:
    """Return a value; None where Kubernetes or Airflow inserts that of a variable."""
    return None if "$" in value else value


def texts_of(config_map: Json) -> Mapping[str, str]:
    """Return everything that a ConfigMap holds as text."""
    return {key: str(value) for key, value in (config_map.get("data") or {}).items()}


def source_of(config_map: Json) -> Source:
    """Return the options of a ConfigMap."""
    data = config_map.get("data") or {}
    variables = {name: _known(str(data[name])) for name in data.keys() & _VARIABLES}
    sections = parsed_options(data.get(CONFIG_KEY) or "")
    if isinstance(sections, str):
        return Source({}, variables, unreadable=True)
    file = {
        (section, name): _known(value)
        for section, name in _WANTED
        if (value := (sections.get(section, {}).get(name) or "").strip())
    }
    return Source(file, variables)
