"""`xbr kill`: the way back."""

from datetime import timedelta
from typing import Any

import click

from xcom_rollout.api.names import ANNOTATION_KILL
from xcom_rollout.cli import dry_run as forecasts
from xcom_rollout.cli.follow import follow
from xcom_rollout.cli.kill_state import (
    AFTER,
    STRATEGIES,
    KillState,
    answered,
    asked_strategy,
    engage,
    kill_of,
    request_of,
    state_of,
)
from xcom_rollout.cli.kill_steps import steps
from xcom_rollout.cli.kill_wait import Outcome, Wait, report
from xcom_rollout.cli.options import (
    EXIT_DONE,
    EXIT_GOING_ON,
    EXIT_STALLED,
    Duration,
    Target,
    common_options,
)
from xcom_rollout.cli.output import ago, echo_lines, print_json, utc_now, width, wrapped
from xcom_rollout.cli.plan import InvalidSpec, released
from xcom_rollout.cli.session import Person, Session, Unreachable, open_session
from xcom_rollout.cli.story import condition, headline, render
from xcom_rollout.decide.ledger import FinishedRuns, Strategy
from xcom_rollout.stored.rollouts import Raw


@click.command()
@click.argument("name")
@click.option(
    "--reason", help="The reason; recorded with the request and in the history. Required."
)
@click.option(
    "--strategy",
    type=click.Choice(STRATEGIES),
    help="How to heal runs that hold offloaded values. Default: spec.killSwitch.strategy. Changes "
    "the strategy of a kill in progress.",
)
@click.option("--dry-run", is_flag=True, help="Show what a kill would do now, and change nothing.")
@click.option(
    "--wait",
    is_flag=True,
    help="Wait until the kill has finished or has been stalled for half a minute.",
)
@click.option(
    "--timeout",
    type=Duration(),
    help="With --wait: the longest time to wait, such as 30m. Default: no limit.",
)
@common_options
@click.pass_context
def command(
    ctx: click.Context,
    name: str,
    reason: str | None,
    strategy: str | None,
    dry_run: bool,
    wait: bool,
    timeout: timedelta | None,
    target: Target,
) -> None:
    """Engage the kill-switch of the rollout NAME.

    Offloading stops within seconds, while every process can still read offloaded values. Then the
    runs in flight that hold offloaded values are healed, and the database backend is delivered
    when no run needs the object storage backend. A kill can be engaged at any time and always runs
    to its end.

    \b
    Strategies:
      Retrigger  stop these runs, and run them again from their start
      Drain      let them run to their end; no run is touched
      Rehydrate  copy their values back into the database; no run is touched
      Immediate  deliver the database backend first, for a backend that cannot even be
                 read: a task that starts in the meantime may get a path

    \b
    Exit codes with --wait:
      0  finished
      1  stalled for half a minute; prints the reason, the runs and what to do
      3  in progress at --timeout or after Ctrl-C; the kill continues
    Without --wait: 0 engaged now, strategy changed now, or finished. If it was
    already engaged: 1 stalled, 3 in progress. With --dry-run: 0.
    """
    asked = None if strategy is None else Strategy(strategy)
    if timeout is not None and not wait:
        raise click.UsageError("--timeout requires --wait")
    if dry_run:
        if wait:
            raise click.UsageError(
                "--dry-run and --wait exclude each other: a dry run starts no kill"
            )
        forecasts.show(open_session(target), name, asked, target)
        return
    if reason is None:
        raise click.UsageError(
            "Missing option '--reason': give the reason; it is recorded with the request"
        )
    if not reason.strip():
        raise click.UsageError(
            "--reason is empty: give the reason; it is recorded with the request"
        )
    session = open_session(target)
    engagement = Engagement(session, name, session.person(), reason.strip(), asked)
    if not target.as_json:
        echo_lines(engagement.lines())
    elif not wait:
        print_json(engagement.data())
    if not wait:
        ctx.exit(engagement.exit_code)
    ctx.exit(_follow(session, name, Wait(after=engagement.after, timeout=timeout), target))


class Engagement:
    """One call of `xbr kill`: what it found, and what it changed."""

    def __init__(
        self, session: Session, name: str, person: Person, reason: str, strategy: Strategy | None
    ) -> None:
        """Read the rollout, and write the request unless the existing one is equivalent.

        Raises:
            Unreachable: the cluster cannot be asked, or there is no such rollout.
        """
        self.person, self.reason = person, reason
        self.raw = session.get(name)
        self.standing = request_of(self.raw)
        self.before = asked_strategy(self.raw)
        self.state = state_of(self.raw) if self.standing is not None else KillState.NOT_BEGUN
        self.offloads_again = ""
        self.after: int | None = None
        """Number of the kill that does not count, as in `kill_state.answered`."""
        if self.standing is not None and self.state in (KillState.FINISHED, KillState.DRIFTED):
            self._look_at_release(session)
        self.written: dict[str, Any] | None = None
        if self.state is not KillState.FINISHED and self._wanted(self.raw, strategy) is not None:
            written: dict[str, Any] = {}

            def make(raw: Raw) -> dict[str, Any]:
                written.update(self._wanted(raw, strategy) or request_of(raw) or {})
                return written

            self.raw = session.change(name, ANNOTATION_KILL, make)
            self.written = written
            # Somebody else may have been faster.
            self.standing, self.before = request_of(self.raw), asked_strategy(self.raw)

    def _wanted(self, raw: Raw, strategy: Strategy | None) -> dict[str, Any] | None:
        """Return the request to write, None where nothing changes."""
        new = engage(raw, self.person, self.reason, strategy)
        if self.after is None:
            return new
        # The existing request has been carried out: from now on it requests another kill.
        standing = new or request_of(raw) or {}
        return standing | {AFTER: self.after} if standing.get(AFTER) != self.after else new

    def _look_at_release(self, session: Session) -> None:
        """Check whether the release of a finished kill can hold offloaded values again.

        The operator then starts another kill by itself, and the status may not show it yet.
        """
        try:
            release = released(session, self.raw)
        except (Unreachable, InvalidSpec) as error:
            self.offloads_again = f"the Helm release could not be read: {error.format_message()}"
            return
        if release is not None and release.settings.reads_offloaded:
            self.after = int(kill_of(self.raw)["attempt"])
            self.state = KillState.NOT_BEGUN
            self.offloads_again = (
                f"revision {release.revision} of the release holds the "
                f"{release.settings.describe()} again"
            )

    @property
    def strategy(self) -> Strategy:
        """The strategy that is requested after this call."""
        asked = str((self.written or {}).get("strategy") or "")
        return Strategy(asked) if asked else self.before

    @property
    def exit_code(self) -> int:
        """Exit code of a call that does not wait."""
        if self.state is KillState.FINISHED:
            return EXIT_DONE
        if self.after is not None:
            return EXIT_GOING_ON
        if self.state is KillState.DRIFTED:
            held = condition(self.raw, "Stalled").get("status") == "True"
            return EXIT_STALLED if held else EXIT_GOING_ON
        if self.written is not None:
            return EXIT_DONE
        return EXIT_STALLED if self.state is KillState.STALLED else EXIT_GOING_ON

    def lines(self) -> list[str]:
        """Return what this call found and did, for people."""
        metadata = self.raw["metadata"]
        where = f"{metadata['namespace']}/{metadata['name']}"
        kill = kill_of(self.raw)
        if self.standing is None:
            return [
                f"The kill-switch of {where} is engaged by {self.person.name}: {self.reason}",
                *self._steps(),
            ]
        lines = [
            f"The kill-switch of {where} is already engaged by "
            f"{self.standing.get('by', 'unknown')}: "
            f"{self.standing.get('reason', 'no reason given')}"
        ]
        if self.state is KillState.FINISHED:
            lines += _paragraph(f"Kill {kill['attempt']} has finished: {headline(self.raw)}")
            lines += _paragraph(self.offloads_again)
            return [
                *lines,
                f"To flip again:  xbr resume {metadata['name']} -n {metadata['namespace']}",
            ]
        if self.after is not None:
            lines += _paragraph(
                f"Kill {self.after} had finished, and {self.offloads_again}: the operator starts "
                f"kill {self.after + 1} because the request still stands (strategy "
                f"{self.strategy})"
            )
            return [*lines, *self._steps()]
        if self.state is KillState.DRIFTED:
            lines += _paragraph(
                f"Kill {kill['attempt']} had finished, but the release has changed since: "
                f"{headline(self.raw)}"
            )
            lines += _paragraph(self.offloads_again)
        elif self.state is KillState.NOT_BEGUN:
            lines += _paragraph(f"The operator has not started it: {headline(self.raw)}")
        else:
            word = "is stalled" if self.state is KillState.STALLED else "is in progress"
            # A stall may prevent the operator from seeing the request, which then has no number.
            which = f"Kill {kill['attempt']}" if answered(self.raw) else "The kill"
            lines += _paragraph(f"{which} {word}: {headline(self.raw)}")
        if self.written is not None and self.strategy is not self.before:
            lines.append(
                f"{self.person.name} changes the strategy from {self.before} to {self.strategy}: "
                f"{self.reason}"
            )
            return [*lines, *self._steps()]
        return [*lines, self._follow_it()]

    def data(self) -> dict[str, Any]:
        """Return the same as plain JSON data."""
        return {
            "name": self.raw["metadata"]["name"],
            "namespace": self.raw["metadata"]["namespace"],
            "engaged": self.standing is None,
            "changed": self.written is not None,
            "strategy": str(self.strategy),
            "state": str(self.state),
            "attempt": kill_of(self.raw).get("attempt"),
            "message": self.offloads_again or headline(self.raw),
            "request": self.written or self.standing,
        }

    def _steps(self) -> list[str]:
        spec = self.raw["spec"]
        runs = (self.raw.get("status") or {}).get("offloadedRuns")
        counted = (
            f"{runs['count']} at the last count, {ago(runs.get('takenAt'), utc_now())}"
            if runs
            else "not counted yet"
        )
        asked = spec.get("killSwitch") or {}
        said = steps(
            self.strategy,
            release=spec["airflow"]["release"],
            counted=counted,
            finished_runs=FinishedRuns(asked.get("finishedRuns") or FinishedRuns.REHYDRATE),
            stop_tasks_after=asked.get("stopTasksAfter"),
        )
        lines = [f"The operator will now (strategy {self.strategy})"]
        for number, step in enumerate(said, 1):
            end = "." if number == len(said) else ";"
            first, *rest = wrapped(step + end, 92)
            lines += [f"  {number}. {first}", *(f"     {line}" for line in rest)]
        return [*lines, self._follow_it()]

    def _follow_it(self) -> str:
        metadata = self.raw["metadata"]
        return f"Follow it:  xbr status {metadata['name']} -n {metadata['namespace']} -w"


def _follow(session: Session, name: str, wait: Wait, target: Target) -> int:
    """Follow the kill until the wait is over, print the outcome, and return the exit code."""
    seen: Raw | None = None

    def done(raw: Raw) -> bool:
        nonlocal seen
        seen = raw
        return wait(raw)

    try:
        follow(session, name, done, as_json=target.as_json)
    except KeyboardInterrupt:
        if not target.as_json:
            click.echo()
    raw = seen if seen is not None else session.get(name)
    lines = report(raw, wait.outcome)
    if target.as_json:
        found = condition(raw, "Stalled")
        held = wait.outcome is Outcome.STALLED
        print_json(
            {
                "outcome": str(wait.outcome),
                "reason": found.get("reason") if held else None,
                "message": "\n".join(lines),
            }
        )
    else:
        click.echo()
        echo_lines(render(raw, utc_now()))
        click.echo()
        echo_lines(lines)
    return wait.outcome.exit_code


def _paragraph(text: str) -> list[str]:
    return [f"  {line}" for line in wrapped(text, width() - 2)] if text else []
