"""The result document for people."""

from __future__ import annotations

from typing import Any, Iterator

from xcom_probe.table import text as table_text

_INDENT = " " * 8


def render(result: dict[str, Any]) -> str:
    """Lines for a terminal: what was looked at, each check, the verdict."""
    return "\n".join(_lines(result)) + "\n"


def _lines(result: dict[str, Any]) -> Iterator[str]:
    facts = result["facts"]
    yield "xcom_probe {}: {}".format(result["probeVersion"], result["command"])
    yield "  Airflow {}, Python {}{}".format(
        facts.get("airflow"),
        facts.get("python"),
        ", {}".format(facts["component"]) if facts.get("component") else "",
    )
    providers = facts.get("providers") or {}
    if providers:
        yield "  " + ", ".join(
            "{} {}".format(name, version or "not installed") for name, version in providers.items()
        )
    if "backendClass" in facts:
        yield "  backend      {}".format(facts["backendClass"] or "none could be loaded")
        yield "  xcom_backend {}".format(_option(facts["xcomBackend"]))
        for name, option in facts["objectStorage"].items():
            yield f"  {name:12} {_option(option)}"
    yield ""
    for check in result["checks"]:
        yield "  {:5} {}: {}".format(check["status"].upper(), check["name"], check["observed"])
        if check["status"] in ("fail", "warn", "error"):
            for label, key in (("expected", "expected"), ("why", "why"), ("do", "remedy")):
                if check[key]:
                    yield "{}{:9} {}".format(_INDENT, label + ":", check[key])
    if "static" in result:
        from xcom_static.audit import text

        yield from text.lines(result["static"])
        yield "  " + text.summary(result["static"])
    yield from table_text.lines(result)
    yield "{}: {} in {:.1f} s".format(
        result["verdict"], _tally(result["checks"]), result["seconds"]
    )


def _option(option: dict[str, Any]) -> str:
    if option["value"] is None:
        return str(option["source"])
    return "{!r} from {}".format(option["value"], option["source"])


def _tally(checks: list[dict[str, Any]]) -> str:
    counts: dict[str, int] = {}
    for check in checks:
        counts[check["status"]] = counts.get(check["status"], 0) + 1
    return ", ".join(f"{n} {status}" for status, n in sorted(counts.items())) or "no check"
