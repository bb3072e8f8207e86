"""Each snippet says at the line what is to be found there: rule, confidence and, if given, task.

`# XCA001 high` or `# XCA001 high dag.task, XCA022 medium`; two tasks are joined by `+`. Wherever
nothing is said, nothing may be found. The first line may name the version of Airflow.
"""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest

from xcom_static.audit import engine
from xcom_static.audit.effects import Target
from xcom_static.audit.rules import RULES
from xcom_static.audit.target import target
from xcom_static.source.files import Source

SNIPPETS = sorted((Path(__file__).parent / "snippets").glob("*.py"))
_EXPECTED = re.compile(r"# (XCA\d{3} .*)$")


def look(path: Path) -> engine.Result:
    text = path.read_text(encoding="utf-8")
    version = re.match(r"# airflow: (\S+)", text)
    where = target(version[1]) if version else Target((2, 11))
    return engine.audit([Source(path.name, path.read_bytes())], where)


def expected(path: Path) -> Counter[str]:
    found: Counter[str] = Counter()
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        match = _EXPECTED.search(line)
        for item in match[1].split(", ") if match else []:
            rule, confidence, *tasks = item.split()
            for task in tasks[0].split("+") if tasks else [""]:
                found[f"{number}: {rule} {confidence} {task}".strip()] += 1
    return found


@pytest.mark.parametrize("path", SNIPPETS, ids=lambda path: path.stem)
def test_a_snippet_has_exactly_the_findings_that_it_names(path: Path) -> None:
    wanted = expected(path)
    named = {item for item in wanted if len(item.split()) > 3}
    result = look(path)
    assert result.unreadable == []
    found: Counter[str] = Counter()
    for item in result.findings:
        task = f"{item.dag_id}.{item.task_id}" if named else ""
        found[f"{item.line}: {item.rule} {item.confidence} {task}".strip()] += 1
    assert found == wanted


def test_every_rule_has_a_snippet() -> None:
    named = {item.split()[1] for path in SNIPPETS for item in expected(path)}
    assert named == {rule.id for rule in RULES}
