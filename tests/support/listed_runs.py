"""Airflow's list of runs on a real server: a hundred at a time, with clocks that can be set."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any, Final
from urllib.parse import parse_qs, unquote

from nasty_http import NastyServer, Received, Reply
from opened_airflow import V1_RUNS, is_airflow
from xcom_rollout.decide.ledger import RunKey

PAGE: Final = 100
START: Final = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass
class Stored:
    state: str
    updated_at: datetime
    decided_at: datetime | None = None


class Runs(NastyServer):
    """Airflow's list of runs, a hundred at a time, with clocks that can be set."""

    def __init__(self) -> None:
        super().__init__()
        self.runs: dict[str, Stored] = {}
        self.now = START
        self.server_behind = self.scheduler_behind = timedelta()
        self.broken = False
        self.refused: dict[str, int] = {}
        """Runs that are answered so where they are read, and that lists leave out."""
        self.list_refused = 0
        """Status of the answer to a list; 0 for a list."""
        self.held: set[str] = set()
        """Runs whose change is written, and whose transaction has not ended."""
        self._written: dict[str, datetime] = {}
        is_airflow(self, "2.11.2")

    def add(self, count: int, state: str = "running") -> list[RunKey]:
        names = [f"r{len(self.runs) + n}" for n in range(count)]
        for name in names:
            self.decide(name, state)
        return [RunKey("d", name) for name in names]

    def decide(self, name: str, state: str) -> None:
        """Let the scheduler change a run."""
        clock = self.now - self.scheduler_behind
        self.runs[name] = Stored(state, clock, clock)

    def set_state(self, name: str, state: str) -> None:
        """Let somebody change a run through the web server."""
        run = self.runs[name]
        run.state, run.updated_at = state, self.now - self.server_behind

    def reply_to(self, request: Received) -> Reply:
        reply = super().reply_to(request)
        if reply.status != 404:
            return reply
        if self.broken:
            return Reply(500, "broken")
        if request.path == V1_RUNS and self.list_refused:
            return Reply(self.list_refused, "no list")
        if request.path == V1_RUNS:
            return self._list(parse_qs(request.query))
        if request.path == "/api/v1/dags/d":
            return Reply(body={"dag_id": "d", "is_paused": False, "is_active": True})
        name = unquote(request.path.rpartition("/")[2])
        run = self.runs.get(name)
        if request.method == "PATCH" and name in self.runs:
            self._patch(name)
            return Reply(500, "timed out") if name in self.held else Reply(body={"state": "failed"})
        if request.method == "GET" and name in self.refused:
            return Reply(self.refused[name], "not this one")
        return reply if run is None else Reply(body=_shown(name, run))

    def _patch(self, name: str) -> None:
        if name not in self.held:
            self.set_state(name, "failed")
        self._written.setdefault(name, self.now - self.server_behind)

    def commit(self, name: str) -> None:
        """End the transaction that set a held run to failed: its date is when it was written."""
        self.held.remove(name)
        self.runs[name].state, self.runs[name].updated_at = "failed", self._written[name]

    def _list(self, query: dict[str, list[str]]) -> Reply:
        since = datetime.fromisoformat(query.get("updated_at_gte", [START.isoformat()])[0])
        wanted = [
            (name, run)
            for name, run in self.runs.items()
            if name not in self.refused
            and ("state" not in query or run.state in query["state"])
            and ("updated_at_gte" not in query or run.updated_at >= since)
        ]
        if query["order_by"] == ["-updated_at"]:
            wanted.sort(key=lambda item: item[1].updated_at, reverse=True)
        offset = int(query.get("offset", ["0"])[0])
        page = wanted[offset:][: min(PAGE, int(query["limit"][0]))]
        body = {"dag_runs": [_shown(*item) for item in page], "total_entries": len(wanted)}
        clock = format_datetime(self.now - self.server_behind, usegmt=True)
        return Reply(body=body, headers={"Date": clock})

    def cost(self) -> int:
        """Return how many requests came since this was asked last."""
        count = len(self.asked())
        self.received.clear()
        return count


def _shown(name: str, run: Stored) -> dict[str, Any]:
    return {
        "dag_id": "d",
        "dag_run_id": name,
        "state": run.state,
        "start_date": None,
        "last_scheduling_decision": run.decided_at and run.decided_at.isoformat(),
    }
