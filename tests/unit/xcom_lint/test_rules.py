"""What holds for every rule: its own examples, its page, and code that it was not made for."""

from __future__ import annotations

import sysconfig
from pathlib import Path

import pytest

from xcom_lint.config import Settings
from xcom_lint.dagfile import DagFile
from xcom_lint.docs import updated
from xcom_lint.model import Rule
from xcom_lint.rules import BY_CODE, RULES
from xcom_lint.run import lint_file

ROOT = Path(__file__).parents[3]
IDS = [rule.code for rule in RULES]
SMALL = Settings(large_literal_bytes=1)


def codes(rule: Rule, source: str) -> set[str]:
    settings = SMALL if rule.code == "XCL008" else Settings()
    file = DagFile("dag.py", source.replace("{LITERAL}", repr([1, 2, 3])).encode())
    return {finding.code for finding in lint_file(file, settings)}


@pytest.mark.parametrize("rule", RULES, ids=IDS)
def test_the_bad_example_of_a_rule_is_found_by_it(rule: Rule) -> None:
    assert rule.code in codes(rule, rule.bad)


@pytest.mark.parametrize("rule", RULES, ids=IDS)
def test_the_good_example_of_a_rule_is_not(rule: Rule) -> None:
    found = codes(rule, rule.good)
    assert rule.code not in (found if rule.code != "XCL008" else codes(RULES[0], rule.good))


def test_codes_and_names_are_unique_and_in_order() -> None:
    assert list(BY_CODE) == sorted(BY_CODE)
    assert len(BY_CODE) == len({rule.name for rule in RULES}) == len(RULES)


def test_the_page_has_the_rules_as_they_are() -> None:
    page = (ROOT / "docs" / "lint.md").read_text(encoding="utf-8")
    assert updated(page) == page


@pytest.mark.parametrize("package", ["asyncio", "email", "json", "unittest", "xml"])
def test_no_rule_stumbles_over_any_code(package: str) -> None:
    for path in Path(sysconfig.get_path("stdlib"), package).rglob("*.py"):
        lint_file(DagFile(path.name, path.read_bytes()), SMALL)
