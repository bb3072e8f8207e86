"""A transaction that sees one moment and cannot write."""

from __future__ import annotations

import contextlib
import importlib
from datetime import datetime, timezone
from typing import Any, Iterator, Mapping, NamedTuple

from xcom_probe import place, redact
from xcom_probe.database.address import Address, address, schema
from xcom_probe.database.dialects import DIALECTS, Dialect
from xcom_probe.model import CannotLook
from xcom_probe.options import ConfigFile

CONNECT_TIMEOUT = 10
STATEMENT_TIMEOUT = 60


class Database(NamedTuple):
    """An open read-only transaction.

    Attributes:
        connection: SQLAlchemy's.
        dialect: `postgresql` or `mysql`.
        value_type: the type of `xcom.value`: bytea, jsonb, longblob, json.
        time: the database's clock when the transaction began.
        description: server, database and where the address comes from; no secret.
    """

    connection: Any
    dialect: str
    value_type: str
    time: datetime
    description: str


@contextlib.contextmanager
def snapshot(
    environ: Mapping[str, str], cfg: ConfigFile, statement_timeout: int = STATEMENT_TIMEOUT
) -> Iterator[Database]:
    """A read-only transaction that sees one moment.

    Args:
        environ: this process's variables.
        cfg: airflow.cfg.
        statement_timeout: seconds that a single statement may take.

    Raises:
        CannotLook: no database, out of reach, or of a kind that is not known.
    """
    found = address(environ, cfg)
    source = found.source if found else "Airflow's settings"
    engine = _engine(found)
    redact.secret(engine.url.password)
    name = engine.dialect.name
    if name not in DIALECTS:
        raise CannotLook(
            f"the metadata database ({source}) is {name}; the probe knows {{}}".format(
                " and ".join(sorted(DIALECTS))
            )
        )
    dialect = DIALECTS[name]
    sqlalchemy: Any = importlib.import_module("sqlalchemy")
    try:
        connection = engine.connect()
    except sqlalchemy.exc.SQLAlchemyError as problem:
        raise CannotLook(f"metadata database ({source}): {redact.error(problem)}") from problem
    try:
        time = _begin(connection, dialect, statement_timeout)
        if name == "postgresql":
            _search(connection, schema(environ, cfg))
        yield Database(
            connection,
            name,
            str(connection.execute(sqlalchemy.text(dialect.value_type)).scalar()).lower(),
            time,
            "{} {}:{}/{} (from {})".format(
                name,
                engine.url.host or "local socket",
                engine.url.port or dialect.port,
                engine.url.database,
                source,
            ),
        )
    except sqlalchemy.exc.SQLAlchemyError as problem:
        raise CannotLook(f"metadata database ({source}): {redact.error(problem)}") from problem
    finally:
        connection.close()


def in_utc(moment: datetime) -> datetime:
    """`moment` with a zone: databases without one hold UTC, as Airflow writes it."""
    return moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)


def _begin(connection: Any, dialect: Dialect, seconds: int) -> datetime:
    text = importlib.import_module("sqlalchemy").text
    for statement in dialect.prepare:
        limits = {"seconds": seconds, "milliseconds": seconds * 1000}
        connection.execute(text(statement.format(**limits)))
    time = connection.execute(text(dialect.clock)).scalar()
    for statement in dialect.begin:
        connection.execute(text(statement))
    return in_utc(time)


def _search(connection: Any, name: str | None) -> None:
    if name is not None:
        connection.execute(
            importlib.import_module("sqlalchemy").text(
                "SELECT set_config('search_path', quote_ident(:name), true)"
            ),
            {"name": name},
        )


def _engine(found: Address | None) -> Any:
    try:
        if found is None:
            place.use_scratch()
            return importlib.import_module("airflow.settings").engine
        sqlalchemy: Any = importlib.import_module("sqlalchemy")
        url = sqlalchemy.engine.make_url(found.url)
        dialect = DIALECTS[url.get_backend_name()]
        names = dialect.connect_timeout
        return sqlalchemy.create_engine(
            url,
            future=True,
            poolclass=importlib.import_module("sqlalchemy.pool").NullPool,
            connect_args={names.get(url.get_driver_name(), names[None]): CONNECT_TIMEOUT},
        )
    except Exception as problem:
        raise CannotLook(f"metadata database: {redact.error(problem)}") from problem
