"""The census of a live rollout: taken periodically, and a proof that a kill's would succeed.

A kill does not use it: it takes its own censuses. So it need not be frequent: each costs the start
of a pod like the scheduler's, and some requests.
"""

from dataclasses import replace
from datetime import timedelta
from typing import Final

from xcom_rollout.decide.actions import WriteLedger
from xcom_rollout.decide.decision import Finding
from xcom_rollout.decide.observed import CensusResult, JobKind
from xcom_rollout.decide.probe_jobs import (
    Answered,
    Failed,
    ProbeRequest,
    Running,
    census_arguments,
    failed_since,
    newest_attempt,
    record_of,
    request_job,
)
from xcom_rollout.decide.situation import Situation
from xcom_rollout.decide.table import background, done

LIVE_RETRY: Final = timedelta(seconds=15)
TRIES: Final = 2
"""Failed tries in a row that count as a lasting failure: a Job may lose its pod."""
LONGEST_WITHOUT: Final = timedelta(hours=1)
"""How old the last census may be where there was no try since, as under a quota for Jobs."""
_REQUEST: Final = ProbeRequest.of_scheduler(JobKind.CENSUS, "live")


def census_fresh(s: Situation) -> Finding:
    """The in-flight runs with offloaded values were counted recently."""
    match newest_attempt(s, _REQUEST, CensusResult, retry=LIVE_RETRY):
        case Running():
            return done("Live", _live(s), after=timedelta(seconds=10))
        case Answered(job, result):
            census = record_of(job, result)
            return background(
                "Live",
                _live(s),
                WriteLedger(
                    replace(s.ledger, census=census),
                    f"{len(census.runs)} in-flight runs hold offloaded values",
                ),
            )
        case Failed(why=why):
            return done(
                "Live",
                f"{_live(s)}; the last count of offloaded runs failed: {why}",
                after=LIVE_RETRY,
            )
    age = _age(s)
    if age is not None and age < s.spec.census_interval():
        return done("Live", _live(s), after=s.spec.census_interval() - age)
    return background("Live", _live(s), request_job(s, _REQUEST, census_arguments(s)))


def census_trouble(s: Situation) -> str:
    """Return why a census of a kill would fail too, judged by the current ones; else empty."""
    failed, age = failed_since(s, _REQUEST, CensusResult), _age(s)
    if len(failed) >= TRIES:
        return f"the census has failed {len(failed)} times in a row: {failed[-1]}"
    if age is not None and age >= max(LONGEST_WITHOUT, 2 * s.spec.census_interval()):
        return f"no census has succeeded for {int(age.total_seconds() / 60)} minutes"
    return ""


def _age(s: Situation) -> timedelta | None:
    """Return the age of the last census of the live rollout, None where there was none yet."""
    record = s.ledger.census
    if record is None or record.purpose not in (_REQUEST.purpose, ""):
        return None
    return s.now - record.taken_at


def _live(s: Situation) -> str:
    count = len(s.ledger.census.runs) if s.ledger.census else 0
    seen = f", {count} in-flight runs hold offloaded values" if s.ledger.census else ""
    return f"values of {s.target.threshold} bytes or more are offloaded{seen}"
