"""The status of an `XComBackendRollout`: what the operator tells people and other controllers.

The CRD's status schema is rendered from these models, so a field that is missing here would be
dropped by the API server: whatever writes a status is checked against them.
"""

from typing import Annotated, Literal

from pydantic import AwareDatetime, Field

from xcom_rollout.api.v1alpha1 import Model

Count = Annotated[int, Field(ge=0, le=2**31 - 1, json_schema_extra={"format": "int32"})]
Generation = Annotated[int, Field(ge=0, json_schema_extra={"format": "int64"})]


class StatusCondition(Model):
    """One condition, of the form that Kubernetes uses everywhere."""

    type: str = Field(max_length=316, description="Name of the condition.")
    status: Literal["True", "False", "Unknown"] = Field(description="Whether it holds.")
    reason: str = Field(max_length=1024, description="Why, as a CamelCase word.")
    message: str = Field(
        max_length=32768, description="Why, in words: what was seen and, when held, what to do."
    )
    last_transition_time: AwareDatetime = Field(
        description="When the status of the condition changed last."
    )
    observed_generation: Generation | None = Field(
        default=None, description="Generation of the resource that the condition speaks about."
    )


class ProofFailedCheck(Model):
    """A check of a proof that said no."""

    name: str = Field(description="Name of the check.")
    observed: str = Field(description="What was seen.")
    expected: str = Field(description="What should have been seen.")
    remedy: str = Field(description="What to do.")


class ProofStatus(Model):
    """The newest proof from a pod cloned from one component of Airflow."""

    component: str = Field(description="Component whose pod template was cloned.")
    verdict: Literal["pass", "fail", "error"] = Field(description="Outcome of the proof.")
    digest: str = Field(description="Digest of what was proven.")
    attempt: Count = Field(description="Number of the attempt.")
    observed_at: AwareDatetime = Field(description="When the proof was made.")
    expires_at: AwareDatetime | None = Field(
        default=None, description="When the proof counts no more."
    )
    job: str = Field(description="Job that made the proof.")
    failed: tuple[ProofFailedCheck, ...] = Field(default=(), description="Checks that said no.")
    warnings: tuple[str, ...] = Field(
        default=(),
        description="Findings that do not stop the rollout.",
        json_schema_extra={"x-kubernetes-list-type": "atomic"},
    )
    facts: dict[str, str] = Field(
        default={}, description="What the proof saw: versions, settings and their sources."
    )
    message: str = Field(default="", description="What went wrong where there is no result.")


class RehearsalStatus(Model):
    """The rehearsal of the kill-switch that counts at present."""

    required: bool | None = Field(default=None, description="Whether one is required.")
    valid: bool | None = Field(default=None, description="Whether there is a valid one.")
    by: str | None = Field(default=None, description="Who attested it.")
    at: AwareDatetime | None = Field(default=None, description="When it was attested.")
    evidence: str | None = Field(default=None, description="What was given as evidence.")
    expires_at: AwareDatetime | None = Field(default=None, description="When it counts no more.")


class ListReference(Model):
    """A ConfigMap in the namespace of the rollout."""

    name: str = Field(description="Name of the ConfigMap.")


class AuditCountsStatus(Model):
    """What an audit found, by effect of the flip."""

    fails: Count = Field(default=0, description="Findings of values that could not be written.")
    drifts: Count = Field(default=0, description="Findings of values that would change.")
    unseen: Count = Field(default=0, description="Files that could not be looked at.")
    accepted: Count = Field(default=0, description="Those of them that the spec accepts.")
    holding: Count = Field(default=0, description="Those of them that hold the rollout.")


class AuditStatus(Model):
    """The newest audit of one kind."""

    kind: Literal["static", "dynamic"] = Field(
        description="static: the code in the DAG folder; dynamic: the values in the table."
    )
    verdict: Literal["pass", "fail", "error"] = Field(
        description="pass: no finding holds the rollout; fail: some do; error: it was not made."
    )
    digest: str = Field(description="Digest of what was audited.")
    attempt: Count = Field(description="Number of the attempt.")
    observed_at: AwareDatetime = Field(description="When the audit was made.")
    expires_at: AwareDatetime | None = Field(
        default=None, description="When the audit counts no more."
    )
    job: str = Field(description="Job that made the audit.")
    counts: AuditCountsStatus = Field(
        default=AuditCountsStatus(), description="Number of findings."
    )
    facts: dict[str, str] = Field(
        default={}, description="What was looked at: number of files or values, versions."
    )
    findings: tuple[str, ...] = Field(
        default=(),
        description="Findings that hold the rollout, the worst first, twenty at most.",
        json_schema_extra={"x-kubernetes-list-type": "atomic"},
    )
    list_ref: ListReference | None = Field(
        default=None, description="ConfigMap with every finding, and what to do about it."
    )
    message: str = Field(default="", description="What went wrong where there is no result.")


class CalibrationStatus(Model):
    """The threshold recommended from the values in the table."""

    recommended_bytes: str = Field(description="The threshold, in bytes.")
    quantile: str = Field(description="Share of the inline values below it, before the margin.")
    margin: str = Field(description="Factor between the size at the quantile and the threshold.")
    taken_at: AwareDatetime = Field(description="When the values were measured.")
    job: str = Field(description="Job that measured them.")
    facts: dict[str, str] = Field(default={}, description="Sizes in bytes by quantile, and so on.")
    list_ref: ListReference | None = Field(
        default=None,
        description="ConfigMap with all that was measured, the largest tasks named.",
    )


class ProvenanceStatus(Model):
    """What the newest look for the expected build saw."""

    verdict: Literal["fresh", "stale", "mixed", "unknown"] = Field(
        description="fresh: all is of the expected build; stale: all that is known is one other "
        "build; mixed: there are several; unknown: something could not be seen."
    )
    expected_build: str = Field(description="The commit that all has to be of.")
    reason: str = Field(description="What the verdict rests on, in words.")
    observed_at: AwareDatetime = Field(description="When the look ended.")
    pods: Count = Field(default=0, description="Number of pods that were looked into.")
    readings: tuple[str, ...] = Field(
        default=(),
        description="What is of another build, then what could not be seen, twenty at most.",
        json_schema_extra={"x-kubernetes-list-type": "atomic"},
    )
    left_out: Count = Field(default=0, description="Number of such readings beyond these.")


class OffloadedRunsStatus(Model):
    """The in-flight DAG runs that hold offloaded values."""

    count: Count = Field(description="Number of such runs at the last census.")
    list_ref: ListReference | None = Field(
        default=None, description="ConfigMap that lists the runs."
    )
    taken_at: AwareDatetime | None = Field(default=None, description="When they were counted.")


class DeliveryStatus(Model):
    """What was found delivered."""

    revision: Count | None = Field(default=None, description="Revision of the Helm release.")
    settings: str | None = Field(default=None, description="The backend settings it holds.")
    values_path: str | None = Field(
        default=None,
        description="Key of the values below which the settings are, where Airflow's chart is a "
        "dependency of the chart of the release.",
    )


class KillRunsStatus(Model):
    """Number of DAG runs that the kill-switch has brought so far or further."""

    found: Count = Field(default=0, description="Runs to heal.")
    draining: Count = Field(default=0, description="Runs that are left to end by themselves.")
    stopped: Count = Field(default=0, description="Runs stopped, or further.")
    cleared: Count = Field(default=0, description="Runs cleared, or further.")
    recovered: Count = Field(default=0, description="Runs that succeeded again, inline.")
    healed: Count = Field(
        default=0,
        description="Runs that ended by themselves, or whose values are back in the database.",
    )
    failed: Count = Field(default=0, description="Runs that need a person.")


class TroubledRunStatus(Model):
    """A DAG run that could not be brought forward when it was tried last."""

    dag_id: str = Field(description="Its DAG.")
    run_id: str = Field(description="Its run ID.")
    stage: str = Field(description="How far it has come.")
    error: str = Field(description="What was in the way.")
    tries: Count = Field(default=0, description="Failed tries in a row.")
    next_try: AwareDatetime | None = Field(default=None, description="When it is tried again.")


class KillSwitchStatus(Model):
    """The newest use of the kill-switch."""

    attempt: Count = Field(description="Number of the use.")
    engaged_at: AwareDatetime = Field(description="When it was engaged.")
    by: str | None = Field(default=None, description="Who engaged it.")
    reason: str | None = Field(default=None, description="Why.")
    strategy: str | None = Field(default=None, description="How runs are healed.")
    round: Count = Field(
        default=1,
        description="Counts up when the release offloads again in the middle of it.",
    )
    writers_stopped_at: AwareDatetime | None = Field(
        default=None,
        description="When threshold -1 had been delivered: no process that started later offloads.",
    )
    reverted_at: AwareDatetime | None = Field(
        default=None, description="When the database backend had been delivered."
    )
    runs: KillRunsStatus = Field(default=KillRunsStatus(), description="Progress of the runs.")
    troubled: tuple[TroubledRunStatus, ...] = Field(
        default=(),
        description="Runs whose last try failed, twenty at most.",
        json_schema_extra={"x-kubernetes-list-type": "atomic"},
    )
    list_ref: ListReference | None = Field(
        default=None, description="ConfigMap with every run of the kill, its stage and its error."
    )
    seconds_to_writers_stopped: float | None = Field(
        default=None,
        description="Seconds from the request until no process that started later offloads.",
    )
    seconds_to_queued: float | None = Field(
        default=None, description="Seconds from the request until the last run was queued again."
    )
    finished_runs: str | None = Field(
        default=None, description="What became of offloaded values of finished runs."
    )
    finished_at: AwareDatetime | None = Field(default=None, description="When it had finished.")


class HistoryEntry(Model):
    """Something that took place."""

    at: AwareDatetime = Field(description="When.")
    event: str = Field(description="What, as a CamelCase word.")
    message: str = Field(default="", description="What, in words.")


class RolloutStatus(Model):
    """What the operator sees and does."""

    observed_generation: Generation | None = Field(
        default=None, description="Generation of the resource that this status speaks about."
    )
    phase: str | None = Field(
        default=None, description="Where the rollout stands, as a word for people."
    )
    threshold: str | None = Field(
        default=None, description="Threshold in bytes that is delivered now; -1 offloads nothing."
    )
    conditions: tuple[StatusCondition, ...] = Field(
        default=(),
        description="Ready, Reconciling and Stalled as kstatus reads them, and what was shown so "
        "far.",
        json_schema_extra={
            "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": ["type"],
        },
    )
    proofs: tuple[ProofStatus, ...] = Field(
        default=(),
        description="The newest proof of each component.",
        json_schema_extra={
            "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": ["component"],
        },
    )
    audits: tuple[AuditStatus, ...] = Field(
        default=(),
        description="The newest audit of each kind that the spec asks for.",
        json_schema_extra={
            "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": ["kind"],
        },
    )
    calibration: CalibrationStatus | None = Field(
        default=None, description="The recommended threshold."
    )
    rehearsal: RehearsalStatus | None = Field(default=None, description="The rehearsed way back.")
    provenance: ProvenanceStatus | None = Field(
        default=None, description="The newest look for the expected build."
    )
    offloaded_runs: OffloadedRunsStatus | None = Field(
        default=None, description="In-flight runs that hold offloaded values."
    )
    delivery: DeliveryStatus | None = Field(default=None, description="What is delivered.")
    kill_switch: KillSwitchStatus | None = Field(
        default=None, description="The newest use of the kill-switch."
    )
    history: tuple[HistoryEntry, ...] = Field(
        default=(), max_length=50, description="What took place, newest last."
    )
