"""How a path below the base looks in a row."""

from __future__ import annotations

import json
from typing import Any, Iterable, Mapping
from urllib.parse import urlsplit

from xcom_probe import options
from xcom_probe.model import UsageError
from xcom_probe.options import ConfigFile

# Behind the base: dag_id, run_id and task_id of up to 250 characters, each up to 12 bytes in JSON
# (two escaped halves of a character outside the BMP), a UUID, suffixes, slashes and the quote.
_LONGEST_REST = 3 * 250 * 12 + 100


def below(base: str) -> str:
    """What every path below `base` begins with.

    >>> below("s3://aws_default@bucket/xcom")
    's3://aws_default@bucket/xcom/'

    Raises:
        UsageError: `base` is not a URL.
    """
    parts = urlsplit(base)
    if not parts.scheme or not (parts.netloc or parts.path):
        raise UsageError(f"--base {base!r} is not a URL; use scheme://connection@bucket/prefix")
    return base.rstrip("/") + "/"


def outermost(bases: Iterable[str]) -> list[str]:
    """The bases without those that are below another, so that no path is below two of them.

    >>> outermost(["s3://c@b/x/y/", "s3://c@b/x", "s3://c@b/xy"])
    ['s3://c@b/x', 's3://c@b/xy']

    Raises:
        UsageError: one of them is not a URL.
    """
    found: list[str] = []
    for base in sorted(set(bases), key=lambda base: (below(base), base)):
        if not found or not below(base).startswith(below(found[-1])):
            found.append(base)
    return found


def asked_bases(given: list[str], environ: Mapping[str, str], cfg: ConfigFile) -> list[str]:
    """The bases of --base, else the configured one; none of them below another.

    Raises:
        UsageError: there is none, or one is not a URL.
    """
    if given:
        return outermost(given)
    base = configured_base(environ, cfg)
    if base is None:
        raise UsageError("no base path is configured here; give --base s3://conn@bucket/prefix")
    return outermost([base])


def configured_base(environ: Mapping[str, str], cfg: ConfigFile) -> str | None:
    """The base path of the configuration here, None if there is none."""
    section, option = options.PATH
    value = environ.get(options.env_name(section, option), "")
    value = value or cfg.sections.get(section, {}).get(option, "")
    return options.expand(value) if value else None


def row_prefix(base: str) -> bytes:
    """The first bytes of a row that holds a path below `base` as JSON: quoted and escaped.

    >>> row_prefix("s3://aws_default@bucket/xcom/")
    b'"s3://aws_default@bucket/xcom/'
    """
    return json.dumps(below(base))[:-1].encode("ascii")


def parameters(base: str | None, as_json: bool) -> dict[str, Any]:
    """Parameters by which statements find such rows; without a base no row matches.

    Args:
        base: the base path as configured.
        as_json: whether the column is JSON for the database, which has no quotes and escapes in
            the string it compares (`prefix`), and none of Python's escapes in its text (`quoted`).
    """
    if base is None:
        return {"quoted": None, "quoted_length": 0}
    if not as_json:
        prefix = row_prefix(base)
        return {
            **_sizes(len(prefix), closing=1),
            "prefix": prefix,
            "quoted": prefix,
            "quoted_length": len(prefix),
        }
    text = below(base)
    quoted = json.dumps(text, ensure_ascii=False)[:-1]
    return {
        **_sizes(len(text.encode("utf-8")), closing=0),
        "prefix": text,
        "quoted": quoted,
        "quoted_length": len(quoted.encode("utf-8")),
    }


def _sizes(length: int, closing: int) -> dict[str, int]:
    """At least one character of a key behind the prefix, and the closing quote."""
    return {
        "length": length,
        "shortest": length + 1 + closing,
        "longest": length + _LONGEST_REST,
    }
