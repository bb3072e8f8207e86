"""A connection to the metadata database: where it is, and what is known of its kind."""

from __future__ import annotations

import contextlib
import importlib
from typing import Any, Iterator, Mapping, NamedTuple

from xcom_probe import redact, runtime
from xcom_probe.database.address import Address, address, schema
from xcom_probe.database.dialects import DIALECTS
from xcom_probe.model import CannotLook
from xcom_probe.options import ConfigFile

CONNECT_TIMEOUT = 10
STATEMENT_TIMEOUT = 60


class Opened(NamedTuple):
    """An open connection.

    Attributes:
        engine: SQLAlchemy's.
        connection: SQLAlchemy's.
        source: where the address comes from.
        schema: of Airflow's tables, None where the search path decides.
    """

    engine: Any
    connection: Any
    source: str
    schema: str | None


class Connected:
    """A connection that runs statements. Its creator begins and ends the transactions.

    Attributes:
        connection: SQLAlchemy's.
        dialect: `postgresql` or `mysql`.
        value_type: the type of `xcom.value`: bytea, jsonb, longblob, json; empty until
            `look_at_type` was called.
        description: server, database and where the address comes from; no secret.
    """

    def __init__(self, opened: Opened) -> None:
        self.connection = opened.connection
        self.dialect: str = opened.engine.dialect.name
        self.value_type = ""
        self.description = "{} {}:{}/{} (from {})".format(
            self.dialect,
            opened.engine.url.host or "local socket",
            opened.engine.url.port or DIALECTS[self.dialect].port,
            opened.engine.url.database,
            opened.source,
        )
        self._schema = opened.schema

    def execute(self, statement: str, **parameters: Any) -> Any:
        """Run one statement."""
        text = importlib.import_module("sqlalchemy").text(statement)
        return self.connection.execute(text, parameters)

    def search_schema(self) -> None:
        """Have this transaction find Airflow's tables by their names alone."""
        search = DIALECTS[self.dialect].search
        if self._schema is not None and search is not None:
            self.execute(search, name=self._schema)

    def look_at_type(self) -> None:
        """Set `value_type`, within a transaction."""
        found = self.execute(DIALECTS[self.dialect].value_type)
        self.value_type = str(found.scalar()).lower()


@contextlib.contextmanager
def connection(environ: Mapping[str, str], cfg: ConfigFile) -> Iterator[Opened]:
    """A connection, closed at the end; what is open then is rolled back.

    Args:
        environ: this process's variables.
        cfg: airflow.cfg.

    Raises:
        CannotLook: no database, out of reach, of a kind that is not known, or it raised an error
            inside the block.
    """
    found = address(environ, cfg)
    source = found.source if found else "Airflow's settings"
    engine = _engine(found)
    redact.secret(engine.url.password)
    if engine.dialect.name not in DIALECTS:
        supported = " and ".join(sorted(DIALECTS))
        raise CannotLook(
            f"the metadata database ({source}) is {engine.dialect.name}; the probe supports "
            f"{supported}"
        )
    sqlalchemy: Any = importlib.import_module("sqlalchemy")
    try:
        opened = engine.connect()
    except sqlalchemy.exc.SQLAlchemyError as problem:
        raise CannotLook(f"metadata database ({source}): {redact.error(problem)}") from problem
    try:
        yield Opened(engine, opened, source, schema(environ, cfg))
    except sqlalchemy.exc.SQLAlchemyError as problem:
        raise CannotLook(f"metadata database ({source}): {redact.error(problem)}") from problem
    finally:
        opened.close()


def _engine(found: Address | None) -> Any:
    try:
        if found is None:
            runtime.use_scratch()
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
