"""A world as plain data: it can be drawn, shrunk, printed and kept as an example."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from random import Random
from typing import Any, Final, TypeVar

from simulation.airflow import NOT_YET, SimRun, SimTask
from simulation.operator import MOST_PASSES, Simulation, spec
from simulation.weather import Weather
from xcom_rollout.api.v1alpha1 import RolloutSpec
from xcom_rollout.decide.ledger import RunKey, RunStage

BASE: Final = "s3://aws_default@bucket/xcom"
OTHER_BASE: Final = "s3://aws_default@bucket/other"
SETTLED: Final = 3 * 3600
"""Seconds after the last disturbance within which a kill ends, or says what it waits for."""
SLICE: Final = 600
TRIES_SEEN: Final = 20
"""Slices within which what is tried again and fails is held again."""
QUIET_SLICES: Final = 3
"""For how many of them a kill is held without a try before that is taken for its end."""
BIG: Final = 5000
SMALL: Final = 10
KILL_AT: Final = 40
HOUR: Final = 3600

T = TypeVar("T")


KIND: Final = Weather()


@dataclass(frozen=True)
class RunPlan:
    """A run, by when it begins (seconds after the rollout is live)."""

    dag: str
    tasks: tuple[SimTask, ...]
    begins: int = 0
    run_type: str = "manual"
    finished: bool = False
    """Whether it ended long ago and left its rows."""


@dataclass(frozen=True)
class Plan:
    """Everything that decides a simulation."""

    runs: tuple[RunPlan, ...] = ()
    weather: Weather = KIND
    kill_at: int = KILL_AT
    strategy: str = "Retrigger"
    finished_runs: str = "Rehydrate"
    stop_after: int | None = None
    major: int = 2
    people: tuple[tuple[int, str, str], ...] = ()
    """(second after the rollout is live, verb, argument)"""
    stops: tuple[tuple[int, str], ...] = ()
    """(number of the action, before | within | unrecorded)"""
    dry_run: bool = True
    """Whether a run is stopped only where Airflow says that it could clear it."""
    flip: bool = False
    """Whether second 0 is the beginning of the rollout, not the moment when it is live."""


@lru_cache(maxsize=1)
def _live() -> Simulation:
    sim = Simulation([])
    sim.run_until("Live")
    return sim


def world(plan: Plan) -> Simulation:
    """Return the world of a plan at its second 0, live and offloading unless it has a flip."""
    the_spec = _spec(plan.strategy, plan.finished_runs, plan.stop_after)
    sim = Simulation([], the_spec=the_spec, weather=plan.weather)
    if plan.flip:
        old = sim.clock.now - HOUR
        sim.cluster.fleet += [sim.cluster.pod("worker", old) for _ in range(plan.weather.workers)]
    else:
        _make_live(sim, plan)
    _fill(sim, plan)
    return sim


def _make_live(sim: Simulation, plan: Plan) -> None:
    live = _live()
    begin = live.clock.now
    sim.clock.now = begin
    sim.ledger = live.ledger
    sim.helm.revisions = list(live.helm.revisions)
    cluster = sim.cluster
    cluster.config, cluster.changed = live.cluster.config, live.cluster.changed
    cluster.template, cluster.serial = live.cluster.template, live.cluster.serial
    # What was delivered on the way to Live has been copied; and with workers that takes its time,
    # so no kubelet is behind by two deliveries of it.
    earlier = plan.weather.copied_after + (HOUR if plan.weather.workers else 0)
    cluster.history = [
        (since - earlier, settings, author) for since, settings, author in live.cluster.history
    ]
    cluster.fleet = [replace(pod, shown=None) for pod in live.cluster.fleet]
    cluster.fleet += [cluster.pod("worker", begin) for _ in range(plan.weather.workers)]


def _fill(sim: Simulation, plan: Plan) -> None:
    """Add what the plan has of runs, people and trouble."""
    begin = sim.clock.now
    sim.airflow.major = plan.major
    sim.api.dry_run = plan.dry_run
    sim.airflow.accepted = plan.finished_runs == "Accept"
    sim.stops = dict(plan.stops)
    triggered = {task.waits_for for entry in plan.runs for task in entry.tasks}
    for number, entry in enumerate(plan.runs):
        run = SimRun(RunKey(entry.dag, f"run{number}"), list(entry.tasks), run_type=entry.run_type)
        run.begins = NOT_YET if run.key in triggered else begin + entry.begins
        if entry.finished:
            run.state = "success"
            run.rows = {n: BASE for n, task in enumerate(entry.tasks) if task.size >= BIG}
        else:
            # The scheduler's loop runs when something happens.
            sim.clock.at(run.begins, lambda: None)
        sim.runs[run.key] = run
    for second, verb, argument in plan.people:
        sim.people.will(begin + second, verb, argument)
    sim.people.will(begin + plan.kill_at, "kill", "")


@lru_cache(maxsize=256)
def _spec(strategy: str, finished_runs: str, stop_after: int | None) -> RolloutSpec:
    switch: dict[str, object] = {"strategy": strategy, "finishedRuns": finished_runs}
    if stop_after is not None:
        switch["stopTasksAfter"] = f"{stop_after}s"
    return spec(killSwitch=switch)


def play(plan: Plan, *, settled: int = SETTLED) -> Simulation:
    """Let a plan happen, to its end; every hazard is on record in the result."""
    sim = world(plan)
    begin = sim.clock.now
    last = max([plan.kill_at, *(second for second, _, _ in plan.people)], default=0)
    ends = begin + last + settled
    sim.serve(begin + last + 60)
    quiet, acted = 0, -1
    while sim.clock.now < ends and sim.passes < MOST_PASSES and not sim.hazards.endless:
        sim.serve(min(ends, sim.clock.now + SLICE))
        if sim.at_rest() and not any(run.in_flight for run in sim.runs.values()):
            break
        quiet = quiet + 1 if sim.held() and sim.acted == acted else 0
        acted = sim.acted
        if quiet == QUIET_SLICES:
            break  # it waits for a person, and says so
    for _ in range(TRIES_SEEN):
        if sim.held() or sim.at_rest() or not sim.present:
            break
        sim.serve(sim.clock.now + SLICE)  # something is tried again just now, and may fail again
    judge(sim)
    return sim


def judge(sim: Simulation) -> None:
    """Add what can only be said at the end."""
    hazards, kill, last = sim.hazards, sim.open_kill(), sim.last
    # Each run is reported by the step that is held for it, whether it is the current one or not.
    message = " ".join(step.finding.message for step in last.findings) if last is not None else ""
    held = sim.held()
    # Reported as soon as nothing else holds the kill.
    given_up = {run.key for run in kill.runs if run.stage is RunStage.FAILED} if kill else set()
    for run in sim.runs.values():
        named = kill is not None and held and (str(run.key) in message or run.key in given_up)
        if run.stopped_by_us and run.state == "failed" and not named:
            hazards.lost_runs.append(f"{run.key} stays failed")
        nowhere = (
            run.run_type == "backfill"
            and sim.airflow.major == 2
            and run.clears
            and run.state == "queued"
        )
        if nowhere and not run.cleared_by_person:
            hazards.lost_runs.append(f"{run.key} was cleared into nowhere")
    finished = last is not None and last.current.step == "finished"
    if finished:
        hazards.failed_parents += [
            f"{parent} is not named"
            for parent in sim.airflow.excused_parents
            if parent not in message
        ]
    left = sim.paused_by_us & sim.paused - sim.people.paused
    if left and not held:
        hazards.paused_left += sorted(left)
    if not sim.present or last is None or hazards.endless:
        return
    finding = last.current.finding
    asked = kill is not None or (
        sim.ledger.kill is None and "xcomrollout.dev/kill" in sim.annotations
    )
    if asked and not held:
        hazards.endless.append(f"{last.current.step}: {finding.reason}: {finding.message}")
    elif asked and not sim.fails_for_long() and not _names_something(sim, finding.message):
        hazards.endless.append(f"nothing is named: {finding.reason}: {finding.message}")


def _names_something(sim: Simulation, message: str) -> bool:
    words = {str(key) for key in sim.runs} | {key.dag_id for key in sim.runs}
    # One that was removed while it cannot be read: the operator cannot know that it is gone.
    kill = sim.ledger.kill
    if kill is not None:
        words |= {str(run.key) for run in kill.runs if run.unread} | set(kill.dags_still_held)
    words |= {pod.name for pod in (*sim.tasks, *sim.cluster.long_lived)}
    words |= {"quota", "release airflow", "API", "spec.killSwitch.finishedRuns", "xcom_backend"}
    return any(word in message for word in words)


# -- drawing ---------------------------------------------------------------------------------

DAGS: Final = ("dag0", "dag1", "dag2")
JOBS: Final = ("census", "empty", "rehydrate")


def draw(random: Random) -> Plan:
    """Draw a plan: most are nasty in one or two ways, some in many."""
    pick = _Pick(random)
    nasty = random.random() < 0.3
    runs = tuple(_draw_run(pick, number) for number in range(pick.count(1, 4)))
    runs = _with_parent(pick, runs)
    strategy = pick.of(
        "Retrigger", "Retrigger", "Retrigger", "Retrigger", "Rehydrate", "Drain", "Immediate"
    )
    finished = pick.of("Rehydrate", "Rehydrate", "Rehydrate", "Accept", "Hold")
    plan = Plan(
        runs=runs,
        weather=_draw_weather(pick, nasty),
        kill_at=pick.count(3, 60),
        strategy=strategy,
        finished_runs=finished,
        stop_after=pick.of(None, None, None, 30, 120),
        major=pick.of(2, 3),
        people=_draw_people(pick, runs, nasty),
        stops=tuple(
            (pick.count(1, 30), pick.of("before", "within", "unrecorded"))
            for _ in range(pick.of(0, 0, 0, 1, 3))
        ),
    )
    # Drawn last, so that an earlier world stays the same except for these.
    plan = replace(plan, people=tuple(sorted((*plan.people, *_draw_unread(pick, runs, nasty)))))
    starts = pick.of(0, 0, 0, 5, 30, 90)
    return replace(plan, weather=replace(plan.weather, web_starts=starts))


def draw_with_workers(random: Random) -> Plan:
    """Draw a plan whose tasks run in workers; what it has besides is drawn as for `draw`."""
    plan = draw(random)
    pick = _Pick(random)
    nasty = random.random() < 0.3
    weather = _draw_workers(pick, plan.weather, nasty)
    people = (*plan.people, *_draw_accidents(pick, nasty))
    runs = tuple(_with_deaf_tasks(pick, run) for run in plan.runs)
    return replace(plan, runs=runs, weather=weather, people=tuple(sorted(people)))


def draw_with_both(random: Random) -> Plan:
    """Draw a plan some of whose tasks run in workers and some in pods of their own.

    What it has besides is drawn as for `draw_with_workers`: all that can happen to either.
    """
    plan = draw_with_workers(random)
    pick = _Pick(random)
    runs = tuple(_with_task_pods(pick, run) for run in plan.runs)
    weather = replace(plan.weather, copied_after=pick.of(0, 0, 0, 0, 3, 20, 200))
    return replace(plan, runs=runs, weather=weather)


def _with_task_pods(pick: "_Pick", run: RunPlan) -> RunPlan:
    share = pick.of(20, 50, 50, 80, 100)
    tasks = (replace(task, in_pod=pick.chance(share)) for task in run.tasks)
    return replace(run, tasks=tuple(tasks))


def draw_with_copies(random: Random) -> Plan:
    """Draw a plan whose tasks run in another namespace, with a copy of the configuration."""
    plan = draw(random)
    after = _Pick(random).of(1, 3, 20, 60, 200)
    return replace(plan, weather=replace(plan.weather, copied_after=after))


def draw_in_flip(random: Random) -> Plan:
    """Draw a plan whose kill comes in the middle of a flip, or soon after it."""
    pick = _Pick(random)
    plan = pick.of(draw, draw, draw_with_copies, draw_with_workers, draw_with_both)(random)
    weather = plan.weather
    takes = 60 + 2 * weather.copied_after + (300 if weather.workers else 0)
    return replace(
        plan,
        flip=True,
        kill_at=pick.count(0, takes + 100),
        # Nobody has offloaded yet, and what people do is another kind of world.
        runs=tuple(replace(run, finished=False) for run in plan.runs),
        people=(),
    )


def _with_deaf_tasks(pick: "_Pick", run: RunPlan) -> RunPlan:
    tasks = (replace(task, deaf=task.deaf or pick.chance(25)) for task in run.tasks)
    return replace(run, tasks=tuple(tasks))


def drawn(first: int, last: int, how: Callable[[Random], Plan] = draw) -> Iterator[Plan]:
    """Return the plans of these seeds; `last` is not among them."""
    for seed in range(first, last):
        yield how(Random(seed))  # noqa: S311  # no secret, a simulation


class _Pick:
    def __init__(self, random: Random) -> None:
        self.random = random

    def count(self, low: int, high: int) -> int:
        return self.random.randint(low, high)

    def of(self, *choices: T) -> T:
        return self.random.choice(choices)

    def chance(self, per_cent: int) -> bool:
        return self.random.randint(0, 99) < per_cent


def _draw_run(pick: _Pick, number: int) -> RunPlan:
    tasks = [_draw_task(pick, place) for place in range(pick.count(1, 4))]
    if pick.chance(50):
        # One that holds a path for a while, whatever follows.
        holds = (SimTask(pick.of(1, 3, 8), BIG), SimTask(pick.of(8, 30, 90), SMALL))
        tasks = [*holds, *tasks[:2]]
    if pick.chance(10):
        tasks.append(SimTask(pick.of(1, 20), SMALL, "teardown"))
    return RunPlan(
        dag=pick.of(*DAGS),
        tasks=tuple(tasks),
        begins=pick.of(0, 0, 5, 15, 30, 45, 60, 70, 90),
        run_type=pick.of("manual", "scheduled", "scheduled", "backfill"),
        finished=number > 0 and pick.chance(8),
    )


def _draw_task(pick: _Pick, place: int) -> SimTask:
    return SimTask(
        seconds=pick.of(1, 3, 8, 20, 60, 300) if pick.chance(90) else 1500,
        size=pick.of(SMALL, BIG),
        kind=pick.of("normal", "normal", "normal", "deferred", "resumed", "reschedule"),
        beside=place > 0 and pick.chance(20),
        only=pick.of("", "", "", "", "first", "rerun"),
        retries=pick.of(0, 0, 0, 0, 1),
        retry_delay=pick.of(5, 60),
        fails=pick.chance(3),
        deaf=pick.chance(10),
        across=pick.of(*DAGS) if pick.chance(10) else "",
    )


def _with_parent(pick: _Pick, runs: tuple[RunPlan, ...]) -> tuple[RunPlan, ...]:
    if not pick.chance(10):
        return runs
    child = RunKey(runs[0].dag, "run0")
    first = (SimTask(2, BIG),) if pick.chance(50) else ()
    waits = SimTask(3, SMALL, "parent", waits_for=child)
    return (*runs, RunPlan("parent", (*first, waits), runs[0].begins))


def _draw_weather(pick: _Pick, nasty: bool) -> Weather:
    def often(value: object, otherwise: object) -> object:
        return value if nasty or pick.chance(35) else otherwise

    dies = often(tuple({pick.count(1, 4) for _ in range(pick.of(0, 1, 1))}), ())
    fails = often(tuple({pick.count(1, 4) for _ in range(pick.of(0, 0, 1))}), ())
    lost = often(tuple({pick.count(1, 8) for _ in range(pick.of(0, 1, 2))}), ())
    return Weather(
        seed=pick.count(0, 10_000),
        queue=often((0, pick.of(1, 5)), (0, 0)),  # type: ignore[arg-type]
        init=often((0, pick.of(1, 5)), (0, 0)),  # type: ignore[arg-type]
        subpath=pick.chance(70),
        stale_mounts=pick.of(0, 0, 50),
        in_place=pick.chance(30),
        helm=often((1, pick.of(3, 8, 20)), (0, 0)),  # type: ignore[arg-type]
        helm_dies=dies,  # type: ignore[arg-type]
        helm_dies_late=pick.chance(60),
        helm_fails=fails,  # type: ignore[arg-type]
        roll=pick.of(1, 4, 20),
        fleet_grace=often(pick.of(5, 30, 90), 0),  # type: ignore[arg-type]
        job=often((1, pick.of(5, 30, 120)), (2, 3)),  # type: ignore[arg-type]
        jobs_lost=lost,  # type: ignore[arg-type]
        jobs_lost_late=pick.chance(50),
        standby=pick.chance(50),
        heartbeat=pick.of(0, 5, 10),
        grace=pick.of(1, 3),
        deaf_grace=30,
        rest_faults=often(pick.of(0, 10, 30), 0),  # type: ignore[arg-type]
        latency=often(pick.of(1, 3), 0),  # type: ignore[arg-type]
        slow=pick.of(1, 1, 3),
        skew=often(pick.of(-30, 0, 30), 0),  # type: ignore[arg-type]
    )


def _draw_workers(pick: _Pick, weather: Weather, nasty: bool) -> Weather:
    def often(value: int, otherwise: int) -> int:
        return value if nasty or pick.chance(35) else otherwise

    return replace(
        weather,
        workers=pick.of(1, 1, 2, 3),
        slots=pick.of(1, 2, 4, 16),
        stateful=pick.chance(50),
        worker_grace=pick.of(3, 20, 60, 600, 600, 2000),
        worker_starts=often(pick.of(2, 10, 40), 0),
        notices=pick.of((5, 10), (9, 10)),
        heartbeats=pick.of(40, 300),
        again=often(pick.of(20, 100, 400), 0),
        doubled=often(pick.of(10, 50), 0),
        orphaned=often(pick.of(10, 50), 0),
        unnamed=often(pick.of(5, 30), 0),
        look_pace=pick.of(0, 0, 2),
        look_faults=often(pick.of(10, 50), 0),
        end_faults=often(pick.of(10, 50), 0),
        stale_mounts=often(pick.of(30, 100), 0),
    )


def _draw_accidents(pick: _Pick, nasty: bool) -> list["Event"]:
    """Draw what befalls workers: mostly in the minutes in which a kill stops runs."""
    events: list[Event] = []
    for _ in range(pick.of(0, 1, 1, 2, 3) if nasty else pick.of(0, 0, 0, 1, 1)):
        second, which = pick.of(pick.count(0, 300), pick.count(20, 120)), str(pick.count(0, 3))
        what = pick.of(
            "worker-evicted",
            "worker-killed",
            "worker-crashes",
            "supervisors-lost",
            "supervisors-lost",
            "refuse-exec",
        )
        events.append((second, what, which))
        if what == "refuse-exec" and pick.chance(80):
            events.append((second + pick.of(5, 60, 600), "allow-exec", which))
    return events


def _draw_people(
    pick: _Pick, runs: tuple[RunPlan, ...], nasty: bool
) -> tuple[tuple[int, str, str], ...]:
    events: list[tuple[int, str, str]] = []
    for _ in range(pick.of(0, 0, 1, 1, 2, 4) if nasty else pick.of(0, 0, 0, 1, 1)):
        events += _EVENTS[pick.count(0, len(_EVENTS) - 1)](pick, runs)
    return tuple(sorted(events))


def _draw_unread(pick: _Pick, runs: tuple[RunPlan, ...], nasty: bool) -> list["Event"]:
    """Draw runs and DAGs that Airflow refuses to show, for a time or forever."""
    events: list[Event] = []
    for _ in range(pick.of(0, 0, 1, 2) if nasty else pick.of(0, 0, 0, 0, 0, 1)):
        what = _any_run(pick, runs) if pick.chance(70) else pick.of(*DAGS)
        begin = pick.count(0, 300)
        events.append((begin, pick.of("hide", "hide", "break"), what))
        if pick.chance(60):
            events.append((begin + pick.of(5, 60, 600), "show", what))
    return events


def _any_run(pick: _Pick, runs: tuple[RunPlan, ...]) -> str:
    number = pick.count(0, len(runs) - 1)
    return f"{runs[number].dag}/run{number}"


Event = tuple[int, str, str]
Draw = Callable[[_Pick, tuple[RunPlan, ...]], list[Event]]


def _once(verb: str, low: int = 0, high: int = 300) -> Draw:
    return lambda pick, _runs: [(pick.count(low, high), verb, "")]


def _between(first: str, last: str, argument: Callable[[_Pick, tuple[RunPlan, ...]], str]) -> Draw:
    def drawn(pick: _Pick, runs: tuple[RunPlan, ...]) -> list[Event]:
        begin, what = pick.count(0, 200), argument(pick, runs)
        events = [(begin, first, what)]
        if pick.chance(80):
            events.append((begin + pick.of(5, 60, 600), last, what))
        return events

    return drawn


def _nothing(_pick: _Pick, _runs: tuple[RunPlan, ...]) -> str:
    return ""


def _second_kill(pick: _Pick, _runs: tuple[RunPlan, ...]) -> list[Event]:
    end = pick.of(1500, 2 * HOUR)
    return [(end, "take-back", ""), (end + pick.of(300, 2 * HOUR), "kill", "")]


def _made_again(pick: _Pick, _runs: tuple[RunPlan, ...]) -> list[Event]:
    begin = pick.count(0, 200)
    path = pick.of("", OTHER_BASE)
    return [(begin, "delete", ""), (begin + pick.of(10, 100, 1000), "create", path)]


def _other_path(pick: _Pick, _runs: tuple[RunPlan, ...]) -> list[Event]:
    return [(pick.count(0, 200), pick.of("other-path", "other-path-read"), OTHER_BASE)]


_EVENTS: Final[tuple[Draw, ...]] = (
    _once("reflip"),
    _once("reflip", 600, 3000),
    _once("minus-one"),
    _once("revert"),
    _once("label"),
    _once("option"),
    _once("new-operator"),
    lambda pick, runs: [(pick.count(0, 100), "backfill-dies", _any_run(pick, runs))],
    lambda pick, runs: [(pick.count(0, 300), "remove", _any_run(pick, runs))],
    lambda pick, runs: [(pick.count(0, 300), "clear", _any_run(pick, runs))],
    lambda pick, _runs: [(pick.count(0, 300), "restart", str(pick.count(0, 2)))],
    lambda pick, _runs: [(pick.count(30, 300), "take-back", "")],
    lambda pick, _runs: [(pick.count(60, 300), "kill", pick.of("Rehydrate", "Drain", "Retrigger"))],
    _between("pause", "unpause", lambda pick, _runs: pick.of(*DAGS)),
    _between("store-down", "store-up", _nothing),
    _between("api-down", "api-up", _nothing),
    _between("node-lost", "node-dropped", lambda pick, _runs: pick.of("node-a", "node-b")),
    _between("dag-gone", "dag-back", lambda pick, _runs: pick.of(*DAGS)),
    _between("refuse", "allow", _any_run),
    _second_kill,
    _made_again,
    _other_path,
    _between("refuse-jobs", "take-jobs", lambda pick, _runs: pick.of(*JOBS)),
)


# -- shrinking -------------------------------------------------------------------------------


def shrink(plan: Plan, fails: Callable[[Plan], bool]) -> Plan:
    """Return a smaller plan that still fails: parts are left out for as long as it does."""
    for _ in range(100):
        for smaller in _smaller(plan):
            if fails(smaller):
                plan = smaller
                break
        else:
            return plan
    return plan


def _smaller(plan: Plan) -> Iterator[Plan]:
    for name in ("people", "stops", "runs"):
        entries = getattr(plan, name)
        for number in range(len(entries)):
            if name == "runs" and len(entries) == 1:
                continue
            if name == "runs":
                # Names of runs are their places: only the last can go without a change of others.
                if number == len(entries) - 1:
                    yield replace(plan, runs=entries[:-1])
                continue
            yield replace(plan, **{name: entries[:number] + entries[number + 1 :]})
    default = Weather()
    for name in Weather.__dataclass_fields__:
        if getattr(plan.weather, name) != getattr(default, name):
            yield replace(plan, weather=replace(plan.weather, **{name: getattr(default, name)}))
    kind = Plan()
    for name in ("strategy", "finished_runs", "stop_after", "major"):
        base: Any = getattr(kind, name)
        if getattr(plan, name) != base:
            yield replace(plan, **{name: base})
    for number, run in enumerate(plan.runs):
        for small in _smaller_run(run):
            yield replace(plan, runs=(*plan.runs[:number], small, *plan.runs[number + 1 :]))


def _smaller_run(run: RunPlan) -> Iterator[RunPlan]:
    for number in range(len(run.tasks)):
        if len(run.tasks) > 1:
            yield replace(run, tasks=run.tasks[:number] + run.tasks[number + 1 :])
    if run.run_type != "manual":
        yield replace(run, run_type="manual")
    if run.begins:
        yield replace(run, begins=0)
    default = SimTask()
    for number, task in enumerate(run.tasks):
        for name in SimTask.__dataclass_fields__:
            if getattr(task, name) != getattr(default, name):
                small = replace(task, **{name: getattr(default, name)})
                yield replace(run, tasks=(*run.tasks[:number], small, *run.tasks[number + 1 :]))
