"""What the environment of Airflow's containers sets past the options that are delivered."""

from collections.abc import Callable
from typing import TypeVar, cast

from xcom_rollout.clients.kube import Json
from xcom_rollout.observe.environment import installs_at_start, options_in_environment
from xcom_rollout.release.catalog import Catalog
from xcom_rollout.release.objects import PodTemplate

T = TypeVar("T")
BACKEND = "AIRFLOW__CORE__XCOM_BACKEND"
PATH = "AIRFLOW__COMMON_IO__XCOM_OBJECTSTORAGE_PATH"


class Kept:
    """ConfigMaps or Secrets by name, as far as a test needs them."""

    def __init__(self, **data: dict[str, str]) -> None:
        self.data = data

    def fact(self, name: str, derive: Callable[[Json], T]) -> T | None:
        return derive({"data": self.data[name]}) if name in self.data else None


def template(**container: object) -> PodTemplate:
    return PodTemplate("scheduler", {}, {"containers": [{"name": "scheduler", **container}]})


def told(maps: Kept, kept: Kept, **container: object) -> tuple[str, ...]:
    found = [template(**container)]
    return options_in_environment(found, cast("Catalog", maps), cast("Catalog", kept))


def test_a_variable_is_named_wherever_its_value_comes_from() -> None:
    value = {"secretKeyRef": {"name": "s", "key": "k"}}
    (said,) = told(Kept(), Kept(), env=[{"name": BACKEND, "valueFrom": value}])
    assert said == f"{BACKEND} in env of the container scheduler of the scheduler pod"


def test_whole_config_maps_and_secrets_are_looked_into_for_names_alone() -> None:
    sources = [{"configMapRef": {"name": "cm"}}, {"secretRef": {"name": "sec"}}]
    maps, kept = Kept(cm={PATH: "s3://c@b/p", "OTHER": "x"}), Kept(sec={BACKEND: "c2VjcmV0"})
    first, second = told(maps, kept, envFrom=sources)
    assert first.startswith(f"{PATH} from the ConfigMap cm (envFrom)")
    assert second.startswith(f"{BACKEND} from the Secret sec (envFrom)")
    assert "c2VjcmV0" not in second


def test_what_sets_no_option_is_not_named() -> None:
    sources = [
        {"configMapRef": {"name": "gone", "optional": True}},
        {"prefix": "X_", "secretRef": {"name": "sec"}},
    ]
    kept = Kept(sec={BACKEND: "x"})
    assert told(Kept(), kept, envFrom=sources, env=[{"name": "OTHER", "value": "1"}]) == ()


def test_packages_at_start_are_seen() -> None:
    name = "_PIP_ADDITIONAL_REQUIREMENTS"
    assert installs_at_start([template(env=[{"name": name, "value": "s3fs"}])]) == ("scheduler",)
    assert installs_at_start([template(env=[{"name": name, "value": ""}]), template()]) == ()
