"""`configured`: which XCom backend is configured here. No Airflow is imported.

For the pod of a running task: the memory of one more Airflow could kill the task. So it reports
what is configured, not what can be imported; the facts have the form of `inspect`.
"""

from __future__ import annotations

import os
from argparse import ArgumentParser, Namespace

from xcom_probe import mounted, options, runtime, started
from xcom_probe.model import PASS, CannotLook, Finding
from xcom_probe.report import Report

HELP = "report which XCom backend airflow.cfg and the environment set here, without Airflow"
_DEFAULT = "airflow.models.xcom.BaseXCom"
"""For every Airflow; 3.x has the class in another module, and accepts this name too."""


def arguments(parser: ArgumentParser) -> None:
    """`configured` has none."""


def run(_: Namespace, report: Report) -> None:
    """Read, and compare with what the processes here started with, which may differ.

    Raises:
        CannotLook: airflow.cfg cannot be read, or does not exist and nothing else names a backend:
            then this process may look for another file than Airflow does.
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
