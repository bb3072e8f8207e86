"""The process that runs one Python file of samples; it writes descriptions to its result pipe.

One line of JSON for each message: `{"networkCut": ...}` first, then
`{"name": ..., "value": ...}` or `{"name": ..., "refused": reason}` for each sample, or
`{"error": message, "line": number}`, and `{"done": true}` at the end.
"""

from __future__ import annotations

import json
import os
import runpy
import sys
import traceback
from typing import Any, BinaryIO

from xcom_probe.samples.confine import confine
from xcom_probe.samples.handover import CannotHandOver, describe

LARGEST = 32 * 1024 * 1024
"""Bytes of a sample, as it is handed over."""


def main() -> None:
    """Run the file `argv[1]`; at most `argv[2]` samples, `argv[3]` seconds of CPU time."""
    path, most, seconds = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    out = os.fdopen(os.dup(1), "wb")
    null = os.open(os.devnull, os.O_RDWR)
    for standard in (0, 1, 2):
        # What the file prints is discarded: it may be secret.
        os.dup2(null, standard)
    _say(out, {"networkCut": confine(seconds)})
    try:
        for name, value in _items(runpy.run_path(path), most):
            _say(out, _handed(name, value))
        _say(out, {"done": True})
    except BaseException as problem:  # noqa: BLE001 - SystemExit too: the file may not end this
        _say(out, {"error": _message(problem), "line": _line(problem, path)})
    out.close()
    os._exit(0)


def _items(names: dict[str, Any], most: int) -> list[tuple[Any, Any]]:
    given = names.get("samples", names.get("SAMPLES"))
    if given is None:
        raise ValueError("define SAMPLES = {name: value}, or a function samples() that returns it")
    if callable(given):
        given = given()
    if not isinstance(given, dict):
        raise TypeError(f"SAMPLES is {type(given).__name__}, expected a dict of name and value")
    if len(given) > most:
        raise ValueError(f"{len(given)} samples; the limit of all files together leaves {most}")
    return list(given.items())


def _handed(name: Any, value: Any) -> dict[str, Any]:
    if not isinstance(name, str):
        return {"name": str(name), "refused": f"its name is {type(name).__name__}, expected str"}
    try:
        description = describe(value)
    except CannotHandOver as reason:
        return {"name": name, "refused": str(reason)}
    if len(json.dumps(description)) > LARGEST:
        return {"name": name, "refused": f"it is larger than {LARGEST} bytes"}
    return {"name": name, "value": description}


def _say(out: BinaryIO, message: dict[str, Any]) -> None:
    out.write(json.dumps(message).encode("ascii") + b"\n")
    out.flush()


def _message(problem: BaseException) -> str:
    return f"{type(problem).__name__}: {problem}"


def _line(problem: BaseException, path: str) -> int | None:
    if isinstance(problem, SyntaxError) and problem.filename == path:
        return problem.lineno
    lines = [
        frame.lineno
        for frame in traceback.extract_tb(problem.__traceback__)
        if frame.filename == path
    ]
    return lines[-1] if lines else None


if __name__ == "__main__":
    main()
