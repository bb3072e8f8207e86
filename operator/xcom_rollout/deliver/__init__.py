"""How the owned settings reach Airflow: one small interface, one module for each means."""

from collections.abc import Mapping
from typing import Protocol

from xcom_rollout.clients.kube import Json
from xcom_rollout.decide.observed import Release, Rollout
from xcom_rollout.decide.settings import BackendSettings
from xcom_rollout.deliver.helm import HelmDelivery
from xcom_rollout.world import World

__all__ = ["Delivery", "delivery_for"]


class Delivery(Protocol):
    """One means of delivery for one rollout. Every method may raise `WorldError`."""

    def current(self) -> Release | None:
        """Return the release as it is now, None where there is none."""

    def forecast(self) -> tuple[str, ...]:
        """Return what would stop a delivery now, in words; empty where nothing would."""

    def render(self, settings: BackendSettings) -> Mapping[str, Json]:
        """Return the ConfigMaps that a delivery of `settings` would leave, by name."""

    def apply(self, settings: BackendSettings, from_revision: int) -> None:
        """Deliver `settings`, provided the release still has the revision decided on."""

    def forget(self, revision: int) -> None:
        """Take back the operator's own revision that was interrupted half-way."""


def delivery_for(world: World, rollout: Rollout) -> Delivery:
    """Return the means of delivery that `spec.delivery.type` names."""
    match rollout.spec.delivery.type:
        case "Helm":
            return HelmDelivery(world, rollout)
