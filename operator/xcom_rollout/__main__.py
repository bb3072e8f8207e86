"""Start the operator: `python -m xcom_rollout`.

Environment:
    XBR_NAMESPACES: namespaces to watch, separated by commas; `*` alone for all. Required.
    XBR_PROBE: path of xcom_probe.pyz. Required.
    HELM_BIN: the helm program; `helm` by default.
    XBR_LIVENESS: address for liveness probes; none by default.
    XBR_WORKERS: number of rollouts worked on at a time; 4 by default.
    XBR_MOUNT_LAG_SECONDS: how long after a change of a ConfigMap a kubelet may still mount the
        earlier content in a new pod; 30 by default.
    XBR_LOG_LEVEL: `info` by default.
"""

import logging
import os
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from xcom_rollout import __version__
from xcom_rollout.controller.logs import configure
from xcom_rollout.decide.observed import MOUNT_LAG

if TYPE_CHECKING:
    from xcom_rollout.clients.kube import KubeApi
    from xcom_rollout.decide.observed import Observed, Rollout

log = logging.getLogger("xcom_rollout")


class ConfigurationError(Exception):
    """The operator cannot start with this configuration."""


@dataclass(frozen=True)
class Configuration:
    """The configuration from the environment."""

    namespaces: tuple[str, ...]
    probe: Path
    helm: str
    liveness: str | None
    workers: int
    mount_lag: timedelta
    log_level: str


def read_configuration(environment: Mapping[str, str]) -> Configuration:
    """Return the configuration that the environment variables hold.

    Raises:
        ConfigurationError: naming the variable, its value and what it must be.
    """
    text = environment.get("XBR_NAMESPACES", "")
    namespaces = tuple(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))
    if not namespaces or ("*" in namespaces and len(namespaces) > 1):
        raise ConfigurationError(
            f"XBR_NAMESPACES is {text!r}: set it to the namespaces to watch, separated by commas, "
            "or to * for all"
        )
    probe = Path(environment.get("XBR_PROBE", ""))
    if not probe.is_file():
        raise ConfigurationError(
            f"XBR_PROBE is {environment.get('XBR_PROBE', '')!r}: set it to the path of "
            "xcom_probe.pyz, built with: python -m xcom_probe.build xcom_probe.pyz"
        )
    helm = environment.get("HELM_BIN", "helm")
    if shutil.which(helm) is None:
        raise ConfigurationError(
            f"HELM_BIN is {helm!r}: no such program; set it to the path of helm"
        )
    workers = environment.get("XBR_WORKERS", "4")
    if not workers.isdecimal() or not 1 <= int(workers) <= 64:
        raise ConfigurationError(f"XBR_WORKERS is {workers!r}: use a number from 1 to 64")
    lag = environment.get("XBR_MOUNT_LAG_SECONDS", f"{MOUNT_LAG.total_seconds():g}")
    if not lag.isdecimal() or not 1 <= int(lag) <= 600:
        raise ConfigurationError(
            f"XBR_MOUNT_LAG_SECONDS is {lag!r}: use a number of seconds from 1 to 600"
        )
    level = environment.get("XBR_LOG_LEVEL", "info")
    if level.upper() not in logging.getLevelNamesMapping():
        raise ConfigurationError(f"XBR_LOG_LEVEL is {level!r}: use debug, info, warning or error")
    return Configuration(
        namespaces,
        probe,
        helm,
        environment.get("XBR_LIVENESS") or None,
        int(workers),
        timedelta(seconds=int(lag)),
        level,
    )


def main() -> int:
    try:
        configuration = read_configuration(os.environ)
    except ConfigurationError as error:
        print(f"xcom-rollout: {error}", file=sys.stderr)
        return 2
    configure(configuration.log_level)
    return run(configuration)


def run(configuration: Configuration) -> int:
    """Run the operator until it is asked to stop; return its exit code."""
    from xcom_rollout.act import perform
    from xcom_rollout.act.let_go import let_go
    from xcom_rollout.cache import Cache, CachedKube
    from xcom_rollout.clients.errors import ExternalError
    from xcom_rollout.clients.kube import KubeApi
    from xcom_rollout.clients.kubeconfig import as_operator
    from xcom_rollout.controller.events import ClusterRecorder
    from xcom_rollout.controller.handlers import EVERY_NAMESPACE, Wakeups, serve
    from xcom_rollout.controller.lease import Holder, Leases
    from xcom_rollout.controller.reconcile import Key, Reconciler
    from xcom_rollout.controller.workqueue import Workers, WorkQueue
    from xcom_rollout.observe import observe, same_look
    from xcom_rollout.stored.rollouts import ClusterRollouts
    from xcom_rollout.wiring import open_clients

    try:
        kube = as_operator()
        if not _may_begin(KubeApi(kube), configuration.namespaces):
            return 1
    except ExternalError as error:
        log.critical("cannot reach the Kubernetes API server", extra={"error": str(error)})
        return 1

    clients = replace(
        open_clients(kube, probe=configuration.probe, helm=configuration.helm),
        mount_lag=configuration.mount_lag,
    )
    queue: WorkQueue[Key] = WorkQueue()
    everywhere = EVERY_NAMESPACE in configuration.namespaces
    wakeups = Wakeups(queue, clients.api.versions)
    cache = Cache(KubeApi(kube), wakeups.changed, everywhere=everywhere)
    cached = replace(clients, api=CachedKube(clients.api, cache))
    rollouts = ClusterRollouts(clients.api, cached.api)
    holder = Holder.of_this_process(
        clients.instance, kube.namespace if kube.in_pod else None, os.environ.get("POD_NAME", "")
    )
    leases = Leases(clients.api, holder)

    def look(rollout: "Rollout") -> "Observed":
        cache.begin(rollout.namespace)
        return observe(clients, rollout)

    reconciler = Reconciler(
        rollouts=rollouts,
        recorder=ClusterRecorder(clients.api),
        observe=look,
        perform=lambda observed, action: perform(clients, observed, action),
        same_look=lambda observed: same_look(clients, observed),
        glance=lambda rollout: observe(cached, rollout),
        is_cached=cache.serves,
        upkeep=lambda observed, action: perform(cached, observed, action),
        now=clients.api.now,
        stopping=queue.closed,
        hold=leases.hold,
        let_go=lambda key: let_go(clients, key.namespace, key.name),
    )
    workers = Workers(queue, reconciler, count=configuration.workers)
    log.info(
        "started",
        extra={
            "version": __version__,
            "namespaces": "all" if everywhere else ",".join(configuration.namespaces),
        },
    )
    serve(
        configuration.namespaces,
        wakeups,
        workers,
        rollouts.listed,
        liveness=configuration.liveness,
    )
    leases.release()
    log.info("stopped")
    return 0


def _may_begin(api: "KubeApi", namespaces: tuple[str, ...]) -> bool:
    """Whether there is a namespace to work in; problems of the others are logged.

    A namespace that is gone, with its Role, must not stop the operator in the others.
    """
    from xcom_rollout.api import names
    from xcom_rollout.clients.errors import KubeError
    from xcom_rollout.stored.rollouts import rollouts_path

    refused = {}
    for namespace in namespaces:
        try:
            api.list(rollouts_path(namespace))
        except KubeError as error:
            if error.status == 0:
                raise
            if error.status == 404:
                log.critical(
                    "the CRD is not installed; install it with: kubectl apply --server-side -f "
                    "crds/",
                    extra={"crd": f"{names.PLURAL}.{names.GROUP}"},
                )
                return False
            refused[namespace] = str(error)
    alone = len(refused) == len(namespaces)
    for namespace, problem in refused.items():
        log.log(
            logging.CRITICAL if alone else logging.WARNING,
            "cannot list rollouts" if alone else "cannot list rollouts; retrying",
            extra={"namespace": namespace, "error": problem},
        )
    return not alone


if __name__ == "__main__":
    sys.exit(main())
