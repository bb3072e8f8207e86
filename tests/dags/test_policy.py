"""The least rights are enough, and no more: the server refuses everything else."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import boto3
import numpy as np
import pytest
from botocore.exceptions import ClientError
from click.testing import CliRunner
from minio import MinioAdmin
from minio.credentials.providers import StaticProvider

from probe_world import ACCESS_KEY, BUCKET, SECRET_KEY, ObjectStore
from xcom_dags.blobs import BlobAbsent, BlobStore, BlobUnreachable
from xcom_rollout.cli import main

pytestmark = pytest.mark.airflow

Make = Callable[..., BlobStore]
BASE = f"s3://aws_default@{BUCKET}/predictions"


@pytest.fixture(scope="module")
def clients(server: ObjectStore) -> dict[str, Any]:
    """A client for each role, whose identity has the printed policy and nothing else."""
    admin = MinioAdmin(
        endpoint=server.endpoint.removeprefix("http://"),
        credentials=StaticProvider(ACCESS_KEY, SECRET_KEY),
        secure=False,
    )
    made = {}
    for role in ("producer", "consumer"):
        printed = CliRunner().invoke(main, ["policy", BASE, "--role", role])
        assert printed.exit_code == 0, printed.output
        admin.user_add(role, f"{role}-secret")
        admin.policy_add(f"{role}-policy", policy=json.loads(printed.output))
        admin.attach_policy([f"{role}-policy"], user=role)
        made[role] = boto3.client(
            "s3",
            endpoint_url=server.endpoint,
            aws_access_key_id=role,
            aws_secret_access_key=f"{role}-secret",
            region_name="us-east-1",
        )
    return made


def test_a_producer_writes_and_a_consumer_reads(blobs: Make, clients: dict[str, Any]) -> None:
    producer, consumer = blobs(client=clients["producer"]), blobs(client=clients["consumer"])
    large = np.zeros(12_000_000, dtype="u1")
    for array in (np.arange(3), large):
        reference = producer.put("a", {"y": array})
        assert consumer.get(reference)["y"].shape == array.shape
    with pytest.raises(BlobUnreachable, match=r"Access ?Denied"):
        consumer.put("b", {"y": [1.0]})


def test_absent_is_told_from_refused(blobs: Make, clients: dict[str, Any]) -> None:
    consumer = blobs(client=clients["consumer"])
    reference = blobs().put("a", {"y": [1.0]})
    gone = {**reference, "uri": reference["uri"].replace("a.npz", "b.npz")}
    with pytest.raises(BlobAbsent):
        consumer.get(gone)
    elsewhere = blobs(base=f"s3://{BUCKET}/secret").put("a", {"y": [1.0]})
    with pytest.raises(BlobUnreachable, match=r"AccessDenied|Forbidden|403"):
        blobs(base=f"s3://{BUCKET}/secret", client=clients["consumer"]).get(elsewhere)


@pytest.mark.parametrize("role", ["producer", "consumer"])
@pytest.mark.parametrize(
    ("operation", "arguments"),
    [
        ("delete_object", {"Key": "predictions/x/a.npz"}),
        ("get_object", {"Key": "secret/a"}),
        ("get_object", {"Key": "predictions-of-others/a"}),
        ("put_object", {"Key": "secret/a", "Body": b"x"}),
        ("put_object", {"Key": "predictions", "Body": b"x"}),
        ("list_objects_v2", {}),
        ("list_objects_v2", {"Prefix": "secret/"}),
        ("list_objects_v2", {"Prefix": "predictions"}),
        ("get_bucket_policy", {}),
        ("get_bucket_lifecycle_configuration", {}),
        ("delete_bucket", {}),
    ],
)
def test_everything_else_is_refused(
    clients: dict[str, Any], role: str, operation: str, arguments: dict[str, Any]
) -> None:
    with pytest.raises(ClientError) as refused:
        getattr(clients[role], operation)(Bucket=BUCKET, **arguments)
    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 403


@pytest.mark.parametrize("base", [f"s3://{BUCKET}", "bucket/prefix", f"s3://{BUCKET}/a/../b"])
def test_a_base_without_a_prefix_is_refused(base: str) -> None:
    wrong = CliRunner().invoke(main, ["policy", base, "--role", "producer"])
    assert wrong.exit_code == 2
    assert repr(base) in wrong.output


def test_rights_to_a_key_are_added_for_kms() -> None:
    arn = "arn:aws:kms:eu-west-1:1:key/k"
    printed = CliRunner().invoke(main, ["policy", BASE, "--role", "consumer", "--kms-key-arn", arn])
    (key,) = (item for item in json.loads(printed.output)["Statement"] if item["Sid"] == "Key")
    assert (key["Action"], key["Resource"]) == (["kms:Decrypt"], [arn])
