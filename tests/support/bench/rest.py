"""The operator at rest: memory, and requests to the API server in an hour; and its restart.

Each number of live rollouts is looked at over a whole census interval, during which the operator's
requests are counted. With the most rollouts it is restarted, and timed until it rests again.
"""

from __future__ import annotations

import os
import re
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from bench import page, restart
from bench.asked import Asked, Counts, asked_by
from bench.fleet import CRS, OPERATOR, Fleet
from bench.standin import Api, census_node
from harness import tools
from harness.apiserver import ApiServer
from harness.say import say, step
from harness.waiting import NotYetError, wait_for
from xcom_rollout.clients.times import parse_time

ROLLOUTS = tuple(map(int, os.environ.get("BENCH_ROLLOUTS", "1,100,1000").split(",")))
"""How many are live, one measurement after the other."""
INTERVAL = int(os.environ.get("BENCH_INTERVAL", "900"))
"""Seconds between two counts of offloaded runs; the default is that of `spec.census.interval`."""
WINDOW = float(os.environ.get("BENCH_WINDOW", str(INTERVAL + 20)))
"""Seconds that are looked at, from the first census on: until the second has ended."""
HELD_WINDOW = 120
MOST_HELD = 100
"""Held rollouts are looked at one by one; more of them show nothing more."""
CALM_SECONDS = 30
"""How long the requests are looked at to tell whether held rollouts are looked at rarely by now."""
CALM_DEADLINE = 900


@dataclass(frozen=True)
class Rest:
    """One measurement: requests in a window of seconds, and the operator's memory after it."""

    what: str
    rollouts: int
    seconds: float
    requests: Counts
    rss_mib: float
    peak_mib: float

    @property
    def hourly(self) -> float:
        return sum(self.requests.values()) * 3600 / self.seconds


class RestBenchmark:
    """The benchmark on one API server."""

    def __init__(self, fleet: Fleet, asked: Asked) -> None:
        self.fleet = fleet
        self.asked = asked

    def measure(self) -> str:
        """Return the results as Markdown."""
        results = []
        for number in ROLLOUTS:
            self.fleet.grow(number)
            results.append(self._rest("live", WINDOW))
        restarts = restart.measure(self.fleet, self.asked)
        if len(self.fleet.spaces) <= MOST_HELD:
            self.fleet.hold()
            results.append(self._rest("held", HELD_WINDOW))
        return f"{report(results)}\n\n{restart.report(restarts, len(self.fleet.spaces))}"

    def _rest(self, what: str, window: float) -> Rest:
        wanted, number = "True" if what == "live" else "False", len(self.fleet.spaces)
        with step(f"{number} {what}, {window:g} s"), self.fleet.operator() as process:
            wait_for(
                f"{number} rollouts {what}",
                lambda: self._all_ready(number, wanted, counted=what == "live"),
                300 + number,
                interval=3,
            )
            if what == "held":
                with step("until held rollouts are looked at once a minute"):
                    wait_for(
                        "passes to become rare",
                        lambda: self._calm(number),
                        CALM_DEADLINE,
                        interval=1,
                    )
            counts, seconds = self._window(window)
            memory = _memory(process.pid)
        return Rest(what, number, seconds, counts, *memory)

    def _all_ready(self, number: int, wanted: str, *, counted: bool) -> bool:
        seen: Counter[str] = Counter()
        last, since = "", datetime.now(UTC) - timedelta(seconds=INTERVAL)
        for item in self.fleet.api.items(f"{CRS}/xcombackendrollouts"):
            taken = ((item.get("status") or {}).get("offloadedRuns") or {}).get("takenAt")
            if counted and (taken is None or parse_time(taken) < since):
                seen["not counted yet"] += 1
                continue
            conditions = (item.get("status") or {}).get("conditions") or []
            ready = [entry for entry in conditions if entry["type"] == "Ready"]
            seen[ready[0]["status"] if ready else "?"] += 1
            last = ready[0]["message"] if ready and ready[0]["status"] != wanted else last
        if seen[wanted] != number:
            raise NotYetError(f"{dict(seen)}; {last}")
        return True

    def _calm(self, rollouts: int) -> bool:
        """Whether no more than about one pass a minute is made over each rollout."""
        counts, seconds = self._window(CALM_SECONDS)
        passes = counts["get", "xcombackendrollouts"] * 60 / seconds / rollouts
        if passes > 1.25:
            raise NotYetError(f"{passes:.1f} passes a minute over each rollout")
        return True

    def _window(self, seconds: float) -> tuple[Counts, float]:
        """Count the operator's requests during `seconds`: a measurement, so it does take time."""
        self.asked.take()
        begin = time.monotonic()
        end = begin + seconds
        while (left := end - time.monotonic()) > 0:
            time.sleep(min(left, 5.0))
        return self.asked.take(), time.monotonic() - begin


def report(results: Sequence[Rest]) -> str:
    """Return the results as Markdown."""
    rows = [
        (
            f"{result.rollouts} {result.what}",
            f"{result.rss_mib:.0f}",
            f"{result.peak_mib:.0f}",
            f"{result.seconds:.0f}",
            sum(result.requests.values()),
            f"**{result.hourly:,.0f}**",
            f"{result.hourly / result.rollouts:,.0f}",
        )
        for result in results
    ]
    header = (
        *("Rollouts", "RSS, MiB", "Peak RSS, MiB", "Window, s", "Requests in it"),
        *("Requests an hour", "An hour and rollout"),
    )
    lines = [page.table(header, rows), "", "The most frequent requests of each window:", ""]
    for result in results:
        most = ", ".join(
            f"{verb} {resource} {count}" for (verb, resource), count in _top(result.requests)
        )
        lines.append(f"- {result.rollouts} {result.what}: {most}")
    return "\n".join(lines)


def _top(requests: Counts) -> list[tuple[tuple[str, str], int]]:
    return requests.most_common(12)


def _memory(pid: int) -> tuple[float, float]:
    """Resident memory of a process, now and at most, in MiB."""
    text = Path(f"/proc/{pid}/status").read_text()
    found = dict(re.findall(r"^(VmRSS|VmHWM):\s*(\d+) kB$", text, re.MULTILINE))
    return int(found["VmRSS"]) / 1024, int(found["VmHWM"]) / 1024


def measure() -> str:
    """Measure beside an API server that is started for it.

    Raises:
        HarnessError: something went wrong on the way.
    """
    tools.ensure(["helm", restart.CONTROLLER])
    with ExitStack() as open_:
        asked = open_.enter_context(asked_by(OPERATOR))
        server = open_.enter_context(ApiServer(*asked.flags))
        api = Api(server)
        open_.callback(api.close)
        open_.enter_context(census_node(server, api))
        say(f"the operator's logs are in {server.folder} while this runs")
        return RestBenchmark(Fleet(server, api, INTERVAL), asked).measure()
