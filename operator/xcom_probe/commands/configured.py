"""`configured`: which XCom backend is configured here. No Airflow is imported.

For the pod of a running task: the memory of one more Airflow could be what ends the task. Hence it
says what is written, not what can be imported; the facts have the form of `inspect`.
"""

from __future__ import annotations

import os
from argparse import ArgumentParser, Namespace

from xcom_probe import mounted, options, runtime, started
from xcom_probe.model import PASS, CannotLook, Finding
from xcom_probe.report import Report

HELP = "report which XCom backend airflow.cfg and the environment set here, without Airflow"
_DEFAULT = "airflow.models.xcom.BaseXCom"
"""Of every Airflow; 3.x has it at another place, and knows it by this one too."""


def arguments(parser: ArgumentParser) -> None:
    """`configured` has none."""


def run(_: Namespace, report: Report) -> None:
    """Read; what the processes here began with may be something else, and is compared.

    Raises:
        CannotLook: airflow.cfg cannot be read, or is not there and nothing else names a backend:
            then this process may have been told of another file than Airflow was.
    """
    file = options.read_config(os.environ)
    named = options.env_name(*options.BACKEND) in os.environ
    if file.problem or not (file.sections or named):
        raise CannotLook(f"{file.path}: {file.problem or 'it is missing or empty'}")
    for look in (started.check, mounted.check):
        finding = look(os.environ)
        if finding is not None:
            report.findings.append(finding)
    found = {option: options.setting(option, os.environ, file) for option in options.OPTIONS}
    values = {
        option: None if value is None else options.expand(value) for option, value in found.items()
    }
    report.facts.update(runtime.facts())
    report.facts["backendClass"] = values[options.BACKEND] or _DEFAULT
    report.facts["objectStorage"] = {
        name: options.source(*option, values[option], os.environ, file)._asdict()
        for name, option in (
            ("path", options.PATH),
            ("threshold", options.THRESHOLD),
            ("compression", options.COMPRESSION),
        )
    }
    report.findings.append(Finding("configuration-read", PASS, file.path, "a readable airflow.cfg"))
