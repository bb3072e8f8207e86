"""`python -m xcom_lint.docs [--check] PAGE`: the list of rules in docs/lint.md, from the rules."""

import sys
from collections.abc import Sequence
from pathlib import Path

from xcom_lint.rules import RULES

BEGIN = "<!-- rules: written by python -m xcom_lint.docs -->\n"
END = "<!-- end of rules -->\n"


def rendered() -> str:
    """The rules as Markdown."""
    parts = ["| Code | Name | Level |\n|---|---|---|\n"]
    parts += [
        f"| [{rule.code}](#{rule.code.lower()}-{rule.name}) | {rule.name} | {rule.level} |\n"
        for rule in RULES
    ]
    for rule in RULES:
        parts.append(f"\n### {rule.code} {rule.name}\n\n{rule.why} {rule.fix}\n")
        parts.append(f"\nFound:\n\n```python\n{rule.bad}```\n")
        parts.append(f"\nNot found:\n\n```python\n{rule.good}```\n")
    return "".join(parts)


def updated(page: str) -> str:
    """The page with the rules as they are now.

    Raises:
        ValueError: it has no place for them.
    """
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"the page has no lines {BEGIN.strip()} and {END.strip()}")
    return f"{before}{BEGIN}{rendered()}{END}{after}"


def main(arguments: Sequence[str]) -> int:
    """Write the page, or with --check say whether it is up to date."""
    path = Path(arguments[-1])
    page = path.read_text(encoding="utf-8")
    if "--check" in arguments:
        if updated(page) != page:
            sys.stderr.write(f"{path} is out of date: python -m xcom_lint.docs {path}\n")
            return 1
        return 0
    path.write_text(updated(page), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
