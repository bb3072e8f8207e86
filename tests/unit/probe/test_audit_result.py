"""What an audit found is read as a decision needs it, and kept whole for people."""

import json
from pathlib import Path
from typing import Any

import pytest

from xcom_probe import main, model
from xcom_rollout.clients.errors import Malformed
from xcom_rollout.decide.ledger import AuditFinding, AuditKind, Confidence, Effect, Verdict
from xcom_rollout.decide.observed import AuditResult
from xcom_rollout.probe import audit_result as audit_output
from xcom_rollout.probe import result as probe_output

NUMPY = {
    "rule": "XCA001",
    "file": "etl.py",
    "line": 12,
    "dagId": "etl",
    "taskId": "extract",
    "key": "return_value",
    "kind": "ndarray",
    "effect": "fails",
    "today": "none",
    "confidence": "high",
    "message": "returns an array",
    "fix": "pass it by reference",
}
STRINGS = {
    "dagId": "api",
    "taskId": "fetch",
    "key": "page",
    "kind": "json-str",
    "effect": "drifts",
    "rows": 7,
    "largestBytes": 90,
}


def audit(
    kind: AuditKind = AuditKind.STATIC, findings: list[model.Finding] | None = None, **members: Any
) -> AuditResult:
    """What the operator reads of what the probe itself prints."""
    document = model.document("audit", findings or [], {"airflow": "2.11.2"}, members, 0.0, 1.0)
    read = probe_output.find_result(main.render(document, "markers"))
    return audit_output.audit_result(read, kind)


def static(*findings: dict[str, Any], **more: Any) -> AuditResult:
    member = {"files": 3, "findings": list(findings), "unreadable": []} | more
    return audit(static=member)


def test_a_finding_of_code_names_task_and_place() -> None:
    result = static(NUMPY)
    assert result.verdict is Verdict.FAIL
    assert result.findings == (
        AuditFinding(
            *(Effect.FAILS, Confidence.HIGH, "ndarray", "etl", "extract", "etl.py", 12),
            key="return_value",
        ),
    )
    assert ("files", "3") in result.facts
    assert ("airflow", "2.11.2") in result.facts


def test_a_finding_in_the_table_names_task_key_and_rows() -> None:
    result = audit(AuditKind.DYNAMIC, dynamic={"rows": 100, "tasks": [STRINGS]})
    assert result.findings == (
        AuditFinding(
            *(Effect.DRIFTS, Confidence.HIGH, "json-str", "api", "fetch"), key="page", rows=7
        ),
    )


def test_a_helper_that_several_dags_import_has_no_task() -> None:
    (finding,) = static({**NUMPY, "dagId": None, "taskId": None}).findings
    assert (finding.dag_id, finding.task_id) == ("", "")
    assert str(finding) == "etl.py:12: ndarray fails"


def test_a_file_that_could_not_be_read_is_a_finding() -> None:
    (finding,) = static(unreadable=[{"file": "old.py", "line": 3, "why": "SyntaxError"}]).findings
    assert (finding.effect, finding.kind) == (Effect.UNSEEN, "unreadable")
    assert str(finding) == "old.py:3: could not be read (SyntaxError)"


@pytest.mark.parametrize(
    ("effect", "today", "counts"),
    [
        ("fails", "none", True),
        ("drifts", "none", True),
        ("fails", "drifts", True),
        ("fails", "fails", False),
        ("drifts", "drifts", False),
        ("drifts", "fails", False),
        ("offloads", "none", False),
        ("unknown", "unknown", False),
    ],
)
def test_only_what_the_flip_makes_worse_counts(effect: str, today: str, counts: bool) -> None:
    result = static({**NUMPY, "effect": effect, "today": today})
    assert bool(result.findings) is counts
    assert json.loads(result.report)["findings"], "people get to read all of them"


def test_the_surest_and_worst_come_first_and_each_task_once() -> None:
    result = static(
        {**NUMPY, "confidence": "low", "taskId": "a"},
        {**NUMPY, "effect": "drifts", "taskId": "b"},
        {**NUMPY, "line": 40},
        {**NUMPY, "line": 12},
    )
    assert [(f.task_id, f.confidence.value, f.line) for f in result.findings] == [
        ("extract", "High", 40),
        ("b", "High", 12),
        ("a", "Low", 12),
    ]


def test_what_the_ledger_has_no_room_for_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit_output, "MOST_KEPT", 2)
    monkeypatch.setattr(audit_output, "MOST_PUBLISHED", 4)
    result = static(*({**NUMPY, "taskId": f"t{n}"} for n in range(5)))
    assert (len(result.findings), result.left_out) == (2, 3)
    report = json.loads(result.report)
    assert (len(report["findings"]), report["leftOut"]) == (4, 1)


@pytest.mark.parametrize(
    ("last", "left_out"), [({}, 5), ({"effect": "offloads"}, 0), ({"today": "drifts"}, 0)]
)
def test_tasks_that_the_probe_left_out_count_where_they_may_be_worse(
    last: dict[str, str], left_out: int
) -> None:
    tasks = [STRINGS, {**STRINGS, "key": "other", **last}]
    result = audit(AuditKind.DYNAMIC, dynamic={"tasks": tasks, "tasksLeftOut": 5})
    assert result.left_out == left_out


def test_the_report_has_a_finding_a_line() -> None:
    lines = static(NUMPY, {**NUMPY, "taskId": "load"}).report.splitlines()
    assert json.loads(lines[1].rstrip(",")) == NUMPY


def test_what_kept_it_from_looking_is_an_error_and_the_check_of_its_findings_is_not() -> None:
    own = model.Finding("audit-static", "fail", "1 finding")
    files = model.Finding("audit-static-files", "error", "1 files could not be read")
    member = {"findings": [NUMPY], "unreadable": []}
    assert audit(findings=[own, files], static=member).verdict is Verdict.FAIL
    trouble = model.Finding("look", "error", "no such folder: /dags", remedy="Give --dags.")
    result = audit(findings=[trouble])
    assert result.verdict is Verdict.ERROR
    assert [(check.name, check.observed) for check in result.failed] == [
        ("look", "no such folder: /dags")
    ]


@pytest.mark.parametrize(
    "members",
    [
        {},
        {"static": []},
        {"static": {}},
        {"static": {"findings": []}},
        {"static": {"findings": [{"kind": "x"}], "unreadable": []}},
        {"static": {"findings": [{**NUMPY, "effect": "explodes"}], "unreadable": []}},
        {"static": {"findings": [{**NUMPY, "confidence": "sure"}], "unreadable": []}},
        {"static": {"findings": [], "unreadable": [{"line": 3}]}},
        {"static": {"findings": [], "unreadable": [{"file": "a.py", "line": 3}]}},
    ],
)
def test_an_audit_that_cannot_be_read_is_no_green_one(members: dict[str, Any]) -> None:
    with pytest.raises(Malformed):
        audit(**members)


def test_what_the_probe_itself_says_of_a_dag_is_understood(tmp_path: Path) -> None:
    (tmp_path / "etl.py").write_text(
        "import json\n"
        "from airflow.decorators import dag, task\n\n\n"
        "@dag(dag_id='etl')\n"
        "def etl():\n"
        "    @task\n"
        "    def extract():\n"
        "        return json.dumps({'a': 1})\n\n"
        "    extract()\n\n\n"
        "etl()\n"
    )
    (tmp_path / "old.py").write_text("from airflow import DAG\nprint 'old'\n")
    arguments = ["audit", "--static", "--dags", str(tmp_path), "--airflow", "2.11"]
    args = main.parse([*arguments, "--common-io", "1.7.2", "--markers"])
    read = probe_output.find_result(main.render(main.run(args), "markers"))
    result = audit_output.audit_result(read, AuditKind.STATIC)
    drifts, unread = map(str, result.findings)
    assert drifts == "etl/extract (etl.py:9): json-str drifts"
    assert unread.startswith("old.py:2: could not be read (")
    assert result.failed == ()
