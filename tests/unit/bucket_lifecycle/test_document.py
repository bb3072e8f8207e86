"""One rule of ours goes in; every byte of everybody else's stays."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xcom_rollout.bucket_lifecycle.document import (
    NAMESPACE,
    DocumentError,
    expiry_rule,
    lost,
    merged,
    own_id,
    rules,
    sooner,
)

XCOM = expiry_rule("xcom/", 14)
BLOBS = expiry_rule("s43-predictions/", 7)

_SPACE = st.sampled_from(["", "\n  ", "<!-- kept -->"])
_FOREIGN = st.sampled_from(
    [
        "<Rule><ID>l2</ID><Prefix>l2_events/</Prefix><Status>Enabled</Status>"
        "<Expiration><Days>30</Days></Expiration></Rule>",
        '<Rule   ><Status>Disabled</Status><Filter/><ID a="1">&#x20;é &amp; &gt;</ID></Rule >',
        "<Rule><ID>x</ID><Filter><And><Prefix>xcom/</Prefix><Tag><Key>k</Key><Value>v</Value></Tag>"
        "</And></Filter><Status>Enabled</Status><Expiration><Days>1</Days></Expiration></Rule>",
        "<Rule><ID>new</ID><Filter><Prefix>a/</Prefix></Filter><Status>Enabled</Status>"
        "<Unheard><Of>in 2026</Of></Unheard></Rule>",
        "<Rule/>",
    ]
)


@st.composite
def documents(draw: st.DrawFn) -> tuple[bytes, list[bytes]]:
    """A configuration of others, and its rules."""
    raw = draw(st.lists(_FOREIGN, min_size=1, max_size=5))
    spaces = [draw(_SPACE) for _ in raw]
    head = draw(st.sampled_from(["", '<?xml version="1.0" encoding="UTF-8"?>\n']))
    opening = draw(st.sampled_from([f' xmlns="{NAMESPACE}"', ""]))
    body = "".join(space + rule for space, rule in zip(spaces, raw, strict=True))
    text = f"{head}<LifecycleConfiguration{opening}>{body}{draw(_SPACE)}</LifecycleConfiguration>"
    return text.encode(), [rule.encode() for rule in raw]


@given(documents())
def test_rules_of_others_are_kept_byte_for_byte(given_: tuple[bytes, list[bytes]]) -> None:
    document, foreign = given_
    after = merged(document, XCOM)
    assert [rule.raw for rule in rules(after)] == [*foreign, XCOM.raw]
    # All that is new is our rule, in one piece.
    assert after.replace(XCOM.raw, b"", 1) == document
    assert lost(document, after, XCOM) == ()


@given(documents())
def test_merging_twice_is_merging_once(given_: tuple[bytes, list[bytes]]) -> None:
    once = merged(given_[0], XCOM)
    assert merged(once, XCOM) == once


@given(documents(), st.integers(1, 400))
def test_a_changed_rule_of_ours_is_replaced_where_it_stands(
    given_: tuple[bytes, list[bytes]], days: int
) -> None:
    both = merged(merged(given_[0], XCOM), BLOBS)
    changed = merged(both, expiry_rule("xcom/", days))
    assert [rule.expires_after for rule in rules(changed) if rule.id == own_id("xcom/")] == [days]
    assert [rule.raw for rule in rules(changed)][:-2] == given_[1]
    assert rules(changed)[-1] == BLOBS
    # What is not ours, in one piece each, is as it was.
    own = [rule.raw for rule in rules(changed)][-2:]
    assert changed.replace(own[0], b"", 1).replace(own[1], b"", 1) == given_[0]


def test_a_bucket_without_rules_gets_a_whole_configuration() -> None:
    document = merged(b"", XCOM)
    assert document.startswith(f'<LifecycleConfiguration xmlns="{NAMESPACE}"><Rule>'.encode())
    assert rules(document) == (XCOM,)


def test_a_rule_that_does_the_same_in_other_words_stays_as_it_is() -> None:
    written = (
        b"<LifecycleConfiguration><Rule>\n<Status>Enabled</Status><Filter><Prefix>xcom/</Prefix>"
        b"</Filter><Expiration><Days>14</Days></Expiration><ID>xcom-rollout:xcom/</ID></Rule>"
        b"</LifecycleConfiguration>"
    )
    assert merged(written, XCOM) == written


@pytest.mark.parametrize(
    ("rule", "is_sooner"),
    [
        ("<Filter><Prefix>xcom/</Prefix></Filter>{on}{days}", True),
        ("<Filter><Prefix>xcom/dag/</Prefix></Filter>{on}{days}", True),
        ("<Filter></Filter>{on}{days}", True),
        ("<Prefix>x</Prefix>{on}{days}", True),
        ("<Filter><Prefix>other/</Prefix></Filter>{on}{days}", False),
        ("<Prefix>xcom/</Prefix><Status>Disabled</Status>{days}", False),
        ("<Prefix>xcom/</Prefix>{on}<Expiration><Days>15</Days></Expiration>", False),
        ("<Prefix>xcom/</Prefix>{on}<Transition><Days>1</Days></Transition>", False),
    ],
)
def test_a_rule_of_others_that_deletes_sooner_is_found(rule: str, is_sooner: bool) -> None:
    text = rule.format(
        on="<Status>Enabled</Status>", days="<Expiration><Days>3</Days></Expiration>"
    )
    document = f"<LifecycleConfiguration><Rule>{text}</Rule></LifecycleConfiguration>".encode()
    assert bool(sooner(document, XCOM)) is is_sooner


@pytest.mark.parametrize(
    "document",
    [
        b"nonsense",
        b"<Error><Code>AccessDenied</Code></Error>",
        b"<LifecycleConfiguration><Rule></LifecycleConfiguration>",
        b'<!DOCTYPE x [<!ENTITY a "b">]><LifecycleConfiguration></LifecycleConfiguration>',
    ],
)
def test_what_is_no_configuration_is_never_merged_into(document: bytes) -> None:
    with pytest.raises(DocumentError):
        merged(document, XCOM)


@pytest.mark.parametrize(
    ("prefix", "days"), [("", 1), ("/", 1), ("xcom", 1), ("/xcom/", 1), ("xcom/", 0)]
)
def test_a_rule_for_too_much_or_for_no_time_is_refused(prefix: str, days: int) -> None:
    with pytest.raises(ValueError, match=r"prefix|days"):
        expiry_rule(prefix, days)


def test_text_of_a_prefix_is_escaped() -> None:
    own = expiry_rule("a&b<c>/", 1)
    assert rules(merged(b"", own)) == (own,)


def test_more_rules_than_s3_takes_are_refused_in_words() -> None:
    own = expiry_rule("xcom/", 30)
    document = b""
    for number in range(1000):
        document = merged(document, expiry_rule(f"other-{number}/", 30))
    with pytest.raises(
        DocumentError, match="the bucket has 1000 rules, and S3 allows at most 1000"
    ):
        merged(document, own)
