"""Runs as they were seen last, and until when that is all that changed."""

import threading
import time
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from xcom_rollout.clients.errors import AirflowError
from xcom_rollout.decide.ledger import RunKey
from xcom_rollout.decide.observed import DagRun

OVERLAP: Final = timedelta(seconds=60)
"""How long before the last look a change may be dated that could be seen only now: the time of a
transaction, and the differences between the clocks of several schedulers. While Airflow's pods were
replaced, transactions of 20 to 30 s were seen on a node."""
ASKED_AGAIN: Final = 5
"""Runs that are asked for by name at one look, because a change of theirs has yet to be seen."""
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
        refused: runs that Airflow refused to tell of when they were asked for by name, and why.
            Nothing else is kept of them: what was seen before may be so no more.
        changing: runs that were asked to change, and how each was seen before. A change is dated
            when its transaction begins to write and seen when that ends, so a late one would be
            missed by a look at what changed since.
        seen_until: from when on changes are to be asked for; None before a first look.
    """

    runs: dict[RunKey, DagRun] = field(default_factory=dict)
    absent: set[RunKey] = field(default_factory=set)
    refused: dict[RunKey, AirflowError] = field(default_factory=dict)
    changing: dict[RunKey, DagRun | None] = field(default_factory=dict)
    seen_until: datetime | None = None
    lock: threading.Lock = field(default_factory=threading.Lock)
    _decided: datetime | None = None
    _begun: float = 0.0

    def unknown(self, wanted: Collection[RunKey]) -> set[RunKey]:
        """Return the runs of which nothing is known, and that were not asked for by name."""
        return set(wanted) - self.runs.keys() - self.absent - self.refused.keys()

    def keep_only(self, wanted: Collection[RunKey]) -> None:
        """Forget what is not wanted, and everything where it is time to read it again."""
        if self.seen_until is None or time.monotonic() - self._begun > RELOAD:
            self.runs, self.absent, self.refused = {}, set(), {}
            self.seen_until = self._decided = None
            self._begun = time.monotonic()
        for kept in (self.runs, self.changing, self.refused):
            for key in kept.keys() - set(wanted):
                del kept[key]

    def asked_to_change(self, key: RunKey) -> None:
        """Remember that the run was asked to change. Takes the lock itself."""
        with self.lock:
            self.changing[key] = self.runs.get(key)

    def overdue(self) -> list[RunKey]:
        """Return runs to ask for by name, each time others, for their change was not seen yet."""
        seen = [
            key
            for key, before in self.changing.items()
            if key in self.absent or (key not in self.refused and self.runs.get(key) != before)
        ]
        for key in seen:
            del self.changing[key]
        due = [key for key in self.changing if key not in self.refused][:ASKED_AGAIN]
        for key in due:
            self.changing[key] = self.changing.pop(key)
        return due

    def refused_before(self) -> list[RunKey]:
        """Return runs to ask for again that were refused, each time others."""
        due = list(self.refused)[:ASKED_AGAIN]
        for key in due:
            self.refused[key] = self.refused.pop(key)
        return due

    def told(self, key: RunKey, run: DagRun | None) -> None:
        """Keep what Airflow said of a run that it was asked for by name."""
        self.refused.pop(key, None)
        if run is None:
            self.absent.add(key)
            self.runs.pop(key, None)
        else:
            self.runs[key] = run

    def not_told(self, key: RunKey, error: AirflowError) -> None:
        """Keep that Airflow refused to tell of a run."""
        self.refused[key] = error
        self.runs.pop(key, None)
        self.absent.discard(key)

    def note(self, seen: RunsSeen, wanted: Collection[RunKey]) -> None:
        """Keep of these runs what is wanted."""
        for run in seen.runs:
            if run.key in wanted:
                self.runs[run.key] = run
                self.absent.discard(run.key)
                self.refused.pop(run.key, None)
        self._decided = max((t for t in (self._decided, seen.decided) if t), default=None)

    def seen_at(self, server_time: datetime | None) -> None:
        """Let changes count as seen until then, or until the scheduler's clock if that is behind.

        Everything that is kept has to be as it was then, or newer.
        """
        # Without the web server's clock nothing says which changes are still to come.
        clocks = [moment for moment in (server_time, self._decided) if moment is not None]
        self.seen_until = None if server_time is None else min(clocks) - OVERLAP
