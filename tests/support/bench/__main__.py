"""`python -m bench [NAME...]`: measure, and write the results into docs/benchmarks.md."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence

from bench import (
    audit,
    blobs,
    importing,
    kill,
    kill_scale,
    lint,
    page,
    probe,
    provenance,
    rest,
    table,
)
from harness.say import say, step
from harness.shell import HarnessError

BENCHMARKS: dict[str, Callable[[], str]] = {
    "kill": kill.measure,
    "kill-scale": kill_scale.measure,
    "probe": probe.measure,
    "operator": rest.measure,
    "importing": importing.measure,
    "blobs": blobs.measure,
    "audit": audit.measure,
    "lint": lint.measure,
    "provenance": provenance.measure,
    "table": table.measure,
}


def main(words: Sequence[str]) -> int:
    """Run the benchmarks named, all by default; returns the exit code."""
    unknown = sorted(set(words) - set(BENCHMARKS))
    if unknown:
        say(f"no benchmark {', '.join(unknown)}: python -m bench [{'|'.join(BENCHMARKS)}]")
        return 2
    for name in words or BENCHMARKS:
        try:
            with step(f"benchmark {name}"):
                text = BENCHMARKS[name]()
        except HarnessError as error:
            say(f"benchmark {name} failed: {error}")
            return 1
        page.write(name, text)
        print(text)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
