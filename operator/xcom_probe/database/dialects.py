"""What differs between the databases that Airflow supports, outside of the questions asked."""

from __future__ import annotations

from typing import NamedTuple


class Dialect(NamedTuple):
    """How to connect to a kind of database, to read one snapshot without writing, and to write.

    Attributes:
        port: where it listens if the URL does not say.
        connect_timeout: the driver's name for it, by driver; None for all others.
        prepare: statements at the start; `{seconds}` and `{milliseconds}` are the limit of each.
        clock: gives the database's time. Runs next: everything committed by then is seen.
        begin: statements that begin the transaction where `prepare` has not.
        prepare_writing: statements that begin a transaction that writes; `{lock_seconds}` is the
            longest wait for a lock.
        search: makes `:name` the schema of Airflow's tables; None where there are no schemas.
        value_type: gives the type of the column `xcom.value`.
    """

    port: int
    connect_timeout: dict[str | None, str]
    prepare: tuple[str, ...]
    clock: str
    begin: tuple[str, ...]
    prepare_writing: tuple[str, ...]
    search: str | None
    value_type: str


_POSTGRESQL = Dialect(
    port=5432,
    connect_timeout={None: "connect_timeout"},
    # Not as startup options: connection poolers refuse those.
    prepare=(
        "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY",
        "SET LOCAL statement_timeout = '{seconds}s'",
        # Every statement here is short: compiling it takes longer than what it saves.
        "SET LOCAL jit = off",
    ),
    clock="SELECT now()",
    begin=(),
    prepare_writing=(
        "SET TRANSACTION ISOLATION LEVEL READ COMMITTED, READ WRITE",
        "SET LOCAL statement_timeout = '{seconds}s'",
        "SET LOCAL lock_timeout = '{lock_seconds}s'",
        "SET LOCAL idle_in_transaction_session_timeout = '{seconds}s'",
        "SET LOCAL jit = off",
    ),
    search="SELECT set_config('search_path', quote_ident(:name), true)",
    value_type="""
SELECT format_type(atttypid, NULL) FROM pg_attribute
WHERE attrelid = 'xcom'::regclass AND attname = 'value'
""",
)
_MYSQL = Dialect(
    port=3306,
    connect_timeout={None: "connect_timeout", "mysqlconnector": "connection_timeout"},
    prepare=(
        "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ",
        "SET SESSION max_execution_time = {milliseconds}",
        # As Airflow does: TIMESTAMP columns are given in the zone of the session.
        "SET SESSION time_zone = '+00:00'",
    ),
    clock="SELECT UTC_TIMESTAMP(6)",
    begin=("START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY",),
    prepare_writing=(
        "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED",
        # Of statements that read: MySQL has no limit for those that write.
        "SET SESSION max_execution_time = {milliseconds}",
        "SET SESSION innodb_lock_wait_timeout = {lock_seconds}",
        "START TRANSACTION READ WRITE",
    ),
    search=None,
    value_type="""
SELECT DATA_TYPE FROM information_schema.columns
WHERE table_schema = DATABASE() AND table_name = 'xcom' AND column_name = 'value'
""",
)
DIALECTS = {"postgresql": _POSTGRESQL, "mysql": _MYSQL}
