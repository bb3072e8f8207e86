"""The command line: picks the command, keeps stdout clean, prints the result, sets the exit code.

Exit codes: 0 passed, 1 a check failed, 2 invalid usage, 3 could not be checked.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import sys
import time
import traceback
import warnings
from typing import Any, NoReturn

from xcom_probe import __version__, ending, runtime
from xcom_probe.model import (
    ERROR,
    EXIT_CODES,
    EXIT_ERROR,
    EXIT_USAGE,
    CannotLook,
    Finding,
    Interrupted,
    UsageError,
    document,
)
from xcom_probe.report import Report

COMMANDS = (
    "inspect",
    "preflight",
    "roundtrip",
    "prove",
    "census",
    "forget",
    "rehydrate",
    "calibrate",
    "audit",
    "provenance",
    "standby",
    "attempts",
    "configured",
)
BEGIN = "-----BEGIN XCOM PROBE RESULT-----"
END = "-----END XCOM PROBE RESULT-----"

_HUMAN, _JSON, _MARKERS = "human", "json", "markers"


def entry(arguments: list[str] | None = None) -> NoReturn:
    """Run as a program.

    Airflow and its plugins log to stdout at import. File descriptor 1 is therefore turned to
    stderr before anything is imported, and only the result goes to the real stdout.

    Args:
        arguments: those after the program's name; None takes them from `sys.argv`.
    """
    if arguments is None:
        arguments = sys.argv[1:]
    try:
        args = parse(arguments)
    except UsageError as problem:
        sys.stderr.write(f"xcom_probe: {problem}\n")
        sys.exit(EXIT_USAGE)
    sys.stdout.flush()
    result_fd = os.dup(1)
    os.dup2(2, 1)
    ending.listen()
    # Deprecations of the Airflow here are not this program's subject.
    warnings.simplefilter("ignore")
    try:
        result = run(args)
        ending.ignore()
        with os.fdopen(result_fd, "wb") as stdout:
            stdout.write(render(result, args.output).encode("utf-8", "backslashreplace"))
        status = EXIT_CODES[result["verdict"]]
    except UsageError as problem:
        sys.stderr.write(f"xcom_probe: {problem}\n")
        status = EXIT_USAGE
    except BaseException:  # noqa: BLE001 - Python's own status for this, 1, would mean "no"
        traceback.print_exc()
        status = EXIT_ERROR
    runtime.remove_scratch()
    sys.stderr.flush()
    # Not sys.exit: clients of the store keep threads and event loops that delay an orderly end.
    os._exit(status)


def parse(arguments: list[str]) -> argparse.Namespace:
    """Parse the arguments, with only the modules of the wanted command imported.

    Raises:
        UsageError: an argument is missing or wrong.
        SystemExit: from argparse, with 2 for a wrong and 0 for --help and --version.
    """
    parser = argparse.ArgumentParser(
        prog="xcom_probe",
        description="Checks the XCom backend from inside an Airflow pod; only forget and "
        "rehydrate change anything.",
        epilog="Exit codes: 0 passed, 1 a check failed, 2 invalid usage, 3 could not be checked.",
    )
    parser.add_argument("--version", action="version", version=__version__)
    subparsers = parser.add_subparsers(dest="command", metavar="COMMAND")
    wanted = next((word for word in arguments if word in COMMANDS), None)
    for name in COMMANDS if wanted is None else (wanted,):
        module = _command(name)
        subparser = subparsers.add_parser(name, help=module.HELP, description=module.HELP)
        module.arguments(subparser)
        output = subparser.add_mutually_exclusive_group()
        output.add_argument(
            "--json",
            dest="output",
            action="store_const",
            const=_JSON,
            help="print the result as one JSON document",
        )
        output.add_argument(
            "--markers",
            dest="output",
            action="store_const",
            const=_MARKERS,
            help="print it on one line between two marker lines, so that it can be found in a log",
        )
        subparser.set_defaults(output=_HUMAN)
    args = parser.parse_args(arguments)
    if args.command is None:
        raise UsageError("no command given; use one of {}".format(", ".join(COMMANDS)))
    return args


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Run a command and return the result document, whatever happens on the way.

    Raises:
        UsageError: an argument turned out wrong when it was used.
    """
    from xcom_probe import redact

    started_at, started = time.time(), time.monotonic()
    report = Report()
    try:
        _command(args.command).run(args, report)
    except UsageError:
        raise
    except CannotLook as problem:
        report.findings.append(_trouble("look", redact.text(problem)))
    except Interrupted:
        report.findings.append(_trouble("finish", "stopped by SIGTERM before it was finished"))
    except Exception as problem:  # noqa: BLE001 - the caller gets a document in every case
        report.findings.append(_trouble("look", redact.error(problem)))
    report.facts["peakMemoryMiB"] = runtime.peak_memory_mib()
    return document(
        args.command,
        report.findings,
        redact.deep(report.facts),
        redact.deep(report.members),
        started_at,
        time.monotonic() - started,
    )


def render(result: dict[str, Any], output: str) -> str:
    """The result as text of the wanted form, with a line feed at the end."""
    if output == _HUMAN:
        from xcom_probe.render import render

        return render(result)
    # ASCII, so that no log pipeline can harm it.
    line = json.dumps(result, sort_keys=False)
    if output == _MARKERS:
        return f"{BEGIN}\n{line}\n{END}\n"
    return line + "\n"


def _command(name: str) -> Any:
    return importlib.import_module(f"xcom_probe.commands.{name}")


def _trouble(name: str, observed: str) -> Finding:
    return Finding(
        name,
        ERROR,
        observed,
        "the command runs to its end",
        "What could not be checked is neither passed nor failed.",
        "Fix the cause and run the probe again.",
    )
