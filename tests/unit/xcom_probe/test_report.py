"""Findings, verdicts, forms of output, and what is kept out of them."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from xcom_probe import checks, main, redact, runtime
from xcom_probe.airflow import versions
from xcom_probe.checks import Check, Outcome, Skip, configuration, failed, passed, storage, warned
from xcom_probe.checks.location import Location
from xcom_probe.model import EXIT_CODES, CannotLook, Finding, document, rfc3339, verdict

SCHEMA = json.loads(
    (Path(__file__).resolve().parents[3] / "docs/reference/probe-result.schema.json").read_text()
)


def raising(problem: Exception) -> Any:
    def check(_: object) -> Outcome:
        raise problem

    return check


TABLE = (
    Check("good", lambda _: passed("1", "1"), "why", "remedy"),
    Check("bad", lambda _: failed("1", "2"), "why", "remedy"),
    Check("odd", lambda _: warned("1", "2", "another remedy"), "why", "remedy"),
    Check("no-matter", raising(Skip("no such thing")), "why", "remedy"),
    Check("out-of-reach", raising(CannotLook("gone")), "why", "remedy"),
    Check("broken", raising(ValueError("oops")), "why", "remedy"),
    Check("after-good", lambda _: passed("1"), "why", "remedy", needs=("good", "odd")),
    Check("after-bad", raising(AssertionError()), "why", "remedy", needs=("good", "bad")),
    Check("after-skip", raising(AssertionError()), "why", "remedy", needs=("no-matter",)),
    Check("after-error", raising(AssertionError()), "why", "remedy", needs=("out-of-reach",)),
)


def found() -> list[Finding]:
    findings: list[Finding] = []
    checks.run(TABLE, None, findings)
    return findings


def test_a_dependent_check_is_skipped_and_never_passes() -> None:
    assert {finding.name: finding.status for finding in found()} == {
        "good": "pass",
        "bad": "fail",
        "odd": "warn",
        "no-matter": "skip",
        "out-of-reach": "error",
        "broken": "error",
        "after-good": "pass",
        "after-bad": "skip",
        "after-skip": "skip",
        "after-error": "skip",
    }
    said = {finding.name: finding for finding in found()}
    assert said["after-bad"].observed == "not checked: bad did not pass"
    assert said["broken"].observed == "could not be checked: ValueError: oops"
    assert (said["bad"].remedy, said["odd"].remedy) == ("remedy", "another remedy")
    assert said["good"].remedy == ""


@pytest.mark.parametrize(
    ("statuses", "expected", "code"),
    [
        ([], "pass", 0),
        (["pass", "warn", "skip"], "pass", 0),
        (["pass", "fail", "error"], "fail", 1),
        (["pass", "error", "skip"], "error", 3),
    ],
)
def test_verdict_and_exit_code(statuses: list[str], expected: str, code: int) -> None:
    assert verdict([Finding("x", status, "y") for status in statuses]) == expected
    assert EXIT_CODES[expected] == code


@pytest.mark.parametrize("table", [configuration.TABLE, storage.TABLE])
def test_tables_are_complete(table: tuple[Check, ...]) -> None:
    """Every check can say why it matters and what to do, and needs only what is above it."""
    known = {check.name for check in configuration.TABLE} if table is storage.TABLE else set()
    for check in table:
        assert check.why.endswith(".")
        assert check.remedy.endswith(".")
        assert set(check.needs) <= known, check.name
        assert check.name not in known
        known.add(check.name)


def result() -> dict[str, Any]:
    option = {"value": "1", "source": "default"}
    facts: dict[str, Any] = {
        **runtime.facts(),
        "executor": "LocalExecutor",
        "celeryPool": "prefork",
        "taskNamespaces": {
            "namespace": "airflow",
            "multiNamespaceMode": "False",
            "multiNamespaceModeNamespaceList": "",
        },
        "backendClass": "a.B",
        "xcomBackend": option,
        "objectStorage": {"path": option, "threshold": option, "compression": option},
    }
    return document("prove", found(), facts, {}, 1700000000.5, 1.23456)


def test_document_follows_the_published_schema() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    jsonschema.validate(result(), SCHEMA)
    assert result()["startedAt"] == "2023-11-14T22:13:20.500000Z"
    assert result()["seconds"] == 1.235


@pytest.mark.parametrize(
    "change", [{"verdict": "maybe"}, {"checks": [{"name": "x"}]}, {"more": 1}, {"startedAt": "now"}]
)
def test_the_schema_refuses(change: dict[str, Any]) -> None:
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**result(), **change}, SCHEMA)


def test_every_command_is_in_the_schema() -> None:
    assert SCHEMA["properties"]["command"]["enum"] == list(main.COMMANDS)


def test_forms_of_output() -> None:
    assert json.loads(main.render(result(), "json")) == result()
    begin, line, end = main.render(result(), "markers").splitlines()
    assert (begin, end) == (main.BEGIN, main.END)
    assert json.loads(line) == result()
    human = main.render(result(), "human")
    for part in ("FAIL  bad: 1", "expected: 2", "why:      why", "do:       remedy", "fail: "):
        assert part in human


def test_output_is_ascii_on_one_line() -> None:
    strange = document("inspect", [Finding("x", "pass", "é\n\u2028🚀")], {}, {}, 0, 0)
    line = main.render(strange, "json")
    assert line.isascii()
    assert line.count("\n") == 1


def test_arguments() -> None:
    args = main.parse(["census", "--base", "s3://c@b/p", "--markers"])
    assert (args.command, args.base, args.runs_file, args.output) == (
        "census",
        ["s3://c@b/p"],
        None,
        "markers",
    )
    with pytest.raises(SystemExit) as stopped:
        main.parse(["inspect", "--json", "--markers"])
    assert stopped.value.code == 2


def test_known_secrets_are_masked_in_errors() -> None:
    redact.secret("hunter22")
    redact.secret("abc")
    error = ValueError("no\nentry for hunter22 at postgresql://u:pass/w@h, abc")
    assert redact.error(error) == "ValueError: no entry for *** at postgresql://u:pass/w@h, abc"


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("s3://key:secret@bucket/p", "s3://key:***@bucket/p"),
        (
            "s3://conn@bucket/2026-01-01T00:00:00+00:00",
            "s3://conn@bucket/2026-01-01T00:00:00+00:00",
        ),
        ("postgresql+psycopg2://u:p@ss@h/d", "postgresql+psycopg2://u:***@h/d"),
    ],
)
def test_passwords_in_urls_are_masked(text: str, masked: str) -> None:
    assert redact.text(text) == masked
    assert redact.deep({"a": [text]}) == {"a": [masked]}


@pytest.mark.parametrize(
    ("path", "location"),
    [
        ("s3://aws@bucket/a/b/", Location("s3", "aws", "bucket", "a/b")),
        ("s3://bucket", Location("s3", None, "bucket", "")),
        ("aws@bucket/a", Location("", None, "", "aws@bucket/a")),
        ("file:///mnt/x", Location("file", None, "", "mnt/x")),
    ],
)
def test_location(path: str, location: Location) -> None:
    assert Location.parse(path) == location


@pytest.mark.parametrize(
    ("words", "name"),
    [
        (["/usr/bin/dumb-init", "--", "/entrypoint", "scheduler"], "scheduler"),
        (["bash", "-c", "exec airflow triggerer --verbose"], "triggerer"),
        (["python", "airflow", "tasks", "run", "dag", "scheduler"], "task"),
        (["airflow", "celery", "worker"], "worker"),
        (["python", "/opt/xcom-probe/xcom_probe.pyz"], None),
        ([], None),
    ],
)
def test_component(words: list[str], name: str | None) -> None:
    assert runtime.component(words) == name


@pytest.mark.parametrize(
    ("version", "numbers"),
    [("2.11.2", (2, 11, 2)), ("3.1.0rc1", (3, 1, 0)), ("1.7", (1, 7)), ("", ()), ("x", ())],
)
def test_version_numbers(version: str, numbers: tuple[int, ...]) -> None:
    assert versions.version_numbers(version) == numbers


def test_times_are_utc() -> None:
    assert rfc3339(datetime(2026, 1, 2, 3, 4, 5, 6, UTC)) == "2026-01-02T03:04:05.000006Z"


def test_scratch_is_used_once_and_removed(monkeypatch: pytest.MonkeyPatch) -> None:
    name = "AIRFLOW__SCHEDULER__CHILD_PROCESS_LOG_DIRECTORY"
    monkeypatch.setenv(name, "/logs")
    runtime.use_scratch()
    folder = Path(os.environ[name])
    assert folder.is_dir()
    runtime.use_scratch()
    assert os.environ[name] == str(folder)
    runtime.remove_scratch()
    assert not folder.exists()
