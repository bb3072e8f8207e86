"""Effects as data: everything the operator can do to the world.

Each action is idempotent. It names the desired state; the layer `act` brings it about.
"""

from dataclasses import dataclass
from datetime import timedelta

from xcom_rollout.decide.ledger import BuildQuestion, Component, Ledger, RunKey
from xcom_rollout.decide.observed import Attempt, JobKind, Pod
from xcom_rollout.decide.settings import BackendSettings


@dataclass(frozen=True)
class Report:
    """The probe's complete findings, for people: the ledger keeps only what decisions need."""

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
    """Settings that the pod's configuration shall hold; None: those delivered now."""
    arguments: tuple[str, ...]
    deadline: timedelta | None = None
    """How long it may take; None: what is usual for its kind."""
    samples: str | None = None
    """ConfigMap with values to try, for kind PROOF."""
    runs: tuple[RunKey, ...] = ()
    """Runs to work on, for the kinds EMPTY and REHYDRATE."""

    def describe(self) -> str:
        return f"run the {self.kind} Job of the {self.component} pod, attempt {self.attempt}"


@dataclass(frozen=True)
class EndStandby:
    """End the pods of these Jobs, which wait for questions: no more will come."""

    jobs: tuple[str, ...]

    def describe(self) -> str:
        return f"stop the pods of {', '.join(self.jobs)}"


@dataclass(frozen=True)
class SetValues:
    """Deliver the owned settings; every other value of the release stays unchanged."""

    settings: BackendSettings
    from_revision: int
    """The revision this was decided on: a newer one means that somebody else changed it first."""
    way_back: bool = False
    """Whether a kill delivers: what would only block a flip does not block it."""
    beside: RunJob | None = None
    """A Job that is sent before, if the cluster takes it: nothing waits for it."""

    def describe(self) -> str:
        return f"deliver the {self.settings.describe()}"


@dataclass(frozen=True)
class ForgetDelivery:
    """Remove the operator's own pending revision, whose Helm process is gone."""

    revision: int

    def describe(self) -> str:
        return f"undo the interrupted revision {self.revision}"


@dataclass(frozen=True)
class ConfirmReaders:
    """Look, by a process inside each of these pods, which backend it loads."""

    pods: tuple[Pod, ...]

    def describe(self) -> str:
        return f"inspect the pods {', '.join(pod.name for pod in self.pods)}"


@dataclass(frozen=True)
class InspectBuilds:
    """Look, by a process inside each live pod, which build of DAGs and image it has."""

    question: BuildQuestion

    def describe(self) -> str:
        return f"check the running pods for the build {self.question.expected}"


@dataclass(frozen=True)
class ProveWayBack:
    """Check everything that a kill will need, and record what is missing. Changes no Airflow."""

    settings: BackendSettings
    """What the first delivery of the way there would be; rendered, and compared with what runs."""
    digest: str

    def describe(self) -> str:
        return "verify that the way back works"


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
class StopRuns:
    """Set the runs to failed, so that Airflow schedules no further tasks of them.

    A run that Airflow could not clear afterwards is left alone. Why one was not stopped is
    recorded in the ledger, run by run.
    """

    runs: tuple[RunKey, ...]

    def describe(self) -> str:
        return f"stop {', '.join(map(str, self.runs))}"


@dataclass(frozen=True)
class TaskPod:
    """A task pod to end: its name may stand for another pod by now, its UID cannot."""

    namespace: str
    name: str
    uid: str
    run: RunKey


@dataclass(frozen=True)
class EndAttempts:
    """Kill these processes in workers, each unless another process has its PID by now.

    They belong to runs that were stopped some time ago: their supervisors have not ended them.
    """

    attempts: tuple[Attempt, ...]

    def describe(self) -> str:
        return f"end {len(self.attempts)} processes of stopped runs in workers"


@dataclass(frozen=True)
class DeletePods:
    """Delete task pods with their own grace period, so that `on_kill` of their operators runs.

    Why one could not be deleted is recorded in the ledger, run by run.
    """

    pods: tuple[TaskPod, ...]

    def describe(self) -> str:
        return f"delete the task pods {', '.join(pod.name for pod in self.pods)}"


@dataclass(frozen=True)
class ReplacePods:
    """Delete pods that started with an earlier delivery: others take their place.

    Each keeps its own grace period, in which a worker ends its tasks.
    """

    pods: tuple[Pod, ...]

    def describe(self) -> str:
        return f"replace the pods {', '.join(pod.name for pod in self.pods)}"


@dataclass(frozen=True)
class ClearRuns:
    """Clear the runs, so that Airflow runs each again from its start.

    Why one was not cleared is recorded in the ledger, run by run.
    """

    runs: tuple[RunKey, ...]

    def describe(self) -> str:
        return f"clear {', '.join(map(str, self.runs))}"


@dataclass(frozen=True)
class SetFinalizer:
    """Add or remove the finalizer that keeps the resource during a kill."""

    present: bool

    def describe(self) -> str:
        return f"{'add' if self.present else 'remove'} the finalizer"


Action = (
    WriteLedger
    | RunJob
    | SetValues
    | ForgetDelivery
    | ConfirmReaders
    | InspectBuilds
    | ProveWayBack
    | PauseDags
    | UnpauseDags
    | StopRuns
    | DeletePods
    | EndAttempts
    | ReplacePods
    | ClearRuns
    | SetFinalizer
    | EndStandby
)
