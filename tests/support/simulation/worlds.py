"""Play many worlds, and say what harm was done in which."""

import os
from collections import Counter
from collections.abc import Callable
from functools import partial
from random import Random
from typing import Final

from hypothesis import HealthCheck, settings

from simulation.operator import Simulation
from simulation.plan import Plan, drawn, play, shrink

SHOWN: Final = 3
"""Failures that are shrunk and shown."""


def how_many(otherwise: int) -> int:
    """Return how many worlds are asked for; `make test-long` sets it."""
    return int(os.environ.get("XCOM_ROLLOUT_WORLDS", str(otherwise)))


def first_world() -> int:
    """Return with which seed they begin."""
    return int(os.environ.get("XCOM_ROLLOUT_FIRST_WORLD", "0"))


def looked_for(worlds: int, usual: int, examples: int) -> settings:
    """Return how hypothesis looks for worlds, in a test run and where more are asked for.

    A change is judged by the same worlds twice; new ones are looked for by `make test-long`.

    Args:
        worlds: as many as are played (`how_many`).
        usual: as many as in a test run.
        examples: those that hypothesis draws then.
    """
    return settings(
        max_examples=examples if worlds <= usual else 2000,
        deadline=None,
        derandomize=worlds <= usual,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )


def harm_done(first: int, size: int, how: Callable[[Random], Plan]) -> list[str]:
    """Play the worlds of these seeds; print what they were like, return what went wrong."""
    totals: Counter[str] = Counter()
    failures: list[tuple[int, Plan]] = []
    for seed, plan in enumerate(drawn(first, first + size, how), first):
        sim = play(plan)
        _count(totals, sim)
        if sim.hazards.found():
            failures.append((seed, plan))
    print(f"\nworlds {first} to {first + size - 1}:")
    for name, count in sorted(totals.items()):
        print(f"  {count:>8} {name}")
    shown = []
    for seed, plan in failures[:SHOWN]:
        small = shrink(plan, partial(_shares_a_hazard, _hazards_of(plan)))
        shown.append(f"world {seed}: {play(small).hazards.found()}\n{small!r}")
    more = [f"worlds {[seed for seed, _ in failures]}, of {size}"] if failures else []
    return more + shown


def _hazards_of(plan: Plan) -> set[str]:
    return set(play(plan).hazards.found())


def _shares_a_hazard(seen: set[str], plan: Plan) -> bool:
    return bool(_hazards_of(plan) & seen)


def _count(totals: Counter[str], sim: Simulation) -> None:
    """Add what a world was like."""
    kill = sim.ledger.kill
    kills = (*sim.ledger.past_kills, *((kill,) if kill is not None else ()))
    totals["worlds"] += 1
    totals["passes"] += sim.passes
    totals["actions"] += sim.acted
    totals["kills"] += len(kills)
    totals["rounds"] += sum(entry.round for entry in kills)
    totals["runs"] += len(sim.runs)
    totals["runs re-triggered"] += sum(bool(run.rounds) for run in sim.runs.values())
    totals["events of people"] += sim.people.done
    totals["parents that failed with an Immediate kill"] += len(sim.airflow.excused_parents)
    totals["reads of paths that a person or the spec allowed"] += len(sim.airflow.excused_reads)
    if sim.weather.workers:
        totals["attempts in workers"] += sim.workers.attempts
        totals["attempts in pods of their own, beside workers"] += sim.workers.in_pods
        totals["attempts that lost their supervisor"] += sim.workers.orphans
        totals["attempts killed with their worker"] += sim.workers.killed
        totals["attempts ended by the operator"] += sim.workers.ended_by_force
        totals["messages dropped"] += sim.workers.dropped
    last = sim.last.current.finding.reason if sim.last is not None else "none"
    totals[f"ends as {last}"] += 1
    for name, entries in sim.hazards.found().items():
        totals[f"HAZARD {name}"] += len(entries)
