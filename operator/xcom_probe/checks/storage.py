"""All checks of the object store: the connection, who answers, the bucket, the rights."""

from __future__ import annotations

from typing import Any

from xcom_probe import place, redact
from xcom_probe.airflow.storage import storage_path
from xcom_probe.checks import Check, Outcome, Skip, connection, failed, passed, s3, warned
from xcom_probe.checks.s3 import Look, Storage, status_of

_BAD_CREDENTIALS = {
    "AuthorizationHeaderMalformed": "the region of the connection is not that of the bucket",
    "ExpiredToken": "the session token has expired",
    "InvalidAccessKeyId": "the access key is unknown to the store",
    "InvalidToken": "the session token is not valid",
    "InvalidTokenId": "the session token is not valid",
    "SignatureDoesNotMatch": "the secret key does not belong to the access key",
}
_TOO_SKEWED = "RequestTimeTooSkewed"
# S3 refuses requests that were signed more than 15 minutes away from its own time.
_MOST_SKEW = 900
_MUCH_SKEW = 60


def endpoint_reachable(storage: Storage) -> Outcome:
    """Does the address answer at all?"""
    storage.require_s3()
    look = storage.look()
    expected = f"an answer from {storage.endpoint()}"
    if look.came == s3.UNREACHABLE:
        return failed(f"{storage.endpoint()}: {look.problem}", expected)
    return passed(f"{storage.endpoint()} answered", expected)


def tls(storage: Storage) -> Outcome:
    """Is the certificate one that this pod trusts, and is TLS spoken on both ends or on none?"""
    look = storage.look()
    endpoint = storage.endpoint()
    _need_request(look)
    expected = "TLS on both ends with a certificate that this pod trusts, or on none"
    if look.came == s3.TLS:
        return failed(f"{endpoint}: {look.problem}", expected, _tls_remedy(endpoint, look.problem))
    if endpoint.startswith("https:"):
        return passed(f"{endpoint} is trusted", expected)
    return passed(f"{endpoint} is plain HTTP", expected)


def _tls_remedy(endpoint: str, problem: str) -> str:
    if endpoint.startswith("http:"):
        return "Write https:// in endpoint_url of the connection."
    text = problem.lower()
    if "wrong_version_number" in text or "record layer" in text:
        return "The port does not speak TLS: write http:// in endpoint_url, or another port."
    if "expired" in text or "not yet valid" in text:
        return "Renew the certificate of the store (and look at the clock of this pod)."
    if "mismatch" in text or "doesn't match" in text or "not valid for" in text:
        return "Write a name that the certificate has in endpoint_url, or add this one to it."
    return (
        "Mount the CA's certificate into every Airflow pod and set AWS_CA_BUNDLE to its path. "
        "The connection's extra 'verify' is not used for XCom."
    )


def speaks_s3(storage: Storage) -> Outcome:
    """Is the one who answers an S3 server?"""
    look = storage.look()
    _need_request(look)
    expected = f"answers of S3 from {storage.endpoint()}"
    if look.came == s3.NOT_S3:
        seen = look.problem or f"HTTP {look.status} without what S3 would say"
        return failed(f"{storage.endpoint()}: {seen}", expected)
    return passed(expected, expected)


def _need_request(look: Look) -> None:
    if look.came == s3.NO_CREDENTIALS:
        raise Skip("without credentials no request could be made")


def clock_skew(storage: Storage) -> Outcome:
    """Do the clocks of this pod and of the store agree?"""
    look = storage.look()
    expected = (
        f"at most {_MUCH_SKEW} s between the clocks (S3 refuses requests from {_MOST_SKEW} s)"
    )
    _need_request(look)
    if look.skew is None and look.code != _TOO_SKEWED:
        raise Skip("the store does not say its time")
    seen = (
        "the store does not say its time"
        if look.skew is None
        else "the store's clock is {:.0f} s {} the one here".format(
            abs(look.skew), "ahead of" if look.skew > 0 else "behind"
        )
    )
    if look.code == _TOO_SKEWED:
        return failed(f"{seen}: {_TOO_SKEWED}", expected)
    skew = abs(look.skew or 0)
    if skew > _MOST_SKEW:
        return failed(seen, expected)
    if skew > _MUCH_SKEW:
        return warned(seen, expected)
    return passed("the clocks agree", expected)


def credentials_accepted(storage: Storage) -> Outcome:
    """Does the store know the credentials that the connection gives?"""
    look = storage.look()
    if look.came in (s3.TLS, s3.NOT_S3):
        raise Skip("s3-tls and s3-protocol say more")
    if look.code == _TOO_SKEWED:
        raise Skip("clock-skew says more")
    expected = "credentials that the store accepts"
    if look.came == s3.NO_CREDENTIALS:
        return failed(look.problem or "no credentials found", expected)
    where = "credentials from {}".format(storage.credentials() or "nowhere (anonymous)")
    if look.code in _BAD_CREDENTIALS:
        return failed(
            f"{where}: HTTP {look.status} {look.code}: {_BAD_CREDENTIALS[look.code]}", expected
        )
    if look.status == 401:
        return failed(f"{where}: HTTP 401 {look.code}", expected)
    return passed(f"{where} accepted", expected)


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
        raise Skip(f"HTTP {look.status} {look.code} for bucket {bucket!r}: s3-list says more")
    return failed(
        f"HTTP {look.status} {look.code} for bucket {bucket!r}",
        expected,
        "Check the name of the bucket, and that it is in the region and account of the connection.",
    )


def _forbidden(look: Look) -> bool:
    return look.code == "AccessDenied"


def bucket_through_airflow(storage: Storage) -> Outcome:
    """Does Airflow's own file system see the bucket? It asks in its own way, which differs."""
    bucket = storage.location.bucket
    expected = f"s3fs {place.version(place.PROVIDERS['s3fs'])} sees bucket {bucket!r}"
    try:
        seen = storage_path(storage.path).fs.exists(bucket)
    except Exception as problem:  # noqa: BLE001 - of s3fs or anything below it
        return failed(redact.error(problem), expected)
    if seen:
        return passed(expected, expected)
    return failed(
        f"it does not: HEAD is answered with HTTP {storage.look().status}, so it would try to "
        "create the bucket at every push",
        expected,
        "Allow s3:ListBucket on the bucket without a condition on the prefix to the identity of "
        "the connection: HEAD of a bucket names no prefix.",
    )


def bucket_versioning(storage: Storage) -> Outcome:
    """Does a removed object really go?"""
    from botocore.exceptions import ClientError

    expected = "no versioning, or a lifecycle rule that expires noncurrent versions"
    try:
        answer = storage.client().get_bucket_versioning(Bucket=storage.location.bucket)
    except ClientError as refused:
        raise Skip(f"GetBucketVersioning: {_answered(refused)}") from refused
    state = answer.get("Status", "")
    if state != "Enabled":
        return passed(f"versioning {state.lower() or 'was never on'}", expected)
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


def s3_list(storage: Storage) -> Outcome:
    """May the prefix be listed?"""
    look = storage.look()
    expected = "LIST allowed under the prefix"
    where = f"s3://{storage.location.bucket}/{storage.location.prefix}"
    if look.listed:
        return passed(f"LIST {where} is allowed", expected)
    if _forbidden(look):
        return failed(f"LIST {where}: HTTP {look.status} {look.code}", expected)
    raise Skip("bucket-exists says more")


def s3_delete(storage: Storage) -> Outcome:
    """May an object be removed? One that is not there does to ask, and leaves nothing behind."""
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


_RIGHTS = (
    "Allow s3:PutObject, s3:GetObject and s3:DeleteObject on the objects below the prefix and "
    "s3:ListBucket on the bucket to the identity of the connection, and look for a bucket policy "
    "that denies them."
)
_ALL_FAIL = "Every push above the threshold and every pull of such a value would fail."

TABLE: tuple[Check, ...] = (
    *connection.TABLE,
    Check(
        "s3-endpoint-reachable",
        endpoint_reachable,
        _ALL_FAIL,
        "Check endpoint_url of the connection, the pod's proxy variables, DNS and network policies "
        "from this pod.",
        needs=("store-filesystem",),
    ),
    Check(
        "s3-tls",
        tls,
        _ALL_FAIL,
        "Correct endpoint_url or the store's certificate.",
        needs=("s3-endpoint-reachable",),
    ),
    Check(
        "s3-protocol",
        speaks_s3,
        _ALL_FAIL + " A server that answers everything with 200 would even seem to work.",
        "Correct endpoint_url of the connection: it has to be the address of the S3 API, not that "
        "of a console, a login page or another service.",
        needs=("s3-tls",),
    ),
    Check(
        "clock-skew",
        clock_skew,
        "A request is signed with the time, and refused when that is 15 minutes off: every push "
        "above the threshold would fail.",
        "Synchronize the clocks of this node and of the store (chrony or systemd-timesyncd).",
        needs=("s3-protocol",),
    ),
    Check(
        "s3-credentials",
        credentials_accepted,
        _ALL_FAIL,
        "Correct login and password (or role, region and token) of the connection in the path.",
        needs=("s3-endpoint-reachable",),
    ),
    Check(
        "bucket-exists",
        bucket_exists,
        "s3fs would try to create a missing bucket at the first push: a bucket that nobody set "
        "up, without encryption, policy or lifecycle.",
        "Create the bucket with its policy, or correct the path. The probe creates none.",
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
        _ALL_FAIL,
        "Install an s3fs that belongs to the installed aiobotocore: "
        "apache-airflow-providers-amazon[s3fs], in a version of this Airflow's constraints.",
        needs=("bucket-exists", "s3-list"),
    ),
    Check(
        "bucket-versioning",
        bucket_versioning,
        "Airflow removes values without naming a version, so the bucket keeps them all, and grows.",
        "Add a lifecycle rule with NoncurrentVersionExpiration for the prefix, or use a bucket "
        "without versioning.",
        needs=("bucket-exists",),
    ),
    Check(
        "s3-delete",
        s3_delete,
        "A task that runs again first removes its old values; without the right it would fail. "
        "Without it nothing is written here either, because it would stay.",
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
