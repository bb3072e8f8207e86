"""Runs as they were seen last, and until when that is all that changed."""

import threading
import time
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from xcom_rollout.decide.ledger import RunKey
from xcom_rollout.decide.observed import DagRun

OVERLAP: Final = timedelta(seconds=20)
"""How long before the last look a change may be dated that could be seen only now: the time of a
transaction, and the differences between the clocks of several schedulers."""
RELOAD: Final = 300.0
"""Seconds after which everything is read again."""


@dataclass(frozen=True)
class RunsSeen:
    """A list of runs.

    Attributes:
        server_time: the web server's clock when the list was begun; None where it does not say.
        decided: the newest time of a scheduler's decision about any of the runs, by its clock.
    """

    runs: tuple[DagRun, ...]
    server_time: datetime | None
    decided: datetime | None


@dataclass
class RunMemory:
    """What is kept of the runs of one Airflow; its user holds `lock`.

    Attributes:
        absent: runs that Airflow did not have.
        seen_until: from when on changes are to be asked for; None before a first look.
    """

    runs: dict[RunKey, DagRun] = field(default_factory=dict)
    absent: set[RunKey] = field(default_factory=set)
    seen_until: datetime | None = None
    lock: threading.Lock = field(default_factory=threading.Lock)
    _decided: datetime | None = None
    _begun: float = 0.0

    def unknown(self, wanted: Collection[RunKey]) -> set[RunKey]:
        """Return the runs of which nothing is known."""
        return set(wanted) - self.runs.keys() - self.absent

    def keep_only(self, wanted: Collection[RunKey]) -> None:
        """Forget what is not wanted, and everything where it is time to read it again."""
        if self.seen_until is None or time.monotonic() - self._begun > RELOAD:
            self.runs, self.absent = {}, set()
            self.seen_until = self._decided = None
            self._begun = time.monotonic()
        for key in self.runs.keys() - set(wanted):
            del self.runs[key]

    def note(self, seen: RunsSeen, wanted: Collection[RunKey]) -> None:
        """Keep of these runs what is wanted."""
        for run in seen.runs:
            if run.key in wanted:
                self.runs[run.key] = run
                self.absent.discard(run.key)
        self._decided = max((t for t in (self._decided, seen.decided) if t), default=None)

    def seen_at(self, server_time: datetime | None) -> None:
        """Let changes count as seen until then, or until the scheduler's clock if that is behind.

        Everything that is kept has to be as it was then, or newer.
        """
        # Without the web server's clock nothing says which changes are still to come.
        clocks = [moment for moment in (server_time, self._decided) if moment is not None]
        self.seen_until = None if server_time is None else min(clocks) - OVERLAP
