"""Look, by a process inside each live pod, which build of DAGs and image it has."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Final

from xcom_rollout.act.write_ledger import write_ledger
from xcom_rollout.decide.actions import InspectBuilds
from xcom_rollout.decide.build_verdict import Reading, verdict
from xcom_rollout.decide.executors import executor_known, proven_components
from xcom_rollout.decide.ledger import BuildQuestion, BuildSeen, BuildSource, Component
from xcom_rollout.decide.observed import Observed
from xcom_rollout.probe.builds import BuildReport, Names, look
from xcom_rollout.wiring import Clients

MOST_READINGS: Final = 20
"""Most readings that are kept in words: the size of ledger and status is limited."""


def inspect_builds(clients: Clients, observed: Observed, action: InspectBuilds) -> None:
    """Inspect the pods and record the verdict, in one write of the ledger.

    A pod that cannot be inspected makes it unknown. Where one was replaced since `observed`, the
    record is no longer for the current question, and the next pass asks again.

    Raises:
        ExternalError: the cluster could not be asked, a right is missing, or the ledger has been
            written meanwhile.
    """
    rollout, asked = observed.rollout, action.question
    executor = executor_known(observed.executor, observed.ledger)
    report = look(
        clients.api,
        clients.probe,
        rollout.namespace,
        rollout.spec.airflow.release,
        Names(asked.labels, asked.variables),
        asked.dags,
        tags=BuildSource.TAGS in asked.sources,
        task_pods=Component.TASK_POD in proven_components(executor),
    )
    seen = answer(asked, report, datetime.now(UTC))
    write_ledger(clients, rollout, replace(observed.ledger, build=seen))


def answer(asked: BuildQuestion, report: BuildReport, now: datetime) -> BuildSeen:
    """Return what the ledger keeps of a report."""
    found = verdict(report.readings, asked.expected, asked.sources)
    readings = [str(reading) for reading in (*found.other, *found.unknown)]
    return BuildSeen(
        question=asked,
        verdict=found.kind,
        reason=found.reason,
        observed_at=now,
        differing=_sources(found.other),
        unseen=_sources(found.unknown),
        readings=tuple(readings[:MOST_READINGS]),
        left_out=len(readings[MOST_READINGS:]),
    )


def _sources(readings: Iterable[Reading]) -> tuple[BuildSource, ...]:
    concerned = {reading.source for reading in readings}
    return tuple(source for source in BuildSource if source in concerned)
