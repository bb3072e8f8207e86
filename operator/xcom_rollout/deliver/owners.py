"""Who else delivers to a release: Flux and Argo CD revert what others change."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from xcom_rollout.clients.kube import Json
from xcom_rollout.decide.settings import place_of

_FLUX: Final = ("helm.toolkit.fluxcd.io", "kustomize.toolkit.fluxcd.io")
_ARGO_ANNOTATIONS: Final = ("argocd.argoproj.io/tracking-id", "argocd.argoproj.io/instance")
_ARGO_LABEL: Final = "argocd.argoproj.io/instance"
_INSTANCE: Final = "app.kubernetes.io/instance"
_OPTIONS: Final = ("core.xcom_backend", "common\\.io.xcom_objectstorage_*")


def foreign_owner(
    release: str,
    namespace: str,
    labels: Mapping[str, str],
    objects: Iterable[Json],
    path: Sequence[str] = (),
) -> str:
    """Return which other controller delivers to the release and the remedy; empty for none.

    Args:
        labels: those of the Secret of the newest revision.
        objects: the release's workloads.
        path: keys below which the values hold those of Airflow's chart.
    """
    places = (place_of(option, path) for option in _OPTIONS)
    settings = " and ".join(places)
    flux = _flux("HelmRelease", labels)
    for item in objects:
        metadata = item.get("metadata") or {}
        where = f"{item.get('kind', 'object')} {metadata.get('name')}"
        of_item = metadata.get("labels") or {}
        flux = flux or _flux(where, of_item)
        argo = _argo(metadata, of_item)
        if argo:
            return (
                f"spec.airflow.release: {release!r} is managed by Argo CD ({where} belongs to the "
                f"application {argo!r}), which reverts changes that others make. Disable its "
                f"automatic sync while the rollout lasts: argocd app set {argo} --sync-policy "
                f"none; and make it ignore the settings afterwards ({settings})"
            )
    if flux:
        where, name = flux
        place = labels.get(f"{_FLUX[0]}/namespace") or namespace
        return (
            f"spec.airflow.release: {release!r} is managed by Flux ({where} names {name!r}), "
            "which reverts changes that others make. Suspend it while the rollout lasts: flux "
            f"suspend helmrelease {name} -n {place}; and add the settings to its values before "
            f"you resume it ({settings})"
        )
    return ""


def _flux(where: str, labels: Mapping[str, str]) -> tuple[str, str] | None:
    for group in _FLUX:
        name = labels.get(f"{group}/name")
        if name:
            return where, name
    return None


def _argo(metadata: Json, labels: Mapping[str, str]) -> str:
    """Return the name of the Argo CD application, empty without one."""
    annotations: Mapping[str, Any] = metadata.get("annotations") or {}
    for key in _ARGO_ANNOTATIONS:
        if annotations.get(key):
            # "application:group/Kind:namespace/name"
            return str(annotations[key]).partition(":")[0]
    if labels.get(_ARGO_LABEL):
        return str(labels[_ARGO_LABEL])
    # Charts set the common label themselves: it means Argo CD only where Argo CD wrote it.
    managers = (str(entry.get("manager", "")) for entry in metadata.get("managedFields") or ())
    if labels.get(_INSTANCE) and any(manager.startswith("argocd") for manager in managers):
        return str(labels[_INSTANCE])
    return ""
