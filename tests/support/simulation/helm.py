"""Helm: deliveries that take time, die half-way and fail."""

from collections.abc import Callable
from dataclasses import dataclass

from simulation.clock import Clock
from simulation.cluster import Cluster
from simulation.weather import Dice, Weather
from xcom_rollout.decide.observed import Maker
from xcom_rollout.decide.settings import BackendSettings


class HelmFailedError(Exception):
    """A delivery was refused, failed or lost its process."""


@dataclass(frozen=True)
class Revision:
    number: int
    status: str
    settings: BackendSettings
    maker: Maker
    updated: int


class Helm:
    """The release of Airflow, and the upgrades of it."""

    def __init__(self, clock: Clock, dice: Dice, weather: Weather, cluster: Cluster) -> None:
        self.clock, self.dice, self.weather, self.cluster = clock, dice, weather, cluster
        self.revisions = [Revision(1, "deployed", BackendSettings(), Maker.OTHER, -3600)]
        self.deliveries = 0
        """Of the operator."""
        self.on_delivery: Callable[[BackendSettings], None] = lambda _: None
        self.author = "operator"
        """As whom the operator delivers: an Immediate kill promises less."""
        self.chart_version = "1.0"
        """Of the chart that the release runs, and of the one kept in the cluster, which follows."""

    @property
    def newest(self) -> Revision:
        return self.revisions[-1]

    @property
    def pending(self) -> bool:
        return self.newest.status.startswith("pending")

    def operator_delivers(self, settings: BackendSettings, from_revision: int) -> None:
        """Deliver, and return at the end of it: the operator does nothing else meanwhile."""
        if self.newest.number != from_revision or self.pending:
            raise HelmFailedError("the release has moved on")
        self.deliveries += 1
        self.on_delivery(settings)
        dies = self.deliveries in self.weather.helm_dies
        fails = self.deliveries in self.weather.helm_fails
        begin = self.clock.now
        seconds = self.dice.between(self.weather.helm)
        if dies and not self.weather.helm_dies_late:
            self._revise("pending-upgrade", settings, Maker.SELF)
            self.clock.advance(begin + seconds // 2)
            raise HelmFailedError("the Helm process died")
        self._revise("pending-upgrade", settings, Maker.SELF)
        number = self.newest.number
        self.clock.advance(begin + self.dice.between((0, seconds // 2)))
        self.cluster.set_config(settings, self.author)
        self.clock.advance(begin + seconds // 2)
        if dies:
            raise HelmFailedError("the Helm process died")
        self.cluster.change_workloads()
        self.clock.advance(begin + seconds)
        if self.newest.number == number:
            self._end("failed" if fails else "deployed")
        if fails:
            raise HelmFailedError("upgrade failed: timed out")

    def person_delivers(self, settings: BackendSettings) -> None:
        """Begin an upgrade of somebody else's; Helm refuses it while another one goes on."""
        if self.pending:
            return
        seconds = self.dice.between(self.weather.helm)
        self._revise("pending-upgrade", settings, Maker.OTHER)
        number = self.newest.number
        half = self.dice.between((0, seconds // 2))

        def change() -> None:
            if self.newest.number == number:
                self.cluster.set_config(settings, "person")
                self.cluster.change_workloads()

        def end() -> None:
            if self.newest.number == number:
                self._end("deployed")

        if not seconds:
            change()
            end()
        else:
            self.clock.after(half, change)
            self.clock.after(seconds, end)

    def person_upgrades_chart(self, version: str) -> None:
        """Somebody upgrades the release to another chart with the values that it has."""
        if not self.pending:
            self.chart_version = version
            self.cluster.touch()
            self.person_delivers(self.newest.settings)

    def set_at_once(self, settings: BackendSettings) -> None:
        """Let all of a delivery have happened."""
        changed = settings != self.cluster.config
        self._revise("deployed", settings, Maker.OTHER)
        self.cluster.set_config(settings, "person")
        if changed:
            self.cluster.change_workloads()

    def interrupt(self, settings: BackendSettings, maker: Maker) -> None:
        """Leave the release as a Helm process does that is killed half-way."""
        self._revise("pending-upgrade", settings, maker)
        self.cluster.set_config(settings, "operator")

    def forget(self, revision: int) -> None:
        """Remove the pending revision: the one before it is the newest again."""
        if self.newest.number != revision or not self.pending:
            raise HelmFailedError("the release has moved on")
        self.revisions.pop()

    def roll_back(self) -> None:
        """A person ends a pending operation: helm rollback."""
        if self.pending and len(self.revisions) > 1:
            settings = self.revisions[-2].settings
            self._revise("deployed", settings, Maker.OTHER)
            self.cluster.set_config(settings, "person")
            self.cluster.change_workloads()

    def another_pod(self) -> None:
        """The operator's pod is replaced: what it had begun was begun by another pod."""
        if self.newest.maker is Maker.SELF:
            self._end(self.newest.status, Maker.OPERATOR)

    def _revise(self, status: str, settings: BackendSettings, maker: Maker) -> None:
        number = self.newest.number + 1
        self.revisions.append(Revision(number, status, settings, maker, self.clock.now))

    def _end(self, status: str, maker: Maker | None = None) -> None:
        last = self.newest
        self.revisions[-1] = Revision(
            last.number, status, last.settings, maker or last.maker, last.updated
        )
