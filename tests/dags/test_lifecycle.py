"""`xbr lifecycle` on a real S3 server: a rule goes in, others stay, and who is late is told."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError
from click.testing import CliRunner, Result

from probe_world import ACCESS_KEY, BUCKET, SECRET_KEY, ObjectStore, free_port
from xcom_rollout.bucket_lifecycle.bucket import Bucket, BucketError, ChangedMeanwhileError
from xcom_rollout.bucket_lifecycle.document import expiry_rule, rules
from xcom_rollout.cli import main

pytestmark = pytest.mark.airflow

FOREIGN: dict[str, Any] = {
    "ID": "l2",
    "Filter": {"Prefix": "l2_events/"},
    "Status": "Enabled",
    "Expiration": {"Days": 30},
}


@pytest.fixture
def store(server: ObjectStore, monkeypatch: pytest.MonkeyPatch) -> Iterator[ObjectStore]:
    """The server, with credentials where boto3 finds them, and no rules before and after."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", ACCESS_KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET_KEY)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/dev/null")
    yield server
    server.client().delete_bucket_lifecycle(Bucket=BUCKET)


def xbr(verb: str, store: ObjectStore | None, *more: str) -> Result:
    endpoint = store.endpoint if store else f"http://127.0.0.1:{free_port()}"
    return CliRunner().invoke(
        main,
        [
            *("lifecycle", verb, "--bucket", BUCKET, "--prefix", "xcom/"),
            *("--expire-after", "336h", "--endpoint-url", endpoint, *more),
        ],
    )


def put_rules(store: ObjectStore, *rules_: dict[str, Any]) -> None:
    store.client().put_bucket_lifecycle_configuration(
        Bucket=BUCKET, LifecycleConfiguration={"Rules": list(rules_)}
    )


def ids(store: ObjectStore) -> list[str]:
    try:
        answer = store.client().get_bucket_lifecycle_configuration(Bucket=BUCKET)
    except ClientError:
        return []
    return [rule["ID"] for rule in answer["Rules"]]


def test_plan_shows_a_difference_and_changes_nothing(store: ObjectStore) -> None:
    put_rules(store, FOREIGN)
    planned = xbr("plan", store)
    assert planned.exit_code == 1
    assert "+    <ID>xcom-rollout:xcom/</ID>" in planned.output
    assert "+      <Days>14</Days>" in planned.output
    assert not any(line.startswith("-    ") for line in planned.output.splitlines())
    assert ids(store) == ["l2"]


@pytest.mark.parametrize("foreign", [[], [FOREIGN]])
def test_apply_adds_the_rule_once_and_keeps_the_others(
    store: ObjectStore, foreign: list[dict[str, Any]]
) -> None:
    if foreign:
        put_rules(store, *foreign)
    assert xbr("verify", store).exit_code == 1
    before = Bucket(BUCKET, endpoint_url=store.endpoint).read()
    first, again = xbr("apply", store), xbr("apply", store)
    assert (first.exit_code, again.exit_code) == (0, 0), first.output + again.output
    assert "written and read back" in first.output
    assert "there already" in again.output
    assert xbr("verify", store).exit_code == 0
    assert xbr("plan", store).exit_code == 0
    after = Bucket(BUCKET, endpoint_url=store.endpoint).read()
    assert [rule.raw for rule in rules(after)][:-1] == [rule.raw for rule in rules(before)]
    assert ids(store) == [*(rule["ID"] for rule in foreign), "xcom-rollout:xcom/"]


def test_a_rule_that_deletes_sooner_is_named_and_stops_apply(store: ObjectStore) -> None:
    put_rules(store, {**FOREIGN, "Filter": {"Prefix": ""}, "Expiration": {"Days": 3}})
    stopped = xbr("apply", store)
    assert stopped.exit_code == 1
    assert "rule 'l2' deletes objects below '' after 3 days, sooner than 14" in stopped.output
    assert ids(store) == ["l2"]
    assert xbr("apply", store, "--force").exit_code == 0
    assert ids(store) == ["l2", "xcom-rollout:xcom/"]


def test_a_change_between_plan_and_write_is_not_lost(store: ObjectStore) -> None:
    bucket = Bucket(BUCKET, endpoint_url=store.endpoint)
    planned_on = bucket.read()
    put_rules(store, FOREIGN)
    with pytest.raises(ChangedMeanwhileError, match="plan again"):
        bucket.apply(planned_on, expiry_rule("xcom/", 14))
    assert ids(store) == ["l2"]


def test_a_store_that_does_not_keep_a_rule_gets_the_old_configuration_back(
    store: ObjectStore,
) -> None:
    put_rules(store, FOREIGN)
    bucket = Bucket(BUCKET, endpoint_url=store.endpoint)

    class Forgetful(Bucket):
        """Loses a rule of others on its way to the store."""

        def write(self, document: bytes) -> None:
            found = [rule.raw for rule in rules(document) if rule.id == "l2"]
            is_ours = b"xcom-rollout" in document
            super().write(document.replace(found[0], b"", 1) if is_ours else document)

    with pytest.raises(BucketError, match=r"did not keep the rules l2 unchanged.*is restored"):
        Forgetful(BUCKET, endpoint_url=store.endpoint).apply(
            bucket.read(), expiry_rule("xcom/", 14)
        )
    assert ids(store) == ["l2"]


def test_a_store_out_of_reach_and_wrong_words_have_their_own_codes(store: ObjectStore) -> None:
    unreachable = xbr("verify", None)
    assert unreachable.exit_code == 4
    assert "Could not connect" in unreachable.output
    assert SECRET_KEY not in unreachable.output
    wrong = xbr("plan", store, "--prefix", "xcom")
    assert wrong.exit_code == 2
    assert "'xcom'" in wrong.output
    no_bucket = xbr("plan", store, "--bucket", "nobody-made-this")
    assert no_bucket.exit_code == 4
    assert "NoSuchBucket" in no_bucket.output
