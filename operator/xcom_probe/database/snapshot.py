"""A transaction that sees one moment and cannot write."""

from __future__ import annotations

import contextlib
from datetime import datetime, timezone
from typing import Iterator, Mapping

from xcom_probe.database.connection import STATEMENT_TIMEOUT, Connected, Opened, connection
from xcom_probe.database.dialects import DIALECTS
from xcom_probe.options import ConfigFile


class Database(Connected):
    """An open read-only transaction.

    Attributes:
        time: the database's clock when the transaction began.
    """

    def __init__(self, opened: Opened, seconds: int) -> None:
        super().__init__(opened)
        self._seconds = seconds
        self.time = self._begin()
        self.look_at_type()

    def renew(self) -> None:
        """End the transaction and begin the next one, with a later snapshot."""
        self.connection.rollback()
        self.time = self._begin()

    def _begin(self) -> datetime:
        dialect = DIALECTS[self.dialect]
        limits = {"seconds": self._seconds, "milliseconds": self._seconds * 1000}
        for statement in dialect.prepare:
            self.execute(statement.format(**limits))
        time = self.execute(dialect.clock).scalar()
        for statement in dialect.begin:
            self.execute(statement)
        self.search_schema()
        return in_utc(time)


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
    with connection(environ, cfg) as opened:
        yield Database(opened, statement_timeout)


def in_utc(moment: datetime) -> datetime:
    """`moment` with a zone: databases without one hold UTC, as Airflow writes it."""
    return moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)
