"""A kill of thousands of runs: what a pass costs the operator, and what it writes. No cluster.

The world is plain data: 10,000 runs in flight, each with an old task pod, of 500 DAGs; some of
them affected. Airflow's list of runs is asked of a real HTTP server on loopback that gives a
hundred at a time. Seconds are of the processor where nothing is waited for, and a `json.dumps` of
the same ledger stands beside them: it grows with the machine as they do.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import time
import tracemalloc
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace
from typing import Any, Final, cast

import large_kill as large
from bench import page
from harness.say import step
from listed_runs import Runs
from opened_airflow import opened
from simulation import spec
from xcom_rollout.act.write_ledger import write_ledger
from xcom_rollout.airflow_api.runs import watched_runs
from xcom_rollout.clients.errors import Conflict
from xcom_rollout.clients.kube import Json
from xcom_rollout.clients.memo import Memo
from xcom_rollout.decide.actions import ClearRuns, DeletePods, RunJob, StopRuns, WriteLedger
from xcom_rollout.decide.core import decide
from xcom_rollout.decide.decision import Decision
from xcom_rollout.decide.ledger import Ledger, RunStage, Strategy
from xcom_rollout.decide.observed import Observed
from xcom_rollout.decide.summarize import summarize
from xcom_rollout.stored.ledger_codec import decode, encode, to_config_map
from xcom_rollout.stored.packing import LIMIT
from xcom_rollout.wiring import Clients

ROUNDS: Final = int(os.environ.get("BENCH_ROUNDS", "7"))
BOUND: Final = 0.1
"""Seconds that a decision may take."""
SIZES: Final = (1_000, 10_000)
IN_FLIGHT: Final = 10_000
PAST: Final = 20


def measure() -> str:
    """Return the results as Markdown."""
    busy = os.getloadavg()[0]
    parts = []
    with step("decisions"):
        parts.append(_decisions())
    with step("the ledger"):
        parts.append(_ledgers())
    with step("past kills"):
        parts.append(_past())
    with step("what is written"):
        parts.append(_written())
    with step("Airflow's runs"):
        parts.append(_watching())
    begin = (
        f"Medians of {ROUNDS} rounds, Python {sys.version.split()[0]}; {IN_FLIGHT:,} task pods, "
        f"500 DAGs. The load of the machine was {busy:.1f} at the beginning."
    )
    return "\n\n".join([begin, *parts])


def _seconds(call: Callable[[], object]) -> float:
    """Return the median of the processor's seconds of a call."""
    taken = []
    for _ in range(ROUNDS):
        begin = time.process_time()
        call()
        taken.append(time.process_time() - begin)
    return statistics.median(taken)


def _peak(call: Callable[[], object]) -> float:
    """Return the MiB that a call needs at most beyond what there was."""
    tracemalloc.start()
    try:
        call()
        return tracemalloc.get_traced_memory()[1] / 2**20
    finally:
        tracemalloc.stop()


def _moments(affected: int) -> dict[str, Observed]:
    """Return the moments of a kill in which the most is looked at."""
    every = large.ledger(large.kill(affected))
    found = large.keys(IN_FLIGHT)[:: IN_FLIGHT // affected][:affected]
    rerun = large.kill(affected, (RunStage.CLEARED,), counted=("found", "frozen"))
    reverted = replace(
        rerun,
        reverting=True,
        reverted_at=large.STOPPED,
        writers_gone=True,
        finished_values="none",
    )
    database = large.ledger(reverted).baseline
    assert database is not None
    last = large.observed(large.ledger(reverted), jobs=(large.census_job(found, "last"),))
    assert last.release is not None
    last = replace(
        last,
        release=replace(last.release, settings=database),
        ledger=replace(last.ledger, readers=large.readers(database)),
    )
    immediate = replace(
        large.kill(affected, (RunStage.DRAINING, RunStage.HEALED), counted=("found", "frozen")),
        strategy=Strategy.IMMEDIATE,
        held_dags=tuple(sorted({key.dag_id for key in large.keys(IN_FLIGHT)})),
        reverting=True,
        reverted_at=large.STOPPED,
    )
    held = large.observed(large.ledger(immediate))
    assert held.release is not None
    assert held.airflow is not None
    held = replace(
        held,
        release=replace(held.release, settings=database),
        rollout=replace(held.rollout, spec=spec(killSwitch=_IMMEDIATE)),
        airflow=replace(held.airflow, paused_dags=frozenset(immediate.held_dags)),
    )
    counted = large.observed(
        large.ledger(replace(large.kill(affected), runs=(), counted=())),
        jobs=(large.census_job(found, "found"),),
    )
    return {
        "a kill of no run, waiting": large.observed(large.ledger(large.kill(0))),
        "the census is recorded": counted,
        "in every stage at once": large.observed(every),
        "all are left to end": large.observed(
            large.ledger(large.kill(affected, (RunStage.DRAINING,)))
        ),
        "all run again": large.observed(large.ledger(rerun)),
        "the last census finds all": last,
        "Immediate, 500 DAGs paused": held,
    }


_IMMEDIATE: Final = {"engaged": True, "strategy": "Immediate"}


def _decisions() -> str:
    rows, worst = [], 0.0
    for affected in SIZES:
        for name, seen in _moments(affected).items():
            dumped = _plain(seen.ledger)
            beside = _seconds(lambda dumped=dumped: json.dumps(dumped))  # type: ignore[misc]
            first = decide(_fresh(seen), large.NOW)
            took = _seconds(lambda seen=seen: decide(_fresh(seen), large.NOW))  # type: ignore[misc]
            status = summarize(seen, first, large.NOW, {})
            told = _seconds(
                lambda seen=seen, first=first: summarize(seen, first, large.NOW, {})  # type: ignore[misc]
            )
            worst = max(worst, took)
            ratio = f"{took / beside:.1f}" if beside > 1e-3 else ""
            rows.append(
                (
                    f"{affected:,}: {name}",
                    first.current.finding.reason,
                    f"{took * 1e3:.1f}",
                    ratio,
                    f"{told * 1e3:.1f}",
                    f"{len(json.dumps(status)) / 1024:.1f}",
                )
            )
    header = ("Affected", "Decided", "Decision, ms", "To json.dumps", "Status, ms", "Status, KiB")
    kept = "kept" if worst < BOUND else "NOT kept"
    return (
        f"{page.table(header, rows)}\n\n"
        f"The longest decision: **{worst * 1e3:.0f} ms** (bound: {BOUND * 1e3:.0f} ms, {kept})."
    )


def _fresh(seen: Observed) -> Observed:
    """Return the same world without what a look at it has worked out."""
    view = seen.airflow
    return replace(seen, airflow=None if view is None else replace(view))


def _plain(ledger: Ledger) -> Any:
    return json.loads(encode(ledger))


def _ledgers() -> str:
    rows = []
    for affected in SIZES:
        ledger = large.ledger(large.kill(affected))
        text, plain = encode(ledger), _plain(ledger)
        content = to_config_map(ledger)
        size = len(json.dumps(content))
        beside = _seconds(lambda plain=plain: json.dumps(plain))  # type: ignore[misc]
        times = [
            _seconds(lambda ledger=ledger: encode(ledger)),  # type: ignore[misc]
            _seconds(lambda ledger=ledger: to_config_map(ledger)),  # type: ignore[misc]
            _seconds(lambda text=text: decode(text)),  # type: ignore[misc]
        ]
        cells = [f"{took * 1e3:.0f} ({took / beside:.1f})" for took in times]
        peak = _peak(lambda text=text: decode(text))  # type: ignore[misc]
        sizes = (f"{len(text) / 1024:,.0f}", f"{size / 1024:,.0f}")
        rows.append((f"{affected:,}", *sizes, *cells, f"{peak:.0f}"))
    header = (
        "Affected",
        "Ledger, KiB",
        "ConfigMap, KiB",
        "Encode, ms",
        "Encode and pack, ms",
        "Decode, ms",
        "Decode, peak MiB",
    )
    return f"In brackets the ratio to `json.dumps` of the same.\n\n{page.table(header, rows)}"


def _past() -> str:
    ended = (*[RunStage.RECOVERED] * 8, RunStage.HEALED, RunStage.FAILED)
    whole = tuple(
        large.kill(IN_FLIGHT, ended, attempt=number + 1, counted=("found", "frozen", "last"))
        for number in range(PAST)
    )
    kept = tuple(kill.past() for kill in whole)
    before = len(encode(large.ledger(None, whole)))
    after = len(encode(large.ledger(None, kept)))
    return (
        f"{PAST} past kills of {IN_FLIGHT:,} runs, a tenth of which did not recover: "
        f"**{after / 1024:,.0f} KiB** in the ledger before compression (a ConfigMap holds "
        f"{LIMIT / 1024:,.0f} KiB, compressed); with all their runs it would be "
        f"{before / 2**20:,.1f} MiB, a ratio of {after / before:.4f}."
    )


class _Cluster:
    """Counts the requests for ConfigMaps, and the bytes that are sent."""

    def __init__(self) -> None:
        self.kept: dict[str, Json] = {}
        self.requests: dict[str, int] = {"GET": 0, "POST": 0, "PUT": 0}
        self.sent = 0

    def find(self, path: str) -> Json | None:
        self.requests["GET"] += 1
        return self.kept.get(path)

    def create(self, path: str, body: Json) -> bool:
        self._keep("POST", f"{path}/{body['metadata']['name']}", body)
        return True

    def known_version(self, _path: str) -> str | None:
        return None

    def replace(self, path: str, body: Json) -> Json:
        if path in self.kept and (
            body["metadata"]["resourceVersion"] != self.kept[path]["metadata"]["resourceVersion"]
        ):
            raise Conflict(path)
        self._keep("PUT", path, body)
        return self.kept[path]

    def _keep(self, verb: str, path: str, body: Json) -> None:
        self.requests[verb] += 1
        self.sent += len(json.dumps(body))
        version = str(sum(self.requests.values()))
        self.kept[path] = {**body, "metadata": {**body["metadata"], "resourceVersion": version}}


def _written() -> str:
    rows = []
    for affected in SIZES:
        story, cluster = large.Retriggering(affected), _Cluster()
        world = cast("Clients", SimpleNamespace(api=cluster, memo=Memo()))
        passes: dict[str, int] = {}
        begin, deciding, ledgers = time.process_time(), 0.0, 0
        for _ in range(5_000):
            clock = time.process_time()
            before = story.seen.ledger
            decision = story.next()
            deciding += time.process_time() - clock
            passes[_kind(decision)] = passes.get(_kind(decision), 0) + 1
            after = story.seen.ledger
            if after is not before:
                ledgers += 1
                version = None if ledgers == 1 else _version(cluster)
                write_ledger(world, story.seen.rollout, replace(after, resource_version=version))
            if after.kill is not None and after.kill.queued_at is not None:
                break
        spent = time.process_time() - begin
        requests = ", ".join(f"{count:,} {verb}" for verb, count in cluster.requests.items())
        rows.append(
            (
                f"{affected:,}",
                f"{sum(passes.values()):,}",
                f"{ledgers:,}",
                f"{sum(cluster.requests.values()):,} ({requests})",
                f"{cluster.sent / 2**20:,.1f}",
                f"{deciding:.1f}",
                f"{spent - deciding:.1f}",
            )
        )
    header = (
        "Affected, from found to cleared",
        "Passes",
        "Ledger written",
        "Requests for ConfigMaps",
        "MiB sent",
        "Deciding, s",
        "Writing, s",
    )
    return page.table(header, rows)


def _version(cluster: _Cluster) -> str:
    kept = next(body for path, body in cluster.kept.items() if path.endswith("-ledger"))
    return str(kept["metadata"]["resourceVersion"])


def _kind(decision: Decision) -> str:
    known = (WriteLedger, StopRuns, DeletePods, RunJob, ClearRuns)
    action = decision.action
    return next((kind.__name__ for kind in known if isinstance(action, kind)), "none")


def _watching() -> str:
    with Runs() as server:
        keys, memo = server.add(IN_FLIGHT), Memo()
        server.now += timedelta(hours=1)
        server.decide("r0", "running")
        first = _look(server, keys, memo)
        rows = [("the first look", *first, "")]
        for changed in (0, 10, 1000):
            looks = []
            for turn in range(ROUNDS):
                server.now += timedelta(minutes=1)
                for number in range(changed):
                    server.decide(f"r{number}", "success" if turn % 2 else "running")
                looks.append(_look(server, keys, memo))
            requests, seconds = (statistics.median(column) for column in zip(*looks, strict=True))
            rows.append((f"{changed:,} changed", requests, seconds, f"{seconds / first[1]:.3f}"))
    cells = [(name, f"{count:g}", f"{took:.3f}", ratio) for name, count, took, ratio in rows]
    header = (f"Look at {IN_FLIGHT:,} runs", "Requests", "Seconds (wall)", "To the first look")
    return page.table(header, cells)


def _look(server: Runs, keys: Any, memo: Memo) -> tuple[float, float]:
    server.cost()
    airflow = opened(server, memo=memo)
    begin = time.monotonic()
    found = watched_runs(airflow, keys).found
    took = time.monotonic() - begin
    assert len(found) == len(keys)
    return float(server.cost()), took
