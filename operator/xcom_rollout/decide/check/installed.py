"""An installed release as `xbr check` saw it: the whole input of the judgement."""

from dataclasses import dataclass, field
from enum import StrEnum

from xcom_rollout.decide.observed import Observed


class Part(StrEnum):
    """What `xbr check` reads; the value is the right that it needs, in words."""

    RELEASE = "list and get secrets (Helm's record of the release)"
    WORKLOADS = "list deployments.apps and statefulsets.apps"
    PODS = "list pods"
    CONFIG_MAPS = "list and get configmaps"
    ENVIRONMENT = "list and get secrets (those that feed the environment of Airflow's containers)"
    SERVICES = "list services"
    NETWORK_POLICIES = "list networkpolicies.networking.k8s.io"
    ROLLOUTS = "list xcombackendrollouts.xcomrollout.dev"
    DISCOVERY = "get the list of API resources (ClusterRole system:discovery)"


@dataclass(frozen=True)
class ExtraRule:
    """A kind of the release for which the operator's chart grants no right by default."""

    objects: str
    """Those of the release, such as `ClusterRole airflow-scheduler`."""
    remedy: str
    """Which value of the operator's chart grants it, with the rule."""


@dataclass(frozen=True)
class Record:
    """What Helm's record of the newest revision says beside `Observed.release`."""

    airflow_version: str = ""
    """As written in the chart's values; empty where it is not."""
    size: int = 0
    """Bytes of the Secret's data, of which Kubernetes accepts 1 MiB."""
    dependencies: tuple[str, ...] = ()
    """Enabled charts that the chart depends on."""
    dependencies_problem: str = ""
    """Why the record does not show where these come from; empty where it does."""
    hooks: tuple[str, ...] = ()
    plain_jobs: tuple[str, ...] = ()
    """Jobs that are not hooks (`useHelmHooks: false`)."""
    unset_keys: tuple[str, ...] = ()
    """Chart values without which the chart generates a key of Airflow 3 itself."""
    looks_up: bool = False
    """Whether a template of the chart looks up a Secret, and may find such a key in it."""
    extra_rules: tuple[ExtraRule, ...] = ()


@dataclass(frozen=True)
class WebService:
    """A Service in front of Airflow's web server or API server."""

    name: str
    component: str
    port: int
    https: bool = False


@dataclass(frozen=True)
class WebOptions:
    """Options of the web server as written; each may have several values, or none.

    None among the values: it is set, and its value is kept elsewhere.
    """

    api_base_url: frozenset[str | None] = frozenset()
    webserver_base_url: frozenset[str | None] = frozenset()
    auth_backends: frozenset[str | None] = frozenset()
    """Of Airflow 2."""
    auth_manager: frozenset[str | None] = frozenset()
    """Of Airflow 3."""


@dataclass(frozen=True)
class Installed:
    """A release and its surroundings."""

    observed: Observed
    """As the operator would see it with the suggested rollout. What could not be read is empty
    there, and listed in `unseen`."""
    unseen: frozenset[Part] = frozenset()
    record: Record = field(default_factory=Record)
    owner: str = ""
    """Which other controller delivers to the release, and what to do; empty for none."""
    by_environment: tuple[str, ...] = ()
    """Places where an environment variable sets an option that a flip owns."""
    tasks_kept_elsewhere: str = ""
    """Why the configured namespaces of task pods cannot be read; a proof shows them."""
    installs_at_start: tuple[str, ...] = ()
    """Components whose containers install packages when they start."""
    services: tuple[WebService, ...] = ()
    web: WebOptions = field(default_factory=WebOptions)
    network_policies: tuple[str, ...] = ()
    crd_installed: bool = True

    def lacks(self, *parts: Part) -> Part | None:
        """Return the first of these parts that could not be read; None where all could."""
        return next((part for part in parts if part in self.unseen), None)

    @property
    def release(self) -> str:
        return self.observed.rollout.spec.airflow.release

    @property
    def namespace(self) -> str:
        return self.observed.rollout.namespace
