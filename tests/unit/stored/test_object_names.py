"""Names fit into labels, and the same attempt always has the same one."""

from hypothesis import given
from hypothesis import strategies as st

from xcom_rollout.api.crd import MAX_NAME_LENGTH
from xcom_rollout.decide.actions import RunJob
from xcom_rollout.decide.ledger import Component
from xcom_rollout.decide.observed import JobKind
from xcom_rollout.stored.names import LIMIT, fitted, job_name, labels, selector


def job(attempt: int, kind: JobKind = JobKind.CENSUS) -> RunJob:
    return RunJob(kind, Component.SCHEDULER, attempt, "d", None, ())


@given(st.text("abc-", min_size=1, max_size=120), st.text("abc-", min_size=1, max_size=120))
def test_names_fit_and_stay_apart(one: str, other: str) -> None:
    assert len(fitted(one)) <= LIMIT
    if one != other:
        assert fitted(one) != fitted(other)


@given(st.integers(1, 10**6), st.integers(1, 10**6))
def test_each_attempt_has_a_name_of_its_own(one: int, other: int) -> None:
    name = "r" * MAX_NAME_LENGTH
    assert len(job_name(name, job(one))) <= LIMIT
    assert (job_name(name, job(one)) == job_name(name, job(other))) == (one == other)


def test_a_short_name_can_be_read() -> None:
    assert job_name("demo", job(3, JobKind.PROOF)) == "xbr-demo-proof-scheduler-3"


def test_the_selector_asks_for_the_labels() -> None:
    for key, value in labels("demo").items():
        assert f"{key}={value}" in selector("demo")
