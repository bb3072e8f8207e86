"""Look, by a process inside each live pod, which backend it loads."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from xcom_rollout.act.write_ledger import write_ledger
from xcom_rollout.clients.errors import ActionFailed, KubeError, Malformed
from xcom_rollout.clients.kube import Json, KubeApi
from xcom_rollout.clients.parallel import in_parallel
from xcom_rollout.clients.times import parse_time
from xcom_rollout.decide.actions import ConfirmReaders
from xcom_rollout.decide.ledger import Reader
from xcom_rollout.decide.observed import Observed, Rollout
from xcom_rollout.decide.settings import BackendSettings
from xcom_rollout.probe import result as probe_output
from xcom_rollout.probe.exec import CONCURRENCY, ask_probe
from xcom_rollout.release.pods import container_status, list_pods
from xcom_rollout.world import World

ARGUMENTS: Final = ("inspect", "--markers")


@dataclass(frozen=True)
class Target:
    """A running container to look into."""

    pod: str
    uid: str
    container: str
    started_at: datetime


def confirm_readers(world: World, observed: Observed, action: ConfirmReaders) -> None:
    """Look into the pods and record what each loads, in one write of the ledger.

    A pod that cannot be looked into is recorded with the reason. One whose container was replaced
    meanwhile is not recorded; the next pass sees it as a new one.

    Raises:
        ActionFailed: none of the pods runs.
        WorldError: the cluster could not be asked, or the ledger has been written meanwhile.
    """
    rollout = observed.rollout
    before = _running(world.api, rollout)
    targets = [before[name] for name in action.pods if name in before]
    if not targets:
        raise ActionFailed(
            f"none of the pods {', '.join(action.pods)} runs any more", retry_after=2.0
        )
    readers = in_parallel(_looker(world, rollout.namespace), targets, workers=CONCURRENCY)
    after = _running(world.api, rollout)
    write_ledger(
        world,
        rollout,
        replace(observed.ledger, readers=merged(observed.ledger.readers, readers, after.values())),
    )


def merged(
    known: Iterable[Reader], seen: Iterable[Reader], running: Iterable[Target]
) -> tuple[Reader, ...]:
    """Return what is known of the containers that run now; what was just seen is preferred."""
    alive = {(target.uid, target.started_at) for target in running}
    by_container = {(reader.uid, reader.started_at): reader for reader in (*known, *seen)}
    kept = (reader for container, reader in by_container.items() if container in alive)
    return tuple(sorted(kept, key=lambda reader: reader.pod))


def _looker(world: World, namespace: str) -> Callable[[Target], Reader]:
    def look(target: Target) -> Reader:
        settings, error, unseen, outdated = BackendSettings(), "", "", False
        try:
            answer = ask_probe(
                world.api, namespace, target.pod, target.container, world.probe, ARGUMENTS
            )
            outdated = probe_output.changed_beneath(answer)
            settings = probe_output.loaded_settings(answer)
            unseen = probe_output.unseen_start(answer)
        except (KubeError, Malformed) as problem:
            error = problem.message
        return Reader(
            pod=target.pod,
            uid=target.uid,
            started_at=target.started_at,
            settings=settings,
            seen_at=world.api.now(),
            error=error,
            unseen=unseen,
            outdated=outdated,
        )

    return look


def _running(api: KubeApi, rollout: Rollout) -> dict[str, Target]:
    """Return the running main containers of the release's pods, by the pod's name."""
    items = list_pods(api, rollout.namespace, rollout.spec.airflow.release)
    return {target.pod: target for item in items if (target := _target(item)) is not None}


def _target(item: Json) -> Target | None:
    status = container_status(item)
    if status is None:
        return None
    started = ((status.get("state") or {}).get("running") or {}).get("startedAt")
    if not started:
        return None
    metadata = item["metadata"]
    return Target(metadata["name"], metadata["uid"], status["name"], parse_time(started))
