"""Checks of the bucket: is it there, for Airflow too, and what may be done in it?"""

from __future__ import annotations

from typing import Any

from xcom_probe import redact, runtime
from xcom_probe.airflow.storage import storage_path
from xcom_probe.checks import Check, Outcome, Skip, failed, passed, warned
from xcom_probe.checks.endpoint import ALL_FAIL
from xcom_probe.checks.s3 import Look, Storage, status_of

_RIGHTS = (
    "Grant the identity of the connection s3:PutObject, s3:GetObject and s3:DeleteObject on the "
    "objects below the prefix and s3:ListBucket on the bucket, and check for a bucket policy that "
    "denies them."
)


def bucket_exists(storage: Storage) -> Outcome:
    """Is the bucket there? Asked by HEAD and LIST, which create nothing."""
    look, bucket = storage.look(), storage.location.bucket
    expected = f"bucket {bucket!r} exists"
    if look.status == 200:
        return passed(f"bucket {bucket!r} exists", expected)
    if look.listed:
        return passed(f"LIST under the prefix is allowed, so {bucket!r} exists", expected)
    if look.code == "NoSuchBucket":
        return failed(f"bucket {bucket!r} does not exist", expected)
    if _forbidden(look):
        raise Skip(f"HTTP {look.status} {look.code} for bucket {bucket!r}: see s3-list")
    return failed(
        f"HTTP {look.status} {look.code} for bucket {bucket!r}",
        expected,
        "Check the name of the bucket, and that it is in the region and account of the connection.",
    )


def _forbidden(look: Look) -> bool:
    return look.code == "AccessDenied"


def s3_list(storage: Storage) -> Outcome:
    """May the prefix be listed?"""
    look = storage.look()
    expected = "LIST allowed under the prefix"
    where = f"s3://{storage.location.bucket}/{storage.location.prefix}"
    if look.listed:
        return passed(f"LIST {where} is allowed", expected)
    if _forbidden(look):
        return failed(
            f"LIST {where}: HTTP {look.status} {look.code}; the store does not report whether the "
            "bucket exists",
            expected,
            "Check the name of the bucket first. If it is right: " + _RIGHTS,
        )
    raise Skip("see bucket-exists")


def bucket_through_airflow(storage: Storage) -> Outcome:
    """Does Airflow's own file system see the bucket? It asks in its own way, which differs."""
    bucket = storage.location.bucket
    expected = f"s3fs {runtime.version(runtime.PROVIDERS['s3fs'])} can see bucket {bucket!r}"
    try:
        seen = storage_path(storage.path).fs.exists(bucket)
    except Exception as problem:  # noqa: BLE001 - of s3fs or anything below it
        return failed(redact.error(problem), expected)
    if seen:
        return passed(expected, expected)
    return failed(
        f"it cannot: HEAD returns HTTP {storage.look().status}, so it would try to create the "
        "bucket at every push",
        expected,
        "Grant the identity of the connection s3:ListBucket on the bucket without a condition on "
        "the prefix: HEAD of a bucket contains no prefix.",
    )


def bucket_versioning(storage: Storage) -> Outcome:
    """Is a removed object really gone?"""
    from botocore.exceptions import ClientError

    expected = "no versioning, or a lifecycle rule that expires noncurrent versions"
    try:
        answer = storage.client().get_bucket_versioning(Bucket=storage.location.bucket)
    except ClientError as refused:
        raise Skip(f"GetBucketVersioning: {_answered(refused)}") from refused
    state = answer.get("Status", "")
    if state != "Enabled":
        return passed("versioning {state.lower() or 'was never enabled'}", expected)
    return warned(f"versioning of {storage.location.bucket!r} is on{_lock(storage)}", expected)


def _lock(storage: Storage) -> str:
    from botocore.exceptions import ClientError

    try:
        answer = storage.client().get_object_lock_configuration(Bucket=storage.location.bucket)
    except ClientError:
        return ""
    retention = answer["ObjectLockConfiguration"].get("Rule", {}).get("DefaultRetention", {})
    if not retention:
        return ", with object lock"
    return ", with object lock: every version is kept for {} {}".format(
        *(
            (retention["Years"], "years")
            if retention.get("Years")
            else (retention.get("Days"), "days")
        )
    )


def s3_delete(storage: Storage) -> Outcome:
    """May an object be removed? Asked with one that does not exist, to leave nothing behind."""
    storage.require_s3()
    if not storage.functional:
        raise Skip("--functional-s3 is not given")
    return _attempt(storage.delete, "DELETE", storage)


def s3_put(storage: Storage) -> Outcome:
    """May an object be written under the prefix?"""
    return _attempt(storage.put, "PUT", storage)


def s3_get(storage: Storage) -> Outcome:
    """Does reading it back give the same bytes?"""
    from botocore.exceptions import ClientError

    try:
        body = storage.get()
    except ClientError as refused:
        return _refused(refused, "GET", storage)
    expected = f"the {len(storage.body)} bytes that were written"
    if body == storage.body:
        return passed(expected, expected)
    return failed(f"{len(body)} other bytes", expected)


def _attempt(action: Any, verb: str, storage: Storage) -> Outcome:
    from botocore.exceptions import ClientError

    try:
        action()
    except ClientError as refused:
        return _refused(refused, verb, storage)
    return passed(f"{verb} {storage.key}", f"{verb} allowed under the prefix")


def _refused(error: Any, verb: str, storage: Storage) -> Outcome:
    return failed(f"{verb} {storage.key}: {_answered(error)}", f"{verb} allowed under the prefix")


def _answered(error: Any) -> str:
    return "HTTP {} {}".format(
        status_of(error.response), error.response.get("Error", {}).get("Code", "")
    )


TABLE: tuple[Check, ...] = (
    Check(
        "bucket-exists",
        bucket_exists,
        "s3fs would try to create a missing bucket at the first push, without encryption, policy "
        "or lifecycle.",
        "Create the bucket with its policy, or correct the path. The probe does not create a "
        "bucket.",
        needs=("s3-credentials",),
    ),
    Check(
        "s3-list",
        s3_list,
        "The backend lists before it writes, and the sweep of orphans needs it.",
        _RIGHTS,
        needs=("s3-credentials",),
    ),
    Check(
        "bucket-through-airflow",
        bucket_through_airflow,
        ALL_FAIL,
        "Install an s3fs that matches the installed aiobotocore: "
        "apache-airflow-providers-amazon[s3fs], in a version from this Airflow's constraints.",
        needs=("bucket-exists", "s3-list"),
    ),
    Check(
        "bucket-versioning",
        bucket_versioning,
        "Airflow deletes values without a version, so the bucket keeps every version and grows.",
        "Add a lifecycle rule with NoncurrentVersionExpiration for the prefix, or use a bucket "
        "without versioning.",
        needs=("bucket-exists",),
    ),
    Check(
        "s3-delete",
        s3_delete,
        "A task that runs again first removes its old values; without the permission it would "
        "fail. The probe also writes nothing without it, because it could not remove the object.",
        _RIGHTS,
        needs=("bucket-through-airflow",),
    ),
    Check(
        "s3-put",
        s3_put,
        "A task that pushes a value above the threshold would fail.",
        _RIGHTS,
        needs=("s3-delete",),
    ),
    Check(
        "s3-get",
        s3_get,
        "A task that pulls an offloaded value would fail, or get a path instead of the value.",
        _RIGHTS,
        needs=("s3-put",),
    ),
)
