"""What happens to a value of each kind, by Airflow version, as measured.

Each code has three letters: BaseXCom, the object storage backend below its threshold (or at -1),
and the same above it. `.` the value comes back, `D` another one does (for an offloaded datetime
with a fixed offset: the object's path), `F` writing or reading raises. A row names the version
from which its code holds.

Measured by tests/probe/measure_effects.py on Airflow 2.9.3 (common-io 1.3.2), 2.10.5 (1.4.2),
2.11.2 (1.7.2), 3.0.6 (1.6.2), 3.1.8 (1.7.1), 3.2.2 (1.7.3) and 3.3.2 (1.11.0), numpy 2.
"""

from __future__ import annotations

import re
from typing import NamedTuple

FAILS = "fails"
DRIFTS = "drifts"
OFFLOADS = "offloads"
UNKNOWN = "unknown"
NONE = "none"
EFFECTS = (FAILS, DRIFTS, OFFLOADS, UNKNOWN)

SERIES = ((2, 9), (2, 10), (2, 11), (3, 0), (3, 1), (3, 2), (3, 3))

# The kinds that no row names are written and read back alike everywhere.
_ALWAYS_FAILS = frozenset(
    {
        *("bytes", "bytearray", "complex", "path", "enum", "range", "view", "generator"),
        *("iterator", "function", "object", "module", "class", "file", "exception", "match"),
        *("pattern", "ip", "deque", "time", "ndarray", "np-datetime64", "series", "pd-index"),
        *("pd-timestamp", "pd-timedelta", "pd-nat", "pd-na", "groupby", "pl-dataframe"),
        *("pl-series", "pl-lazyframe", "arrow-table", "airflow-connection"),
    }
)
_ALWAYS_DRIFTS = frozenset({"int-keys", "namedtuple"})
_ROWS: dict[str, tuple[tuple[tuple[int, int], str], ...]] = {
    "nested-tuple": (((2, 9), "DDD"), ((3, 0), "..D")),
    "tuple-keys": (((2, 9), "FFF"), ((3, 0), "DFF")),
    "uuid": (((2, 9), "FFF"), ((3, 2), "...")),
    "nan": (((2, 9), "..."), ((3, 0), "FF.")),
    "datetime-fixed": (((2, 9), "FFD"),),
    "np-float64": (((2, 9), "DDD"), ((3, 1), "..D")),
    "np-float32": (((2, 9), "FFF"), ((3, 1), "...")),
    "np-bool": (((2, 9), "FFF"), ((3, 1), "...")),
    # Read in airflow/utils/operator_helpers.py: a task's generator is run to its end from 2.10 on.
    "generator-function": (((2, 9), "FFF"), ((2, 10), "...")),
    "pydantic": (((2, 9), "..."), ((3, 0), "FFF"), ((3, 1), "...")),
}
# common-io decodes a value once more than it was encoded: Airflow 2 only, from this version on.
_DECODES_TWICE = (1, 5, 4)
# Instances of classes that Airflow can write, and reads only where the deployment allows them.
ALLOWLISTED = frozenset({"dataclass", "attrs", "pydantic"})
# Not values but code that bypasses what the operator delivers: another backend, another pod.
OF_CODE = frozenset(
    {"backend-option", "xcom-class", "env-file", "pod-override", "pod-mutation-hook"}
)
_WORDS = {".": NONE, "D": DRIFTS, "F": FAILS}


class Target(NamedTuple):
    """The place to judge for. None where it is not known: the worst then counts.

    Attributes:
        airflow: (major, minor).
        common_io: the provider's version.
        pandas: its version; only where `frames_known`.
        pyarrow: whether it is installed; only where `frames_known`.
        frames_known: the packages of the place itself could be looked at.
    """

    airflow: tuple[int, int] | None = None
    common_io: tuple[int, ...] | None = None
    pandas: tuple[int, ...] | None = None
    pyarrow: bool = False
    frames_known: bool = False


class Effect(NamedTuple):
    """What the object storage backend does to a value.

    Attributes:
        effect: `fails`, `drifts`, `offloads`, `unknown` or `none`.
        today: the same for BaseXCom, Airflow's own backend.
        where: in words, for which versions or sizes that holds; empty if for all.
    """

    effect: str
    today: str
    where: str = ""

    @property
    def new(self) -> bool:
        """Whether the change of backend causes it."""
        return self.effect in (FAILS, DRIFTS) and self.today == NONE


def version(text: str) -> tuple[int, ...]:
    """The leading numbers of a version.

    >>> version("2.11.2rc1")
    (2, 11, 2)
    """
    numbers = []
    for part in text.split("."):
        match = re.match(r"\d+", part)
        if not match:
            break
        numbers.append(int(match.group()))
    return tuple(numbers)


def effect(kind: str, target: Target) -> Effect:
    """What happens to a value of `kind` at `target`."""
    if kind == "json-str":
        return _json_string(target)
    if kind in ("dataframe", "nested-dataframe"):
        return _frame(target)
    if kind == "np-scalar":
        return _numpy_scalar(target)
    if kind in ALLOWLISTED:
        measured = _measured(kind, target)
        if measured.effect == FAILS and target.airflow is not None:
            return measured
        return Effect(UNKNOWN, UNKNOWN, "unless [core] allowed_deserialization_classes names it")
    if kind in OF_CODE:
        return Effect(DRIFTS, NONE)
    if kind == "multiple-outputs-keys":
        return Effect(FAILS, FAILS)
    return _measured(kind, target)


def code(kind: str, series: tuple[int, int]) -> str:
    """The three letters for a kind on one series of Airflow; a newer one counts as the newest."""
    if kind in _ALWAYS_FAILS:
        return "FFF"
    if kind in _ALWAYS_DRIFTS:
        return "DDD"
    found = "..."
    for since, letters in _ROWS.get(kind, ()):
        if series >= since:
            found = letters
    return found


def _measured(kind: str, target: Target) -> Effect:
    asked = SERIES if target.airflow is None else (target.airflow,)
    codes = {series: code(kind, series) for series in asked}
    worst = "".join(max(column, key=".DF".index) for column in zip(*codes.values()))
    today, inline, offloaded = (_WORDS[letter] for letter in worst)
    found = FAILS if FAILS in (inline, offloaded) else DRIFTS
    if worst[1:] == "..":
        return Effect(NONE, today)
    words = []
    hit = [series for series in asked if codes[series][1:] != ".."]
    if len(hit) != len(asked):
        words.append(f"on Airflow {_range(hit)}")
    if all(codes[series][1] == "." for series in hit):
        words.append("when offloaded")
    elif all(codes[series][2] == "." for series in hit):
        words.append("when not offloaded")
    return Effect(found, today, " ".join(words))


def _range(hit: list[tuple[int, int]]) -> str:
    first, last = (".".join(str(part) for part in series) for series in (hit[0], hit[-1]))
    if hit[-1] == SERIES[-1]:
        return f"{first} and newer"
    return first if first == last else f"{first} to {last}"


def _json_string(target: Target) -> Effect:
    if target.airflow is not None and target.airflow >= (3, 0):
        return Effect(NONE, NONE)
    if target.common_io is not None and target.common_io < _DECODES_TWICE:
        return Effect(NONE, NONE)
    words = []
    if target.airflow is None:
        words.append("on Airflow 2")
    if target.common_io is None:
        words.append("with common-io 1.5.4 or newer")
    words.append("when not offloaded")
    return Effect(DRIFTS, NONE, " ".join(words))


def _frame(target: Target) -> Effect:
    """pandas needs pyarrow everywhere, and pandas 3 is known to Airflow from 3.3 on."""
    if not target.frames_known:
        known = target.airflow is not None and target.airflow >= (3, 3)
        return Effect(
            FAILS, FAILS, "unless pyarrow is installed" + ("" if known else ", and pandas 2")
        )
    if not target.pyarrow:
        return Effect(FAILS, FAILS, "without pyarrow")
    newest = target.airflow is None or target.airflow >= (3, 3)
    if target.pandas is not None and target.pandas >= (3,) and not newest:
        return Effect(FAILS, FAILS, "with pandas 3")
    return Effect(NONE, NONE)


def _numpy_scalar(target: Target) -> Effect:
    """A scalar of unknown dtype: int64 and float64 are written everywhere, others from 3.1 on."""
    if target.airflow is not None and target.airflow >= (3, 1):
        return Effect(DRIFTS, NONE, "if it is a float64, when offloaded")
    return Effect(
        FAILS,
        FAILS,
        "if its dtype is neither int64 nor float64"
        + (", on Airflow 2.9 to 3.0" if target.airflow is None else ""),
    )
