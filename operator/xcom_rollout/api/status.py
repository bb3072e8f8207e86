"""The status of an `XComBackendRollout`: what the operator reports to people and controllers.

The CRD's status schema is rendered from these models, so the API server would drop a field that is
missing here: everything that writes a status is checked against them.
"""

from typing import Annotated, Literal

from pydantic import AwareDatetime, Field

from xcom_rollout.api.v1alpha1 import Model

Count = Annotated[int, Field(ge=0, le=2**31 - 1, json_schema_extra={"format": "int32"})]
Generation = Annotated[int, Field(ge=0, json_schema_extra={"format": "int64"})]


class StatusCondition(Model):
    """One condition, of the form that Kubernetes uses everywhere."""

    type: str = Field(max_length=316, description="Name of the condition.")
    status: Literal["True", "False", "Unknown"] = Field(
        description="Status of the condition: True, False or Unknown."
    )
    reason: str = Field(max_length=1024, description="Reason, as a CamelCase word.")
    message: str = Field(
        max_length=32768,
        description="Message: what was observed and, when the rollout is blocked, what to do.",
    )
    last_transition_time: AwareDatetime = Field(
        description="When the status of the condition last changed."
    )
    observed_generation: Generation | None = Field(
        default=None, description="Generation of the resource that the condition refers to."
    )


class ProofFailedCheck(Model):
    """A failed check of a proof."""

    name: str = Field(description="Name of the check.")
    observed: str = Field(description="What was observed.")
    expected: str = Field(description="What was expected.")
    remedy: str = Field(description="What to do.")


class ProofStatus(Model):
    """The newest proof from a pod cloned from one component of Airflow."""

    component: str = Field(description="Component whose pod template was cloned.")
    verdict: Literal["pass", "fail", "error"] = Field(description="Outcome of the proof.")
    digest: str = Field(description="Digest of what was proven.")
    attempt: Count = Field(description="Number of the attempt.")
    observed_at: AwareDatetime = Field(description="When the proof ran.")
    expires_at: AwareDatetime | None = Field(default=None, description="When the proof expires.")
    job: str = Field(description="Job that ran the proof.")
    failed: tuple[ProofFailedCheck, ...] = Field(default=(), description="Checks that failed.")
    warnings: tuple[str, ...] = Field(
        default=(),
        description="Findings that do not block the rollout.",
        json_schema_extra={"x-kubernetes-list-type": "atomic"},
    )
    facts: dict[str, str] = Field(
        default={}, description="What the proof observed: versions, settings and their sources."
    )
    message: str = Field(default="", description="The error, if there is no result.")


class RehearsalStatus(Model):
    """The rehearsal of the kill-switch that is currently valid."""

    required: bool | None = Field(default=None, description="Whether a rehearsal is required.")
    valid: bool | None = Field(default=None, description="Whether there is a valid attestation.")
    by: str | None = Field(default=None, description="Who attested it.")
    at: AwareDatetime | None = Field(default=None, description="When it was attested.")
    evidence: str | None = Field(default=None, description="The evidence that was given.")
    expires_at: AwareDatetime | None = Field(
        default=None, description="When the attestation expires."
    )


class ListReference(Model):
    """A ConfigMap in the namespace of the rollout."""

    name: str = Field(description="Name of the ConfigMap.")


class AuditCountsStatus(Model):
    """What an audit found, by effect of the flip."""

    fails: Count = Field(default=0, description="Findings of values that could not be written.")
    drifts: Count = Field(default=0, description="Findings of values that would change.")
    unseen: Count = Field(default=0, description="Files that could not be read.")
    accepted: Count = Field(default=0, description="Number of these that the spec accepts.")
    holding: Count = Field(default=0, description="Number of these that block the rollout.")


class AuditStatus(Model):
    """The newest audit of one kind."""

    kind: Literal["static", "dynamic"] = Field(
        description="static: the code in the DAG folder; dynamic: the values in the table."
    )
    verdict: Literal["pass", "fail", "error"] = Field(
        description="pass: no finding blocks the rollout; fail: some findings do; error: the "
        "audit did not run."
    )
    digest: str = Field(description="Digest of what was audited.")
    attempt: Count = Field(description="Number of the attempt.")
    observed_at: AwareDatetime = Field(description="When the audit ran.")
    expires_at: AwareDatetime | None = Field(default=None, description="When the audit expires.")
    job: str = Field(description="Job that ran the audit.")
    counts: AuditCountsStatus = Field(
        default=AuditCountsStatus(), description="Number of findings."
    )
    facts: dict[str, str] = Field(
        default={}, description="What was audited: number of files or values, versions."
    )
    findings: tuple[str, ...] = Field(
        default=(),
        description="Findings that block the rollout, the worst first, at most twenty.",
        json_schema_extra={"x-kubernetes-list-type": "atomic"},
    )
    list_ref: ListReference | None = Field(
        default=None, description="ConfigMap with every finding and its remedy."
    )
    message: str = Field(default="", description="The error, if there is no result.")


class CalibrationStatus(Model):
    """The threshold recommended from the values in the table."""

    recommended_bytes: str = Field(description="The threshold, in bytes.")
    quantile: str = Field(description="Share of the inline values below it, before the margin.")
    margin: str = Field(description="Factor between the size at the quantile and the threshold.")
    taken_at: AwareDatetime = Field(description="When the values were measured.")
    job: str = Field(description="Job that measured them.")
    facts: dict[str, str] = Field(
        default={}, description="Sizes in bytes by quantile, and other measured facts."
    )
    list_ref: ListReference | None = Field(
        default=None,
        description="ConfigMap with all measurements and the names of the largest tasks.",
    )


class ProvenanceStatus(Model):
    """The result of the newest check for the expected build."""

    verdict: Literal["fresh", "stale", "mixed", "unknown"] = Field(
        description="fresh: everything is from the expected build; stale: everything that is "
        "known is from one other build; mixed: there are several builds; unknown: "
        "something could not be seen."
    )
    expected_build: str = Field(description="The commit that everything must be from.")
    reason: str = Field(description="The reason for the verdict.")
    observed_at: AwareDatetime = Field(description="When the check finished.")
    pods: Count = Field(default=0, description="Number of pods that were checked.")
    readings: tuple[str, ...] = Field(
        default=(),
        description="What is from another build, then what could not be seen, at most twenty.",
        json_schema_extra={"x-kubernetes-list-type": "atomic"},
    )
    left_out: Count = Field(default=0, description="Number of further such readings.")


class OffloadedRunsStatus(Model):
    """The in-flight DAG runs that hold offloaded values."""

    count: Count = Field(description="Number of such runs at the last census.")
    list_ref: ListReference | None = Field(
        default=None, description="ConfigMap that lists the runs."
    )
    taken_at: AwareDatetime | None = Field(default=None, description="When they were counted.")


class DeliveryStatus(Model):
    """What is delivered."""

    revision: Count | None = Field(default=None, description="Revision of the Helm release.")
    settings: str | None = Field(default=None, description="The backend settings it holds.")
    values_path: str | None = Field(
        default=None,
        description="Key of the values below which the settings are, if Airflow's chart is a "
        "dependency of the chart of the release.",
    )


class KillRunsStatus(Model):
    """Number of DAG runs that have reached each stage of the kill-switch, or progressed further."""

    found: Count = Field(default=0, description="Runs to heal.")
    draining: Count = Field(default=0, description="Runs that run to their end.")
    stopped: Count = Field(
        default=0, description="Runs that are stopped or have progressed further."
    )
    cleared: Count = Field(
        default=0, description="Runs that are cleared or have progressed further."
    )
    recovered: Count = Field(
        default=0, description="Runs that succeeded again, with inline values."
    )
    healed: Count = Field(
        default=0,
        description="Runs that ended by themselves, or whose values are back in the database.",
    )
    failed: Count = Field(default=0, description="Runs that need a person.")


class TroubledRunStatus(Model):
    """A DAG run whose last try failed."""

    dag_id: str = Field(description="Its DAG.")
    run_id: str = Field(description="Its run ID.")
    stage: str = Field(description="Stage that it has reached.")
    error: str = Field(description="Error of the last try.")
    tries: Count = Field(default=0, description="Number of consecutive failed tries.")
    next_try: AwareDatetime | None = Field(default=None, description="When the next try is.")


class KillSwitchStatus(Model):
    """The newest kill."""

    attempt: Count = Field(description="Number of the kill.")
    engaged_at: AwareDatetime = Field(description="When it was engaged.")
    by: str | None = Field(default=None, description="Who engaged it.")
    reason: str | None = Field(default=None, description="Why.")
    strategy: str | None = Field(default=None, description="How runs are healed.")
    round: Count = Field(
        default=1,
        description="Round of the kill. It increases when the release offloads again during the "
        "kill.",
    )
    writers_stopped_at: AwareDatetime | None = Field(
        default=None,
        description="When threshold -1 was delivered: a process that started later offloads "
        "nothing.",
    )
    reverted_at: AwareDatetime | None = Field(
        default=None, description="When the database backend was delivered."
    )
    runs: KillRunsStatus = Field(default=KillRunsStatus(), description="Progress of the runs.")
    troubled: tuple[TroubledRunStatus, ...] = Field(
        default=(),
        description="Runs whose last try failed, at most twenty.",
        json_schema_extra={"x-kubernetes-list-type": "atomic"},
    )
    list_ref: ListReference | None = Field(
        default=None, description="ConfigMap with every run of the kill, its stage and its error."
    )
    seconds_to_writers_stopped: float | None = Field(
        default=None,
        description="Seconds from the request until a process that starts later offloads nothing.",
    )
    seconds_to_queued: float | None = Field(
        default=None, description="Seconds from the request until the last run was queued again."
    )
    finished_runs: str | None = Field(
        default=None, description="What happened to offloaded values of finished runs."
    )
    finished_at: AwareDatetime | None = Field(default=None, description="When it finished.")


class HistoryEntry(Model):
    """Something that happened."""

    at: AwareDatetime = Field(description="When.")
    event: str = Field(description="What happened, as a CamelCase word.")
    message: str = Field(default="", description="What happened, in words.")


class RolloutStatus(Model):
    """What the operator observes and does."""

    observed_generation: Generation | None = Field(
        default=None, description="Generation of the resource that this status refers to."
    )
    phase: str | None = Field(default=None, description="Phase of the rollout, for people.")
    threshold: str | None = Field(
        default=None,
        description="Threshold in bytes that is currently delivered; -1 offloads nothing.",
    )
    conditions: tuple[StatusCondition, ...] = Field(
        default=(),
        description="Ready, Reconciling and Stalled as kstatus reads them, and the conditions of "
        "the steps.",
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
    rehearsal: RehearsalStatus | None = Field(
        default=None, description="The rehearsal of the kill-switch."
    )
    provenance: ProvenanceStatus | None = Field(
        default=None, description="The newest check for the expected build."
    )
    offloaded_runs: OffloadedRunsStatus | None = Field(
        default=None, description="In-flight runs that hold offloaded values."
    )
    delivery: DeliveryStatus | None = Field(default=None, description="What is delivered.")
    kill_switch: KillSwitchStatus | None = Field(default=None, description="The newest kill.")
    history: tuple[HistoryEntry, ...] = Field(
        default=(), max_length=50, description="What happened, newest last."
    )
