"""All checks of the object store: the connection, who answers, the bucket, the rights."""

from __future__ import annotations

from xcom_probe.checks import Check, bucket, connection, endpoint

TABLE: tuple[Check, ...] = (*connection.TABLE, *endpoint.TABLE, *bucket.TABLE)
