"""Other rollouts that name the same release."""

from xcom_rollout.clients.kube import KubeApi
from xcom_rollout.clients.times import parse_time
from xcom_rollout.decide.observed import Rival, Rollout
from xcom_rollout.stored.rollouts import release_of, rollout_path


def list_rivals(api: KubeApi, rollout: Rollout) -> tuple[Rival, ...]:
    """Return the other rollouts in the namespace that name the release, invalid ones too."""
    path = rollout_path(rollout.namespace)
    return tuple(
        Rival(item["metadata"]["name"], parse_time(item["metadata"]["creationTimestamp"]))
        for item in api.list(path)
        if item["metadata"]["uid"] != rollout.uid
        and release_of(item) == rollout.spec.airflow.release
    )
