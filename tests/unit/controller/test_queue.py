"""The work queue: one worker per key, delays, back-off, and a stop that finishes the pass."""

import threading
from datetime import timedelta

import pytest

from xcom_rollout.controller.workqueue import LONGEST_RETRY, Workers, WorkQueue


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now

    def tick(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def queue(clock: Clock) -> WorkQueue[str]:
    return WorkQueue(clock=clock, jitter=lambda: 1.0)


def seconds(number: float) -> timedelta:
    return timedelta(seconds=number)


def take(queue: WorkQueue[str]) -> str | None:
    return queue.get(wait=False)


def test_a_key_added_twice_is_worked_on_once(queue: WorkQueue[str]) -> None:
    queue.add("a")
    queue.add("b")
    queue.add("a")
    assert [take(queue), take(queue), take(queue)] == ["a", "b", None]


def test_a_key_in_work_waits_for_its_pass_to_end(queue: WorkQueue[str]) -> None:
    queue.add("a")
    assert take(queue) == "a"
    queue.add("a")
    queue.add("a")
    assert take(queue) is None, "two workers on one key"
    queue.done("a")
    assert take(queue) == "a"
    queue.done("a")
    assert take(queue) is None


def test_a_delay_passes_by_the_clock(queue: WorkQueue[str], clock: Clock) -> None:
    queue.add_after("a", seconds(30))
    clock.tick(29.9)
    assert take(queue) is None
    clock.tick(0.2)
    assert take(queue) == "a"


def test_the_earlier_of_two_delays_counts(queue: WorkQueue[str], clock: Clock) -> None:
    queue.add_after("a", seconds(30))
    queue.add_after("a", seconds(5))
    queue.add_after("a", seconds(60))
    clock.tick(5)
    assert take(queue) == "a"
    queue.done("a")
    clock.tick(100)
    assert take(queue) is None, "a delay that was overtaken still fired"


def test_a_pass_drops_the_delay_that_was_asked_before(queue: WorkQueue[str], clock: Clock) -> None:
    queue.add_after("a", seconds(30))
    queue.add("a")
    assert take(queue) == "a"
    queue.done("a")
    clock.tick(31)
    assert take(queue) is None


def test_a_delay_that_ends_during_the_pass_makes_one_more(
    queue: WorkQueue[str], clock: Clock
) -> None:
    queue.add("a")
    assert take(queue) == "a"
    queue.add_after("a", seconds(1))
    clock.tick(2)
    assert take(queue) is None
    queue.done("a")
    assert take(queue) == "a"


def test_back_off_doubles_up_to_a_minute_and_starts_anew_after_success(
    queue: WorkQueue[str],
) -> None:
    delays = [queue.add_failed("a").total_seconds() for _ in range(9)]
    assert delays == [1, 2, 4, 8, 16, 32, 60, 60, 60]
    assert queue.add_failed("b") == seconds(1), "the back-off of one key slowed another"
    queue.forget_failures("a")
    assert queue.add_failed("a") == seconds(1)


def test_back_off_stays_bounded_after_days_of_failing(queue: WorkQueue[str]) -> None:
    delays = [queue.add_failed("a") for _ in range(5000)]
    assert delays[-1] == LONGEST_RETRY


def test_jitter_scales_the_back_off(clock: Clock) -> None:
    queue: WorkQueue[str] = WorkQueue(clock=clock, jitter=lambda: 0.5)
    assert queue.add_failed("a") == seconds(0.5)


def test_a_closed_queue_hands_out_nothing_and_takes_nothing(queue: WorkQueue[str]) -> None:
    queue.add("a")
    queue.close()
    queue.add("b")
    assert queue.get() is None


def test_an_urgent_key_is_taken_before_those_that_have_waited_longer(
    queue: WorkQueue[str],
) -> None:
    for key in ("a", "b", "kill"):
        queue.add(key)
    queue.mark("kill", urgent=True)
    assert [take(queue) for _ in range(3)] == ["kill", "a", "b"]


def test_a_key_that_is_urgent_no_more_waits_for_its_turn(queue: WorkQueue[str]) -> None:
    queue.mark("b", urgent=True)
    queue.mark("b", urgent=False)
    queue.add("a")
    queue.add("b")
    assert [take(queue), take(queue)] == ["a", "b"]


def test_one_worker_is_left_for_urgent_keys_however_many_others_wait(
    queue: WorkQueue[str],
) -> None:
    for key in "abcde":
        queue.add(key)
    assert [queue.get(wait=False, most=3) for _ in range(4)] == ["a", "b", "c", None]
    queue.add("kill")
    queue.mark("kill", urgent=True)
    assert queue.get(wait=False, most=3) == "kill"
    queue.done("b")
    assert queue.get(wait=False, most=3) == "d"
    assert queue.get(wait=False, most=3) is None


def test_a_pass_that_was_begun_before_its_key_became_urgent_takes_no_kills_worker(
    queue: WorkQueue[str],
) -> None:
    for key in "abcd":
        queue.add(key)
    assert [queue.get(wait=False, most=3) for _ in range(3)] == ["a", "b", "c"]
    queue.mark("a", urgent=True)
    assert queue.get(wait=False, most=3) is None, "the last worker is for the next kill"


def test_kills_without_end_leave_one_worker_to_the_others(queue: WorkQueue[str]) -> None:
    kills = [f"kill{number}" for number in range(5)]
    for key in kills:
        queue.mark(key, urgent=True)
        queue.add(key)
    queue.add("a")
    queue.add("b")
    assert [queue.get(wait=False, most=3) for _ in range(4)] == [*kills[:3], "a"]
    queue.add("kill0")
    queue.done("kill0")
    assert queue.get(wait=False, most=3) == "kill3", "kills have their turns in order"
    queue.done("a")
    assert queue.get(wait=False, most=3) == "b", "and take no worker from the others"


def test_a_failing_pass_is_retried_and_a_good_one_asks_for_its_next(
    queue: WorkQueue[str], clock: Clock
) -> None:
    made: list[float] = []

    def work(_: str) -> timedelta | None:
        made.append(clock.now)
        if len(made) == 1:
            raise RuntimeError("the first pass fails")
        return seconds(300) if len(made) == 2 else None

    workers = Workers(queue, work)
    queue.add("a")
    assert workers.run_one()
    assert not workers.run_one()
    clock.tick(1)
    assert workers.run_one()
    clock.tick(299)
    assert not workers.run_one()
    clock.tick(1)
    assert workers.run_one()
    clock.tick(10_000)
    assert not workers.run_one()
    assert made == [100, 101, 401]


def test_threads_never_share_a_key_and_stop_waits_for_the_running_pass() -> None:
    queue: WorkQueue[str] = WorkQueue()
    lock = threading.Lock()
    busy: set[str] = set()
    shared: list[str] = []
    begun, may_end = threading.Event(), threading.Event()
    ended: list[str] = []

    def work(key: str) -> None:
        with lock:
            if key in busy:
                shared.append(key)
            busy.add(key)
        if key == "slow":
            begun.set()
            may_end.wait(10)
        with lock:
            busy.discard(key)
            ended.append(key)

    workers = Workers(queue, work)
    workers.start()
    queue.add("slow")
    assert begun.wait(10)
    for _ in range(200):
        for key in ("slow", "a", "b"):
            queue.add(key)
    stopper = threading.Thread(target=workers.stop)
    stopper.start()
    assert "slow" not in ended
    may_end.set()
    stopper.join(10)
    assert not stopper.is_alive()
    assert "slow" in ended, "the running pass was not finished"
    assert not shared
    assert not workers.alive()


@pytest.mark.parametrize("count", [1, 4])
@pytest.mark.parametrize(("urgent", "late"), [(False, "kill"), (True, "another")])
def test_a_kill_waits_for_no_slow_pass_over_another_rollout_and_no_other_for_kills_alone(
    count: int, urgent: bool, late: str
) -> None:
    queue: WorkQueue[str] = WorkQueue()
    may_end, worked_on = threading.Event(), threading.Event()

    def work(key: str) -> None:
        if key == late:
            worked_on.set()
        else:
            may_end.wait(10)

    workers = Workers(queue, work, count=count)
    workers.start()
    for key in (f"slow{number}" for number in range(6)):
        queue.mark(key, urgent=urgent)
        queue.add(key)
    queue.mark(late, urgent=not urgent)
    queue.add(late)
    assert worked_on.wait(5), f"{late} waited for the others"
    may_end.set()
    workers.stop()


def test_what_happens_often_hastens_a_pass_now_and_then_only() -> None:
    now = [0.0]
    queue: WorkQueue[str] = WorkQueue(clock=lambda: now[0])
    passes = []
    queue.add_after("a", timedelta(seconds=100))
    for _ in range(100):
        queue.hasten("a", timedelta(seconds=0.3), timedelta(seconds=2))
        now[0] += 0.1
        while (key := queue.get(wait=False)) is not None:
            passes.append(round(now[0], 1))
            queue.done(key)
    assert passes[0] == 0.3
    assert len(passes) <= 6


def test_what_happens_often_does_not_shorten_a_back_off() -> None:
    now = [0.0]
    queue: WorkQueue[str] = WorkQueue(clock=lambda: now[0], jitter=lambda: 1.0)
    queue.add("a")
    assert queue.get(wait=False) == "a"
    queue.add_failed("a")
    queue.done("a")
    queue.hasten("a", timedelta(seconds=0.3), timedelta(seconds=2))
    now[0] = 0.9
    assert queue.get(wait=False) is None
    now[0] = 1.0
    assert queue.get(wait=False) == "a"
