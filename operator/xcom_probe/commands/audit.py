"""`audit`: which tasks put values into XCom that the object storage backend fails on or changes."""

from __future__ import annotations

import os
from argparse import ArgumentParser, Namespace
from typing import Any, Mapping

from xcom_probe import options, place
from xcom_probe.commands import audit_table as table
from xcom_probe.model import ERROR, FAIL, PASS, WARN, Finding
from xcom_probe.report import Report

HELP = "name the tasks whose values the object storage backend fails on or changes"

_DAGS_FOLDER = ("core", "dags_folder")
_IGNORE_SYNTAX = ("core", "dag_ignore_file_syntax")
_CONFIDENCES = ("high", "medium", "low")
_SHOWN = 3


def arguments(parser: ArgumentParser) -> None:
    """Add the arguments of `audit`."""
    parser.add_argument(
        "--static", action="store_true", help="read the source of the DAGs; nothing is imported"
    )
    parser.add_argument(
        "--dags", metavar="FOLDER", help="static: look here; by default in Airflow's dags_folder"
    )
    parser.add_argument(
        "--airflow",
        metavar="VERSION",
        default="auto",
        help="static: judge for this version, such as 2.11; auto (default): the installed one",
    )
    parser.add_argument(
        "--common-io", metavar="VERSION", help="static: with --airflow VERSION, the provider's"
    )
    parser.add_argument(
        "--fail-on",
        choices=_CONFIDENCES,
        default="medium",
        help="static: the least confidence of a finding that makes the answer no",
    )
    table.arguments(parser)


def run(args: Namespace, report: Report) -> None:
    """Look in the ways asked for; in every way if none is named.

    Raises:
        CannotLook: Airflow is not installed here.
        UsageError: an argument turned out wrong.
    """
    report.facts.update(place.facts())
    if args.static or not args.dynamic:
        static(args, report, os.environ)
    if args.dynamic or not args.static:
        table.dynamic(args, report, os.environ)


def static(args: Namespace, report: Report, environ: Mapping[str, str]) -> None:
    """Read the DAG files.

    Raises:
        CannotLook: Airflow is not installed here, or its ignore file cannot be read.
        UsageError: the folder is not there, or a version is wrong.
    """
    from xcom_probe.static import engine, files
    from xcom_probe.static.target import ignore_syntax, target

    where = target(args.airflow, args.common_io)
    cfg = options.read_config(environ)
    folder = args.dags or options.expand(
        setting(_DAGS_FOLDER, environ, cfg) or _default_folder(environ)
    )
    syntax = ignore_syntax(setting(_IGNORE_SYNTAX, environ, cfg), where)
    result = engine.audit(files.sources(folder, syntax), where)
    report.members["static"] = {"folder": folder, **result.as_json()}
    report.findings.append(_check(result.findings, args.fail_on, result.files, folder))
    if result.unreadable:
        report.findings.append(_unreadable(result.unreadable))


def setting(
    option: tuple[str, str], environ: Mapping[str, str], cfg: options.ConfigFile
) -> str | None:
    """An option as Airflow reads it, None where it is not set."""
    section, name = option
    found = environ.get(options.env_name(section, name))
    return cfg.sections.get(section, {}).get(name) if found is None else found


def _default_folder(environ: Mapping[str, str]) -> str:
    return os.path.join(options.expand(environ.get("AIRFLOW_HOME", "~/airflow")), "dags")


def _check(found: list[Any], fail_on: str, files: int, folder: str) -> Finding:
    expected = f"no value that fails or changes, with {fail_on} confidence or more"
    worst = [item for item in found if item.counts(fail_on)]
    others = len(found) - len(worst)
    if not found:
        return Finding("audit-static", PASS, f"nothing in {files} files of {folder}", expected)
    places = ", ".join(f"{item.file}:{item.line} ({item.rule})" for item in worst[:_SHOWN])
    more = f" and {len(worst) - _SHOWN} more" if len(worst) > _SHOWN else ""
    told = f"{len(worst)} in {files} files of {folder}: {places}{more}" if worst else ""
    rest = f"{others} others, less sure or without harm" if others else ""
    return Finding(
        "audit-static",
        FAIL if worst else WARN,
        "; ".join(part for part in (told, rest) if part),
        expected,
        "Such a task fails when it pushes, or the next one reads something else.",
        "Read each finding; it says what to write instead. docs/audit.md explains the rules.",
    )


def _unreadable(found: list[Any]) -> Finding:
    names = ", ".join(f"{item.file}: {item.why}" for item in found[:_SHOWN])
    more = f" and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
    return Finding(
        "audit-static-files",
        ERROR,
        f"{len(found)} files could not be read: {names}{more}",
        "every file is looked at",
        "What such a file pushes is not known.",
        "Mend the file, or name it in .airflowignore if it is no DAG file.",
    )
