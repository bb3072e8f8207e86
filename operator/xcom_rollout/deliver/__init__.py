"""How the owned settings are delivered to Airflow: one interface, one module for each means."""

from collections.abc import Mapping
from typing import Protocol

from xcom_rollout.clients.kube import Json
from xcom_rollout.decide.observed import Release, Rollout
from xcom_rollout.decide.settings import BackendSettings
from xcom_rollout.deliver.helm import HelmDelivery
from xcom_rollout.deliver.kept_chart import ChartState
from xcom_rollout.wiring import Clients

__all__ = ["ChartState", "Delivery", "delivery_for"]


class Delivery(Protocol):
    """One means of delivery for one rollout. Every method may raise `ExternalError`."""

    def current(self) -> Release | None:
        """Return the current release, None where there is none."""

    def missing(self) -> str:
        """Return why no release is found, and the remedy."""

    def foreign_owner(self) -> str:
        """Return which other controller delivers to the release, and the remedy; else empty."""

    def chart_kept(self) -> ChartState:
        """Return whether everything that a delivery needs is kept in the cluster; cheap."""

    def keep_chart(self) -> str:
        """Store it there if necessary; return the digest of its content."""

    def forecast(self, settings: BackendSettings | None = None) -> tuple[str, ...]:
        """Return what would stop a delivery now, in words; empty where nothing would."""

    def render(self, settings: BackendSettings) -> Mapping[str, Json]:
        """Return the ConfigMaps that a delivery of `settings` would leave, by name."""

    def apply(
        self, settings: BackendSettings, from_revision: int, *, way_back: bool = False
    ) -> str:
        """Deliver `settings`, provided the release still has the revision decided on.

        Returns what people have to know about it, else an empty text.
        """

    def roll_back(self, settings: BackendSettings, from_revision: int) -> str:
        """Deliver `settings` by going back to what was delivered earlier; return what was done."""

    def forget(self, revision: int) -> None:
        """Undo the operator's own revision that was interrupted."""


def delivery_for(clients: Clients, rollout: Rollout) -> Delivery:
    """Return the means of delivery that `spec.delivery.type` names."""
    match rollout.spec.delivery.type:
        case "Helm":
            return HelmDelivery(clients, rollout)
