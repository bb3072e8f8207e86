"""The documentation keeps up with the code: reasons, conditions, verbs, links."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from xcom_rollout.api.names import DOMAIN_CONDITIONS, Condition
from xcom_rollout.cli import main

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "operator" / "xcom_rollout"
GUIDE = ROOT / "docs" / "user-guide.md"
RUNBOOK = ROOT / "docs" / "runbooks" / "kill-switch.md"
_FINDINGS = frozenset({"act", "background", "done", "hold", "wait"})
_CAMEL = re.compile(r"[A-Z][A-Za-z]+")


def reasons(*makers: str) -> dict[str, set[str]]:
    """Every reason that a step gives through one of `makers`, with the files it is found in."""
    found: dict[str, set[str]] = {}
    for path in sorted((PACKAGE / "decide").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Name)
                and node.func.id in makers
                and node.args
            ):
                for word in _words(node.args[0]):
                    found.setdefault(word, set()).add(path.name)
    return found


def _words(node: ast.expr) -> Iterator[str]:
    for part in ast.walk(node):
        if isinstance(part, ast.Constant) and isinstance(part.value, str):
            yield part.value


def test_the_reasons_are_really_found() -> None:
    found = reasons(*_FINDINGS)
    assert len(found) > 40
    assert {"ReleaseNotFound", "ProofFailed", "RunsNotRecovered", "ValuesStillOffloaded"} <= set(
        found
    )
    assert all(_CAMEL.fullmatch(word) for word in found), sorted(found)


def test_the_guide_explains_every_reason_of_the_decision_core() -> None:
    text = GUIDE.read_text(encoding="utf-8")
    missing = {
        word: sorted(files)
        for word, files in reasons(*_FINDINGS).items()
        if f"`{word}`" not in text
    }
    assert missing == {}


def test_the_guide_explains_every_reason_told_from_outside_of_the_core() -> None:
    source = (PACKAGE / "decide" / "summarize.py").read_text(encoding="utf-8")
    told = re.findall(r'^[A-Z_]+: Final = "([A-Z][A-Za-z]+)"$', source, re.M)
    told += re.findall(r'\("False", "([A-Z][A-Za-z]+)"', source)
    text = GUIDE.read_text(encoding="utf-8")
    assert len(told) >= 5
    assert [word for word in told if f"`{word}`" not in text] == []


def test_each_reason_that_holds_has_a_remedy_in_the_guide() -> None:
    """A held step goes on only after somebody did something: the guide says what."""
    rows = {}
    for line in GUIDE.read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if len(cells) == 3 and re.fullmatch(r"(`\w+`(, )?)+", cells[0]):
            for word in re.findall(r"`(\w+)`", cells[0]):
                rows[word] = cells
    missing = [word for word in reasons("hold") if word not in rows or len(rows[word][2]) < 20]
    assert missing == []


def test_the_runbook_has_every_reason_that_can_hold_a_kill() -> None:
    held = {
        word
        for word, files in reasons("hold").items()
        if any((PACKAGE / "decide" / "kill" / name).is_file() for name in files)
    }
    text = RUNBOOK.read_text(encoding="utf-8")
    assert len(held) >= 12
    # Steps that the kill shares with the way there, and what is reported outside of the tables.
    held |= {"ReleasePending", "ReleaseOwnedByAnother", "ReleaseNotFound", "ChartMismatch"}
    held |= {"AirflowConfigNotFound"}
    held |= {"PodsNotReplaced", "PodNotConfirmed", "NoAirflowPods", "ActionFailed"}
    held |= {"ObserveFailed", "InvalidSpec"}
    assert sorted(word for word in held if f"`{word}`" not in text) == []


def test_the_guide_explains_every_reason_that_a_check_or_the_page_on_compatibility_names() -> None:
    files = sorted((PACKAGE / "decide" / "check").glob("*.py"))
    named = {
        word for path in files for word in re.findall(r'reason="(\w+)"', path.read_text("utf-8"))
    }
    page = (ROOT / "docs" / "compatibility.md").read_text(encoding="utf-8")
    refused = set(re.findall(r"refused[^|]*: `([A-Z]\w+)`", page))
    assert {"NotArmed", "CannotObserve"} <= named
    assert {"ExecutorNotSupported", "PodsWouldNotRoll"} <= refused
    text = GUIDE.read_text(encoding="utf-8")
    assert [word for word in sorted(named | refused) if f"`{word}`" not in text] == []


def test_the_guide_explains_every_condition() -> None:
    text = GUIDE.read_text(encoding="utf-8")
    kinds = (Condition.READY, Condition.RECONCILING, Condition.STALLED, *DOMAIN_CONDITIONS)
    assert [kind for kind in kinds if f"`{kind}`" not in text] == []


def test_the_page_of_the_command_line_lists_every_verb() -> None:
    text = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")
    verbs = main.list_commands(None)  # type: ignore[arg-type]
    assert verbs
    assert [verb for verb in verbs if f"| `xbr {verb}" not in text] == []


def test_messages_of_the_operator_name_files_that_are_there() -> None:
    named = {
        word
        for path in PACKAGE.rglob("*.py")
        for word in re.findall(r"\bdocs/[\w./-]+\.(?:md|json|yaml)", path.read_text("utf-8"))
    }
    assert "docs/runbooks/kill-switch.md" in named
    assert [word for word in sorted(named) if not (ROOT / word).is_file()] == []


@pytest.mark.parametrize(
    "page", sorted(ROOT.glob("*.md")) + sorted((ROOT / "docs").rglob("*.md")), ids=lambda p: p.name
)
def test_links_within_the_repository_lead_somewhere(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    targets = re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", text)
    local = [target for target in targets if not re.match(r"[a-z]+:", target)]
    assert [target for target in local if not (page.parent / target).exists()] == []
