"""What methods give where it depends on their arguments, by kind and name."""

from __future__ import annotations

import ast
import re
from typing import Callable

from xcom_static.flow.arguments import Call
from xcom_static.flow.values import (
    HIGH,
    LOW,
    MEDIUM,
    UNKNOWN,
    Value,
    Values,
    at_most,
    made,
    only,
    union,
)

_WHOLE_FILE = "the content of a file"
_WHOLE_TABLE = "the rows of a table"
# Directives of strftime that give digits, and those with which a number never begins by a zero.
_DIGITS = frozenset("YmdHMSfjyswuVGI")
_NEVER_ZERO = ("%Y", "%s")
_DIRECTIVE = re.compile(r"%-?([A-Za-z])")


# Tables


def _to_json(call: Call, table: Value) -> Values:
    if _writes_to(call):
        return only("none", what="None")
    return call.gives("json-str", ".to_json()", table.sure, big=_WHOLE_TABLE)


def _to_csv(call: Call, table: Value) -> Values:
    if _writes_to(call):
        return only("none", what="None")
    return call.gives("str", ".to_csv()", table.sure, big=_WHOLE_TABLE)


def _writes_to(call: Call) -> bool:
    """Whether it writes to a file, in place of giving a text."""
    given = call.argument("path_or_buf", 0)
    return given is not None and not (isinstance(given, ast.Constant) and given.value is None)


def _to_dict(call: Call, table: Value) -> Values:
    """By default the inner keys are the index: numbers, unless another one was set."""
    orient = call.argument("orient", 0)
    name = orient.value if isinstance(orient, ast.Constant) else "dict"
    if name == "records":
        rows = only("list", table.sure, items=only("dict"), big=_WHOLE_TABLE)
        return made(rows, call.node, '.to_dict("records")', table.sure)
    index = only("int", what="the row numbers", sure=MEDIUM)
    if name == "index":
        found = only("dict", keys=index, items=only("dict"), big=_WHOLE_TABLE)
    elif name == "dict" and orient is None:
        column = only("dict", keys=index, sure=MEDIUM)
        found = only("dict", keys=only("str"), items=column, big=_WHOLE_TABLE)
    else:
        found = only("dict", big=_WHOLE_TABLE)
    return made(found, call.node, ".to_dict()", table.sure)


def _series_to_dict(call: Call, series: Value) -> Values:
    return call.gives("dict", ".to_dict()", series.sure)


def _to_string(call: Call, table: Value) -> Values:
    return call.gives("str", ".to_string()", table.sure, big=_WHOLE_TABLE)


# Files


def _content(kind: str) -> Callable[[Call, Value], Values]:
    def read(call: Call, file: Value) -> Values:
        big = "" if call.node.args else _WHOLE_FILE
        return call.gives(kind, f".read() of {file.description}", file.sure, big=big)

    return read


def _lines(call: Call, file: Value) -> Values:
    line = only("bytes" if file.kind == "binary-file" else "str")
    lines = only("list", items=line, big=_WHOLE_FILE)
    return made(lines, call.node, ".readlines()", file.sure)


def _get_object(call: Call, client: Value) -> Values:
    body = only("streaming-body", what='get_object()["Body"]', line=call.node.lineno)
    answer = only("dict", keys=only("str"), items=body, fields=(("Body", body),))
    return made(answer, call.node, "get_object()", client.sure)


# Times


def _strftime(call: Call, moment: Value) -> Values:
    """Digits alone are a JSON number, unless they begin with a zero."""
    given = call.positional(0)
    text = (given[0].text if given else None) or ""
    directives = _DIRECTIVE.findall(text)
    rest = _DIRECTIVE.sub("", text)
    if directives and (rest == "" or rest.isdigit()) and set(directives) <= _DIGITS:
        sure = min(moment.sure, HIGH if text.startswith(_NEVER_ZERO) else LOW)
        return call.gives("json-str", f'.strftime("{text}")', sure)
    return call.gives("str", ".strftime()", moment.sure)


def _astimezone(call: Call, moment: Value) -> Values:
    zone = call.argument("tz", 0)
    if zone is None:
        return call.gives("datetime-fixed", ".astimezone() to the local zone", LOW)
    fixed = any(value.kind == "timezone" for value in call.frame.value(zone))
    return call.gives("datetime-fixed" if fixed else "datetime", ".astimezone()", moment.sure)


# Dicts


def _keys(call: Call, held: Value) -> Values:
    return _view(call, held, ".keys()", held.keys)


def _values(call: Call, held: Value) -> Values:
    return _view(call, held, ".values()", held.items)


def _items(call: Call, held: Value) -> Values:
    pairs = only("tuple", what=".items()", items=union(held.keys, held.items))
    return _view(call, held, ".items()", pairs)


def _view(call: Call, held: Value, what: str, items: Values) -> Values:
    return (Value("view", held.sure, what, items, line=call.node.lineno),)


def _get(call: Call, held: Value) -> Values:
    key, default = call.positional(0), call.positional(1)
    known = dict(held.fields)
    text = key[0].text if len(key) == 1 else None
    if text is not None and known:
        return union(known.get(text, UNKNOWN), default)
    return union(at_most(held.items, MEDIUM), default)


def _copy(_: Call, held: Value) -> Values:
    return (held,)


RESULTS: dict[tuple[str, str], Callable[[Call, Value], Values]] = {
    ("dataframe", "to_json"): _to_json,
    ("series", "to_json"): _to_json,
    ("dataframe", "to_csv"): _to_csv,
    ("dataframe", "to_dict"): _to_dict,
    ("dataframe", "to_string"): _to_string,
    ("series", "to_dict"): _series_to_dict,
    ("file", "read"): _content("str"),
    ("file", "getvalue"): _content("str"),
    ("file", "readlines"): _lines,
    ("binary-file", "read"): _content("bytes"),
    ("binary-file", "getvalue"): _content("bytes"),
    ("binary-file", "readlines"): _lines,
    ("path", "read_text"): _content("str"),
    ("path", "read_bytes"): _content("bytes"),
    ("http-response", "read"): _content("bytes"),
    ("boto-client", "get_object"): _get_object,
    ("datetime", "strftime"): _strftime,
    ("date", "strftime"): _strftime,
    ("datetime", "astimezone"): _astimezone,
    ("dict", "keys"): _keys,
    ("dict", "values"): _values,
    ("dict", "items"): _items,
    ("dict", "get"): _get,
    ("dict", "pop"): _get,
    ("dict", "setdefault"): _get,
    ("dict", "copy"): _copy,
    ("list", "copy"): _copy,
}
"""By the kind that a method is called on, and its name."""
