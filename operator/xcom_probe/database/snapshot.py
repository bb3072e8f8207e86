"""A transaction that sees one moment and cannot write."""

from __future__ import annotations

import contextlib
import importlib
from datetime import datetime, timezone
from typing import Any, Iterator, Mapping

from xcom_probe import place, redact
from xcom_probe.database.address import Address, address, schema
from xcom_probe.database.dialects import DIALECTS
from xcom_probe.model import CannotLook
from xcom_probe.options import ConfigFile

CONNECT_TIMEOUT = 10
STATEMENT_TIMEOUT = 60


class Database:
    """An open read-only transaction.

    Attributes:
        connection: SQLAlchemy's.
        dialect: `postgresql` or `mysql`.
        value_type: the type of `xcom.value`: bytea, jsonb, longblob, json.
        time: the database's clock when the transaction began.
        description: server, database and where the address comes from; no secret.
    """

    def __init__(
        self, engine: Any, connection: Any, source: str, schema_name: str | None, seconds: int
    ) -> None:
        self.connection = connection
        self.dialect: str = engine.dialect.name
        self._dialect = DIALECTS[self.dialect]
        self._schema = schema_name
        self._seconds = seconds
        self.time = self._begin()
        self.value_type = str(self._execute(self._dialect.value_type).scalar()).lower()
        self.description = "{} {}:{}/{} (from {})".format(
            self.dialect,
            engine.url.host or "local socket",
            engine.url.port or self._dialect.port,
            engine.url.database,
            source,
        )

    def renew(self) -> None:
        """End the transaction and begin the next one, which sees a later moment."""
        self.connection.rollback()
        self.time = self._begin()

    def _begin(self) -> datetime:
        limits = {"seconds": self._seconds, "milliseconds": self._seconds * 1000}
        for statement in self._dialect.prepare:
            self._execute(statement.format(**limits))
        time = self._execute(self._dialect.clock).scalar()
        for statement in self._dialect.begin:
            self._execute(statement)
        if self._schema is not None and self._dialect.search is not None:
            self._execute(self._dialect.search, name=self._schema)
        return in_utc(time)

    def _execute(self, statement: str, **parameters: str) -> Any:
        text = importlib.import_module("sqlalchemy").text(statement)
        return self.connection.execute(text, parameters)


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
    if engine.dialect.name not in DIALECTS:
        raise CannotLook(
            f"the metadata database ({source}) is {engine.dialect.name}; "
            "the probe knows {}".format(" and ".join(sorted(DIALECTS)))
        )
    sqlalchemy: Any = importlib.import_module("sqlalchemy")
    try:
        connection = engine.connect()
    except sqlalchemy.exc.SQLAlchemyError as problem:
        raise CannotLook(f"metadata database ({source}): {redact.error(problem)}") from problem
    try:
        yield Database(engine, connection, source, schema(environ, cfg), statement_timeout)
    except sqlalchemy.exc.SQLAlchemyError as problem:
        raise CannotLook(f"metadata database ({source}): {redact.error(problem)}") from problem
    finally:
        connection.close()


def in_utc(moment: datetime) -> datetime:
    """`moment` with a zone: databases without one hold UTC, as Airflow writes it."""
    return moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)


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
