"""What was seen to go wrong, case by case (the numbers are those of the list of cases).

Each world is the smallest that shows the case; the outcome is told by hazards, by what became of
the runs, and by the reason that a person reads.
"""

from dataclasses import replace

import pytest

from simulation import Plan, RunPlan, SimRun, SimTask, Simulation, Weather, play
from simulation.clock import START
from simulation.operator import spec
from simulation.plan import BASE, BIG, HOUR, OTHER_BASE, SMALL, world
from xcom_rollout.decide.actions import RunJob
from xcom_rollout.decide.decision import Progress
from xcom_rollout.decide.kill.outcomes import failed_try, unread_try
from xcom_rollout.decide.ledger import OffloadedRun, RecoveringRun, RunKey, RunStage, Verdict
from xcom_rollout.decide.observed import CensusResult, JobKind, JobState, ProbeResult

KILL_AT = 20
HOLDER = RunPlan("dag0", (SimTask(3, BIG), SimTask(40, SMALL), SimTask(1, SMALL)))
"""A run that holds a path when the kill begins, reads it at its end, and is named dag0/run0."""
WRITER = RunPlan("dag1", (SimTask(60, BIG), SimTask(2, SMALL)))
"""A run whose task began before the kill, and offloads after it."""
HELM = Weather(helm=(6, 6), queue=(1, 3), init=(1, 3), seed=7)
"""Deliveries of 6 s, and pods that take a while to come."""


def plan(*runs: RunPlan, **changes: object) -> Plan:
    return replace(Plan(runs=runs or (HOLDER,), kill_at=KILL_AT), **changes)  # type: ignore[arg-type]


def ended_well(the_plan: Plan) -> Simulation:
    """Play it: the kill ends, and nothing that must never take place did."""
    sim = play(the_plan)
    assert sim.hazards.found() == {}
    assert outcome(sim) == "Reverted"
    assert sim.settings.is_database
    return sim


def held(the_plan: Plan, reason: str, *parts: str) -> Simulation:
    """Play it: the kill is held in the end, harms nothing, and says what it is held by."""
    sim = play(the_plan)
    assert sim.hazards.found() == {}
    assert sim.last is not None
    finding = sim.last.current.finding
    assert (finding.progress, finding.reason) == (Progress.HELD, reason), finding
    for part in parts:
        assert part in finding.message
    return sim


def outcome(sim: Simulation) -> str:
    assert sim.last is not None
    return sim.last.current.finding.reason


def run_of(sim: Simulation, name: str) -> SimRun:
    return sim.runs[RunKey(*name.split("/"))]


def stage_of(sim: Simulation, name: str) -> RunStage | None:
    kill = sim.ledger.kill
    assert kill is not None
    return next((run.stage for run in kill.runs if str(run.key) == name), None)


def test_a_run_that_holds_a_path_runs_again_and_another_is_not_touched() -> None:
    sim = ended_well(plan(HOLDER, RunPlan("dag1", (SimTask(60, SMALL), SimTask()))))
    assert run_of(sim, "dag0/run0").clears == 1
    assert run_of(sim, "dag0/run0").state == "success"
    assert run_of(sim, "dag1/run1").fails == 0


@pytest.mark.parametrize("strategy", ["Drain", "Rehydrate"])
def test_no_run_is_touched_where_the_strategy_touches_none(strategy: str) -> None:
    sim = ended_well(plan(HOLDER, WRITER, strategy=strategy, weather=HELM))
    assert [run.clears + run.fails for run in sim.runs.values()] == [0, 0]
    assert [run.state for run in sim.runs.values()] == ["success", "success"]


def test_w1_a_flip_after_the_kill_while_its_request_stands_is_a_new_kill() -> None:
    late = RunPlan("dag2", (SimTask(5, BIG), SimTask(300, SMALL), SimTask()), begins=1520)
    sim = ended_well(plan(HOLDER, late, people=((1500, "reflip", ""),), weather=HELM))
    kill = sim.ledger.kill
    assert kill is not None
    assert (kill.attempt, len(sim.ledger.past_kills)) == (2, 1)
    assert run_of(sim, "dag2/run1").state == "success"


@pytest.mark.parametrize("second", [2, 5, 8, 15, 25, 40, 60])
def test_w2_a_flip_in_the_middle_begins_another_round(second: int) -> None:
    busy = RunPlan("dag2", (SimTask(5, BIG), SimTask(30, BIG), SimTask()), begins=KILL_AT)
    ended_well(plan(HOLDER, WRITER, busy, people=((KILL_AT + second, "reflip", ""),), weather=HELM))


@pytest.mark.parametrize("second", [-5, -1, 2, 5, 8, 15, 25, 40, 60])
def test_a_chart_that_somebody_upgrades_keeps_no_kill_from_its_beginning_and_its_end(
    second: int,
) -> None:
    sim = ended_well(plan(HOLDER, WRITER, people=((KILL_AT + second, "chart", "2.0"),)))
    assert run_of(sim, "dag0/run0").clears == 1
    assert sim.helm.chart_version == "2.0"


def test_a_chart_that_is_upgraded_before_a_second_kill_does_not_keep_that_from_its_beginning() -> (
    None
):
    late = RunPlan("dag2", (SimTask(5, BIG), SimTask(300, SMALL), SimTask()), begins=1520)
    people = ((1490, "chart", "2.0"), (1500, "reflip", ""))
    sim = ended_well(plan(HOLDER, late, people=people, weather=HELM))
    kill = sim.ledger.kill
    assert kill is not None
    assert kill.attempt == 2


def test_a_chart_that_is_upgraded_without_a_kill_is_told_and_nothing_is_delivered() -> None:
    sim = world(plan(HOLDER, people=((5, "chart", "2.0"),), kill_at=2 * HOUR))
    sim.serve(sim.clock.now + 600)
    assert outcome(sim) == "ChartMismatch"
    assert sim.helm.deliveries == 0


def test_after_a_kill_and_its_resumption_an_upgraded_chart_is_told() -> None:
    people = ((HOUR, "chart", "2.0"), (HOUR + 60, "take-back", ""))
    sim = world(plan(HOLDER, people=people))
    sim.serve(sim.clock.now + HOUR + 30)
    assert outcome(sim) == "Reverted", "a kill that has finished delivers nothing more"
    sim.serve(sim.clock.now + 600)
    assert outcome(sim) == "ChartMismatch"


def test_w3_the_api_that_times_out_delays_the_runs_and_not_the_end_of_offloading() -> None:
    away = ((KILL_AT - 1, "api-down", ""), (KILL_AT + 300, "api-up", ""))
    sim = world(plan(HOLDER, people=away, weather=HELM))
    sim.serve(sim.clock.now + KILL_AT + 20)
    assert not sim.settings.offloads
    ended_well(plan(HOLDER, people=away, weather=HELM))


def test_w4_a_user_that_may_not_pause_is_enough() -> None:
    sim = world(plan(HOLDER))
    sim.api.forbidden_to_pause = True
    sim.serve(sim.clock.now + 600)
    assert outcome(sim) == "Reverted"
    assert sim.hazards.found() == {}


def test_w5_n1_a_run_with_a_pending_teardown_stops_and_no_other_run_waits_for_it() -> None:
    slow = RunPlan("dag1", (SimTask(3, BIG), SimTask(300, SMALL), SimTask(60, SMALL, "teardown")))
    sim = ended_well(plan(HOLDER, slow))
    stops = [action for action in sim.actions if type(action).__name__ == "StopRuns"]
    assert len(stops) < 10, "a stop that is accepted is not asked for twice a second"


def test_w5_a_teardown_of_a_paused_dag_is_reported() -> None:
    slow = RunPlan("dag1", (SimTask(3, BIG), SimTask(300, SMALL), SimTask(60, SMALL, "teardown")))
    sim = held(
        plan(HOLDER, slow, people=((KILL_AT - 1, "pause", "dag1"),)), "RunsStuck", "dag1/run1"
    )
    assert run_of(sim, "dag0/run0").state == "success", "the other run does not wait for it"


@pytest.mark.parametrize("begins", range(KILL_AT - 6, KILL_AT + 14, 2))
def test_w6_w7_queued_tasks_and_new_runs_are_right_at_every_second(begins: int) -> None:
    late = RunPlan("dag2", (SimTask(4, BIG), SimTask(4, BIG), SimTask(4, SMALL)), begins=begins)
    ended_well(plan(HOLDER, late, weather=HELM))


def test_w8_a_threshold_set_by_hand_is_left_as_it_is() -> None:
    sim = ended_well(plan(HOLDER, people=((KILL_AT - 2, "minus-one", ""),)))
    assert run_of(sim, "dag0/run0").state == "success"


def test_w8_a_threshold_set_by_hand_is_no_step_of_the_flip() -> None:
    sim = world(plan(HOLDER, people=((10, "minus-one", ""),), kill_at=2 * HOUR))
    sim.serve(sim.clock.now + 600)
    assert not sim.settings.offloads, "the flip goes on by itself only where a person lets it"


def test_w9_another_path_is_not_delivered_over_runs_that_hold_the_old_one() -> None:
    again = ((5, "delete", ""), (6, "create", OTHER_BASE))
    sim = play(plan(HOLDER, people=again, kill_at=2 * HOUR))
    assert sim.hazards.found() == {}


def test_w9_a_kill_asks_for_every_path_that_was_delivered() -> None:
    again = ((5, "delete", ""), (6, "create", OTHER_BASE))
    sim = ended_well(plan(HOLDER, people=again))
    assert run_of(sim, "dag0/run0").clears == 1


def test_w11_a_second_kill_hours_later_believes_no_job_of_the_first() -> None:
    late = replace(HOLDER, begins=5 * HOUR - 10)
    people = ((2 * HOUR, "take-back", ""), (5 * HOUR + KILL_AT - 10, "kill", ""))
    sim = ended_well(plan(HOLDER, late, people=people))
    kill = sim.ledger.kill
    assert kill is not None
    assert kill.attempt == 2
    assert run_of(sim, "dag0/run1").clears == 1


@pytest.mark.parametrize("second", [5, 15, 30])
def test_w12_a_late_label_makes_no_healthy_run_an_old_one(second: int) -> None:
    young = RunPlan("dag2", (SimTask(600, SMALL), SimTask()), begins=KILL_AT + 3)
    label = ((KILL_AT + second, "label", ""),)
    sim = ended_well(plan(HOLDER, young, people=label, stop_after=60))
    assert run_of(sim, "dag2/run1").fails == 0


@pytest.mark.parametrize("second", [1, 8, 15, 25, 60])
def test_w13_a_kill_goes_on_when_its_resource_is_deleted(second: int) -> None:
    sim = play(plan(HOLDER, WRITER, people=((KILL_AT + second, "delete", ""),), weather=HELM))
    assert sim.hazards.found() == {}
    assert not sim.present, "it is gone in the end"
    assert sim.settings.is_database
    assert [run.state for run in sim.runs.values()] == ["success", "success"]


def test_w14_a_backfill_of_airflow_2_is_left_to_end() -> None:
    sim = ended_well(plan(replace(HOLDER, run_type="backfill")))
    assert run_of(sim, "dag0/run0").fails == 0


@pytest.mark.parametrize("skew", [-120, 120])
def test_w15_clocks_that_differ_cost_no_jobs(skew: int) -> None:
    sim = ended_well(plan(HOLDER, WRITER, weather=replace(HELM, skew=skew)))
    jobs = [action for action in sim.actions if type(action).__name__ == "RunJob"]
    assert len(jobs) < 10


@pytest.mark.parametrize("second", [-5, 5, 30, 60])
def test_w16_a_lost_node_is_reported(second: int) -> None:
    sim = play(
        plan(HOLDER, WRITER, people=((KILL_AT + second, "node-lost", "node-a"),), weather=HELM)
    )
    assert sim.hazards.found() == {}
    assert sim.last is not None
    assert sim.last.current.finding.progress is Progress.HELD or outcome(sim) == "Reverted"


def test_w17_the_old_triggerer_is_a_writer() -> None:
    deferred = RunPlan("dag1", (SimTask(30, BIG, "deferred"), SimTask(5, SMALL), SimTask()))
    ended_well(plan(HOLDER, deferred, weather=Weather(fleet_grace=40)))


def test_w18_n8_values_of_finished_runs_are_copied_back() -> None:
    old = RunPlan("dag1", (SimTask(1, BIG),), finished=True)
    reader = RunPlan("dag2", (SimTask(5, SMALL, across="dag1"),), begins=300)
    sim = ended_well(plan(HOLDER, old, reader))
    assert run_of(sim, "dag1/run1").rows == {0: ""}


def test_w18_a_kill_stays_where_values_of_finished_runs_can_be_read() -> None:
    old = RunPlan("dag1", (SimTask(1, BIG),), finished=True)
    sim = held(plan(HOLDER, old, finished_runs="Hold"), "FinishedRunsRemain", "dag1")
    assert run_of(sim, "dag0/run0").state == "success"
    assert sim.settings.reads_offloaded
    assert not sim.settings.offloads


def test_b2_a_job_without_a_result_is_made_again() -> None:
    for lost in range(1, 6):
        ended_well(plan(HOLDER, WRITER, weather=Weather(jobs_lost=(lost,))))
        ended_well(plan(HOLDER, WRITER, weather=Weather(jobs_lost=(lost,), jobs_lost_late=True)))


@pytest.mark.parametrize("number", [1, 2, 3, 4])
@pytest.mark.parametrize("late", [False, True])
def test_a_helm_process_that_dies_is_made_up_for(number: int, late: bool) -> None:
    weather = replace(HELM, helm_dies=(number,), helm_dies_late=late)
    ended_well(plan(HOLDER, WRITER, weather=weather))


@pytest.mark.parametrize("number", [1, 2])
def test_a_delivery_that_fails_is_made_again(number: int) -> None:
    ended_well(plan(HOLDER, WRITER, weather=replace(HELM, helm_fails=(number,))))


@pytest.mark.parametrize("number", range(1, 25))
@pytest.mark.parametrize("how", ["before", "within", "unrecorded"])
def test_an_operator_that_is_stopped_goes_on_where_it_was(number: int, how: str) -> None:
    sim = ended_well(plan(HOLDER, WRITER, stops=((number, how),), weather=HELM))
    assert run_of(sim, "dag0/run0").clears == 1


def test_b7_waiting_for_long_costs_few_passes() -> None:
    slow = RunPlan("dag1", (SimTask(HOUR - 300, SMALL),))
    sim = ended_well(plan(HOLDER, slow))
    assert sim.passes < 300


def test_b7_a_task_from_before_that_takes_hours_is_reported() -> None:
    slow = RunPlan("dag1", (SimTask(3 * HOUR, SMALL),))
    held(plan(HOLDER, slow), "OldTasksRunning", "stopTasksAfter")


def test_n1_a_run_whose_dag_file_is_gone_is_not_stopped_and_named() -> None:
    other = replace(HOLDER, dag="dag1")
    sim = held(
        plan(HOLDER, other, people=((KILL_AT - 5, "dag-gone", "dag1"),)), "RunsStuck", "dag1/run1"
    )
    assert run_of(sim, "dag1/run1").fails == 0
    assert run_of(sim, "dag0/run0").state == "success", "the other run does not wait for it"


def test_n1_a_file_that_comes_back_lets_the_kill_end() -> None:
    gone = ((KILL_AT - 5, "dag-gone", "dag0"), (900, "dag-back", "dag0"))
    ended_well(plan(HOLDER, people=gone))


def test_n2_a_rerun_that_takes_another_branch_reads_no_old_path() -> None:
    branch = RunPlan(
        "dag0", (SimTask(3, BIG, only="first"), SimTask(3, SMALL, only="rerun"), SimTask(40, SMALL))
    )
    sim = ended_well(plan(branch))
    assert run_of(sim, "dag0/run0").clears == 1


@pytest.mark.parametrize("second", range(KILL_AT - 4, KILL_AT + 60, 4))
@pytest.mark.parametrize("subpath", [True, False])
def test_n3_pods_that_start_while_the_configuration_changes_are_right(
    second: int, subpath: bool
) -> None:
    starting = RunPlan("dag2", (SimTask(2, BIG), SimTask(2, SMALL)), begins=second)
    weather = Weather(helm=(4, 4), queue=(3, 3), init=(5, 5), subpath=subpath, stale_mounts=50)
    ended_well(plan(HOLDER, starting, weather=weather))


def test_n4_a_run_that_another_one_waits_for_is_left_to_end() -> None:
    parent = RunPlan("dag9", (SimTask(3, SMALL, "parent", waits_for=RunKey("dag0", "run0")),))
    sim = ended_well(plan(HOLDER, parent))
    assert run_of(sim, "dag0/run0").fails == 0
    assert run_of(sim, "dag9/run1").state == "success"


def test_n5_a_dag_that_a_person_paused_does_not_hold_up_the_kill() -> None:
    sim = ended_well(plan(HOLDER, people=((KILL_AT - 5, "pause", "dag0"),)))
    assert run_of(sim, "dag0/run0").state == "queued"
    assert "dag0" in sim.paused


def test_n6_no_dag_is_paused() -> None:
    sim = ended_well(plan(HOLDER, WRITER, weather=HELM))
    assert not [action for action in sim.actions if type(action).__name__ == "PauseDags"]


def test_n7_a_backfill_whose_command_is_gone_is_named() -> None:
    run = replace(HOLDER, run_type="backfill")
    sim = play(plan(run, people=((KILL_AT - 5, "backfill-dies", "dag0/run0"),)))
    assert sim.hazards.found() == {}
    assert sim.last is not None
    assert sim.last.current.finding.progress is Progress.HELD
    assert "dag0/run0" in sim.last.current.finding.message


def test_a_store_that_is_away_delays_nobody_whose_run_is_re_triggered() -> None:
    away = ((KILL_AT - 1, "store-down", ""), (1200, "store-up", ""))
    ended_well(plan(HOLDER, people=away))


def test_a_bare_revert_is_taken_back_before_the_runs_are_healed() -> None:
    bare = ((KILL_AT - 1, "revert", ""),)
    sim = ended_well(plan(HOLDER, WRITER, people=bare))
    assert run_of(sim, "dag0/run0").clears == 1


def test_pods_that_do_not_show_are_where_a_path_is_read() -> None:
    """W10: nothing but the proof before the flip (condition Armed) keeps this from a kill."""
    deaf = RunPlan("dag0", (SimTask(3, BIG), SimTask(200, BIG, deaf=True), SimTask(5, SMALL)))
    sim = play(plan(deaf, WRITER, weather=Weather(unseen=True)))
    assert sim.hazards.found().keys() & {"path_reads", "exposed", "spoilt_rows"}


def test_pods_of_another_namespace_are_waited_for_and_deleted_there() -> None:
    deaf = RunPlan("dag0", (SimTask(3, BIG), SimTask(200, BIG, deaf=True), SimTask(5, SMALL)))
    ended_well(plan(deaf, WRITER, weather=Weather(tasks_in="tasks")))


def test_questions_are_put_to_a_pod_that_waits_and_it_is_ended_with_the_kill() -> None:
    """No question waits for a pod to start then; a Job of 10 s stands for a slow start."""
    slow = replace(HELM, job=(10, 10))
    sent = ended_well(plan(HOLDER, weather=slow))
    asked = ended_well(plan(HOLDER, weather=replace(slow, standby=True)))
    kinds = {entry.request.kind for entry in asked.jobs if entry.at_hand}
    assert kinds == {JobKind.CENSUS, JobKind.EMPTY}
    assert _queued_after(asked) <= _queued_after(sent) - 20
    waiting = [entry.job for entry in asked.jobs if entry.job.kind is JobKind.STANDBY]
    assert [job.state for job in waiting] == [JobState.BROKEN], "started once, and ended"


def test_answers_that_were_lost_with_the_operator_are_asked_for_again() -> None:
    for number in range(1, 30):
        weather = replace(HELM, standby=True)
        ended_well(plan(HOLDER, WRITER, stops=((number, "unrecorded"),), weather=weather))


def test_a_run_that_has_ended_and_whose_old_pod_stays_is_looked_up_once_a_minute() -> None:
    over = RunPlan("dag0", (SimTask(300), SimTask(3, fails=True, beside=True)))
    for standby in (True, False):
        sim = ended_well(plan(over, kill_at=2, stop_after=30, weather=Weather(standby=standby)))
        questions = [
            action
            for action in sim.actions
            if isinstance(action, RunJob) and action.digest.endswith("overdue")
        ]
        assert 3 <= len(questions) <= 6


def _queued_after(sim: Simulation) -> float:
    kill = sim.ledger.kill
    assert kill is not None
    assert kill.queued_at is not None
    return (kill.queued_at - kill.engaged_at).total_seconds()


@pytest.mark.parametrize("strategy", ["Retrigger", "Drain", "Rehydrate"])
@pytest.mark.parametrize("second", [15, 24])
@pytest.mark.parametrize("verb", ["other-path", "other-path-read"])
def test_a_path_that_somebody_else_delivered_is_set_back_by_a_kill(
    strategy: str, second: int, verb: str
) -> None:
    """Before the kill or in its middle; a process reads below one path only."""
    stages = (SimTask(3, BIG), SimTask(25, SMALL), SimTask(5, SMALL), SimTask(1, SMALL))
    people = ((second, verb, OTHER_BASE),)
    sim = ended_well(plan(RunPlan("dag0", stages), strategy=strategy, people=people))
    assert sim.ledger.bases == (BASE, OTHER_BASE), "both are asked for"


def test_values_below_a_path_that_somebody_else_delivered_are_healed_too() -> None:
    late = RunPlan("dag1", (SimTask(3, BIG), SimTask(60, SMALL), SimTask(1, SMALL)), begins=10)
    sim = ended_well(plan(late, people=((5, "other-path", OTHER_BASE),)))
    assert stage_of(sim, "dag1/run0") is RunStage.RECOVERED


@pytest.mark.parametrize(("times", "rounds", "told"), [(1, 2, False), (2, 2, True)])
def test_a_run_that_holds_paths_at_the_last_count_is_healed_once_more_and_named_if_it_recurs(
    times: int, rounds: int, told: bool
) -> None:
    sim = world(plan(RunPlan("dag0", (SimTask(3, BIG), SimTask(400, SMALL), SimTask(1)))))
    run = run_of(sim, "dag0/run0")
    asked: list[str] = []
    answer = sim.job_list.answer

    def one_more(request: RunJob) -> ProbeResult | None:
        if request.digest.endswith("-last") and len(asked) < times:
            if not asked:
                run.rows[0] = BASE
            asked.append(request.digest)
            return CensusResult(Verdict.PASS, (OffloadedRun(run.key, 1, "running"),))
        return answer(request)

    sim.job_list.answer = one_more
    sim.serve(sim.clock.now + HOUR)
    assert sim.hazards.found() == {}
    assert outcome(sim) == "Reverted"
    assert sim.ledger.kill is not None
    assert sim.ledger.kill.round == rounds
    assert run.clears == rounds
    assert stage_of(sim, "dag0/run0") is RunStage.RECOVERED
    assert sim.last is not None
    assert ("held paths repeatedly" in sim.last.current.finding.message) is told


def test_offloading_that_others_began_and_ended_before_a_kill_is_not_taken_for_nothing() -> None:
    """The operator has delivered nothing: it is held for a rehearsal, or made anew."""
    sim = Simulation([], the_spec=spec(rehearsal={"required": True}))
    sim.annotations.clear()
    sim.run_until("AwaitingRehearsal")
    begin = sim.clock.now
    run = SimRun(RunKey("dag0", "run0"), [SimTask(3, BIG), SimTask(60, SMALL), SimTask(1)])
    run.begins = begin + 20
    sim.runs[run.key] = run
    sim.clock.at(run.begins, lambda: None)
    sim.people.will(begin + 5, "reflip")
    sim.people.will(begin + 40, "revert")
    sim.people.will(begin + 50, "kill", "")
    sim.serve(begin + HOUR)
    assert sim.hazards.found() == {}
    assert outcome(sim) == "Reverted"
    assert stage_of(sim, "dag0/run0") is RunStage.RECOVERED
    assert run.rows[0] == ""


def test_a_finished_run_that_a_person_clears_is_healed_before_the_rest_is_accepted() -> None:
    old = RunPlan("dag1", (SimTask(1, BIG, only="first"), SimTask(300)), finished=True)
    for second in range(21, 45):
        people = ((second, "clear", "dag1/run1"),)
        ended_well(plan(HOLDER, old, finished_runs="Accept", people=people))


@pytest.mark.parametrize("standby", [False, True])
def test_values_of_finished_runs_are_counted_again_while_a_kill_is_held_by_them(
    standby: bool,
) -> None:
    old = RunPlan("dag1", (SimTask(1, BIG),), finished=True)
    the_plan = plan(HOLDER, old, finished_runs="Hold", weather=Weather(standby=standby))
    sim = world(the_plan)
    begin = sim.clock.now
    sim.serve(begin + HOUR)
    assert outcome(sim) == "FinishedRunsRemain"
    counted = sum(isinstance(a, RunJob) and a.digest.endswith("finished") for a in sim.actions)
    assert 3 <= counted <= 8, "and not at every look"
    run_of(sim, "dag1/run1").rows[0] = ""  # somebody has copied it back
    sim.serve(begin + 2 * HOUR)
    assert outcome(sim) == "Reverted"


@pytest.mark.parametrize("verb", ["hide", "break"])
@pytest.mark.parametrize("strategy", ["Retrigger", "Drain", "Immediate"])
@pytest.mark.parametrize("second", [0, KILL_AT + 6, KILL_AT + 25, KILL_AT + 50])
def test_a_run_that_cannot_be_read_starves_no_other_and_is_named(
    second: int, strategy: str, verb: str
) -> None:
    """Airflow refuses to tell of it from then on, whatever stage it has come to."""
    other = replace(HOLDER, dag="dag1")
    plan_of = plan(HOLDER, other, strategy=strategy, people=((second, verb, "dag0/run0"),))
    sim = play(plan_of)
    assert sim.hazards.found() == {}
    assert stage_of(sim, "dag1/run1") in (RunStage.RECOVERED, RunStage.HEALED)
    assert run_of(sim, "dag1/run1").state == "success"
    if outcome(sim) != "Reverted":
        assert sim.last is not None
        messages = " ".join(step.finding.message for step in sim.last.findings)
        assert "dag0/run0" in messages
        assert "GET" in messages


@pytest.mark.parametrize("verb", ["hide", "break"])
def test_a_run_that_cannot_be_read_is_stuck_after_some_tries_and_keeps_the_revert(
    verb: str,
) -> None:
    busy = RunPlan("dag2", (SimTask(3, BIG), SimTask(6 * HOUR, SMALL)))
    people = ((0, verb, "dag0/run0"),)
    sim = held(plan(HOLDER, busy, strategy="Drain", people=people), "RunsStuck", "dag0/run0", "GET")
    assert not sim.settings.is_database
    assert not sim.settings.offloads
    assert run_of(sim, "dag0/run0").fails == 0


@pytest.mark.parametrize("verb", ["hide", "break"])
@pytest.mark.parametrize("strategy", ["Retrigger", "Drain", "Rehydrate", "Immediate"])
@pytest.mark.parametrize("second", [0, KILL_AT + 6, KILL_AT + 25, KILL_AT + 50])
def test_a_run_that_can_be_read_again_is_healed(second: int, strategy: str, verb: str) -> None:
    people = ((second, verb, "dag0/run0"), (second + 900, "show", "dag0/run0"))
    sim = ended_well(plan(HOLDER, WRITER, strategy=strategy, people=people))
    assert run_of(sim, "dag0/run0").state == "success"
    kill = sim.ledger.kill
    assert kill is not None
    assert not [run for run in kill.runs if run.error or run.unread]


def test_a_run_that_cannot_be_read_is_copied_back_all_the_same() -> None:
    sim = ended_well(plan(HOLDER, strategy="Rehydrate", people=((0, "hide", "dag0/run0"),)))
    assert stage_of(sim, "dag0/run0") is RunStage.HEALED


def test_a_clear_whose_answer_was_lost_is_not_forgotten_by_a_refused_look() -> None:
    run = RecoveringRun(RunKey("d", "r"), 1, stage=RunStage.EMPTIED)
    tried = failed_try(run, "timed out", START)
    seen = unread_try(tried, "403", START)
    assert (seen.tries, seen.unread) == (2, False)
    only_looks = unread_try(unread_try(run, "403", START), "403", START)
    assert (only_looks.tries, only_looks.unread) == (2, True)
    assert not failed_try(only_looks, "timed out", START).unread


@pytest.mark.parametrize("verb", ["hide", "break"])
def test_a_dag_that_cannot_be_read_is_unpaused_when_it_can(verb: str) -> None:
    plain = RunPlan("dag1", (SimTask(300, SMALL),))
    dag = plan(HOLDER, plain, strategy="Immediate", people=((KILL_AT + 3, verb, "dag1"),))
    sim = held(dag, "DagsHeld", "dag1", "GET")
    assert sim.paused == {"dag1"}
    assert run_of(sim, "dag0/run0").state == "success", "the other DAG runs again"
    seen = replace(dag, people=(*dag.people, (HOUR, "show", "dag1")))
    assert ended_well(seen).paused == set()


@pytest.mark.parametrize("verb", ["hide", "break"])
def test_the_only_run_of_a_kill_that_cannot_be_read_keeps_no_other_dag_paused(verb: str) -> None:
    plain = RunPlan("dag1", (SimTask(300, SMALL),))
    the_plan = plan(HOLDER, plain, strategy="Immediate", people=((0, verb, "dag0/run0"),))
    sim = held(the_plan, "RunsStuck", "dag0/run0", "GET")
    assert sim.paused == {"dag0"}
    assert run_of(sim, "dag1/run1").state == "success"


def test_an_immediate_kill_pauses_no_dag_that_it_cannot_read_and_says_so() -> None:
    """A person may have paused it."""
    plain = RunPlan("dag1", (SimTask(300, SMALL),))
    people = ((0, "hide", "dag1"), (1, "pause", "dag1"))
    sim = play(plan(HOLDER, plain, strategy="Immediate", people=people))
    kill = sim.ledger.kill
    assert kill is not None
    assert kill.hold_error == "dag1 not paused"
    assert sim.hazards.found() == {}
    assert sim.paused == {"dag1"}


def test_a_rerun_that_is_not_scheduled_is_named_with_its_dag_that_cannot_be_read() -> None:
    slow = RunPlan("dag1", (SimTask(300, BIG), SimTask(1, SMALL)))
    people = ((KILL_AT, "pause", "dag0"), (KILL_AT + 100, "hide", "dag0"))
    why = "dag0 cannot be read: 403"
    held(plan(HOLDER, slow, people=people), "RunsNotScheduled", "dag0/run0", why)
