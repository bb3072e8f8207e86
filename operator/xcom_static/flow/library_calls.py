"""What well-known functions and classes of packages give, where it depends on the arguments."""

from __future__ import annotations

import re
from typing import Callable

from xcom_static.flow import signatures
from xcom_static.flow.arguments import Call
from xcom_static.flow.values import MEDIUM, UNKNOWN, Values, made, only, shape
from xcom_static.source.modules import is_true

# Arguments of subprocess that make output text.
_TEXT_ARGUMENTS = frozenset({"text", "encoding", "universal_newlines", "errors"})
_OFFSET = re.compile(r"[+-](\d\d):?(\d\d)$")


def library_call(call: Call, dotted: str) -> Values:
    """What a call of the imported thing `dotted` gives."""
    special = _SPECIAL.get(dotted)
    if special is not None:
        return special(call)
    if dotted.endswith(".XCom.set"):
        call.push()
        return UNKNOWN
    spec = signatures.CALLS.get(dotted)
    if spec == "connection" and call.names_any(signatures.ROW_ARGUMENTS):
        return UNKNOWN
    if spec is not None:
        return made(shape(spec), call.node, f"{dotted}()")
    return _by_name(call, dotted)


def _by_name(call: Call, dotted: str) -> Values:
    """What is in no table, by how such things are called."""
    what = f"{dotted}()"
    top, _, rest = dotted.partition(".")
    last = rest.rpartition(".")[2]
    if last.endswith("Hook") or last == "get_hook":
        return call.gives("hook", what)
    if top in signatures.MODEL_PACKAGES and last[:1].isupper():
        return call.gives("model", what)
    if last.endswith("Client") and last[:1].isupper() and top != "airflow":
        return call.gives("client", what, MEDIUM)
    return only("context") if last == "get_current_context" else UNKNOWN


def _json_text(call: Call) -> Values:
    big = next((value.big for value in call.positional(0) if value.big), "")
    return call.gives("json-str", "json.dumps()", big=big)


# pandas, numpy


def _read_csv(call: Call) -> Values:
    if call.argument("chunksize") is not None or is_true(call.argument("iterator")):
        return call.gives("iterator", "a reader of chunks")
    return call.gives("dataframe", "pandas.read_*()")


def _read_json(call: Call) -> Values:
    if call.argument("typ") is not None:
        return call.gives("series", "pandas.read_json(typ=...)")
    return _read_csv(call)


def _where(call: Call) -> Values:
    return call.gives("ndarray" if len(call.node.args) > 1 else "tuple", "numpy.where()")


# Times. A datetime with a fixed offset from UTC is a kind of its own.


def _now(call: Call) -> Values:
    return call.gives(_datetime_kind(call.value("tz", 0)), "datetime.now()")


def _datetime(call: Call) -> Values:
    return call.gives(_datetime_kind(call.value("tzinfo", 7)), "datetime()")


def _datetime_kind(zone: Values) -> str:
    return "datetime-fixed" if any(value.kind == "timezone" for value in zone) else "datetime"


def _from_iso(call: Call) -> Values:
    given = call.positional(0)
    text = given[0].text or "" if given else ""
    offset = _OFFSET.search(text)
    fixed = offset is not None and offset.groups() != ("00", "00") and "T" in text
    return call.gives("datetime-fixed" if fixed else "datetime", "fromisoformat()")


# Other parts of the standard library


def _output(call: Call) -> Values:
    kind = "str" if call.names_any(_TEXT_ARGUMENTS) else "bytes"
    return call.gives(kind, "subprocess.check_output()")


def _run(call: Call) -> Values:
    kind = "completed-text" if call.names_any(_TEXT_ARGUMENTS) else "completed"
    return call.gives(kind, "subprocess.run()")


def _partial(call: Call) -> Values:
    return call.gives("function", "functools.partial()")


def _asdict(call: Call) -> Values:
    return call.gives("dict", "asdict()")


def _deepcopy(call: Call) -> Values:
    return call.positional(0)


# Airflow


def _variable(call: Call) -> Values:
    if is_true(call.argument("deserialize_json", 2)):
        return UNKNOWN
    return call.gives("str", "Variable.get()", MEDIUM)


def _configured(call: Call) -> Values:
    """The object storage backend is not used with XCom pickling: what that would push is not."""
    option = call.frame.module.text(call.argument("key", 1), call.frame.scope)
    return only("off" if option == "enable_xcom_pickling" else "bool")


def _poke(call: Call) -> Values:
    """What a sensor returns: only its `xcom_value` is pushed."""
    return only("poke", items=call.value("xcom_value", 1))


_SPECIAL: dict[str, Callable[[Call], Values]] = {
    "json.dumps": _json_text,
    "simplejson.dumps": _json_text,
    "ujson.dumps": _json_text,
    "pandas.read_csv": _read_csv,
    "pandas.read_json": _read_json,
    "pandas.read_sql": _read_csv,
    "pandas.read_sql_query": _read_csv,
    "numpy.where": _where,
    "datetime.datetime": _datetime,
    "datetime.datetime.now": _now,
    "datetime.datetime.fromisoformat": _from_iso,
    "subprocess.check_output": _output,
    "subprocess.run": _run,
    "functools.partial": _partial,
    "dataclasses.asdict": _asdict,
    "attr.asdict": _asdict,
    "attrs.asdict": _asdict,
    "copy.deepcopy": _deepcopy,
    "copy.copy": _deepcopy,
    "airflow.configuration.conf.getboolean": _configured,
    "airflow.sdk.conf.getboolean": _configured,
    "airflow.sdk.configuration.conf.getboolean": _configured,
    "airflow.configuration.getboolean": _configured,
    "airflow.sensors.base.PokeReturnValue": _poke,
    "airflow.sdk.PokeReturnValue": _poke,
    "airflow.sdk.bases.sensor.PokeReturnValue": _poke,
    "airflow.models.Variable.get": _variable,
    "airflow.models.variable.Variable.get": _variable,
    "airflow.sdk.Variable.get": _variable,
}
