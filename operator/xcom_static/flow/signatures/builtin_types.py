"""Builtin functions and types."""

from __future__ import annotations

from xcom_static.flow.signatures.notation import each

# Builtins whose result does not depend on what they are given; `builtin_calls` reads the others.
CALLS: dict[str, str] = {
    **each("len int hash id ord", "int"),
    **each("isinstance issubclass callable hasattr all any bool", "bool"),
    **each("repr ascii chr hex oct bin format input", "str"),
    "float": "float",
    "round": "~float",
    "complex": "complex",
    "bytes": "bytes",
    "bytearray": "bytearray",
    "memoryview": "object",
    "object": "object",
    "range": "range",
    "divmod": "tuple",
    "print": "none",
    "Exception": "exception",
    "ValueError": "exception",
    "RuntimeError": "exception",
}

METHODS: dict[str, dict[str, str]] = {
    "str": {
        "encode": "bytes",
        **each("split rsplit splitlines", "list[str]"),
        **each("partition rpartition", "tuple"),
        **each(
            "strip lstrip rstrip lower upper title capitalize replace format join zfill rjust ljust"
            " center casefold removeprefix removesuffix swapcase",
            "str",
        ),
        **each("startswith endswith isdigit isalpha isnumeric", "bool"),
        **each("count find index rfind", "int"),
    },
    "json-str": {"encode": "bytes", **each("strip replace lower upper", "~str")},
    "bytes": {
        "decode": "str",
        "hex": "str",
        **each("strip split replace join", "bytes"),
    },
}

# Annotations that stand for themselves.
ANNOTATIONS = frozenset({"bytes", "bytearray", "str", "int", "float", "bool", "complex", "range"})
