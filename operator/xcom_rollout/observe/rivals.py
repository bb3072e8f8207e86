"""Other rollouts that name the same release."""

from xcom_rollout.api import names
from xcom_rollout.clients.kube import Json, KubeApi
from xcom_rollout.clients.kube_path import object_path
from xcom_rollout.clients.times import parse_time
from xcom_rollout.decide.observed import Rival, Rollout


def list_rivals(api: KubeApi, rollout: Rollout) -> tuple[Rival, ...]:
    """Return the other rollouts in the namespace that name the release, invalid ones too."""
    path = object_path(rollout.namespace, names.PLURAL, version=names.API_VERSION)
    return tuple(
        Rival(item["metadata"]["name"], parse_time(item["metadata"]["creationTimestamp"]))
        for item in api.list(path)
        if item["metadata"]["uid"] != rollout.uid and _release(item) == rollout.spec.airflow.release
    )


def _release(item: Json) -> object:
    spec = item.get("spec")
    airflow = spec.get("airflow") if isinstance(spec, dict) else None
    return airflow.get("release") if isinstance(airflow, dict) else None
