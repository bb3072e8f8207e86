"""Settings in the environment of Airflow's containers that override what the operator delivers."""

from collections.abc import Iterable, Iterator
from typing import Final

from xcom_rollout.clients.kube import Json
from xcom_rollout.release.airflow_cfg import OWNED_VARIABLES
from xcom_rollout.release.catalog import Catalog
from xcom_rollout.release.objects import PodTemplate

_AT_START: Final = "_PIP_ADDITIONAL_REQUIREMENTS"
"""The entrypoint of Airflow's own image installs these before it starts anything."""


def options_in_environment(
    templates: Iterable[PodTemplate], maps: Catalog, kept: Catalog
) -> tuple[str, ...]:
    """Return where a variable sets an option that a flip owns, in words.

    Such a variable overrides airflow.cfg, so a delivery would change nothing.

    Raises:
        ActionFailed: the main container of a template is not known.
        KubeError: a ConfigMap or Secret cannot be read.
    """
    found = (one for template in templates for one in _of(template, maps, kept))
    return tuple(dict.fromkeys(found))


def installs_at_start(templates: Iterable[PodTemplate]) -> tuple[str, ...]:
    """Return the components whose containers install packages when they start.

    Raises:
        ActionFailed: the main container of a template is not known.
    """
    return tuple(
        dict.fromkeys(
            template.component
            for template in templates
            if any(
                entry["name"] == _AT_START and (entry.get("value") or entry.get("valueFrom"))
                for entry in template.main.get("env") or []
            )
        )
    )


def owned_names(item: Json) -> frozenset[str]:
    """Return the variables of owned options that a ConfigMap or Secret would set."""
    return OWNED_VARIABLES & (item.get("data") or {}).keys()


def _of(template: PodTemplate, maps: Catalog, kept: Catalog) -> Iterator[str]:
    container = template.main
    where = f"the container {container['name']} of the {template.component} pod"
    for entry in container.get("env") or []:
        if entry["name"] in OWNED_VARIABLES:
            yield f"{entry['name']} in env of {where}"
    for source in container.get("envFrom") or []:
        for field, kind, objects in (
            ("configMapRef", "ConfigMap", maps),
            ("secretRef", "Secret", kept),
        ):
            reference = source.get(field)
            # With a prefix the variable has another name.
            if reference and not source.get("prefix"):
                for name in sorted(objects.fact(reference["name"], owned_names) or ()):
                    yield f"{name} from the {kind} {reference['name']} (envFrom) of {where}"
