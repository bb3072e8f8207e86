"""What a call gives: of a function of the same file, of a well-known one, of a method.

The tables are in `signatures`; here is what depends on the arguments.
"""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING, Any, Callable

from xcom_static.flow import signatures
from xcom_static.flow.values import (
    HIGH,
    LOW,
    MEDIUM,
    UNKNOWN,
    Value,
    Values,
    at_most,
    elements,
    made,
    only,
    shape,
    union,
)
from xcom_static.source.modules import argument, is_true

if TYPE_CHECKING:
    from xcom_static.flow.reader import Flow, Frame

_WHOLE_FILE = "the content of a file"
_WHOLE_TABLE = "the rows of a table"
_DIGITS = frozenset("YmdHMSfjyswuVGI")
_COPIES = {"list": "list", "set": "set", "frozenset": "frozenset", "tuple": "tuple"}
_NUMBERS = frozenset({"int", "float"})
_SCALARS = frozenset({"series", "ndarray", "np-scalar", "np-float64", "dataframe"})


def evaluate(flow: Flow, node: ast.Call, frame: Frame) -> Values:
    """The alternatives that a call may give; notes an `xcom_push` on the way."""
    function = node.func
    dotted = flow.imported(function, frame)
    if dotted is not None:
        return _imported(flow, node, dotted, frame)
    if isinstance(function, ast.Attribute):
        return _method(flow, node, function, frame)
    if isinstance(function, ast.Name):
        local = flow.value(function, frame)
        if local:
            return union(*(_of_value(flow, value, frame, node) for value in local))
        return _builtin(flow, node, function.id, frame)
    return union(*(_of_value(flow, value, frame, node) for value in flow.value(function, frame)))


def _of_value(flow: Flow, value: Value, frame: Frame, node: ast.Call) -> Values:
    if value.kind == "function" and value.ref is not None:
        return flow.called(value.ref, frame)
    if value.kind == "class" and isinstance(value.ref, ast.ClassDef):
        return made(flow.instance(value.ref, frame), node, f"{value.ref.name}()")
    return UNKNOWN


# Imported names


def _imported(flow: Flow, node: ast.Call, dotted: str, frame: Frame) -> Values:
    special = _SPECIAL.get(dotted)
    if special is not None:
        return special(flow, node, frame)
    if dotted.endswith(".XCom.set"):
        _pushed(flow, node, argument(node, "key", 0), argument(node, "value", 1), frame)
        return UNKNOWN
    spec = signatures.CALLS.get(dotted)
    what = f"{dotted}()"
    if spec == "connection" and _other_rows(node):
        return UNKNOWN
    if spec is not None:
        return made(shape(spec), node, what)
    top, _, rest = dotted.partition(".")
    last = rest.rpartition(".")[2]
    if last.endswith("Hook") or last == "get_hook":
        return made(only("hook"), node, what)
    if top in signatures.MODEL_PACKAGES and last[:1].isupper():
        return made(only("model"), node, what)
    if last.endswith("Client") and last[:1].isupper() and top != "airflow":
        return made(only("client", MEDIUM), node, what)
    if last == "get_current_context":
        return only("context")
    return UNKNOWN


def _json_text(flow: Flow, node: ast.Call, frame: Frame) -> Values:
    value = flow.value(node.args[0], frame) if node.args else UNKNOWN
    big = next((one.big for one in value if one.big), "")
    return made(only("json-str", big=big), node, "json.dumps()")


def _read_csv(flow: Flow, node: ast.Call, frame: Frame) -> Values:
    del flow, frame
    if argument(node, "chunksize") is not None or is_true(argument(node, "iterator")):
        return made(only("iterator"), node, "a reader of chunks")
    return made(only("dataframe"), node, "pandas.read_*()")


def _read_json(flow: Flow, node: ast.Call, frame: Frame) -> Values:
    if argument(node, "typ") is not None:
        return made(only("series"), node, "pandas.read_json(typ=...)")
    return _read_csv(flow, node, frame)


def _where(flow: Flow, node: ast.Call, frame: Frame) -> Values:
    del flow, frame
    return made(only("ndarray" if len(node.args) > 1 else "tuple"), node, "numpy.where()")


def _now(flow: Flow, node: ast.Call, frame: Frame) -> Values:
    """A datetime with a fixed offset is a kind of its own."""
    zone = argument(node, "tz", 0)
    fixed = any(value.kind == "timezone" for value in flow.value(zone, frame)) if zone else False
    return made(only("datetime-fixed" if fixed else "datetime"), node, "datetime.now()")


def _datetime(flow: Flow, node: ast.Call, frame: Frame) -> Values:
    zone = argument(node, "tzinfo", 7)
    fixed = any(value.kind == "timezone" for value in flow.value(zone, frame)) if zone else False
    return made(only("datetime-fixed" if fixed else "datetime"), node, "datetime()")


def _from_iso(flow: Flow, node: ast.Call, frame: Frame) -> Values:
    given = flow.value(node.args[0], frame) if node.args else UNKNOWN
    text = given[0].text or "" if given else ""
    offset = re.search(r"[+-](\d\d):?(\d\d)$", text)
    fixed = offset is not None and offset.groups() != ("00", "00") and "T" in text
    return made(only("datetime-fixed" if fixed else "datetime"), node, "fromisoformat()")


def _output(flow: Flow, node: ast.Call, frame: Frame) -> Values:
    del flow, frame
    return made(only("str" if _is_text(node) else "bytes"), node, "subprocess.check_output()")


def _run(flow: Flow, node: ast.Call, frame: Frame) -> Values:
    del flow, frame
    kind = "completed-text" if _is_text(node) else "completed"
    return made(only(kind), node, "subprocess.run()")


def _is_text(node: ast.Call) -> bool:
    return any(
        keyword.arg in ("text", "encoding", "universal_newlines", "errors")
        for keyword in node.keywords
    )


def _partial(flow: Flow, node: ast.Call, frame: Frame) -> Values:
    del flow, frame
    return made(only("function"), node, "functools.partial()")


def _variable(flow: Flow, node: ast.Call, frame: Frame) -> Values:
    del flow, frame
    if is_true(argument(node, "deserialize_json", 2)):
        return UNKNOWN
    return made(only("str", MEDIUM), node, "Variable.get()")


def _configured(flow: Flow, node: ast.Call, frame: Frame) -> Values:
    """The object storage backend is not used with XCom pickling: what that would push is not."""
    option = argument(node, "key", 1)
    off = flow.module.text(option, frame.scope) == "enable_xcom_pickling"
    return only("off" if off else "bool")


def _poke(flow: Flow, node: ast.Call, frame: Frame) -> Values:
    """What a sensor returns: only its `xcom_value` is pushed."""
    given = argument(node, "xcom_value", 1)
    items = flow.value(given, frame) if given is not None else UNKNOWN
    return only("poke", items=items)


def _asdict(flow: Flow, node: ast.Call, frame: Frame) -> Values:
    del flow, frame
    return made(only("dict"), node, "asdict()")


def _deepcopy(flow: Flow, node: ast.Call, frame: Frame) -> Values:
    return flow.value(node.args[0], frame) if node.args else UNKNOWN


_SPECIAL: dict[str, Callable[[Flow, ast.Call, Frame], Values]] = {
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


# Builtins


def _builtin(flow: Flow, node: ast.Call, name: str, frame: Frame) -> Values:
    given = flow.value(node.args[0], frame) if node.args else UNKNOWN
    if name == "open":
        mode = argument(node, "mode", 1)
        text = mode.value if isinstance(mode, ast.Constant) else "r"
        kind = "binary-file" if isinstance(text, str) and "b" in text else "file"
        return made(only(kind), node, "open()")
    if name == "str":
        return _text_of(given, node)
    if name in ("list", "tuple", "set", "frozenset", "sorted", "reversed"):
        return _collected(name, given, node)
    if name in ("zip", "enumerate"):
        pair = only("tuple", what=f"{name}()", line=node.lineno)
        return (Value("iterator", what=f"{name}()", items=pair, line=node.lineno),)
    if name in ("map", "filter", "iter"):
        inner = elements(flow.value(node.args[1], frame)) if len(node.args) > 1 else UNKNOWN
        items = inner if name == "filter" else UNKNOWN
        return (Value("iterator", what=f"{name}()", items=items, line=node.lineno),)
    if name == "dict":
        return _dict_of(flow, given, node, frame)
    if name == "float":
        text = given[0].text if len(given) == 1 else None
        if text is not None and text.strip().lstrip("+-").lower() in ("nan", "inf", "infinity"):
            return made(only("nan"), node, f'float("{text}")')
    if name in ("sum", "min", "max", "abs", "round"):
        return _reduced(name, given, node)
    if name == "type":
        return made(only("class"), node, "type()")
    if name == "next":
        return at_most(elements(given), MEDIUM)
    spec = signatures.BUILTINS.get(name)
    return made(shape(spec), node, f"{name}()") if spec is not None else UNKNOWN


def _text_of(given: Values, node: ast.AST) -> Values:
    """`str(x)`: of a number, or a list of numbers, it is JSON."""
    found: list[Values] = []
    for value in given:
        if value.kind in _NUMBERS or value.kind == "json-str":
            found.append(made(only("json-str"), node, f"str() of {_named(value)}", value.sure))
        elif value.kind == "list" and value.items:
            numbers = {item.kind for item in value.items} <= _NUMBERS
            kind = "json-str" if numbers else "str"
            found.append(made(only(kind), node, "str() of a list", min(value.sure, MEDIUM)))
        else:
            found.append(made(only("str"), node, "str()"))
    return union(*found) or made(only("str"), node, "str()")


def _collected(name: str, given: Values, node: ast.Call) -> Values:
    kind = _COPIES.get(name, "list")
    if name == "reversed":
        kind = "iterator"
    if not given:
        return (Value(kind, what=f"{name}()", line=node.lineno),)
    return tuple(
        Value(
            kind,
            value.sure,
            f"{name}()",
            value.keys if value.kind == "dict" else _inside(value),
            line=node.lineno,
            big=value.big,
        )
        for value in given
    )


def _inside(value: Value) -> Values:
    if value.kind == "ndarray":
        return only("np-scalar", LOW, what="an element of an array")
    if value.kind == "bytes":
        return only("int")
    return value.items


def _dict_of(flow: Flow, given: Values, node: ast.Call, frame: Frame) -> Values:
    fields = {
        keyword.arg: flow.value(keyword.value, frame) for keyword in node.keywords if keyword.arg
    }
    if given:
        return tuple(
            value if value.kind == "dict" else Value("dict", value.sure, line=node.lineno)
            for value in given
        )
    return (
        Value(
            "dict",
            what="dict()",
            items=union(*fields.values()),
            keys=only("str") if fields else UNKNOWN,
            fields=tuple(fields.items()),
            line=node.lineno,
        ),
    )


def _reduced(name: str, given: Values, node: ast.Call) -> Values:
    found: list[Values] = []
    for value in given:
        if value.kind in _SCALARS:
            what = f"{name}() of {_named(value)}"
            found.append(made(only("np-scalar", LOW), node, what))
        elif value.kind in _NUMBERS:
            found.append(only(value.kind))
        elif value.kind in ("list", "set", "tuple") and name != "abs":
            found.append(value.items)
    return union(*found)


# Methods


def _method(flow: Flow, node: ast.Call, function: ast.Attribute, frame: Frame) -> Values:
    name = function.attr
    if name == "xcom_push":
        _pushed(flow, node, argument(node, "key", 0), argument(node, "value", 1), frame)
        return UNKNOWN
    if isinstance(function.value, ast.Name) and function.value.id == "self":
        return flow.own_method(name, frame)
    held = flow.value(function.value, frame)
    if name in _MUTATORS and isinstance(function.value, ast.Name):
        _mutated(flow, node, name, function.value.id, held, frame)
        return UNKNOWN
    if not held and name == "join" and isinstance(function.value, ast.Constant):
        return only("str")
    if not held and name in signatures.METHODS_OF_ANY:
        return made(only(signatures.METHODS_OF_ANY[name], MEDIUM), node, f".{name}()")
    return union(*(_method_of(flow, node, name, value, frame) for value in held))


def _method_of(flow: Flow, node: ast.Call, name: str, value: Value, frame: Frame) -> Values:
    what = f".{name}() of {_named(value)}"
    special = _METHODS.get((value.kind, name))
    if special is not None:
        return special(flow, node, value, frame)
    if value.kind in ("pydantic", "dataclass", "attrs"):
        if name in ("model_dump", "dict"):
            return made(only("dict"), node, what, value.sure)
        if name in ("model_dump_json", "json"):
            return made(only("json-str"), node, what, value.sure)
    if value.kind == "context" and name == "get" and node.args:
        given = flow.value(node.args[0], frame)
        named = signatures.CONTEXT.get((given[0].text or "") if given else "", "")
        return made(shape(named), node, "the task's context", MEDIUM) if named else UNKNOWN
    # `cursor(DictCursor)`, `get_conn(cursor_factory=...)`
    if (name == "cursor" and node.args) or (name in ("cursor", "get_conn") and _other_rows(node)):
        return UNKNOWN
    spec = signatures.METHODS.get(value.kind, {}).get(name)
    return made(shape(spec), node, what, value.sure) if spec else UNKNOWN


def _other_rows(node: ast.Call) -> bool:
    return any(keyword.arg in signatures.ROW_ARGUMENTS for keyword in node.keywords)


def _pushed(
    flow: Flow, node: ast.Call, key: ast.AST | None, value: ast.AST | None, frame: Frame
) -> None:
    from xcom_static.flow.reader import Produced

    if value is not None:
        text = flow.module.text(key, frame.scope)
        frame.pushed.append(Produced(flow.value(value, frame), node, text or ""))


def _to_json(flow: Flow, node: ast.Call, value: Value, frame: Frame) -> Values:
    del flow, frame
    if _has_path(node, "path_or_buf"):
        return _NONE
    return made(only("json-str", big=_WHOLE_TABLE), node, ".to_json()", value.sure)


def _to_csv(flow: Flow, node: ast.Call, value: Value, frame: Frame) -> Values:
    del flow, frame
    if _has_path(node, "path_or_buf"):
        return _NONE
    return made(only("str", big=_WHOLE_TABLE), node, ".to_csv()", value.sure)


def _has_path(node: ast.Call, name: str) -> bool:
    given = argument(node, name, 0)
    return given is not None and not (isinstance(given, ast.Constant) and given.value is None)


def _to_dict(flow: Flow, node: ast.Call, value: Value, frame: Frame) -> Values:
    """By default the inner keys are the index: numbers, unless somebody set another one."""
    del flow, frame
    orient = argument(node, "orient", 0)
    name = orient.value if isinstance(orient, ast.Constant) else "dict"
    if name == "records":
        rows = only("list", value.sure, items=only("dict"), big=_WHOLE_TABLE)
        return made(rows, node, '.to_dict("records")', value.sure)
    index = only("int", what="the row numbers", sure=MEDIUM)
    if name == "index":
        found = only("dict", keys=index, items=only("dict"), big=_WHOLE_TABLE)
    elif name == "dict" and orient is None:
        found = only(
            "dict", keys=only("str"), items=only("dict", keys=index, sure=MEDIUM), big=_WHOLE_TABLE
        )
    else:
        found = only("dict", big=_WHOLE_TABLE)
    return made(found, node, ".to_dict()", value.sure)


def _series_to_dict(flow: Flow, node: ast.Call, value: Value, frame: Frame) -> Values:
    del flow, frame
    return made(only("dict"), node, ".to_dict()", value.sure)


def _file_read(kind: str) -> Callable[[Any, ast.Call, Value, Any], Values]:
    def read(flow: Any, node: ast.Call, value: Value, frame: Any) -> Values:
        del flow, frame
        big = "" if node.args else _WHOLE_FILE
        return made(only(kind, big=big), node, f".read() of {_named(value)}", value.sure)

    return read


def _lines(flow: Flow, node: ast.Call, value: Value, frame: Frame) -> Values:
    del flow, frame
    kind = "bytes" if value.kind == "binary-file" else "str"
    return made(only("list", items=only(kind), big=_WHOLE_FILE), node, ".readlines()", value.sure)


def _strftime(flow: Flow, node: ast.Call, value: Value, frame: Frame) -> Values:
    """Digits alone are a JSON number, unless they begin with a zero."""
    given = flow.value(node.args[0], frame) if node.args else UNKNOWN
    text = given[0].text if given else None
    directives = re.findall(r"%-?([A-Za-z])", text or "")
    rest = re.sub(r"%-?[A-Za-z]", "", text or "")
    if directives and (rest == "" or rest.isdigit()) and set(directives) <= _DIGITS:
        # A year or a count of seconds never begins with a zero.
        sure = min(value.sure, HIGH if (text or "").startswith(("%Y", "%s")) else LOW)
        return made(only("json-str"), node, f'.strftime("{text}")', sure)
    return made(only("str"), node, ".strftime()", value.sure)


def _astimezone(flow: Flow, node: ast.Call, value: Value, frame: Frame) -> Values:
    zone = argument(node, "tz", 0)
    if zone is None:
        return made(only("datetime-fixed", LOW), node, ".astimezone() to the local zone")
    fixed = any(one.kind == "timezone" for one in flow.value(zone, frame))
    return made(only("datetime-fixed" if fixed else "datetime"), node, ".astimezone()", value.sure)


def _view(part: str) -> Callable[[Any, ast.Call, Value, Any], Values]:
    def view(flow: Any, node: ast.Call, value: Value, frame: Any) -> Values:
        del flow, frame
        items = {
            "keys": value.keys,
            "values": value.items,
            "items": only("tuple", what=".items()", items=union(value.keys, value.items)),
        }[part]
        return (Value("view", value.sure, f".{part}()", items, line=node.lineno),)

    return view


def _get(flow: Flow, node: ast.Call, value: Value, frame: Frame) -> Values:
    key = flow.value(node.args[0], frame) if node.args else UNKNOWN
    known = dict(value.fields)
    text = key[0].text if len(key) == 1 else None
    default = flow.value(node.args[1], frame) if len(node.args) > 1 else UNKNOWN
    if text is not None and known:
        return union(known.get(text, UNKNOWN), default)
    return union(at_most(value.items, MEDIUM), default)


def _copy(flow: Flow, node: ast.Call, value: Value, frame: Frame) -> Values:
    del flow, node, frame
    return (value,)


def _get_object(flow: Flow, node: ast.Call, value: Value, frame: Frame) -> Values:
    del flow, frame
    body = only("streaming-body", what='get_object()["Body"]', line=node.lineno)
    return made(
        only("dict", keys=only("str"), items=body, fields=(("Body", body),)),
        node,
        "get_object()",
        value.sure,
    )


def _to_string(flow: Flow, node: ast.Call, value: Value, frame: Frame) -> Values:
    del flow, frame
    return made(only("str", big=_WHOLE_TABLE), node, ".to_string()", value.sure)


_METHODS: dict[tuple[str, str], Callable[[Any, ast.Call, Value, Any], Values]] = {
    ("dataframe", "to_json"): _to_json,
    ("series", "to_json"): _to_json,
    ("dataframe", "to_csv"): _to_csv,
    ("dataframe", "to_dict"): _to_dict,
    ("dataframe", "to_string"): _to_string,
    ("series", "to_dict"): _series_to_dict,
    ("file", "read"): _file_read("str"),
    ("binary-file", "read"): _file_read("bytes"),
    ("binary-file", "getvalue"): _file_read("bytes"),
    ("file", "getvalue"): _file_read("str"),
    ("path", "read_text"): _file_read("str"),
    ("path", "read_bytes"): _file_read("bytes"),
    ("http-response", "read"): _file_read("bytes"),
    ("file", "readlines"): _lines,
    ("binary-file", "readlines"): _lines,
    ("datetime", "strftime"): _strftime,
    ("date", "strftime"): _strftime,
    ("datetime", "astimezone"): _astimezone,
    ("dict", "keys"): _view("keys"),
    ("dict", "values"): _view("values"),
    ("dict", "items"): _view("items"),
    ("dict", "get"): _get,
    ("dict", "pop"): _get,
    ("dict", "setdefault"): _get,
    ("dict", "copy"): _copy,
    ("list", "copy"): _copy,
    ("boto-client", "get_object"): _get_object,
}

_MUTATORS = frozenset({"append", "add", "insert", "extend", "update", "appendleft"})


def _mutated(
    flow: Flow, node: ast.Call, name: str, target: str, held: Values, frame: Frame
) -> None:
    """A list, set or dict that gets more elements."""
    if not node.args or not held:
        return
    given = flow.value(node.args[-1], frame)
    if name == "update":
        changed = [
            _merged(value, given) if value.kind in ("dict", "set") else value for value in held
        ]
    else:
        inner = elements(given) if name == "extend" else given
        changed = [
            value._replace(items=union(value.items, inner))
            if value.kind in ("list", "set", "deque")
            else value
            for value in held
        ]
    frame.env[target] = tuple(changed)


def _merged(value: Value, given: Values) -> Value:
    for other in given:
        value = value._replace(
            items=union(value.items, other.items),
            keys=union(value.keys, other.keys),
            fields=tuple({**dict(value.fields), **dict(other.fields)}.items()),
        )
    return value


# Parts of values


def entered(values: Values) -> Values:
    """What `with VALUES as name` binds."""
    return values


def unpacked(values: Values, position: int, inner: Values) -> Values:
    """One of several names on the left; the elements of a container are not told apart."""
    del values, position
    return at_most(inner, MEDIUM)


def with_item(held: Values, key: Values, values: Values) -> Values:
    """A container after `name[key] = values`."""
    changed = []
    for value in held:
        if value.kind == "dict":
            text = key[0].text if len(key) == 1 else None
            fields = dict(value.fields)
            if text is not None:
                fields[text] = values
            bare = tuple(one._replace(text=None) for one in key)
            value = value._replace(
                items=union(value.items, values),
                keys=union(value.keys, bare),
                fields=tuple(fields.items()),
            )
        elif value.kind == "list":
            value = value._replace(items=union(value.items, values))
        changed.append(value)
    return tuple(changed)


def table_item(
    flow: Flow, value: Value, index: ast.expr, key: Any, node: ast.AST, frame: Frame
) -> Values:
    """An element of an array or table: `df["a"]`, `df[df.a > 1]`, `df.loc[...]`, `array[0]`."""
    what = f"a part of {_named(value)}"
    sure = min(value.sure, MEDIUM)
    if value.kind == "dataframe":
        if isinstance(key, str):
            return made(only("series"), node, f'column "{key}" of {_named(value)}', value.sure)
        if isinstance(index, (ast.List, ast.Compare, ast.BinOp, ast.UnaryOp)):
            return made(only("dataframe"), node, what, sure)
        return UNKNOWN
    if value.kind == "frame-indexer" and isinstance(index, (ast.Slice, ast.Compare, ast.List)):
        return made(only("dataframe"), node, what, sure)
    if value.kind == "frame-indexer" and isinstance(key, int):
        return made(only("series"), node, what, sure)
    if value.kind == "series" and isinstance(index, ast.Compare):
        return made(only("series"), node, what, sure)
    if value.kind == "groupby":
        return (value,)
    if value.kind == "ndarray" and isinstance(index, (ast.Compare, ast.List)):
        return made(only("ndarray"), node, what, sure)
    sliced = isinstance(index, ast.Tuple) and any(
        isinstance(part, ast.Slice) for part in index.elts
    )
    if value.kind == "ndarray" and sliced:
        return made(only("ndarray"), node, what, sure)
    if value.kind == "pl-dataframe" and isinstance(key, str):
        return made(only("pl-series"), node, what, sure)
    if value.kind == "environ":
        return only("str", MEDIUM)
    del flow, frame
    return UNKNOWN


def joined(flow: Flow, node: ast.JoinedStr, frame: Frame) -> Values:
    """An f-string: of one number alone, or between braces, it is JSON."""
    parts = node.values
    texts = [part.value for part in parts if isinstance(part, ast.Constant)]
    alone = parts[0] if len(parts) == 1 else None
    if isinstance(alone, ast.FormattedValue) and alone.format_spec is None:
        return _text_of(flow.value(alone.value, frame), node)
    if texts and isinstance(parts[0], ast.Constant) and isinstance(parts[-1], ast.Constant):
        begin, end = str(texts[0]), str(texts[-1])
        if begin.startswith('{"') and end.endswith("}"):
            return made(only("json-str", MEDIUM), node, "an f-string")
    return made(only("str"), node, "an f-string")


def _named(value: Value) -> str:
    return value.what or value.kind


_NONE = only("none", what="None")
