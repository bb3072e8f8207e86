"""Armed means proven: everything that a kill needs was shown to work, before it is needed.

There are two checks. A census Job, because the pod that counts runs must reach the database through
whatever is in between. And an effect that asks Airflow's API for its rights, and renders the chart
that is kept in the cluster; what is missing is recorded in the ledger. While Live the census that
is taken anyway covers the first (`live_census.py`).
"""

from dataclasses import replace
from datetime import timedelta
from typing import Final

from xcom_rollout.decide.actions import ProveWayBack, WriteLedger
from xcom_rollout.decide.decision import Finding, Progress
from xcom_rollout.decide.live_census import LIVE_RETRY, census_trouble
from xcom_rollout.decide.observed import CensusResult, JobKind
from xcom_rollout.decide.probe_jobs import (
    JOB_RETRY,
    MAY_CONNECT,
    Answered,
    Failed,
    ProbeRequest,
    Running,
    newest_attempt,
    record_of,
    request_job,
)
from xcom_rollout.decide.situation import Situation
from xcom_rollout.decide.table import act, background, done, hold, wait

INTERVAL: Final = timedelta(hours=1)
"""Age at which a check expires."""
RETRY: Final = timedelta(seconds=30)
"""How soon the check is repeated where something was missing."""
MOST_SHOWN: Final = 5


def armed(s: Situation) -> Finding:
    """The way back was verified: census, Airflow's API and its permissions, the kept chart."""
    if s.release.settings.reads_offloaded:
        return done("Armed", "the way back was verified before the first delivery")
    counted = _census(s)
    if counted is not None:
        return counted
    return _asked(s)


def still_armed(s: Situation) -> Finding:
    """It was checked again recently, and the census of the live rollout succeeds."""
    asked, trouble = _asked(s), census_trouble(s)
    if not trouble or asked.progress is Progress.HELD:
        return asked
    return hold(
        "CensusFailed",
        f"a kill would not complete: {trouble}. See the log of the newest Job, {MAY_CONNECT}; and "
        "check that no quota of the namespace rejects Jobs or pods. The census is retried, and a "
        "kill starts in any case",
        after=LIVE_RETRY,
        action=asked.action,
    )


def _asked(s: Situation) -> Finding:
    digest, record = _digest(s), s.ledger.way_back
    action = ProveWayBack(s.readers, digest)
    if record is None or (record.digest != digest and not s.release.settings.reads_offloaded):
        return act("ProvingWayBack", "checking everything that a kill needs", action)
    age = s.now - record.checked_at
    if record.problems:
        return hold(
            "NotArmed",
            "a kill would not complete: " + "; ".join(record.problems[:MOST_SHOWN]),
            after=max(RETRY - age, JOB_RETRY),
            action=action if age >= RETRY else None,
        )
    shown = f"everything that a kill needs was available at {record.checked_at:%Y-%m-%dT%H:%M:%SZ}"
    if age >= INTERVAL:
        return background("Armed", shown, action)
    return done("Armed", shown, after=INTERVAL - age)


def _census(s: Situation) -> Finding | None:
    """Return the finding of the census that has to succeed once; None where it has."""
    request = ProbeRequest.of_scheduler(JobKind.CENSUS, _purpose(s))
    record = s.ledger.census
    if record is not None and record.purpose == request.purpose:
        return None
    match newest_attempt(s, request, CensusResult, retry=JOB_RETRY):
        case Running(job=job):
            trouble = f" ({job.message})" if job.message else ""
            return wait("ProvingWayBack", f"taking a census, as a kill does{trouble}")
        case Answered(job=job, result=result):
            return act(
                "ProvingWayBack",
                "the census succeeded",
                WriteLedger(
                    replace(s.ledger, census=record_of(job, result)), "a census that succeeded"
                ),
            )
        case Failed(why=why, again=again):
            return hold(
                "NotArmed",
                f"a kill would not complete: the census fails: {why}. See the log of the Job, and "
                f"{MAY_CONNECT}",
                after=max(again - s.now, JOB_RETRY),
            )
    path = s.spec.backend.object_storage.path
    bases = [path, *(base for base in s.ledger.bases if base != path)]
    arguments = ("census", *(word for base in bases for word in ("--base", base)))
    return act(
        "ProvingWayBack",
        "taking a census, as a kill does",
        request_job(s, request, arguments),
    )


def _digest(s: Situation) -> str:
    return f"{s.observed.digest[:16]}-{s.observed.rollout.generation}"


def _purpose(s: Situation) -> str:
    return f"armed-{s.observed.digest[:16]}"
