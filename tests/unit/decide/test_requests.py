"""Annotations as people write them: a kill is engaged whatever they hold, and says what it does."""

import json
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import yaml

from xcom_rollout.api.names import ANNOTATION_ATTESTATION, ANNOTATION_KILL
from xcom_rollout.api.parse import parse_spec
from xcom_rollout.decide.ledger import Strategy
from xcom_rollout.decide.observed import Rollout
from xcom_rollout.decide.requests import (
    LONGEST,
    InvalidAttestation,
    KillRequest,
    attestation,
    kill_request,
)

DEMO = yaml.safe_load((Path(__file__).resolve().parents[3] / "docs/examples/demo.yaml").read_text())
DEEP = "[" * 100_000


def rollout(annotation: str, text: str) -> Rollout:
    spec = parse_spec(DEMO["spec"])
    return cast("Rollout", SimpleNamespace(spec=spec, annotations={annotation: text}))


def asked(text: str) -> KillRequest:
    request = kill_request(rollout(ANNOTATION_KILL, text))
    assert request is not None
    return request


@pytest.mark.parametrize("text", ["", "yes", "null", "[1]", "{", DEEP, "1" * 5000, '{"by": {}}'])
def test_a_kill_is_engaged_whatever_its_annotation_holds(text: str) -> None:
    request = asked(text)
    assert request.strategy is Strategy.RETRIGGER
    assert request.by
    assert request.reason


@pytest.mark.parametrize("member", ["by", "reason", "strategyBy"])
@pytest.mark.parametrize("value", ["x" * 200_000, "\ud800", "a\x00b", {"a": ["b"] * 9999}])
def test_what_a_person_wrote_can_be_kept_and_shown(member: str, value: Any) -> None:
    # It is kept with each of the last kills, in one ConfigMap, and the API server takes UTF-8.
    request = asked(json.dumps({member: value}))
    for text in (request.by, request.reason, request.strategy_by):
        assert len(text) <= LONGEST
        text.encode()


@pytest.mark.parametrize("written", ["Rehydrate", "rehydrate", " REHYDRATE "])
def test_a_strategy_is_known_however_it_is_capitalized(written: str) -> None:
    assert asked(json.dumps({"strategy": written})).strategy is Strategy.REHYDRATE


@pytest.mark.parametrize("written", ["Rehydrat", "none", 7, ["Drain"], {"a": 1}])
def test_a_strategy_that_does_not_exist_is_told_and_that_of_the_spec_is_taken(
    written: object,
) -> None:
    request = asked(json.dumps({"reason": "late", "strategy": written}))
    assert request.strategy is Strategy.RETRIGGER
    assert request.reason.startswith("late (there is no strategy ")
    assert "Retrigger of the spec is used; use one of Retrigger, Drain, Reh" in request.reason


@pytest.mark.parametrize("text", ["", "[]", DEEP, "1" * 5000])
def test_an_attestation_that_cannot_be_read_does_not_count(text: str) -> None:
    found = attestation(rollout(ANNOTATION_ATTESTATION, text), datetime.now(UTC))
    assert found == InvalidAttestation("it lacks by, at, evidence, expiresAt")
