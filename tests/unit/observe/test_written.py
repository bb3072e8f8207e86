"""What is written for the scheduler is read as Airflow would, as far as it can be."""

from collections.abc import Callable
from typing import TypeVar, cast

import pytest

from xcom_rollout.clients.kube import Json
from xcom_rollout.observe.written import written_for_scheduler
from xcom_rollout.release.catalog import Catalog

T = TypeVar("T")
CFG = "[core]\nexecutor = CeleryExecutor\n"
NAME = "AIRFLOW__CORE__EXECUTOR"


class Maps:
    def __init__(self, **data: dict[str, str]) -> None:
        self.data = data

    def fact(self, name: str, derive: Callable[[Json], T]) -> T | None:
        data = self.data.get(name)
        return None if data is None else derive({"metadata": {"name": name}, "data": data})


def executor(cfg: str | None, *env: Json, fed: dict[str, str] | None = None) -> str:
    container = {
        "name": "scheduler",
        "env": list(env),
        "envFrom": [{"configMapRef": {"name": "fed"}}],
        "volumeMounts": [{"name": "config"}],
    }
    spec = {
        "containers": [container],
        "volumes": [{"name": "config", "configMap": {"name": "cfg"}}],
    }
    item = {
        "metadata": {"labels": {"component": "scheduler"}},
        "spec": {"template": {"spec": spec}},
    }
    maps = Maps(fed=fed or {}, **({} if cfg is None else {"cfg": {"airflow.cfg": cfg}}))
    return written_for_scheduler([item], cast("Catalog", maps)).executor


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (executor(CFG), "CeleryExecutor"),
        (executor("[core]\nexecutor = CeleryExecutor, k:a.B\n"), "CeleryExecutor, k:a.B"),
        (executor(CFG, {"name": NAME, "value": "LocalExecutor"}), "LocalExecutor"),
        (executor(CFG, fed={NAME: "LocalExecutor"}), "LocalExecutor"),
        (
            executor(CFG, {"name": NAME, "value": "A"}, fed={NAME: "B"}),
            "A",
        ),
        (executor(None), ""),
        (executor("[core]\n"), ""),
        (executor("no section\n"), ""),
        (executor(CFG, {"name": NAME, "value": "$(EXECUTOR)"}), ""),
        (executor(CFG, fed={NAME: "$EXECUTOR"}), ""),
        (executor("[core]\nexecutor = ${EXECUTOR}\n"), ""),
        (executor(CFG, {"name": NAME, "valueFrom": {"secretKeyRef": {"name": "s"}}}), ""),
    ],
)
def test_the_executor_where_it_is_written(found: str, expected: str) -> None:
    assert found == expected
