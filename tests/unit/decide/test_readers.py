"""What is said of the pods that were looked into, and of what could not be seen in them."""

from dataclasses import replace

from large_kill import NOW, READERS, ledger, observed, readers
from xcom_rollout.decide.confirming import fleet_confirmed
from xcom_rollout.decide.ledger import Reader
from xcom_rollout.decide.settings import BackendSettings
from xcom_rollout.decide.situation import Situation

HINT = "airflow config get-value"


def situation(*changed: Reader) -> Situation:
    names = {reader.pod for reader in changed}
    seen = (*changed, *(reader for reader in readers(READERS) if reader.pod not in names))
    return Situation(observed(replace(ledger(None), readers=seen), pods=0), NOW)


def test_pods_that_load_what_is_expected_are_confirmed() -> None:
    finding = fleet_confirmed(situation(), READERS)
    assert (finding.reason, finding.message.count(";")) == ("PodsConfirmed", 0)


def test_a_pod_with_other_options_from_its_start_holds_and_says_which() -> None:
    told = "process 7 (airflow scheduler) was started with X=y. Take it out"
    first = readers(READERS)[0]
    finding = fleet_confirmed(situation(replace(first, error=told)), READERS)
    assert finding.reason == "PodNotConfirmed"
    assert f"{first.pod}: {told}" in finding.message
    # A fresh process would answer that all is well.
    assert HINT not in finding.message


def test_a_pod_that_loads_another_backend_holds_and_says_where_to_look() -> None:
    first, second, _ = readers(READERS)
    finding = fleet_confirmed(
        situation(replace(first, settings=BackendSettings("my.B")), replace(second, error="no")),
        READERS,
    )
    assert finding.reason == "PodNotConfirmed"
    assert HINT in finding.message


def test_a_pod_whose_start_cannot_be_seen_is_confirmed_and_named() -> None:
    first = readers(READERS)[0]
    finding = fleet_confirmed(situation(replace(first, unseen="not known: process 7")), READERS)
    assert finding.reason == "PodsConfirmed"
    assert f"{first.pod}: not known: process 7" in finding.message
