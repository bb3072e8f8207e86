"""`audit`: which tasks put values into XCom that the object storage backend fails on or changes."""

from __future__ import annotations

import os
from argparse import ArgumentParser, Namespace
from itertools import chain
from typing import TYPE_CHECKING, Any, Mapping

from xcom_probe import bundles, options, runtime
from xcom_probe.commands import audit_table as table
from xcom_probe.model import ERROR, FAIL, PASS, WARN, CannotLook, Finding, UsageError
from xcom_probe.report import Report

HELP = "list the tasks whose values the object storage backend fails on or changes"

if TYPE_CHECKING:
    from xcom_static.source.files import Source

_AIRFLOW_3 = (3, 0)
_IGNORE_SYNTAX = ("core", "dag_ignore_file_syntax")
_CONFIDENCES = ("high", "medium", "low")
_SHOWN = 3


def arguments(parser: ArgumentParser) -> None:
    """Add the arguments of `audit`."""
    parser.add_argument(
        "--static", action="store_true", help="read the source of the DAGs; nothing is imported"
    )
    parser.add_argument(
        "--dags",
        metavar="FOLDER",
        help="static: the folder to audit; by default Airflow's dags_folder and local bundles",
    )
    parser.add_argument(
        "--airflow",
        metavar="VERSION",
        default="auto",
        help="static: the Airflow version to audit for, such as 2.11; auto (default): the "
        "installed one",
    )
    parser.add_argument(
        "--common-io",
        metavar="VERSION",
        help="static: with --airflow VERSION, the version of the provider",
    )
    parser.add_argument(
        "--fail-on",
        choices=_CONFIDENCES,
        default="medium",
        help="static: the lowest confidence at which a finding fails the audit",
    )
    table.arguments(parser)


def run(args: Namespace, report: Report) -> None:
    """Look in the ways asked for; in every way if none is named.

    Raises:
        CannotLook: Airflow is not installed here.
        UsageError: an argument turned out wrong.
    """
    report.facts.update(runtime.facts())
    if args.static or not args.dynamic:
        static(args, report, os.environ)
    if args.dynamic or not args.static:
        table.dynamic(args, report, os.environ)


def static(args: Namespace, report: Report, environ: Mapping[str, str]) -> None:
    """Read the DAG files.

    Raises:
        CannotLook: Airflow is not installed here, or its ignore file or the list of its bundles
            cannot be read.
        UsageError: the folder is not there, or a version is wrong.
    """
    from xcom_static.errors import InvalidArgumentError, UnavailableError

    try:
        _static(args, report, environ)
    except InvalidArgumentError as problem:
        raise UsageError(str(problem)) from problem
    except UnavailableError as problem:
        raise CannotLook(str(problem)) from problem


def _static(args: Namespace, report: Report, environ: Mapping[str, str]) -> None:
    from xcom_probe.commands.audit_bundles import label, local_settings, sources
    from xcom_static.audit import engine
    from xcom_static.audit.effects import version
    from xcom_static.audit.target import ignore_syntax, target

    where = target(args.airflow, args.common_io)
    cfg = options.read_config(environ)
    syntax = ignore_syntax(options.setting(_IGNORE_SYNTAX, environ, cfg), where)
    settings: list[Source] = []
    if args.dags:
        listed = [bundles.Bundle("", bundles.LOCAL, args.dags)]
    else:
        # The sources depend on the installed Airflow, whatever version is audited for.
        here = version(runtime.airflow_version() or "") or where.airflow or _AIRFLOW_3
        listed = bundles.configured(environ, cfg, here >= _AIRFLOW_3)
        settings = list(local_settings(environ))
    result = engine.audit(chain(sources(listed, syntax), settings), where)
    missed = {item.file for item in result.unreadable}
    folder = ", ".join(
        bundle.folder
        for bundle in listed
        if bundle.folder is not None and label(bundle) not in missed
    )
    report.members["static"] = {"folder": folder, **result.as_json()}
    # A clean result for Airflow's own settings says nothing about DAGs that are not here.
    dags = result.files - sum(not source.problem for source in settings)
    if dags or result.findings:
        looked_at = f"{result.files} files of {folder}" if dags else "Airflow's local settings"
        report.findings.append(_check(result.findings, args.fail_on, looked_at))
    if result.unreadable:
        report.findings.append(_unreadable(result.unreadable))


def _check(found: list[Any], fail_on: str, looked_at: str) -> Finding:
    expected = f"no value that fails or changes, with {fail_on} confidence or more"
    worst = [item for item in found if item.counts(fail_on)]
    others = len(found) - len(worst)
    if not found:
        return Finding("audit-static", PASS, f"nothing in {looked_at}", expected)
    places = ", ".join(f"{item.file}:{item.line} ({item.rule})" for item in worst[:_SHOWN])
    more = f" and {len(worst) - _SHOWN} more" if len(worst) > _SHOWN else ""
    summary = f"{len(worst)} in {looked_at}: {places}{more}" if worst else ""
    rest = f"{others} others, less certain or harmless" if others else ""
    return Finding(
        "audit-static",
        FAIL if worst else WARN,
        "; ".join(part for part in (summary, rest) if part),
        expected,
        "Such a task fails when it pushes, or the next task reads another value.",
        "Each finding says what to use instead. docs/audit.md explains the rules.",
    )


def _unreadable(found: list[Any]) -> Finding:
    names = ", ".join(f"{item.file}: {item.why}" for item in found[:_SHOWN])
    more = f" and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
    return Finding(
        "audit-static-files",
        ERROR,
        f"{len(found)} files or bundles could not be read: {names}{more}",
        "every file of every bundle is audited",
        "It is not known what the tasks in it push.",
        "Fix the file, or add it to .airflowignore if it is not a DAG file. Audit a checkout of a "
        "bundle with xbr audit FOLDER, or with --dags FOLDER where it is mounted.",
    )
