"""The least rights for blobs below one prefix, as an IAM policy."""

from __future__ import annotations

from typing import Any

from xcom_dags.blobs.layout import BucketLocation

PRODUCER = "producer"
CONSUMER = "consumer"
ROLES = (PRODUCER, CONSUMER)

_READ = ["s3:GetObject"]
# A producer looks at what it has written; parts of large objects are listed and given up.
_WRITE = ["s3:PutObject", "s3:AbortMultipartUpload", "s3:ListMultipartUploadParts"]


def least_rights(base: str, role: str, kms_key_arn: str | None = None) -> dict[str, Any]:
    """The policy document.

    Args:
        base: as for `BlobStore`: `s3://connection@bucket/prefix`.
        role: `producer` writes and looks at what it wrote, `consumer` reads. Neither deletes: that
            is the lifecycle rule's part.
        kms_key_arn: with SSE-KMS, the key.

    Raises:
        ValueError: the base has no prefix (the rights would be those of the whole bucket), or the
            role is unknown.
    """
    place = BucketLocation.parse(base)
    if not place.prefix:
        raise ValueError(f"base {base!r}: write a prefix, else the rights are for the whole bucket")
    if role not in ROLES:
        raise ValueError(f"role {role!r}: write one of {', '.join(ROLES)}")
    bucket = f"arn:aws:s3:::{place.bucket}"
    statements: list[dict[str, Any]] = [
        {
            "Sid": "Objects",
            "Effect": "Allow",
            "Action": _READ + (_WRITE if role == PRODUCER else []),
            "Resource": [f"{bucket}/{place.prefix}/*"],
        },
        {
            # Without it the store hides whether an object is not there or not allowed.
            "Sid": "TellAbsentFromRefused",
            "Effect": "Allow",
            "Action": ["s3:ListBucket"],
            "Resource": [bucket],
            "Condition": {"StringLike": {"s3:prefix": [f"{place.prefix}/*"]}},
        },
    ]
    if kms_key_arn:
        statements.append(
            {
                "Sid": "Key",
                "Effect": "Allow",
                "Action": ["kms:Decrypt"] + (["kms:GenerateDataKey"] if role == PRODUCER else []),
                "Resource": [kms_key_arn],
            }
        )
    return {"Version": "2012-10-17", "Statement": statements}
