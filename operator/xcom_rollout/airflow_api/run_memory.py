"""Runs as last seen, and until when their changes are known."""

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
"""How much older than the last look the date of a newly visible change may be: the time of a
transaction, and the differences between the clocks of several schedulers. While Airflow's pods were
replaced, transactions of 20 to 30 s were seen on a node."""
ASKED_AGAIN: Final = 5
"""Most runs requested by name at one look, because their change has not been seen yet."""
RELOAD: Final = 300.0
"""Seconds after which everything is read again."""


@dataclass(frozen=True)
class RunsSeen:
    """A list of runs.

    Attributes:
        server_time: the web server's clock at the start of the list; None where it is not returned.
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
        refused: runs that Airflow refused to return when they were requested by name, and why.
            Nothing else is kept of them: what was seen before may be outdated.
        changing: runs that were asked to change, and their previous state. A change is dated when
            its transaction begins to write and visible when that ends, so a late one would be
            missed by a look at what changed since.
        seen_until: start of the next request for changes; None before a first look.
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
        """Return the runs about which nothing is known, and that were not requested by name."""
        return set(wanted) - self.runs.keys() - self.absent - self.refused.keys()

    def keep_only(self, wanted: Collection[RunKey]) -> None:
        """Drop what is not wanted, and everything when it is time to read it again."""
        if self.seen_until is None or time.monotonic() - self._begun > RELOAD:
            self.runs, self.absent, self.refused = {}, set(), {}
            self.seen_until = self._decided = None
            self._begun = time.monotonic()
        for kept in (self.runs, self.changing, self.refused):
            for key in kept.keys() - set(wanted):
                del kept[key]

    def asked_to_change(self, key: RunKey) -> None:
        """Record that the run was asked to change. Takes the lock itself."""
        with self.lock:
            self.changing[key] = self.runs.get(key)

    def overdue(self) -> list[RunKey]:
        """Return runs to request by name, in turns, because their change was not seen yet."""
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
        """Return refused runs to request again, in turns."""
        due = list(self.refused)[:ASKED_AGAIN]
        for key in due:
            self.refused[key] = self.refused.pop(key)
        return due

    def record(self, key: RunKey, run: DagRun | None) -> None:
        """Record Airflow's answer about a run that was requested by name."""
        self.refused.pop(key, None)
        if run is None:
            self.absent.add(key)
            self.runs.pop(key, None)
        else:
            self.runs[key] = run

    def record_refusal(self, key: RunKey, error: AirflowError) -> None:
        """Record that Airflow refused to return a run."""
        self.refused[key] = error
        self.runs.pop(key, None)
        self.absent.discard(key)

    def note(self, seen: RunsSeen, wanted: Collection[RunKey]) -> None:
        """Keep those of these runs that are wanted."""
        for run in seen.runs:
            if run.key in wanted:
                self.runs[run.key] = run
                self.absent.discard(run.key)
                self.refused.pop(run.key, None)
        self._decided = max((t for t in (self._decided, seen.decided) if t), default=None)

    def seen_at(self, server_time: datetime | None) -> None:
        """Let changes count as seen until then, or until the scheduler's clock if that is behind.

        Everything that is kept has to be of that time, or newer.
        """
        # Without the web server's clock it is not known which changes are still to come.
        clocks = [moment for moment in (server_time, self._decided) if moment is not None]
        self.seen_until = None if server_time is None else min(clocks) - OVERLAP
