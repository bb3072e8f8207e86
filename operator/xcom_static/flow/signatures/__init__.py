"""What well-known calls, attributes and methods give: tables, by subject.

The right sides are in the notation of `values.shape`: `list[tuple]`, `str|none`; `~` marks what
usually holds, `?` what often does. Whatever is in no table, or is empty there, is unknown, and
nothing is reported of it. What depends on the arguments is in `library_calls` and `methods`.
"""

from __future__ import annotations

from xcom_static.flow.signatures import (
    airflow,
    arrays,
    builtin_types,
    learning,
    services,
    standard_library,
    tables,
)

# Imported functions and classes, by dotted name.
CALLS: dict[str, str] = {
    **arrays.CALLS,
    **tables.CALLS,
    **standard_library.CALLS,
    **services.CALLS,
    **learning.CALLS,
    **airflow.CALLS,
}
BUILTINS = builtin_types.CALLS
# Classes of these packages are live objects: `sklearn.linear_model.LinearRegression()`.
MODEL_PACKAGES = learning.PACKAGES

# Attributes of modules.
CONSTANTS: dict[str, str] = {**arrays.CONSTANTS, **tables.CONSTANTS, **standard_library.CONSTANTS}

# Methods, by the kind that they are called on.
METHODS: dict[str, dict[str, str]] = {
    **arrays.METHODS,
    **tables.METHODS,
    **builtin_types.METHODS,
    **standard_library.METHODS,
    **services.METHODS,
    **learning.METHODS,
    **airflow.METHODS,
}
METHODS_OF_ANY = tables.METHODS_OF_ANY
ROW_ARGUMENTS = services.ROW_ARGUMENTS

# Attributes, by the kind that they belong to.
ATTRIBUTES: dict[str, dict[str, str]] = {
    **arrays.ATTRIBUTES,
    **tables.ATTRIBUTES,
    **standard_library.ATTRIBUTES,
    **services.ATTRIBUTES,
    **learning.ATTRIBUTES,
    **airflow.ATTRIBUTES,
}
# What Airflow hands to a task, by name: in the context and as a parameter of that name.
CONTEXT = airflow.CONTEXT

# Annotations: what they are taken for.
ANNOTATIONS: dict[str, str] = {
    **arrays.ANNOTATIONS,
    **tables.ANNOTATIONS,
    **standard_library.ANNOTATIONS,
    **services.ANNOTATIONS,
}
ANNOTATION_BUILTINS = builtin_types.ANNOTATIONS
