"""`xbr kill --dry-run`: what the kill-switch would do now, by strategy, without doing it."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from xcom_rollout.api.durations import format_duration
from xcom_rollout.cli.forecast import Estimate, Forecast, Ground, forecast, ground_of
from xcom_rollout.cli.kill_state import asked_strategy
from xcom_rollout.cli.options import Target
from xcom_rollout.cli.output import echo_lines, lasting, print_json, table, utc_now, width, wrapped
from xcom_rollout.cli.plan import observed
from xcom_rollout.cli.session import Session, Unreachable
from xcom_rollout.decide.ledger import OffloadedRun, Strategy
from xcom_rollout.decide.situation import some
from xcom_rollout.stored.rollouts import Raw

_LISTED: Final = 10
"""Most runs of a kind that are listed; with -o json all are."""


def show(session: Session, name: str, strategy: Strategy | None, target: Target) -> None:
    """Print the forecast for `strategy`, or for each where it is None.

    Raises:
        Unreachable: the cluster cannot be asked with the rights of the user, or has no release.
        InvalidSpec: the spec is not valid.
    """
    raw = session.get(name)
    seen, now = observed(session, raw), utc_now()
    if seen.release is None:
        raise Unreachable(
            f"there is no Helm release {raw['spec']['airflow']['release']!r} in the namespace "
            f"{session.namespace}: correct spec.airflow.release, or list the releases with: helm "
            f"list -a -n {session.namespace}"
        )
    ground = ground_of(seen, now)
    forecasts = [forecast(seen, now, each) for each in ([strategy] if strategy else Strategy)]
    if target.as_json:
        print_json(as_data(raw, ground, forecasts, now))
    else:
        echo_lines(render(raw, ground, forecasts, now))


def render(raw: Raw, ground: Ground, forecasts: Sequence[Forecast], now: datetime) -> list[str]:
    """Return the forecasts as lines of text: one in detail, several as a table."""
    metadata = raw["metadata"]
    lines = [
        f"{metadata['name']} in namespace {metadata['namespace']}: a kill that starts now. "
        "Nothing is changed.",
        "",
        *table(_ground(ground, now)),
    ]
    for warning in ground.warnings:
        first, *rest = wrapped(warning, width() - 4)
        lines += [f"  ! {first}", *(f"    {line}" for line in rest)]
    lines.append("")
    if len(forecasts) == 1:
        return lines + _detail(forecasts[0])
    spec_says = asked_strategy(raw)
    lines += _overview(forecasts)
    lines.append("")
    lines += _paragraph(
        "For the runs that run to their end and why, the steps that need Airflow's API or the "
        f"store, and the basis of the times: xbr kill {metadata['name']} -n "
        f"{metadata['namespace']} --dry-run --strategy {spec_says}, which is the strategy that "
        "applies now."
    )
    return lines


def _ground(ground: Ground, now: datetime) -> list[tuple[str, str]]:
    counted = "never counted"
    if ground.counted_at is not None:
        counted = f"counted {lasting(now - ground.counted_at)} ago"
        counted += ", too long ago" if ground.stale else ""
    rows = sum(run.rows for run in ground.runs)
    what = "runs that the kill has not healed" if ground.open_kill else "runs in flight"
    limit = ground.stop_tasks_after
    return [
        ("release", f"holds the {ground.settings}"),
        (
            "affected",
            f"{len(ground.runs)} {what} hold {rows} offloaded values ({counted})",
        ),
        ("task pods", f"{ground.task_pods} run now"),
        (
            "spec",
            f"finishedRuns {ground.finished_runs}, stopTasksAfter "
            f"{format_duration(limit) if limit else 'not set'}",
        ),
    ]


def _overview(forecasts: Sequence[Forecast]) -> list[str]:
    head = (
        *("", "run again", "run to end", "copied back", "pods ended", "old tasks"),
        *("writers stop", "runs queued"),
    )
    rows = [
        (
            str(each.strategy),
            str(len(each.rerun)),
            str(len(each.left)),
            f"{len(each.copied)} ({each.copied_rows} rows)" if each.copied else "0",
            str(each.pods_ended),
            str(each.old_tasks),
            _short(each.writers_stopped),
            _short(each.queued) if each.queued else "none is",
        )
        for each in forecasts
    ]
    # The last estimate is too long for a column.
    back = [(str(each.strategy), str(each.back)) for each in forecasts]
    return [
        *table([head, *rows]),
        *_paragraph(
            "Writers stop: a process that starts later offloads nothing. Runs queued: the last of "
            "the currently known runs is queued again."
        ),
        "",
        "  Database backend back",
        *table(back, indent=4),
    ]


def _short(estimate: Estimate) -> str:
    if estimate.until:
        return f"{estimate.least} s or more"
    same = estimate.least == estimate.most
    return f"{estimate.least} s" if same else f"{estimate.least}-{estimate.most} s"


def _detail(each: Forecast) -> list[str]:
    oldest = f", the oldest for {lasting(each.oldest)}" if each.oldest is not None else ""
    rows = [
        ("run again", _runs(each.rerun, "from their start")),
        ("run to end", str(len(each.left))),
        (
            "copied back",
            _runs(each.copied, f"with {each.copied_rows} rows") if each.copied else "0",
        ),
        ("pods ended", f"{each.pods_ended} task pods of the runs that are stopped"),
        ("old tasks", f"the kill waits for {each.old_tasks}{oldest}; {each.stop_tasks_after}"),
        ("past runs", each.finished_runs),
        ("Airflow's API", each.airflow_api),
        ("object store", each.store),
    ]
    wide = max(len(title) for title, _ in rows)
    lines = [f"Strategy {each.strategy}"]
    for title, text in rows:
        lines += table([(title.ljust(wide), text)])
        if title == "run to end":
            lines += _left(each)
    lines += ["", "Seconds from the request"]
    for title, estimate in (
        ("nothing more is offloaded", each.writers_stopped),
        ("last run queued", each.queued),
        ("database backend back", each.back),
    ):
        said = str(estimate) if estimate is not None else "no run is queued again"
        lines += table([(title.ljust(25), said)])
        for basis in estimate.rests_on if estimate is not None else ():
            lines.append(f"      {basis}")
    return lines


def _left(each: Forecast) -> list[str]:
    lines = []
    for entry in each.left[:_LISTED]:
        first, *rest = wrapped(f"{entry.key}: {entry.why}", width() - 8)
        lines += [f"      - {first}", *(f"        {line}" for line in rest)]
    if (more := len(each.left) - _LISTED) > 0:
        lines.append(f"      and {more} more")
    return lines


def _runs(runs: Sequence[OffloadedRun], what: str) -> str:
    if not runs:
        return "0"
    return f"{len(runs)} {what}: {some([str(run.key) for run in runs], most=_LISTED)}"


def _paragraph(text: str) -> list[str]:
    return [f"  {line}" for line in wrapped(text, width() - 2)]


def as_data(
    raw: Raw, ground: Ground, forecasts: Sequence[Forecast], now: datetime
) -> dict[str, Any]:
    """Return the forecasts as plain JSON data."""
    counted = ground.counted_at
    return {
        "name": raw["metadata"]["name"],
        "namespace": raw["metadata"]["namespace"],
        "settings": ground.settings,
        "strategy": str(asked_strategy(raw)),
        "openKill": ground.open_kill.attempt if ground.open_kill else None,
        "affected": {
            "runs": [_run(run) for run in ground.runs],
            "count": len(ground.runs),
            "rows": sum(run.rows for run in ground.runs),
            "countedAt": counted.isoformat() if counted else None,
            "ageSeconds": _seconds(now - counted) if counted else None,
            "stale": ground.stale,
        },
        "taskPods": ground.task_pods,
        "finishedRuns": str(ground.finished_runs),
        "stopTasksAfterSeconds": _seconds(ground.stop_tasks_after),
        "warnings": list(ground.warnings),
        "strategies": [_forecast(each) for each in forecasts],
    }


def _forecast(each: Forecast) -> dict[str, Any]:
    return {
        "strategy": str(each.strategy),
        "runAgain": [_run(run) for run in each.rerun],
        "leftToEnd": [
            {"dagId": entry.key.dag_id, "runId": entry.key.run_id, "why": entry.why}
            for entry in each.left
        ],
        "copiedBack": {"runs": [_run(run) for run in each.copied], "rows": each.copied_rows},
        "taskPodsEnded": each.pods_ended,
        "oldTasks": {
            "count": each.old_tasks,
            "oldestSeconds": _seconds(each.oldest),
            "stopTasksAfter": each.stop_tasks_after,
        },
        "finishedRuns": each.finished_runs,
        "needs": {"airflowApi": each.airflow_api, "objectStore": each.store},
        "estimates": {
            "nothingMoreOffloaded": _estimate(each.writers_stopped),
            "lastRunQueued": _estimate(each.queued) if each.queued else None,
            "databaseBackendBack": _estimate(each.back),
        },
    }


def _estimate(estimate: Estimate) -> dict[str, Any]:
    return {
        "secondsAtLeast": estimate.least,
        "secondsAtMost": None if estimate.until else estimate.most,
        "until": list(estimate.until),
        "restsOn": list(estimate.rests_on),
    }


def _run(run: OffloadedRun) -> dict[str, Any]:
    return {
        "dagId": run.key.dag_id,
        "runId": run.key.run_id,
        "rows": run.rows,
        "type": run.run_type or None,
    }


def _seconds(duration: timedelta | None) -> int | None:
    return None if duration is None else round(duration.total_seconds())
