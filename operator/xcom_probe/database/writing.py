"""The one way to write: short transactions on Airflow's own tables, each all or nothing.

Everything else in the probe reads through `snapshot`, which cannot write. Only `forget` and
`rehydrate` use this, with the statements of `table/changes.py`: they delete or replace values of
`xcom` and lock rows of `dag_run`. Airflow runs at the same time, so a transaction is bounded in
every way:

- a statement that takes longer than 60 s is ended by the database,
- a lock that is not obtained within 10 s is given up (the scheduler holds its own for less),
- on PostgreSQL a transaction in which this process is silent for 60 s, because its node was lost,
  is ended by the server, and its locks with it.

The isolation is READ COMMITTED, as Airflow's own: a row is seen as it is when its lock is obtained.
"""

from __future__ import annotations

import contextlib
from typing import Iterator, Mapping

from xcom_probe.database.connection import STATEMENT_TIMEOUT, Connected, Opened, connection
from xcom_probe.database.dialects import DIALECTS
from xcom_probe.options import ConfigFile

LOCK_TIMEOUT = 10


class Writer(Connected):
    """A connection that may write, one transaction after the other."""

    def __init__(self, opened: Opened) -> None:
        super().__init__(opened)
        with self.transaction():
            self.look_at_type()

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """Commit at the end of the block, or roll back if it raises."""
        limits = {
            "seconds": STATEMENT_TIMEOUT,
            "milliseconds": STATEMENT_TIMEOUT * 1000,
            "lock_seconds": LOCK_TIMEOUT,
        }
        try:
            for statement in DIALECTS[self.dialect].prepare_writing:
                self.execute(statement.format(**limits))
            self.search_schema()
            yield
        except BaseException:
            self.connection.rollback()
            raise
        self.connection.commit()


@contextlib.contextmanager
def writer(environ: Mapping[str, str], cfg: ConfigFile) -> Iterator[Writer]:
    """A connection that may write, closed at the end.

    Args:
        environ: this process's variables.
        cfg: airflow.cfg.

    Raises:
        CannotLook: no database, out of reach, of a kind that is not known, or it refused a
            statement (for example, a lock was not obtained in time).
    """
    with connection(environ, cfg) as opened:
        yield Writer(opened)
