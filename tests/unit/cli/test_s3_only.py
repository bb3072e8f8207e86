"""What is for S3 only says so: exit code, field, value, what to do."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from xcom_rollout.cli import main

RULE = ("--prefix", "xcom/", "--expire-after", "336h")


@pytest.mark.parametrize("verb", ["plan", "apply", "verify"])
@pytest.mark.parametrize("bucket", ["gs://airflow", "abfs://wasb_default@airflow/xcom"])
def test_lifecycle_refuses_another_store_before_it_asks_anything(verb: str, bucket: str) -> None:
    done = CliRunner().invoke(main, ["lifecycle", verb, "--bucket", bucket, *RULE])
    assert done.exit_code == 2
    for word in ("--bucket", repr(bucket), "S3 only", "its provider's tools"):
        assert word in done.output


@pytest.mark.parametrize(
    "bucket", ["s3://aws_default@airflow/xcom", "s3://airflow", "airflow/xcom"]
)
def test_lifecycle_takes_the_name_of_a_bucket_and_no_path(bucket: str) -> None:
    done = CliRunner().invoke(main, ["lifecycle", "plan", "--bucket", bucket, *RULE])
    assert done.exit_code == 2
    assert f"--bucket {bucket!r}: use the name of a bucket, such as airflow" in done.output


@pytest.mark.parametrize("base", ["gs://google_cloud_default@b/p", "abfs://wasb_default@c/p"])
def test_policy_refuses_another_store(base: str) -> None:
    done = CliRunner().invoke(main, ["policy", base, "--role", "producer"])
    assert done.exit_code == 2
    for word in (repr(base), "S3 only", "s3://connection@bucket/prefix"):
        assert word in done.output
