"""The pods that run tasks with KubernetesExecutor, wherever Airflow makes them."""

from collections.abc import Mapping, Sequence
from typing import Final

from xcom_rollout.clients.errors import Forbidden
from xcom_rollout.clients.kube import Json, KubeApi
from xcom_rollout.release.airflow_cfg import parsed_options
from xcom_rollout.release.catalog import Catalog
from xcom_rollout.release.objects import CONFIG_KEY
from xcom_rollout.release.pods import list_task_pods

_SECTIONS: Final = ("kubernetes_executor", "kubernetes")


def task_pods(
    api: KubeApi, namespace: str, release: str, maps: Catalog, configuration: Sequence[str]
) -> tuple[list[Json], str]:
    """Return the task pods, and why some cannot be seen; empty where all can.

    Args:
        namespace: of the rollout and of the release.
        configuration: names of the ConfigMaps that hold airflow.cfg.

    Raises:
        KubeError: the cluster could not be asked.
    """
    namespaces, unseen = {namespace}, ""
    for name in configuration:
        said = maps.fact(name, task_namespaces)
        if said is None:
            continue
        namespaces |= set(said)
        if _EVERYWHERE in said:
            unseen = (
                "[kubernetes_executor] multi_namespace_mode is on without "
                "multi_namespace_mode_namespace_list: tasks may run in any namespace. Name the "
                "namespaces there"
            )
    namespaces.discard(_EVERYWHERE)
    found: list[Json] = []
    for each in sorted(namespaces):
        try:
            found += list_task_pods(api, each, release)
        except Forbidden as refused:
            unseen = (
                f"[kubernetes_executor] lets tasks run in the namespace {each!r}, whose pods the "
                f"operator may not list and delete: {refused.message} (watchNamespaces)"
            )
    return found, unseen


_EVERYWHERE: Final = "*"


def task_namespaces(config_map: Json) -> tuple[str, ...]:
    """Return the namespaces that an airflow.cfg names for task pods; `*` for any."""
    text = (config_map.get("data") or {}).get(CONFIG_KEY)
    sections = parsed_options(text) if text is not None else {}
    if isinstance(sections, str):
        return ()
    for section in _SECTIONS:
        if section in sections:
            return _namespaces(sections[section])
    return ()


def _namespaces(options: Mapping[str, str | None]) -> tuple[str, ...]:
    single = (options.get("namespace") or "").strip()
    found = [single] if single else []
    if (options.get("multi_namespace_mode") or "").strip().lower() in ("true", "1", "t"):
        listed = options.get("multi_namespace_mode_namespace_list") or ""
        names = [name.strip() for name in listed.split(",") if name.strip()]
        found += names or [_EVERYWHERE]
    return tuple(found)
