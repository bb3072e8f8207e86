"""How the tables are written."""

from __future__ import annotations


def each(names: str, shape: str, prefix: str = "") -> dict[str, str]:
    """The same for several names.

    >>> each("floor ceil", "int", "math.")
    {'math.floor': 'int', 'math.ceil': 'int'}
    """
    return {prefix + name: shape for name in names.split()}
