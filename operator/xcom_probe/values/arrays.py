"""Values of numpy and pandas, where the pod has them."""

from __future__ import annotations

import importlib
from typing import Any, Callable

from xcom_probe import runtime
from xcom_probe.values.sample import NotHere, Sample, of

NUMPY = "numpy"
PANDAS = "pandas"


def samples(kind: str) -> list[Sample]:
    """Values of one of the two packages.

    Raises:
        NotHere: the pod does not have it.
    """
    if runtime.version(kind) is None:
        raise NotHere(f"{kind} is not installed here")
    try:
        package = importlib.import_module(kind)
    except Exception as problem:
        raise NotHere(f"{kind} cannot be imported here: {problem}") from problem
    return _BUILDERS[kind](package)


def _numpy(np: Any) -> list[Sample]:
    return of(
        NUMPY,
        int64=np.int64(7),
        float64=np.float64(1.5),
        float32=np.float32(1.5),
        bool=np.bool_(True),
        str=np.str_("text"),
        datetime64=np.datetime64("2024-02-29T12:30:15", "s"),
        array=np.arange(6, dtype=np.int64).reshape(2, 3),
        array_float32=np.array([1.5, 2.5], dtype=np.float32),
        arrays_in_dict={"a": np.zeros(3), "b": np.ones(2)},
        int64_in_list=[np.int64(7), np.float64(1.5)],
        int64_as_key={np.int64(1): "a"},
    )


def _pandas(pd: Any) -> list[Sample]:
    return of(
        PANDAS,
        series=pd.Series([1, 2, 3], name="rows"),
        timestamp=pd.Timestamp("2024-02-29T12:30:15", tz="UTC"),
        frame=pd.DataFrame({"name": ["a", "b"], "rows": [1, 2], "ratio": [0.5, 1.5]}),
        frame_empty=pd.DataFrame({"rows": pd.Series([], dtype="int64")}),
        frame_indexed=pd.DataFrame({"rows": [1, 2]}, index=pd.Index(["x", "y"], name="key")),
    )


_BUILDERS: dict[str, Callable[[Any], list[Sample]]] = {NUMPY: _numpy, PANDAS: _pandas}
