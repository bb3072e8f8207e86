"""XCL007: credentials in DAG code."""

import ast
import re
import shlex
from collections.abc import Iterable, Iterator
from urllib.parse import urlsplit

from xcom_lint.config import Settings
from xcom_lint.dagfile import DagFile
from xcom_lint.model import Level, Problem, Rule

_SECRET_NAMES = frozenset(
    {
        "password",
        "passwd",
        "secret",
        "secret_key",
        "aws_secret_access_key",
        "api_key",
        "access_token",
        "token",
    }
)
# The form of AWS's key IDs.
_ACCESS_KEY = re.compile(r"(AKIA|ASIA)[0-9A-Z]{16}\Z")
# What stands where a secret will be put.
_PLACEHOLDER = re.compile(r"[{}<>$*%]|\Ax+\Z|\A\.+\Z|\A(password|secret|token|changeme)?\Z", re.I)


def check(file: DagFile, _: Settings) -> Iterator[Problem]:
    """Find connection strings with a password, AWS key IDs, and secrets given as arguments."""
    nodes = list(file.all_nodes)
    # Docstrings, and the texts between the braces of f-strings.
    left_out = set(_docstrings(file.nodes))
    left_out.update(
        id(part) for node in nodes if isinstance(node, ast.JoinedStr) for part in node.values
    )
    for node in nodes:
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            if id(node) in left_out:
                continue
            what = _secret_in(node.value)
            if what:
                yield Problem(node, f"{what} is in the code")
        elif isinstance(node, ast.keyword) and node.arg in _SECRET_NAMES:
            value = node.value
            if (
                isinstance(value, ast.Constant)
                and isinstance(value.value, str)
                and not _PLACEHOLDER.search(value.value)
            ):
                yield Problem(value, f"a secret is in the code as the argument {node.arg}")


def _secret_in(text: str) -> str:
    """What secret a text holds, in words; empty if none."""
    if _ACCESS_KEY.match(text):
        return "an AWS access key ID"
    if "://" in text and "@" in text:
        try:
            password = urlsplit(text.strip()).password
        except ValueError:
            return ""
        if password and not _PLACEHOLDER.search(password):
            return "a connection string with a password"
    if "password=" in text and ("host=" in text or "dbname=" in text):
        try:
            parts = dict(part.split("=", 1) for part in shlex.split(text) if "=" in part)
        except ValueError:
            return ""
        password = parts.get("password", "")
        if password and not _PLACEHOLDER.search(password):
            return "a connection string with a password"
    return ""


def _docstrings(owners: Iterable[ast.AST]) -> Iterator[int]:
    for node in owners:
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
            first = node.body[0] if node.body else None
            if isinstance(first, ast.Expr):
                yield id(first.value)


RULE = Rule(
    code="XCL007",
    name="raw-credentials",
    level=Level.BLOCK,
    why="Everyone who can read the repository, the DAG's code view or the log can use them.",
    fix="Use an Airflow connection, by its ID.",
    bad="""\
from airflow.decorators import dag, task
import sqlalchemy


@dag()
def orders():
    @task
    def load():
        engine = sqlalchemy.create_engine("postgresql://app:s3cr3t-pw@db/orders")
        return engine.execute("select 1").scalar()

    load()
""",
    good="""\
from airflow.decorators import dag, task
from airflow.providers.postgres.hooks.postgres import PostgresHook


@dag()
def orders():
    @task
    def load():
        return PostgresHook("orders").get_first("select 1")[0]

    load()
""",
    check=check,
)
