"""The rules: which values each finds, how findings describe them, what to write instead.

docs/audit.md is held to this table by a test.
"""

from __future__ import annotations

from typing import Iterator, NamedTuple

from xcom_static.audit.effects import NONE, OFFLOADS, Effect, Target, effect
from xcom_static.flow.texts import is_json
from xcom_static.flow.values import HIGH, MEDIUM, Value

_BY_REFERENCE = (
    "Write it to the object store and return its URI (ObjectStoragePath, or xcom_dags.blobs)"
)


class Rule(NamedTuple):
    """One rule.

    Attributes:
        id: stable; XCA and three digits.
        name: the same in words, for SARIF.
        kinds: the kinds of values that it finds.
        title: what such a value is, in a sentence about it.
        fix: what to write instead.
    """

    id: str
    name: str
    kinds: tuple[str, ...]
    title: str
    fix: str


RULES: tuple[Rule, ...] = (
    Rule("XCA001", "numpy-array", ("ndarray", "np-generator"), "a numpy array",
         f"{_BY_REFERENCE}; a short one: .tolist()."),
    Rule("XCA002", "numpy-scalar",
         ("np-scalar", "np-float64", "np-float32", "np-bool", "np-datetime64"),
         "a numpy scalar", "Convert it: int(x), float(x), bool(x) or x.item()."),
    Rule("XCA003", "pandas-dataframe", ("dataframe",), "a pandas DataFrame",
         f'{_BY_REFERENCE}; a short one: .to_dict("records").'),
    Rule("XCA004", "pandas-object",
         ("series", "pd-index", "pd-timestamp", "pd-timedelta", "pd-nat", "pd-na", "groupby",
          "frame-indexer", "scalar-indexer", "series-accessor"),
         "a pandas object",
         "Convert it: Series and Index .tolist(), Timestamp .to_pydatetime(), NaT and NA to None."),
    Rule("XCA005", "polars-object", ("pl-dataframe", "pl-series", "pl-lazyframe"),
         "a polars object", f"{_BY_REFERENCE}; a short one: .to_dicts() or .to_list()."),
    Rule("XCA006", "arrow-table", ("arrow-table",), "an Arrow table",
         f"{_BY_REFERENCE}; a short one: .to_pylist()."),
    Rule("XCA007", "bytes", ("bytes", "bytearray"), "bytes",
         f"{_BY_REFERENCE}; a short text: .decode(), other short bytes: base64 and .decode()."),
    Rule("XCA008", "nested-tuple", ("nested-tuple",), "a tuple within a list or dict",
         "Make it a list where it is created, so that it is a list on both sides."),
    Rule("XCA009", "dict-keys-become-text", ("int-keys",),
         "a dict with numbers (or None) as keys",
         "Use text as keys: {str(key): value ...}, which is what the reader gets anyway."),
    Rule("XCA010", "dict-keys-refused", ("tuple-keys",),
         "a dict with keys that JSON does not support", "Use text as keys, or a list of pairs."),
    Rule("XCA011", "uuid", ("uuid",), "a UUID", "Return str(uuid)."),
    Rule("XCA012", "not-a-number", ("nan",), "NaN or an infinity", "Return None for it."),
    Rule("XCA013", "datetime-fixed-offset", ("datetime-fixed",),
         "a datetime with a fixed offset from UTC",
         "Convert it: .astimezone(timezone.utc), or use a named zone (ZoneInfo)."),
    Rule("XCA014", "json-string", ("json-str",), "a string that is JSON",
         "Return the value itself (XCom writes JSON anyway), or keep the string in a dict."),
    Rule("XCA015", "class-to-allow", ("dataclass", "attrs", "pydantic"),
         "an instance of a class",
         "Return a dict (asdict(), model_dump()), or name the class in [core] "
         "allowed_deserialization_classes."),
    Rule("XCA016", "lazy-iterable",
         ("generator", "generator-function", "iterator", "view", "range"), "a lazy iterable",
         "Return list(...)."),
    Rule("XCA017", "live-object",
         ("file", "binary-file", "connection", "cursor", "engine", "session", "http-response",
          "http-client", "boto-client", "boto-session", "streaming-body", "client", "hook",
          "process", "completed", "completed-text", "logger", "lock", "hash", "image", "tensor",
          "model", "spark-frame", "environ", "ti", "dag-run", "airflow-object",
          "airflow-connection", "context"),
         "a live object", "Return what the next task needs from it, or an ID to find it again."),
    Rule("XCA018", "code", ("function", "class", "module"), "a function, class or module",
         "Return its result; import it again where it is needed."),
    Rule("XCA019", "plain-object", ("object",), "an instance of a class without serialize()",
         "Return a dict, make the class a dataclass, or give it serialize() and deserialize()."),
    Rule("XCA020", "no-serializer",
         ("path", "time", "enum", "complex", "ip", "deque", "pattern", "match", "exception"),
         "a value of a type that Airflow cannot write",
         "Convert it: str(path), time.isoformat(), member.value, list(deque), str(error)."),
    Rule("XCA021", "namedtuple", ("namedtuple",), "a named tuple",
         "Return a dict (._asdict()): the reader gets a plain tuple."),
    Rule("XCA022", "large", ("large",), "a value that may be large",
         f"{_BY_REFERENCE}."),
    Rule("XCA023", "multiple-outputs-keys", ("multiple-outputs-keys",),
         "a dict without text as keys under multiple_outputs",
         "Use text as keys, or switch multiple_outputs off."),
    Rule("XCA024", "backend-set-in-code", ("backend-option", "xcom-class", "env-file"),
         "code that sets the backend or its options",
         "Remove it: the operator delivers the same options to every pod, and reverts them."),
    Rule("XCA025", "task-pod-changed", ("pod-override", "pod-mutation-hook"),
         "code that changes the pod of a task",
         "Leave image, namespace, environment, command and service account as the worker's "
         "template has them, because that template is what is proven; or prove a pod with the "
         "same changes."),
)  # fmt: skip
ABOUT_CODE = frozenset({"XCA024", "XCA025"})
"""Rules about what the code does, in place of a value that it puts into XCom."""

RULE_OF = {kind: rule for rule in RULES for kind in rule.kinds}
BY_ID = {rule.id: rule for rule in RULES}
# What the measured table calls a live object.
_AS_OBJECT = frozenset(BY_ID["XCA017"].kinds) - {"airflow-connection"} | {
    *("frame-indexer", "scalar-indexer", "series-accessor", "np-generator")
}
_NUMBER_KEYS = frozenset({"int", "float", "bool", "none"})
_REFUSED_KEYS = frozenset(
    {
        *("tuple", "date", "datetime", "uuid", "np-int64", "np-float64", "np-scalar", "bytes"),
        *("pd-timestamp", "enum", "frozenset", "path"),
    }
)
_DEEPEST = 6


class Problem(NamedTuple):
    """One thing in a value that a backend may fail on or change.

    Attributes:
        rule: the rule that finds it.
        kind: its kind.
        value: the thing itself.
        effect: what the object storage backend does to it.
        sure: how sure it is that it is there.
        where: its place in the value: `""`, `an element`, `the key`.
    """

    rule: Rule
    kind: str
    value: Value
    effect: Effect
    sure: int
    where: str


def measured_as(kind: str) -> str:
    """The name under which the table of effects has a kind: every live object is an object."""
    return "object" if kind in _AS_OBJECT else kind


def problems(value: Value, target: Target) -> Iterator[Problem]:
    """Everything in one alternative that is of a kind which `target` fails on or changes."""
    if value.big:
        yield Problem(BY_ID["XCA022"], "large", value, Effect(OFFLOADS, NONE), MEDIUM, value.big)
    if value.kind == "str" and value.text is not None and is_json(value.text):
        value = value._replace(kind="json-str", what="a constant text")
    yield from _problems(value, target, 0, HIGH, True)


def _problems(
    value: Value, target: Target, depth: int, sure: int, only_lists: bool
) -> Iterator[Problem]:
    """Args: only_lists: there are nothing but lists and dicts around the value."""
    sure = min(sure, value.sure)
    where = "" if depth == 0 else "an element"
    kind = value.kind
    if kind == "tuple" and depth > 0 and only_lists:
        kind = "nested-tuple"
    # Only a value that is a string as a whole is decoded again.
    if not (kind == "json-str" and depth > 0):
        found = _problem(kind, value, target, sure, where)
        if found is not None:
            yield found
    if depth >= _DEEPEST:
        return
    if kind == "dict":
        for key in value.keys:
            key_kind = (
                "int-keys"
                if key.kind in _NUMBER_KEYS
                else "tuple-keys"
                if key.kind in _REFUSED_KEYS
                else ""
            )
            if key_kind:
                found = _problem(key_kind, key, target, min(sure, key.sure), "a key")
                if found is not None:
                    yield found._replace(value=value)
    if kind in ("list", "dict", "tuple", "nested-tuple", "set", "frozenset"):
        inside = only_lists and kind in ("list", "dict")
        for item in value.items:
            yield from _problems(item, target, depth + 1, sure, inside)


def _problem(kind: str, value: Value, target: Target, sure: int, where: str) -> Problem | None:
    rule = RULE_OF.get(kind)
    if rule is None:
        return None
    found = effect(measured_as(kind), target)
    return Problem(rule, kind, value, found, sure, where) if found.effect != "none" else None
