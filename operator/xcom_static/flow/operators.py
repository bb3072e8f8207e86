"""What the operators of well-known providers return, as read in their sources.

Read in the newest releases of 2026-11: common-sql 2.4.0, http, docker, ssh, amazon 9.39.0, google
22.8.0, cncf-kubernetes 10.25.0, standard 1.21.0. An operator that is not named here is unknown:
most return None, an ID or a dict of strings and numbers.
"""

from __future__ import annotations

import ast
import re
from typing import Any, Callable

from xcom_static.flow.frame import Reader
from xcom_static.flow.texts import is_json
from xcom_static.flow.values import LOW, MEDIUM, UNKNOWN, Values, made, only
from xcom_static.source.modules import argument, is_false, is_true
from xcom_static.source.tasks import Task

# The first word of statements that give rows, as far as the word shows it.
_QUERIES = frozenset({"select", "with", "show", "values", "describe", "table", "explain"})
_COMMENT = re.compile(r"\s*(--[^\n]*\n|/\*.*?\*/)", re.DOTALL)
# Commands that print one whole number.
_COUNTS = re.compile(r"(\bwc\s+-[lcwm]\b[^|]*|\bdate\s+['\"]?\+['\"]?(%s|%Y%m%d|%Y)['\"]?)\s*$")
_ECHO = re.compile(r"(?:^|[;&|\n])\s*echo\s+(?:-[ne]+\s+)?(?P<words>[^;&|\n>]+)\s*$")

# Their drivers give a list of tuples. MySQL's gives a tuple of tuples, which stays as it is, and
# those of Trino, Vertica and Redshift give lists.
_SQL_OPERATORS = frozenset(
    {
        *("SQLExecuteQueryOperator", "PostgresOperator", "SqliteOperator", "MsSqlOperator"),
        *("OracleOperator", "JdbcOperator"),
    }
)


def returned(task: Task, flow: Reader) -> Values:
    """What an instance of an imported operator returns from `execute`."""
    name = task.operator.rpartition(".")[2]
    if task.call is None:
        return UNKNOWN
    if name in _SQL_OPERATORS:
        return _sql(task, flow)
    known = _KNOWN.get(name)
    return UNKNOWN if known is None else known(task, flow)


def _sql(task: Task, flow: Reader) -> Values:
    """Rows are tuples. A statement that gives none, or that cannot be read here, is unknown."""
    assert task.call is not None  # noqa: S101 - checked by the only caller
    if argument(task.call, "handler") is not None:
        return UNKNOWN
    given = argument(task.call, "sql", 0)
    text = flow.module.text(given, task.scope)
    if text is None:
        return UNKNOWN
    words = _COMMENT.sub(" ", text).split(None, 1)
    if not words or words[0].lower() not in _QUERIES:
        return UNKNOWN
    rows = only("list", items=only("tuple", what="a row"))
    return made(rows, task.call, f"the rows of {_short(task)}", MEDIUM)


def _http(task: Task, flow: Reader) -> Values:
    """The text of the response, which most servers make JSON; or what the filter makes of it."""
    assert task.call is not None  # noqa: S101
    given = argument(task.call, "response_filter")
    if given is None and argument(task.call, "pagination_function") is not None:
        # A list of such texts, which nobody decodes again.
        return UNKNOWN
    if given is None:
        return made(only("json-str"), task.call, f"the text of {_short(task)}'s response", MEDIUM)
    function: Any = given if isinstance(given, ast.Lambda) else None
    if function is None:
        function = flow.module.definition(given, task.scope)
    if function is None or isinstance(function, ast.ClassDef):
        return UNKNOWN
    return flow.outcome(function, task.scope).values()


def _bash(task: Task, flow: Reader) -> Values:
    """The last line printed: JSON where the command ends with the echo of such a word."""
    assert task.call is not None  # noqa: S101
    text = flow.module.text(argument(task.call, "bash_command", 0), task.scope)
    if text is None or argument(task.call, "output_processor") is not None:
        return UNKNOWN
    if _COUNTS.search(text.strip()):
        return made(only("json-str"), task.call, "a command that prints a number", MEDIUM)
    found = _ECHO.search(text.strip())
    if found is None:
        return UNKNOWN
    words = found.group("words").strip()
    for quote in ("'", '"'):
        if len(words) > 1 and words[0] == words[-1] == quote:
            words = words[1:-1]
            break
    if "{{" in words or "$" in words:
        return UNKNOWN
    return (
        made(only("json-str"), task.call, "a command that ends with the echo of a constant", MEDIUM)
        if is_json(words)
        else UNKNOWN
    )


def _payload(task: Task, flow: Reader) -> Values:
    del flow
    return made(only("json-str"), task.call or task.node, "the function's payload", MEDIUM)


def _s3_read(task: Task, flow: Reader) -> Values:
    del flow
    values = only("str", big="the content of an object")
    return made(values, task.call or task.node, "the object's text", MEDIUM)


def _bigquery_rows(task: Task, flow: Reader) -> Values:
    """Lists of tuples, in spite of the documentation: `Row.values()` is one."""
    del flow
    assert task.call is not None  # noqa: S101
    if argument(task.call, "as_dict") is not None or is_true(argument(task.call, "deferrable")):
        return UNKNOWN
    rows = only("list", items=only("tuple", what="a row"))
    return made(rows, task.call, "the rows of BigQueryGetDataOperator", MEDIUM)


def _ssh(task: Task, flow: Reader) -> Values:
    """base64 text, or with XCom pickling bytes. Neither is JSON."""
    del task, flow
    return UNKNOWN


def _docker(task: Task, flow: Reader) -> Values:
    del flow
    assert task.call is not None  # noqa: S101
    if not is_true(argument(task.call, "xcom_all")) or is_false(
        argument(task.call, "retrieve_output")
    ):
        return UNKNOWN
    return made(only("list", big="a container's log"), task.call, "all lines of the log", LOW)


def _json(task: Task, flow: Reader) -> Values:
    del flow
    return made(only("json-str"), task.call or task.node, f"{_short(task)} returns json.dumps()")


def _analytics(task: Task, flow: Reader) -> Values:
    assert task.call is not None  # noqa: S101
    form = flow.module.text(argument(task.call, "result_output_format"), task.scope)
    return _json(task, flow) if form == "json" else UNKNOWN


# amazon/aws/operators/rds.py: every one of them returns json.dumps(...).
_RDS = (
    *("RdsCreateDbSnapshotOperator", "RdsCopyDbSnapshotOperator", "RdsDeleteDbSnapshotOperator"),
    *("RdsStartExportTaskOperator", "RdsCancelExportTaskOperator"),
    *("RdsCreateEventSubscriptionOperator", "RdsDeleteEventSubscriptionOperator"),
    *("RdsCreateDbInstanceOperator", "RdsDeleteDbInstanceOperator"),
    *("RdsStartDbOperator", "RdsStopDbOperator"),
)

_KNOWN: dict[str, Callable[[Task, Reader], Values]] = {
    "HttpOperator": _http,
    "SimpleHttpOperator": _http,
    "BashOperator": _bash,
    "LambdaInvokeFunctionOperator": _payload,
    "S3ReadObjectOperator": _s3_read,
    "BigQueryGetDataOperator": _bigquery_rows,
    "SSHOperator": _ssh,
    "DockerOperator": _docker,
    "AnalyticsOperator": _analytics,
    **dict.fromkeys(_RDS, _json),
}


def _short(task: Task) -> str:
    return task.operator.rpartition(".")[2]
