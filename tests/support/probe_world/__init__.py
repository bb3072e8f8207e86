"""Real parts for the tests of the probe: Airflows, databases and an S3 server on loopback.

Nothing here is a stand-in. PostgreSQL and MySQL are Debian's, the S3 server is MinIO.
"""

from __future__ import annotations

from harness.ports import free_port
from probe_world.airflows import (
    AIRFLOWS,
    DEFAULT_AIRFLOW,
    Environment,
    airflow_environment,
    installed,
    select,
    without_package,
)
from probe_world.database import Database, migrate
from probe_world.gate import Gate
from probe_world.mysql import MySQL, mysql
from probe_world.object_store import ACCESS_KEY, BUCKET, SECRET_KEY, ObjectStore, object_store
from probe_world.pod import (
    ALONE,
    CONN_ID,
    OBJECT_BACKEND,
    PATH,
    THRESHOLD,
    Answer,
    Pod,
    connection,
    right_environment,
)
from probe_world.postgresql import Postgres, postgres

__all__ = [
    "ACCESS_KEY",
    "AIRFLOWS",
    "ALONE",
    "BUCKET",
    "CONN_ID",
    "DEFAULT_AIRFLOW",
    "OBJECT_BACKEND",
    "PATH",
    "SECRET_KEY",
    "THRESHOLD",
    "Answer",
    "Database",
    "Environment",
    "Gate",
    "MySQL",
    "ObjectStore",
    "Pod",
    "Postgres",
    "airflow_environment",
    "connection",
    "free_port",
    "installed",
    "migrate",
    "mysql",
    "object_store",
    "postgres",
    "right_environment",
    "select",
    "without_package",
]
