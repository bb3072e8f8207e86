"""The table of rules in docs/audit.md: `python -m xcom_static.audit.docs` writes it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Callable, Final

from xcom_static.audit.effects import NONE, Effect, Target, effect
from xcom_static.audit.rules import RULES, measured_as

PAGE: Final = Path(__file__).resolve().parents[3] / "docs" / "audit.md"
_BEGIN: Final = "<!-- rules: written by python -m xcom_static.audit.docs -->"
_IN_WORDS: Final = {
    "XCA022": ("offloads it", "keeps it"),
    "XCA024": ("is neither delivered nor reverted by a kill", "the same"),
    "XCA025": ("runs where no proof has looked", "the same"),
}
_END: Final = "<!-- end of rules -->"


def table() -> str:
    """Return the rules as a Markdown table."""
    rows = [
        "| Rule | Finds | Object storage backend | BaseXCom | Write instead |",
        "|---|---|---|---|---|",
    ]
    for rule in RULES:
        kinds = ", ".join(f"`{kind}`" for kind in rule.kinds)
        effects = {kind: effect(measured_as(kind), Target()) for kind in rule.kinds}
        words = _IN_WORDS.get(rule.id) or (_by_effect(effects, _new), _by_effect(effects, _today))
        cells = (
            f"`{rule.id}` {rule.name}",
            f"{rule.title}: {kinds}",
            *words,
            rule.fix,
        )
        rows.append("| " + " | ".join(cells) + " |")
    return "\n".join(rows)


def written(page: str) -> str:
    """Return the page with the table of today.

    Raises:
        ValueError: the page has no markers for it.
    """
    pattern = re.compile(f"{re.escape(_BEGIN)}\n.*?{re.escape(_END)}", re.DOTALL)
    if not pattern.search(page):
        raise ValueError(f"docs/audit.md has no markers {_BEGIN} and {_END}")
    return pattern.sub(lambda _: f"{_BEGIN}\n{table()}\n{_END}", page)


def _new(found: Effect) -> str:
    return f"{found.effect} {found.where}".strip()


def _today(found: Effect) -> str:
    return "comes back" if found.today == NONE else found.today


def _by_effect(effects: dict[str, Effect], words: Callable[[Effect], str]) -> str:
    """Return what holds for all kinds, or for which of them."""
    groups: dict[str, list[str]] = {}
    for kind, found in effects.items():
        groups.setdefault(words(found), []).append(kind)
    if len(groups) == 1:
        return next(iter(groups))
    return "; ".join(
        f"{text}: {', '.join(f'`{kind}`' for kind in kinds)}" for text, kinds in groups.items()
    )


if __name__ == "__main__":
    PAGE.write_text(written(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
