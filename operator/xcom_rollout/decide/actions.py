"""Effects as data: everything the operator can do to the world.

Each action is idempotent. It names what shall be so; the layer `act` makes it so.
"""

from dataclasses import dataclass
from datetime import timedelta

from xcom_rollout.decide.ledger import BuildQuestion, Component, Ledger, RunKey
from xcom_rollout.decide.observed import JobKind
from xcom_rollout.decide.settings import BackendSettings


@dataclass(frozen=True)
class Report:
    """What the probe found in full, for people: the ledger keeps only what decisions need."""

    name: str
    """Such as `static` or `calibration`."""
    text: str
    """JSON."""


def reports_name(rollout: str) -> str:
    """Return the name of the ConfigMap with the reports: everything that the audits found."""
    return f"xbr-{rollout}-audit"


@dataclass(frozen=True)
class WriteLedger:
    """Replace the ledger, provided nobody else has written it since it was read."""

    ledger: Ledger
    note: str
    report: Report | None = None
    """To be published before."""

    def describe(self) -> str:
        return f"record: {self.note}"


@dataclass(frozen=True)
class RunJob:
    """Run the probe in a Job cloned from the pod template of `component`."""

    kind: JobKind
    component: Component
    attempt: int
    digest: str
    candidate: BackendSettings | None
    """Settings that the pod's configuration shall hold; None: as it is delivered now."""
    arguments: tuple[str, ...]
    deadline: timedelta | None = None
    """How long it may take; None: what is usual for its kind."""
    samples: str | None = None
    """ConfigMap with values to try, for kind PROOF."""
    runs: tuple[RunKey, ...] = ()
    """Runs to look at, for kind VERIFY."""
    old_runs: frozenset[RunKey] = frozenset()
    """Runs with a task pod of the old environment, for a census: they may offload after it."""

    def describe(self) -> str:
        return f"run the {self.kind} Job of the {self.component} pod, attempt {self.attempt}"


@dataclass(frozen=True)
class SetValues:
    """Deliver the owned settings; every other value of the release stays as it is."""

    settings: BackendSettings
    from_revision: int
    """The revision this was decided on: a newer one means that somebody else was quicker."""

    def describe(self) -> str:
        return f"deliver the {self.settings.describe()}"


@dataclass(frozen=True)
class ForgetDelivery:
    """Remove the operator's own pending revision, whose Helm process is gone."""

    revision: int

    def describe(self) -> str:
        return f"take back the interrupted revision {self.revision}"


@dataclass(frozen=True)
class ConfirmReaders:
    """Look, by a process inside each of these live pods, which backend it loads."""

    pods: tuple[str, ...]

    def describe(self) -> str:
        return f"look into the live pods {', '.join(self.pods)}"


@dataclass(frozen=True)
class LookForBuild:
    """Look, by a process inside each live pod, which build of DAGs and image it has."""

    question: BuildQuestion

    def describe(self) -> str:
        return f"look into the live pods for the build {self.question.expected}"


@dataclass(frozen=True)
class PauseDags:
    dag_ids: tuple[str, ...]

    def describe(self) -> str:
        return f"pause the DAGs {', '.join(self.dag_ids)}"


@dataclass(frozen=True)
class UnpauseDags:
    dag_ids: tuple[str, ...]

    def describe(self) -> str:
        return f"unpause the DAGs {', '.join(self.dag_ids)}"


@dataclass(frozen=True)
class FailRuns:
    """Set the runs to failed, so that Airflow schedules no further task of theirs."""

    runs: tuple[RunKey, ...]

    def describe(self) -> str:
        return f"stop {', '.join(map(str, self.runs))}"


@dataclass(frozen=True)
class DeletePods:
    """Delete task pods by name and UID, with a grace period of one second."""

    pods: tuple[tuple[str, str], ...]

    def describe(self) -> str:
        return f"end the task pods {', '.join(name for name, _ in self.pods)}"


@dataclass(frozen=True)
class ClearRuns:
    """Clear the runs, so that Airflow runs each again from its start."""

    runs: tuple[RunKey, ...]

    def describe(self) -> str:
        return f"clear {', '.join(map(str, self.runs))}"


Action = (
    WriteLedger
    | RunJob
    | SetValues
    | ForgetDelivery
    | ConfirmReaders
    | LookForBuild
    | PauseDags
    | UnpauseDags
    | FailRuns
    | DeletePods
    | ClearRuns
)
