"""docs/audit.md says what the rules say."""

from __future__ import annotations

import re
from pathlib import Path

from xcom_static.audit import docs
from xcom_static.audit.rules import RULES

PAGE = Path(__file__).parents[4] / "docs" / "audit.md"


def test_the_table_of_rules_is_up_to_date() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert docs.PAGE == PAGE
    assert docs.written(text) == text, "run: python -m xcom_static.audit.docs"


def test_ids_are_one_for_each_rule_and_in_order() -> None:
    ids = [rule.id for rule in RULES]
    assert ids == [f"XCA{number:03}" for number in range(1, len(RULES) + 1)]
    kinds = [kind for rule in RULES for kind in rule.kinds]
    assert len(set(kinds)) == len(kinds)


def test_the_number_of_snippets_is_what_the_page_says() -> None:
    snippets = list((Path(__file__).parents[1] / "snippets").glob("*.py"))
    match = re.search(r"\((\d+) files, each line says", PAGE.read_text(encoding="utf-8"))
    assert match is not None
    assert int(match[1]) == len(snippets)
