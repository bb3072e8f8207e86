"""The metadata database, read-only: which one, and a transaction that cannot write.

Importing Airflow takes most of a second and is not needed to ask one question of its database. So
the address is read as Airflow reads it where that is certain, and only otherwise taken from
Airflow itself.
"""

from __future__ import annotations

import contextlib
import importlib
from typing import Any, Iterator, Mapping, NamedTuple

from xcom_probe import options, place, redact
from xcom_probe.model import CannotLook
from xcom_probe.options import ConfigFile

CONNECT_TIMEOUT = 10
STATEMENT_TIMEOUT = 60

_SECTION, _OPTION = "database", "sql_alchemy_conn"
# Settings that change how Airflow connects. With one of them only Airflow itself is right.
_OTHERS = ("sql_alchemy_connect_args", "sql_alchemy_session_maker")
# Before 2.3 the options were in [core]; Airflow still looks there.
_LEGACY_SECTION = "core"


class Address(NamedTuple):
    """A database URL and its source (`env:NAME` or `file:PATH`)."""

    url: str
    source: str


def address(environ: Mapping[str, str], cfg: ConfigFile) -> Address | None:
    """The database's URL where it can be told without Airflow, else None."""
    for section in (_SECTION, _LEGACY_SECTION):
        for option in _OTHERS:
            if options.env_name(section, option) in environ:
                return None
            if option in cfg.sections.get(section, {}):
                return None
    name = options.env_name(_SECTION, _OPTION)
    if name in environ:
        return _certain(environ[name], f"env:{name}")
    # A command, a secret or the old name would win over the file.
    for section in (_SECTION, _LEGACY_SECTION):
        prefix = options.env_name(section, _OPTION)
        if any(variable.startswith(prefix) for variable in environ):
            return None
    value = cfg.sections.get(_SECTION, {}).get(_OPTION, "")
    # A percent sign is interpolated in the file.
    if not value or "%" in value:
        return None
    return _certain(value, f"file:{cfg.path}")


def _certain(value: str, source: str) -> Address | None:
    url = options.expand(value)
    # Airflow rewrites older forms of the scheme.
    return Address(url, source) if url.startswith("postgresql") else None


class Database(NamedTuple):
    """An open read-only transaction."""

    connection: Any
    description: str


@contextlib.contextmanager
def snapshot(environ: Mapping[str, str], cfg: ConfigFile) -> Iterator[Database]:
    """A read-only transaction that sees one moment, with a statement timeout.

    Raises:
        CannotLook: no database, out of reach, or not PostgreSQL.
    """
    found = address(environ, cfg)
    engine = _engine(found)
    redact.secret(engine.url.password)
    source = found.source if found else "Airflow's settings"
    if engine.dialect.name != "postgresql":
        raise CannotLook(
            f"the metadata database ({source}) is {engine.dialect.name}; "
            "the census knows PostgreSQL"
        )
    sqlalchemy: Any = importlib.import_module("sqlalchemy")
    try:
        connection = engine.connect()
    except sqlalchemy.exc.SQLAlchemyError as problem:
        raise CannotLook(f"metadata database ({source}): {redact.error(problem)}") from problem
    try:
        # Not as startup options: connection poolers refuse those.
        for statement in (
            "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY",
            f"SET LOCAL statement_timeout = '{STATEMENT_TIMEOUT}s'",
        ):
            connection.execute(sqlalchemy.text(statement))
        yield Database(
            connection,
            "{} {}:{}/{} (from {})".format(
                engine.dialect.name,
                engine.url.host or "local socket",
                engine.url.port or 5432,
                engine.url.database,
                source,
            ),
        )
    except sqlalchemy.exc.SQLAlchemyError as problem:
        raise CannotLook(f"metadata database ({source}): {redact.error(problem)}") from problem
    finally:
        connection.close()


def _engine(found: Address | None) -> Any:
    try:
        if found is None:
            place.use_scratch()
            return importlib.import_module("airflow.settings").engine
        return importlib.import_module("sqlalchemy").create_engine(
            found.url,
            future=True,
            poolclass=importlib.import_module("sqlalchemy.pool").NullPool,
            connect_args={"connect_timeout": CONNECT_TIMEOUT},
        )
    except Exception as problem:
        raise CannotLook(f"metadata database: {redact.error(problem)}") from problem
