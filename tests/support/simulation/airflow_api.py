"""Airflow's REST API as the operator meets it: it refuses, times out, answers late."""

from collections.abc import Callable
from typing import Final

from simulation.airflow import Airflow, SimRun
from simulation.clock import Clock
from simulation.weather import Dice, Weather
from xcom_rollout.decide.ledger import Kill, RunKey, RunStage
from xcom_rollout.decide.observed import AirflowView, DagRun

FORBIDDEN: Final = "403 Forbidden: GET"
BROKEN: Final = "500 Internal Server Error: GET"
_OVER: Final = (RunStage.RECOVERED, RunStage.HEALED)
TIMEOUT: Final = "timed out after 10 s"
RESTARTING: Final = "connection refused: the web server starts"
LATE: Final = 4
"""Seconds after which a request that timed out may still be done."""


class ApiDownError(Exception):
    """Nothing could be asked."""


class AirflowApi:
    """One server, of one version."""

    def __init__(self, clock: Clock, dice: Dice, weather: Weather, airflow: Airflow) -> None:
        self.clock, self.dice, self.weather, self.airflow = clock, dice, weather, airflow
        self.away = ""
        """Why somebody's fault lets nothing be asked; empty where none does."""
        self.refused: dict[RunKey, str] = {}
        """Runs that the user may not change, with the answer."""
        self.unread: dict[str, str] = {}
        """Runs (DAG/RUN) and DAGs that cannot be read, with the answer."""
        self.blind: frozenset[RunKey] = frozenset()
        """Recorded runs that could not be read at the last look."""
        self.forbidden_to_pause = False
        self.dry_run = True
        """Whether the operator asks before a stop whether the run could be cleared."""

    @property
    def error(self) -> str:
        """Why nothing can be asked; empty where it answers."""
        if self.away or not self.weather.web_starts:
            return self.away
        return "" if self.airflow.cluster.web_answers else RESTARTING

    def view(self, kill: Kill | None) -> AirflowView:
        """Return what a pass of the operator sees."""
        self.blind = frozenset()
        if self.error:
            return AirflowView(error=self.error)
        if self.dice.chance(self.weather.rest_faults):
            return AirflowView(error=TIMEOUT)
        airflow = self.airflow
        recorded = {run.key for run in kill.runs} if kill else set()
        watched = {run.key for run in kill.runs if run.stage not in _OVER} if kill else set()
        unread = {key: self.unread[str(key)] for key in watched if str(key) in self.unread}
        # With one run its DAG is asked, too, whether Airflow answers.
        asked = {str(key) for key in watched}
        asked |= {key.dag_id for key in watched} if len(watched) == 1 else set()
        if asked and all(self.unread.get(name) == BROKEN for name in asked):
            return AirflowView(error=BROKEN)  # as if nothing answered
        self.blind = frozenset(unread)
        runs = tuple(
            DagRun(key, airflow.runs[key].state, airflow.runs[key].start_date)
            for key in sorted(recorded - unread.keys())
            if key in airflow.runs
        )
        dags = {key.dag_id for key in recorded} | (set(kill.held_dags) if kill else set())
        busy = {run.key.dag_id for run in airflow.runs.values() if run.in_flight}
        unread_dags = {dag: self.unread[dag] for dag in dags | busy if dag in self.unread}
        known = dags - unread_dags.keys()
        return AirflowView(
            runs=runs,
            paused_dags=frozenset(known & airflow.paused),
            missing_dags=frozenset(known & airflow.missing),
            busy_dags=frozenset(busy - airflow.paused - self.unread.keys()),
            unread=unread,
            unread_dags=unread_dags,
            major=self.airflow.major,
        )

    def stop(self, run: SimRun) -> str | None:
        """Set a run to failed, if a dry run says that it could be cleared; return what is wrong."""
        # Whether its file is there is asked of the DAG.
        wrong = self._refusal(run) or self.unread.get(run.key.dag_id)
        if wrong is not None and (self.dry_run or self.error):
            return wrong
        return self._request(lambda: self._stop(run))

    def clear(self, run: SimRun, cleared: "Cleared") -> str | None:
        """Clear a run that is not in flight; return what is wrong."""
        wrong = self._refusal(run)
        if wrong is not None:
            return wrong
        if run.in_flight:
            return None
        return self._request(lambda: cleared.clear(run))

    def set_paused(self, dag: str, *, paused: bool) -> None:
        """Pause or unpause a DAG.

        Raises:
            ApiDownError: it was refused.
        """
        self.check()
        if self.forbidden_to_pause:
            raise ApiDownError("403 Forbidden: PATCH /dags")
        if paused:
            self.airflow.paused.add(dag)
        else:
            self.airflow.paused.discard(dag)

    def check(self) -> None:
        """Raise where nothing can be asked."""
        if self.error:
            raise ApiDownError(self.error)

    def _refusal(self, run: SimRun) -> str | None:
        if self.error:
            return self.error
        if run.key in self.refused:
            return self.refused[run.key]
        if run.key.dag_id in self.airflow.missing:
            return f"404: DAG {run.key.dag_id} not found"
        return None

    def _stop(self, run: SimRun) -> None:
        if run.in_flight:
            run.fails += 1
            run.stopped_by_us = True
            run.stopped_immediately = self.airflow.immediate
            self.airflow.set_failed(run)

    def _request(self, do: Callable[[], None]) -> str | None:
        if not self.dice.chance(self.weather.rest_faults):
            do()
            return None
        match self.dice.between((0, 2)):
            case 0:
                pass
            case 1:
                do()
            case _:
                self.clock.after(LATE, do)
        return TIMEOUT


class Cleared:
    """Counts what the operator clears."""

    def __init__(self, airflow: Airflow) -> None:
        self.airflow = airflow
        self.round = (0, 0)
        """Number of the kill, and its round."""
        self.into_nowhere: list[str] = []

    def clear(self, run: SimRun) -> None:
        """Do it, and record a second time in one round."""
        if run.in_flight:
            return
        if self.round in run.rounds:
            self.airflow.hazards.cleared_twice.append(
                f"{run.key} in round {self.round[1]} of kill {self.round[0]} at "
                f"{self.airflow.clock.now}"
            )
        run.rounds.add(self.round)
        self.airflow.clear(run)
