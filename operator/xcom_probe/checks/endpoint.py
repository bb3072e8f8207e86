"""Checks of who answers at the endpoint: address, TLS, protocol, clock, credentials."""

from __future__ import annotations

from xcom_probe.checks import Check, Outcome, Skip, failed, passed, s3, warned
from xcom_probe.checks.s3 import Look, Storage

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
ALL_FAIL = "Every push above the threshold and every pull of such a value would fail."


def endpoint_reachable(storage: Storage) -> Outcome:
    """Does the address answer?"""
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
    expected = "TLS on both ends with a certificate that this pod trusts, or on neither"
    if look.came == s3.TLS:
        return failed(f"{endpoint}: {look.problem}", expected, _tls_remedy(endpoint, look.problem))
    if endpoint.startswith("https:"):
        return passed(f"{endpoint} is trusted", expected)
    return passed(f"{endpoint} is plain HTTP", expected)


def _tls_remedy(endpoint: str, problem: str) -> str:
    if endpoint.startswith("http:"):
        return "Use https:// in endpoint_url of the connection."
    text = problem.lower()
    if "wrong_version_number" in text or "record layer" in text:
        return "The port does not use TLS: use http:// in endpoint_url, or another port."
    if "expired" in text or "not yet valid" in text:
        return "Renew the certificate of the store, and check the clock of this pod."
    if "mismatch" in text or "doesn't match" in text or "not valid for" in text:
        return (
            "Use a name from the certificate in endpoint_url, or add this name to the certificate."
        )
    return (
        "Mount the CA's certificate into every Airflow pod and set AWS_CA_BUNDLE to its path. "
        "The connection's extra 'verify' is not used for XCom."
    )


def speaks_s3(storage: Storage) -> Outcome:
    """Is it an S3 server that answers?"""
    look = storage.look()
    _need_request(look)
    expected = f"answers of S3 from {storage.endpoint()}"
    if look.came == s3.NOT_S3:
        seen = look.problem or f"HTTP {look.status} without an S3 response"
        return failed(f"{storage.endpoint()}: {seen}", expected)
    return passed(expected, expected)


def _need_request(look: Look) -> None:
    if look.came == s3.NO_CREDENTIALS:
        raise Skip("without credentials no request could be made")


def clock_skew(storage: Storage) -> Outcome:
    """Do the clocks of this pod and of the store agree?"""
    look = storage.look()
    expected = (
        f"at most {_MUCH_SKEW} s between the clocks (S3 rejects requests from {_MOST_SKEW} s)"
    )
    _need_request(look)
    if look.skew is None and look.code != _TOO_SKEWED:
        raise Skip("the store does not report its time")
    seen = (
        "the store does not report its time"
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
        raise Skip("see s3-tls and s3-protocol")
    if look.code == _TOO_SKEWED:
        raise Skip("see clock-skew")
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


TABLE: tuple[Check, ...] = (
    Check(
        "s3-endpoint-reachable",
        endpoint_reachable,
        ALL_FAIL,
        "Check endpoint_url of the connection, the pod's proxy variables, DNS and network policies "
        "from this pod.",
        needs=("store-filesystem",),
    ),
    Check(
        "s3-tls",
        tls,
        ALL_FAIL,
        "Correct endpoint_url or the store's certificate.",
        needs=("s3-endpoint-reachable",),
    ),
    Check(
        "s3-protocol",
        speaks_s3,
        ALL_FAIL + " A server that answers every request with 200 would appear to work.",
        "Correct endpoint_url of the connection: it must be the address of the S3 API, not that "
        "of a console, a login page or another service.",
        needs=("s3-tls",),
    ),
    Check(
        "clock-skew",
        clock_skew,
        "Requests are signed with the time, and rejected when it is 15 minutes off: every push "
        "above the threshold would fail.",
        "Synchronize the clocks of this node and of the store (chrony or systemd-timesyncd).",
        needs=("s3-protocol",),
    ),
    Check(
        "s3-credentials",
        credentials_accepted,
        ALL_FAIL,
        "Correct login and password (or role, region and token) of the connection in the path.",
        needs=("s3-endpoint-reachable",),
    ),
)
