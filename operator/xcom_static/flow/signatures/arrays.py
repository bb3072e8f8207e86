"""numpy."""

from __future__ import annotations

from xcom_static.flow.signatures.notation import each

CALLS: dict[str, str] = {
    **each(
        "array asarray ascontiguousarray asfarray zeros ones empty full arange linspace logspace"
        " eye identity zeros_like ones_like empty_like full_like concatenate stack vstack hstack"
        " dstack column_stack tile repeat reshape ravel sort argsort unique where nonzero"
        " diff cumsum cumprod convolve histogram genfromtxt loadtxt fromfile frombuffer fromiter"
        " matmul outer transpose squeeze expand_dims clip append delete insert split array_split"
        " meshgrid log log10 log2 exp sqrt sin cos tan abs isnan",
        "ndarray",
        "numpy.",
    ),
    **each("log log10 log2 exp sqrt sin cos tan abs isnan round dot", "?ndarray", "numpy."),
    **each("rand randn random_sample standard_normal permutation", "ndarray", "numpy.random."),
    **each("mean std var median average percentile quantile", "?np-float64", "numpy."),
    **each("sum max min prod amax amin nansum nanmax nanmin", "?np-scalar", "numpy."),
    **each("nanmean nanstd nanmedian corrcoef", "?np-float64", "numpy."),
    **each("int8 int16 int32 int64 uint8 uint16 uint32 uint64 int_", "np-int64", "numpy."),
    **each("float64 float_", "np-float64", "numpy."),
    **each("float16 float32", "np-float32", "numpy."),
    **each("bool_", "np-bool", "numpy."),
    **each("datetime64 timedelta64", "np-datetime64", "numpy."),
    **each("isclose allclose array_equal", "bool", "numpy."),
    "numpy.random.default_rng": "np-generator",
    "numpy.load": "~ndarray",
}

CONSTANTS: dict[str, str] = {
    **each("nan inf NaN NAN Inf PINF NINF", "nan", "numpy."),
    "numpy.pi": "float",
}

METHODS: dict[str, dict[str, str]] = {
    "ndarray": {
        **each(
            "reshape ravel flatten astype copy transpose squeeze cumsum argsort clip round dot"
            " repeat take swapaxes",
            "ndarray",
        ),
        **each("sum max min prod", "?np-scalar"),
        **each("mean std var", "?np-float64"),
        **each("argmax argmin", "np-int64"),
        **each("any all", "~np-bool"),
        "tolist": "list",
        "tobytes": "bytes",
        "item": "",
    },
    "np-generator": {
        **each("normal uniform random integers standard_normal permutation choice", "~ndarray")
    },
}

ATTRIBUTES: dict[str, dict[str, str]] = {
    "ndarray": {"shape": "tuple[int]", "size": "int", "ndim": "int", "T": "ndarray"},
}

ANNOTATIONS: dict[str, str] = {
    "numpy.ndarray": "ndarray",
    "numpy.typing.NDArray": "ndarray",
    "numpy.typing.ArrayLike": "ndarray",
    "numpy.float64": "np-float64",
    "numpy.float32": "np-float32",
}
