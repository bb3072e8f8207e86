"""Whether the copies of airflow.cfg in other namespaces of tasks say what the release's says."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, cast

import pytest

from xcom_rollout.clients.errors import Forbidden
from xcom_rollout.clients.kube import Json, KubeApi
from xcom_rollout.clients.memo import Memo
from xcom_rollout.decide.observed import StaleCopy
from xcom_rollout.observe.copies import Copies, config_copies
from xcom_rollout.release.catalog import config_maps

HOME, TASKS = "airflow", "tasks"
CLASS = "airflow.providers.common.io.xcom.backend.XComObjectStorageBackend"
BACKEND = f"[core]\nxcom_backend = {CLASS}\n"
READER = f"{BACKEND}[common.io]\nxcom_objectstorage_threshold = -1\n"
WRITER = f"{BACKEND}[common.io]\nxcom_objectstorage_threshold = 1000\n"
TEMPLATE = """
spec:
  containers:
    - name: base
      image: airflow
      volumeMounts: [{name: config, mountPath: /opt/airflow/airflow.cfg, subPath: airflow.cfg}]
  volumes: [{name: config, configMap: {name: airflow-config}}]
"""


def config_map(name: str, minute: int = 0, **data: str) -> Json:
    at = f"2026-01-01T00:{minute:02}:00Z"
    metadata = {
        "name": name,
        "uid": f"{name}-{minute}-{sorted(data.items())}",
        "resourceVersion": "1",
        "creationTimestamp": "2026-01-01T00:00:00Z",
        "managedFields": [{"manager": "helm", "time": at}],
    }
    return {
        "metadata": metadata,
        "data": {key.replace("_cfg", ".cfg"): v for key, v in data.items()},
    }


def scheduler() -> Json:
    container = {
        "name": "scheduler",
        "volumeMounts": [{"name": "config", "mountPath": "/opt/airflow/pod_templates"}],
    }
    volumes = [{"name": "config", "configMap": {"name": "airflow-config"}}]
    return {
        "kind": "Deployment",
        "metadata": {"name": "s", "namespace": HOME, "labels": {"component": "scheduler"}},
        "spec": {"template": {"spec": {"containers": [container], "volumes": volumes}}},
    }


class Cluster:
    """ConfigMaps by namespace, of which some are shut."""

    def __init__(self, maps: dict[str, Sequence[Json]], shut: tuple[str, ...] = ()) -> None:
        self.maps, self.shut = maps, shut

    def list(self, path: str, **_: Any) -> Sequence[Json]:
        return self._of(path)

    def find(self, path: str) -> Json | None:
        name = path.split("/")[5]
        return next((each for each in self._of(path) if each["metadata"]["name"] == name), None)

    def _of(self, path: str) -> Sequence[Json]:
        namespace = path.split("/")[3]
        if namespace in self.shut:
            raise Forbidden(f"configmaps is forbidden in {namespace}")
        return self.maps.get(namespace, [])


def look(
    here: str,
    there: str | None,
    *,
    minute: int = 0,
    others: tuple[str, ...] = (HOME, TASKS),
    shut: tuple[str, ...] = (),
    more: Sequence[Json] = (),
    beside: dict[str, Sequence[Json]] | None = None,
) -> Copies:
    """Return what is seen where tasks also run in another namespace."""
    home = config_map("airflow-config", airflow_cfg=here)
    home["data"]["pod_template_file.yaml"] = TEMPLATE
    maps: dict[str, Sequence[Json]] = {HOME: [home]}
    if there is not None:
        maps[TASKS] = [config_map("airflow-config", minute, airflow_cfg=there)]
    cluster = cast("KubeApi", Cluster(maps | (beside or {}), shut))
    memo = Memo()
    own = config_maps(cluster, memo, HOME)
    return config_copies(cluster, memo, HOME, others, [scheduler(), *more], own)


STALE = StaleCopy(TASKS, "airflow-config")


@pytest.mark.parametrize(
    ("here", "there", "stale"),
    [
        (READER, "[core]\n", (STALE,)),
        (READER, WRITER, (STALE,)),
        (READER, READER, ()),
        # Another option is nobody's business here.
        (READER, READER + "[scheduler]\nmax_tis_per_query = 1\n", ()),
        ("[core]\n", "[core]\nparallelism = 3\n", ()),
        (READER, "no file at all", (STALE,)),
        # No pod that mounts it can start there.
        (READER, None, ()),
    ],
)
def test_a_copy_counts_by_its_options_of_the_backend(
    here: str, there: str | None, stale: tuple[StaleCopy, ...]
) -> None:
    assert look(here, there).stale == stale


def test_beside_workers_it_is_what_the_pods_of_tasks_mount() -> None:
    """Not what the workers mount, which have the release's own."""
    worker = scheduler()
    worker["metadata"]["labels"] = {"component": "worker"}
    worker["spec"]["template"]["spec"] = {"containers": [{"name": "worker"}]}
    assert look(READER, WRITER, more=[worker]).stale == (STALE,)


def test_one_namespace_alone_has_no_copies() -> None:
    for others in ((), (HOME,)):
        seen = look(READER, WRITER, others=others)
        assert seen == Copies()
        assert seen.hashed("h") == "h"


def test_a_copy_that_may_not_be_read_is_reported_with_the_reason() -> None:
    (stale,) = look(READER, READER, shut=(TASKS,)).stale
    assert stale.problem == "configmaps is forbidden in tasks"
    assert "tasks/airflow-config (configmaps is forbidden" in str(stale)


def test_the_later_of_both_changes_decides_which_tasks_are_old() -> None:
    seen = look(READER, READER, minute=7)
    copied = datetime(2026, 1, 1, 0, 7, tzinfo=UTC)
    assert seen.newest(datetime(2026, 1, 1, 0, 5, tzinfo=UTC)) == copied
    assert seen.newest(datetime(2026, 1, 1, 0, 9, tzinfo=UTC)).minute == 9  # type: ignore[union-attr]
    assert seen.newest(None) == copied


def test_the_copy_that_has_been_the_same_for_longest_tells_whether_all_have_followed() -> None:
    later = config_map("airflow-config", 9, airflow_cfg=READER)
    seen = look(READER, READER, minute=7, others=(HOME, TASKS, "more"), beside={"more": [later]})
    assert seen.unchanged_since == datetime(2026, 1, 1, 0, 7, tzinfo=UTC)
    assert seen.changed_at == datetime(2026, 1, 1, 0, 9, tzinfo=UTC)
    assert look(READER, None).unchanged_since is None


def test_the_hash_of_the_backend_changes_with_what_a_copy_says_of_it() -> None:
    before, after = look(READER, WRITER), look(READER, READER)
    assert before.hashed("h") != after.hashed("h")
    assert look(READER, READER + "[scheduler]\nx = 1\n").hashed("h") == after.hashed("h")
