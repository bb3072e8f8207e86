"""The findings for people."""

from __future__ import annotations

from typing import Any, Iterator, Mapping

_INDENT = "    "


def lines(static: Mapping[str, Any]) -> Iterator[str]:
    """Lines for a terminal, from the member `static` of the result document."""
    for item in static["findings"]:
        yield "{}:{}:{}: {} {} ({} confidence)".format(
            item["file"],
            item["line"],
            item["column"],
            item["rule"],
            item["effect"],
            item["confidence"],
        )
        yield "{}{} {}".format(_INDENT, subject(item["dagId"], item["taskId"]), item["message"])
        yield "{}do: {}".format(_INDENT, item["fix"])
    for item in static["unreadable"]:
        place = "{}:{}".format(item["file"], item["line"]) if item["line"] else item["file"]
        yield "{}: not checked: {}".format(place, item["why"])


def summary(static: Mapping[str, Any]) -> str:
    """One line: what was looked at, and what was found."""
    counts: dict[str, int] = {}
    for item in static["findings"]:
        counts[item["effect"]] = counts.get(item["effect"], 0) + 1
    found = ", ".join(f"{number} {effect}" for effect, number in sorted(counts.items()))
    unread = len(static["unreadable"])
    return "{} files, {} tasks: {}{}".format(
        static["files"],
        static["tasks"],
        found or "nothing found",
        f"; {unread} files not checked" if unread else "",
    )


def subject(dag_id: str | None, task_id: str | None) -> str:
    """The task or code that does it, as far as it is known."""
    if task_id is not None:
        return f"{dag_id}.{task_id}" if dag_id is not None else f"task {task_id}"
    return "this code" if dag_id is None else f"a task of {dag_id}"
