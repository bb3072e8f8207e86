"""What the amazon provider reads of a connection. Imports nothing of Airflow."""

from __future__ import annotations

import difflib
from typing import Iterable

CONN_TYPE = "aws"

# Read in amazon 8.27 to 9.39 (utils/connection_wrapper.py, hooks/base_aws.py).
_READ = frozenset(
    {
        "assume_role_kwargs",
        "assume_role_method",
        "assume_role_with_saml",
        "assume_role_with_web_identity_federation",
        "assume_role_with_web_identity_federation_audience",
        "assume_role_with_web_identity_token_file",
        "aws_access_key_id",
        "aws_secret_access_key",
        "aws_session_token",
        "config_kwargs",
        "endpoint_url",
        "profile_name",
        "region_name",
        "role_arn",
        "service_config",
        "session_kwargs",
        "verify",
    }
)
# Read before amazon 9.0 only, and what replaces them.
_FORMER = {
    "aws_account_id": "role_arn",
    "aws_iam_role": "role_arn",
    "external_id": "assume_role_kwargs",
    "host": "endpoint_url",
    "profile": "profile_name",
    "s3_config_file": "profile_name",
    "s3_config_format": "profile_name",
    "test_endpoint_url": "service_config",
}
_WITHOUT_FORMER = (9, 0)
_PREFIX = "extra__aws__"
_ALIKE = 0.65


def ignored_extras(names: Iterable[str], provider: tuple[int, ...]) -> dict[str, str]:
    """The names in a connection's extra that the provider ignores.

    Args:
        provider: version of the amazon provider.

    Returns:
        For each the name that was probably meant, empty if it resembles none.
    """
    ignored = {}
    for name in sorted(names):
        if name in _READ:
            continue
        if name in _FORMER:
            if provider >= _WITHOUT_FORMER:
                ignored[name] = _FORMER[name]
            continue
        plain = name[len(_PREFIX) :] if name.startswith(_PREFIX) else name
        alike = difflib.get_close_matches(plain.lower(), sorted(_READ), 1, _ALIKE)
        ignored[name] = alike[0] if alike else ""
    return ignored
