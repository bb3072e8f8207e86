"""`census --verify-objects`: asks the store which strings are paths and which only look like one.

A row counts as offloaded unless it is certain that it is not: the store says that there is no such
object, and the path does not name the row's own DAG, run and task, so that it was not written for
this row. A path that was written for it, but whose object is gone, is counted and reported.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from xcom_probe.model import PASS, WARN, CannotLook, Finding
from xcom_probe.report import Report
from xcom_probe.table.census import Census, Row, Run

_SHOWN = 3
_LISTED = 100


def verified(
    census: Census, runs: list[Run], limit: int, keep_empty: bool, report: Report
) -> list[Run]:
    """The runs without rows that only look offloaded; what was found is added to the report.

    Args:
        census: the transaction that gave `runs`.
        runs: with the number of rows that hold a path.
        limit: rows to ask for; the others are counted as they are.
        keep_empty: whether a run without any row left stays in the list.
        report: takes the finding `objects-there` and the rows in question.
    """
    rows = census.paths([(run.dag_id, run.run_id) for run in runs if run.rows], limit)
    answers, problems = _answers(rows)
    if problems:
        report.findings.append(_unasked("; ".join(problems)))
        if not answers:
            return runs
    answers = {**dict.fromkeys((row.path for row in rows), None), **answers}
    alike = [row for row in rows if answers[row.path] is False and not row.is_own]
    missing = [row for row in rows if answers[row.path] is False and row.is_own]
    unknown = [row for row in rows if answers[row.path] is None]
    report.members["lookAlikes"] = [row.as_json() for row in alike[:_LISTED]]
    report.members["missingObjects"] = [row.as_json() for row in missing[:_LISTED]]
    report.members["verified"] = {
        "rows": len(rows) - len(unknown),
        "lookAlikes": len(alike),
        "missingObjects": len(missing),
        "unknown": sum(run.rows for run in runs) - len(rows) + len(unknown),
    }
    if not problems:
        report.findings.append(_finding(missing, report.members["verified"]))
    return _without(runs, rows, alike, keep_empty)


def _answers(rows: list[Row]) -> tuple[dict[str, bool | None], list[str]]:
    """For each path whether there is an object, and why some bases could not be asked."""
    from xcom_probe.airflow.objects import objects_there

    answers: dict[str, bool | None] = {}
    problems = []
    for base in sorted({row.base for row in rows}):
        urls = {row.path for row in rows if row.base == base}
        try:
            answers.update(objects_there(base, urls))
        except CannotLook as problem:
            problems.append(str(problem))
    return answers, problems


def _without(runs: list[Run], rows: list[Row], alike: list[Row], keep_empty: bool) -> list[Run]:
    fewer = Counter((row.dag_id, row.run_id) for row in alike)
    tasks: dict[tuple[str, str], set[str]] = {}
    for row in set(rows) - set(alike):
        tasks.setdefault((row.dag_id, row.run_id), set()).add(row.task_id)
    asked = Counter((row.dag_id, row.run_id) for row in rows)
    left = []
    for run in runs:
        key = (run.dag_id, run.run_id)
        # Of a run that was not asked for as a whole, no task is left out.
        names = sorted(tasks.get(key, ())) if asked[key] == run.rows else run.tasks
        changed = run._replace(rows=run.rows - fewer[key], tasks=names)
        if changed.rows or keep_empty:
            left.append(changed)
    return left


def _finding(missing: list[Row], counts: dict[str, Any]) -> Finding:
    seen = "{rows} objects checked, {lookAlikes} strings only look like a path".format(**counts)
    expected = "the object of every path exists"
    if not missing and not counts["unknown"]:
        return Finding("objects-there", PASS, seen, expected)
    if not missing:
        return Finding(
            "objects-there",
            WARN,
            "{}; unknown for {unknown}".format(seen, **counts),
            expected,
            "Unchecked rows are counted as offloaded.",
            "Raise --verify-limit, or check the permissions for the store and its reachability.",
        )
    names = ", ".join(f"{row.dag_id} {row.run_id} {row.task_id}" for row in missing[:_SHOWN])
    more = f" and {len(missing) - _SHOWN} more" if len(missing) > _SHOWN else ""
    return Finding(
        "objects-there",
        WARN,
        f"{seen}; no object for {len(missing)}: {names}{more}",
        expected,
        "Such an object was removed or never completed: tasks that read it get the path, or fail.",
        "Re-run these tasks, and check the lifecycle rules of the bucket.",
    )


def _unasked(problem: str) -> Finding:
    return Finding(
        "objects-there",
        WARN,
        f"the store could not be reached: {problem}",
        "the object of every path exists",
        "Every row that holds a path is counted, including one that only looks like a path.",
        "Find the cause with `prove`, on S3 with `preflight --functional-s3`.",
    )
