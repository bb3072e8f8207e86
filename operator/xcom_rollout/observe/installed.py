"""A look at an installed release, with the rights of a person and without a rollout. Reads only.

It sees what a pass of the operator would see of a rollout made for the release. Where a right is
missing, its part is left out and listed: nothing is assumed that was not read.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from typing import Final, TypeVar

from xcom_rollout.api import names
from xcom_rollout.api.parse import SpecInvalidError, parse_spec
from xcom_rollout.clients.errors import ActionFailed, Conflict, Forbidden, Malformed
from xcom_rollout.clients.kube import Json
from xcom_rollout.clients.kube_path import object_path
from xcom_rollout.decide.check.installed import (
    ExtraRule,
    Installed,
    Part,
    Record,
    WebOptions,
    WebService,
)
from xcom_rollout.decide.check.starting import Start, manifest, rollout_name
from xcom_rollout.decide.executors import proven_components, unsupported
from xcom_rollout.decide.ledger import Ledger
from xcom_rollout.decide.observed import Observed, Release, Rollout
from xcom_rollout.decide.rolling import WEB
from xcom_rollout.deliver import rights
from xcom_rollout.deliver.helm import HelmDelivery
from xcom_rollout.deliver.owners import foreign_owner
from xcom_rollout.deliver.record import read_record
from xcom_rollout.deliver.release import StoredRelease, secrets_path
from xcom_rollout.observe.copies import config_copies
from xcom_rollout.observe.environment import installs_at_start, options_in_environment
from xcom_rollout.observe.rivals import list_rivals
from xcom_rollout.observe.start_commands import options_set_at_start
from xcom_rollout.observe.task_pods import Proven, task_namespaces
from xcom_rollout.observe.workloads import loose_pods, workload_of
from xcom_rollout.observe.written import (
    API_BASE_URL,
    AUTH_BACKENDS,
    AUTH_MANAGER,
    WEBSERVER_BASE_URL,
    Written,
    written_for,
    written_for_scheduler,
)
from xcom_rollout.release.catalog import config_maps, secrets
from xcom_rollout.release.objects import (
    PodTemplate,
    component_of,
    list_workloads,
    release_selector,
    template_of,
    workload_template,
)
from xcom_rollout.release.pods import list_pods
from xcom_rollout.wiring import Clients

T = TypeVar("T")

_HTTPS: Final = 443


def look_at_release(
    clients: Clients, namespace: str, release: str, values_path: str | None = None
) -> Installed:
    """Return the state of an installed release.

    Where there is none, `observed.release_missing` has the reason and the remedy.

    Args:
        values_path: as `spec.delivery.helm.valuesPath`; None: it is searched for.

    Raises:
        ExternalError: the cluster could not be asked, or Helm's record cannot be read.
    """
    return _Look(clients, namespace, release, values_path).installed()


@dataclass(frozen=True)
class _Fleet:
    """The workloads and pods of a release, and their configuration."""

    workloads: Sequence[Json]
    pods: Sequence[Json]
    scheduler: Written
    web: Written
    templates: Sequence[PodTemplate]
    problems: tuple[str, ...]
    """What is wrong with the templates, in words."""


class _Look:
    def __init__(
        self, clients: Clients, namespace: str, release: str, values_path: str | None
    ) -> None:
        self._clients, self._api, self._memo = clients, clients.api, clients.memo
        self._namespace, self._release, self._values_path = namespace, release, values_path
        self._unseen: set[Part] = set()
        self._maps = config_maps(self._api, self._memo, namespace)

    def installed(self) -> Installed:
        delivery = HelmDelivery(self._clients, self._rollout(None))
        current = self._ask(Part.RELEASE, delivery.current)
        absent = current is None and Part.RELEASE not in self._unseen
        stored = None if current is None else delivery.stored()
        fleet = self._fleet()
        tasks = task_namespaces(fleet.scheduler, Proven(needed=False))
        # Nothing is delivered without a proof, which knows for certain.
        elsewhere = "" if tasks.unknown else task_namespaces(fleet.scheduler, Proven()).unknown
        rollout = self._rollout(current)
        crd = self._ask(Part.DISCOVERY, lambda: self._api.find(f"apis/{names.API_VERSION}"))
        rivals = self._ask(Part.ROLLOUTS, lambda: list_rivals(self._api, rollout)) if crd else ()
        observed = Observed(
            rollout=rollout,
            rivals=rivals or (),
            release=current,
            digest="",
            config_changed_at=None,
            backend_hash="",
            workloads=tuple(workload_of(item, fleet.pods) for item in fleet.workloads),
            pods=(),
            jobs=(),
            ledger=Ledger(),
            problems=fleet.problems,
            release_missing=self._missing(delivery) if absent else "",
            # Without the workloads each pod would count as created by none of them.
            loose_pods=()
            if Part.WORKLOADS in self._unseen
            else loose_pods(fleet.workloads, fleet.pods),
            executor=fleet.scheduler.executor,
            task_namespaces=tuple(sorted(tasks.names)),
            stale_copies=config_copies(
                self._api, self._memo, self._namespace, tasks.names, fleet.workloads, self._maps
            ).stale,
            unseen_tasks=tasks.unknown,
        )
        installed = Installed(
            observed=observed,
            record=self._record(stored),
            owner=foreign_owner(
                self._release,
                self._namespace,
                {} if stored is None else stored.labels,
                fleet.workloads,
                () if stored is None else stored.airflow.path,
            ),
            by_environment=self._by_environment(fleet.templates),
            tasks_kept_elsewhere=elsewhere,
            installs_at_start=installs_at_start(fleet.templates),
            services=self._services(),
            web=_web_options(fleet.web),
            network_policies=self._policies(),
            crd_installed=crd is not None,
        )
        return replace(installed, unseen=frozenset(self._unseen))

    def _ask(self, part: Part, look: Callable[[], T]) -> T | None:
        """Return the result of `look`; None, and the part recorded, where a right is missing."""
        try:
            return look()
        except Forbidden:
            self._unseen.add(part)
            return None

    def _missing(self, delivery: HelmDelivery) -> str:
        return self._ask(Part.CONFIG_MAPS, delivery.missing) or (
            f"there is no Helm release {self._release!r} in Secrets of the namespace "
            f"{self._namespace!r}, and you are not allowed to list ConfigMaps, which may contain "
            f"it; list the releases with: helm list -n {self._namespace}"
        )

    def _rollout(self, current: Release | None) -> Rollout:
        """Return the suggested rollout, as it would be in the cluster."""
        chart = (current.chart_name, current.chart_version) if current else ("airflow", "0")
        start = Start(self._release, self._namespace, *chart, values_path=self._values_path)
        try:
            spec = parse_spec(manifest(start)["spec"])
        except SpecInvalidError as error:
            raise Malformed(f"a rollout cannot name this release: {error}") from error
        made = datetime.now(UTC)
        return Rollout(self._namespace, rollout_name(self._release), "", 1, made, spec)

    def _fleet(self) -> _Fleet:
        api, namespace, release = self._api, self._namespace, self._release
        loads = self._ask(Part.WORKLOADS, lambda: list_workloads(api, namespace, release)) or []
        pods = self._ask(Part.PODS, lambda: list_pods(api, namespace, release)) or []
        written = self._ask(
            Part.CONFIG_MAPS,
            lambda: (
                written_for_scheduler(loads, self._maps),
                written_for(WEB, loads, self._maps),
            ),
        )
        scheduler, web = written or (Written(), Written())
        templates, problems = self._templates(loads, scheduler.executor)
        return _Fleet(loads, pods, scheduler, web, templates, problems)

    def _templates(
        self, workloads: Sequence[Json], executor: str
    ) -> tuple[list[PodTemplate], tuple[str, ...]]:
        """Return the templates of Airflow's pods, and what is wrong with them in words."""
        looks = [partial(workload_template, item) for item in workloads]
        present = set(map(component_of, workloads))
        # Another executor needs no template of task pods, and is refused separately.
        if workloads and not (executor and unsupported(executor)):
            looks += [
                partial(template_of, component, workloads, self._maps)
                for component in proven_components(executor)
                if component not in present
            ]
        templates: list[PodTemplate] = []
        problems: list[str] = []
        for look in looks:
            try:
                template = self._ask(Part.CONFIG_MAPS, look)
                if template is not None and template.main:
                    templates.append(template)
            except ActionFailed as error:
                problems.append(error.message)
        return templates, (*dict.fromkeys(problems), *options_set_at_start(templates))

    def _record(self, stored: StoredRelease | None) -> Record:
        if stored is None:
            return Record()
        secret = self._api.find(secrets_path(self._namespace, stored.secret))
        if secret is None:
            raise Conflict(
                f"revision {stored.revision} of {stored.name} no longer exists; try again"
            )
        record, text = read_record(secret, stored.airflow.path)
        beyond = self._ask(
            Part.DISCOVERY,
            lambda: rights.beyond_chart(self._api, self._memo, text, self._namespace),
        )
        rules = tuple(ExtraRule(right.named, right.remedy) for right in beyond or ())
        return replace(record, extra_rules=rules)

    def _by_environment(self, templates: Sequence[PodTemplate]) -> tuple[str, ...]:
        if Part.CONFIG_MAPS in self._unseen:
            return ()
        kept = secrets(self._api, self._memo, self._namespace)
        found = self._ask(
            Part.ENVIRONMENT, lambda: options_in_environment(templates, self._maps, kept)
        )
        return found or ()

    def _services(self) -> tuple[WebService, ...]:
        path, labels = object_path(self._namespace, "services"), release_selector(self._release)
        listed = self._ask(Part.SERVICES, lambda: self._api.list(path, labels=labels))
        return tuple(
            WebService(item["metadata"]["name"], component_of(item), port["port"], _is_https(port))
            for item in listed or ()
            if component_of(item) in WEB
            for port in (item["spec"].get("ports") or [])[:1]
        )

    def _policies(self) -> tuple[str, ...]:
        path = object_path(self._namespace, "networkpolicies", version="networking.k8s.io/v1")
        listed = self._ask(Part.NETWORK_POLICIES, lambda: self._api.list(path, metadata_only=True))
        return tuple(item["metadata"]["name"] for item in listed or ())


def _web_options(written: Written) -> WebOptions:
    return WebOptions(
        api_base_url=written.values(API_BASE_URL),
        webserver_base_url=written.values(WEBSERVER_BASE_URL),
        auth_backends=written.values(AUTH_BACKENDS),
        auth_manager=written.values(AUTH_MANAGER),
    )


def _is_https(port: Json) -> bool:
    return bool(port["port"] == _HTTPS or str(port.get("name", "")).startswith("https"))
