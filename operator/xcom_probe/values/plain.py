"""Values of plain JSON: scalars, text, collections, and strings that somebody may take for more."""

from __future__ import annotations

from typing import Any, Callable

from xcom_probe.values.drift import JSON_STRINGS
from xcom_probe.values.sample import Sample, of

PATH_STRINGS = "path-strings"
_DEEP = 100
_BELOW_THE_BASE = (
    "the backend takes a string below its own path as the path of an object; it comes back as the "
    "content of that object, or fails"
)


def samples() -> list[Sample]:
    """All but the strings that look like paths."""
    return [
        *of(
            "scalars",
            none=None,
            true=True,
            false=False,
            zero=0,
            int=-42,
            int_negative_64_bit=-(2**63),
            int_beyond_64_bit=2**70,
            int_long=10**400 + 1,
            float=1.5,
            float_whole=2.0,
            float_minus_zero=-0.0,
            float_tiny=5e-324,
            float_huge=1.7976931348623157e308,
        ),
        *of(
            "not-finite",
            nan=float("nan"),
            infinity=float("inf"),
            minus_infinity=float("-inf"),
            in_list=[1.0, float("nan")],
        ),
        *of(
            "text",
            empty="",
            word="branch_a",
            spaces="  padded \n",
            unicode="naïve Ωμέγα 日本語 🚀 e\u0301",
            quotes_and_lines='a "quoted" \\ line\nand\ttab\u2028',
            control="\x01\x07\x1b[0m\x7f\x85",
            like_python="{'a': None}",
        ),
        *of("text-unusual", nul="a\x00b", lone_surrogate="a\ud800b"),
        *of(
            "collections",
            list_empty=[],
            list=[1, "two", 3.0, None, True],
            dict_empty={},
            dict={"rows": 3, "ok": True, "ratio": 0.25, "note": None},
            nested={"a": [{"b": {"c": [1, [2, [3]]]}}], "d": {"e": []}},
            deep=_deep(),
            json_strings_inside=["123", {"text": "null"}],
            empty_inside=[None, "", [], {}],
            awkward_keys={"": 1, "a b": 2, "ключ": 3, "x[0].y": 4, '"': 5, "__var": 6},
        ),
        *of(
            "references",
            array=_reference("weights"),
            cohort={"expected": ["a", "b"], "items": {"a": _reference("a")}, "missing": ["b"]},
        ),
        *of(
            "dict-keys",
            int={1: "a", 2: "b"},
            float={1.5: "a"},
            bool={True: "a"},
            none={None: "a"},
            tuple={("a", 1): "b"},
        ),
        *of(
            JSON_STRINGS,
            number="123",
            float="1.0",
            null="null",
            true="true",
            string='"quoted"',
            object='{"a": 1}',
            array="[1, 2]",
            not_a_number="NaN",
            spaces=" 7\n",
        ),
    ]


def path_strings(base: str, make_object: Callable[[], str] | None) -> list[Sample]:
    """Strings that look like the path of an object.

    Args:
        base: that of the backend, empty if it has none.
        make_object: makes an object below the base and gives its path; None if none may be made.
    """
    others = of(
        PATH_STRINGS,
        other_bucket="s3://some-bucket/some/key",
        file="file:///etc/hostname",
        http="http://127.0.0.1:1/xcom",
        scheme_only="s3://",
        broken="http://[",
        no_such_scheme="nobody://conn@place/key",
    )
    if not base:
        return others
    others += of(PATH_STRINGS, beside_the_base=f"{base}-other/key")
    below = of(PATH_STRINGS, the_base=base, below_the_base=f"{base}/nobody/made/this")
    if make_object is not None:
        below.append(Sample(f"{PATH_STRINGS}-an-object", PATH_STRINGS, make_object))
    return others + [sample._replace(known=_BELOW_THE_BASE) for sample in below]


def _reference(key: str) -> dict[str, Any]:
    """What a task pushes instead of arrays: where they are, and what they are."""
    return {
        "uri": f"s3://bucket/blobs/manual__2024-02-29T12:30:00+00:00/{key}.npz",
        "key": key,
        "format": "npz",
        "schema": "predictions",
        "version": 1,
        "arrays": {"p": {"shape": [1000, 3], "dtype": "<f8"}},
        "bytes": 24264,
        "sha256": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    }


def _deep() -> list[Any]:
    value: list[Any] = ["bottom"]
    for _ in range(_DEEP):
        value = [value]
    return value
