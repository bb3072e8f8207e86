"""Helpers for the tests of the rules: one per file, as the rules themselves."""

from __future__ import annotations

from textwrap import dedent
from typing import Any

from xcom_lint.config import Settings
from xcom_lint.dagfile import DagFile
from xcom_lint.rules import BY_CODE

HEAD = """\
import logging
from airflow.decorators import dag, task
from xcom_dags.provenance import dag_build_info, dag_loaded_event, dag_version_banner, make_tags
"""


def lines(code: str, source: str, **settings: Any) -> list[int]:
    """Lines of `source`, from 1, in which a rule finds something; `HEAD` stands before them."""
    offset = HEAD.count("\n")
    file = DagFile("dag.py", (HEAD + dedent(source).lstrip("\n")).encode())
    found = BY_CODE[code].check(file, Settings(**settings))
    return sorted(problem.node.lineno - offset for problem in found)  # type: ignore[attr-defined]
