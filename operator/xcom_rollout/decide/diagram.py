"""The state diagram of the documentation, made from the tables that decide.

python -m xcom_rollout.decide.diagram > docs/reference/states.md
"""

from collections.abc import Sequence
from itertools import groupby, pairwise

from xcom_rollout.decide.kill.table import KILL_TABLE
from xcom_rollout.decide.rollout_table import ROLLOUT_TABLE
from xcom_rollout.decide.table import Step


def render() -> str:
    """Return the page as Markdown."""
    return "\n".join(
        [
            "# States and steps",
            "",
            "Generated from the tables in `operator/xcom_rollout/decide/` by",
            "`python -m xcom_rollout.decide.diagram > docs/reference/states.md`; a test holds it "
            "equal.",
            "",
            "Each pass of the loop evaluates the steps from the top and stops at the first that "
            "is not done. A step marked with `*` does not block: the later steps are evaluated "
            "too. The phase is for people; nothing reads it back.",
            "",
            "## The way to the object storage backend",
            "",
            *_diagram(ROLLOUT_TABLE, "Live"),
            "",
            *_table(ROLLOUT_TABLE),
            "",
            "## The kill-switch",
            "",
            *_diagram(KILL_TABLE, "Reverted"),
            "",
            *_table(KILL_TABLE),
            "",
        ]
    )


def _diagram(table: Sequence[Step], end: str) -> list[str]:
    way = [phase for phase, _ in groupby(step.phase for step in table) if phase not in _ASIDE]
    if end not in way:
        way.append(end)
    phases = list(dict.fromkeys(way))
    lines = ["```mermaid", "stateDiagram-v2", f"    [*] --> {way[0]}"]
    lines += [f"    {a} --> {b}" for a, b in dict.fromkeys(pairwise(way)) if a != b]
    if end == "Live":
        lines += [f"    {phase} --> Killing: kill" for phase in phases]
    else:
        lines += [f"    {end} --> Preparing: resume"]
    return [*lines, "```"]


_ASIDE = ("Refused", "Held", "Suspended", "Drifted")
"""Phases that any pass may enter and leave: they say that somebody has to do something."""


def _table(table: Sequence[Step]) -> list[str]:
    lines = ["| Step | Phase until done | Condition | Done when |", "|---|---|---|---|"]
    for step in table:
        mark = "" if step.blocking else "*"
        lines.append(
            f"| `{step.name}`{mark} | {step.phase} | {step.condition or ''} | {_done_when(step)} |"
        )
    return lines


def _done_when(step: Step) -> str:
    text = (step.check.__doc__ or "").strip().partition("\n\n")[0]
    return " ".join(text.split()) or step.name.replace("-", " ").capitalize() + "."


if __name__ == "__main__":
    print(render(), end="")
