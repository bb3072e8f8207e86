"""What was found in the table, for people."""

from __future__ import annotations

from typing import Any, Iterator

_SHOWN = 40


def lines(result: dict[str, Any]) -> Iterator[str]:
    """Lines for a terminal, for every command about the table; none for others."""
    if result["command"] == "census" and "runs" in result:
        yield from _census(result)
    if result["command"] == "forget" and "runs" in result:
        yield from _forget(result)
    if result["command"] == "rehydrate" and "counts" in result:
        for row in result["failed"]:
            yield "  {dagId} {runId} {taskId} [{mapIndex}] {key}: {why}".format(**row)
        yield from _left_out(result["counts"]["failed"] - len(result["failed"]))
        yield from _counts(result)
    if "calibration" in result:
        yield from _calibration(result["calibration"])
    if "dynamic" in result:
        yield from _audit(result["dynamic"])


def _census(result: dict[str, Any]) -> Iterator[str]:
    for run in result["runs"]:
        yield "  {} {}: {}, {} rows{}".format(
            run["dagId"],
            run["runId"],
            run["state"] or "not there",
            run["rows"],
            " in {}".format(", ".join(run["tasks"])) if run["tasks"] else "",
        )
        for waiter in run["waitedForBy"]:
            yield "    waited for by {dagId} {runId} {taskId}".format(**waiter)
    for title, member in (
        ("only looks like a path", "lookAlikes"),
        ("no object", "missingObjects"),
    ):
        for row in result.get(member, []):
            yield "  {}: {dagId} {runId} {taskId} [{mapIndex}] {key}".format(title, **row)
    yield from _counts(result)
    if "finished" in result:
        found = result["finished"]
        yield "  finished runs with offloaded rows: {runs}, rows {rows}".format(**found)
        for dag in found["dags"][:_SHOWN]:
            yield "    {dagId}: {runs} runs, {rows} rows".format(**dag)
        yield from _left_out(len(found["dags"][_SHOWN:]) + found["more"])


def _forget(result: dict[str, Any]) -> Iterator[str]:
    verb = "to delete" if result["dryRun"] else "deleted"
    for run in result["runs"]:
        yield "  {} {}: {}, {} rows {}, {} left".format(
            run["dagId"],
            run["runId"],
            run["skipped"] or run["state"] or "not there",
            run["rows"],
            verb,
            run["left"],
        )
    yield from _counts(result)


def _counts(result: dict[str, Any]) -> Iterator[str]:
    if "counts" in result:
        yield "  " + ", ".join(f"{name} {n}" for name, n in result["counts"].items())


def _calibration(found: dict[str, Any]) -> Iterator[str]:
    yield "  {} inline values, {} bytes; {} rows hold a path".format(
        found["rows"], found["bytes"], found["offloadedRows"]
    )
    for share, size in found["quantiles"].items():
        yield f"  {share:>8} of them: up to {size} bytes"
    yield "  {:>8}: {} bytes".format("largest", found["largestBytes"])
    for task in found["tasks"]:
        yield (
            "  {dagId}.{taskId}: largest {largestBytes}, p99 {p99Bytes} bytes in {rows} rows"
        ).format(**task)
    yield from _left_out(found["tasksLeftOut"])


def _audit(found: dict[str, Any]) -> Iterator[str]:
    yield "  {} rows, {} bytes; {} hold a path below {}".format(
        found["rows"], found["bytes"], found["pathRows"], found["base"] or "no base"
    )
    for task in found["tasks"][:_SHOWN]:
        detail = " ({})".format(task["detail"]) if task["detail"] else ""
        where = "{effect:8} {dagId}.{taskId} [{key}]: {kind}".format(**task)
        size = "{rows} rows, up to {largestBytes} bytes".format(**task)
        yield f"  {where}{detail}, {size}"
    yield from _left_out(len(found["tasks"][_SHOWN:]) + found["tasksLeftOut"])


def _left_out(number: int) -> Iterator[str]:
    if number:
        yield f"  and {number} more"
