"""Provenance: what each call costs in a DAG file, once the stamp has been read.

Nanoseconds of processor time, against a call of an empty function in the same process; for the
package, and for the one file that `xbr vendor` writes. The logger writes to a file, as a task's
does; a plain `logger.info` stands beside it.
"""

from __future__ import annotations

import importlib.util
import json
import logging
import os
import statistics
import sys
import tempfile
import time
import timeit
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any, Final

import xcom_dags.provenance
from bench import page
from harness.say import step
from xcom_rollout.cli.vendor import one_file

ROUNDS: Final = int(os.environ.get("BENCH_ROUNDS", "7"))
BOUND: Final = 1000
_STAMP: Final = {
    "champollion_sha": "0123456789abcdef0123456789abcdef01234567",
    "champollion_sha_short": "0123456",
    "synced_at_utc": "2026-11-21T12:00:00Z",
}
_EMPTY: Final = "an empty function"


def measure() -> str:
    """Return the results as Markdown."""
    with tempfile.TemporaryDirectory(prefix="bench-provenance-") as name, _stamped(Path(name)):
        variants = {"package": xcom_dags.provenance, "one file": _vendored(Path(name))}
        found = {}
        for variant, module in variants.items():
            with step(f"calls of the {variant}"):
                found[variant] = _measured(_calls(module, _logger(Path(name), variant)))
    rows = []
    for call in found["package"]:
        cells = []
        for times in found.values():
            cells += [f"{times[call]:,.0f}", f"{times[call] / times[_EMPTY]:.1f}"]
        rows.append((call, *cells))
    header = ("Call", "Package, ns", "Ratio", "One file, ns", "Ratio")
    most = max(times["`dag_build_info()`"] for times in found.values())
    kept = "kept" if most < BOUND else "NOT kept"
    return (
        f"Medians of {ROUNDS} rounds, Python {sys.version.split()[0]}.\n\n"
        f"{page.table(header, rows)}\n\n"
        f"`dag_build_info()` after the first call: **{most:,.0f} ns** (bound: {BOUND:,} ns, "
        f"{kept})."
    )


@contextmanager
def _stamped(folder: Path) -> Iterator[None]:
    """Let this process find a stamp, and forget it afterwards."""
    path = folder / "stamp.json"
    path.write_text(json.dumps(_STAMP), encoding="utf-8")
    before = os.environ.get("XCOM_DAGS_BUILD_INFO")
    os.environ["XCOM_DAGS_BUILD_INFO"] = str(path)
    try:
        yield
    finally:
        if before is None:
            del os.environ["XCOM_DAGS_BUILD_INFO"]
        else:
            os.environ["XCOM_DAGS_BUILD_INFO"] = before


def _vendored(folder: Path) -> ModuleType:
    path = folder / "_common.py"
    path.write_text(one_file("0"), encoding="utf-8")
    spec = importlib.util.spec_from_file_location("bench_common", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _logger(folder: Path, name: str) -> logging.Logger:
    logger = logging.getLogger(f"bench.{name}")
    logger.setLevel(logging.INFO)
    logger.propagate = False
    logger.addHandler(logging.FileHandler(folder / f"{name}.log"))
    return logger


def _calls(module: Any, logger: logging.Logger) -> dict[str, Callable[[], object]]:
    """The calls; each is made once, so that the stamp has been read."""
    info, banner, tags = module.dag_build_info, module.dag_version_banner, module.make_tags
    event = module.dag_loaded_event
    short = info()["champollion_sha_short"]
    assert short == _STAMP["champollion_sha_short"]  # else something else is measured
    return {
        _EMPTY: _nothing,
        "`dag_build_info()`": info,
        '`dag_version_banner("Loads orders.")`': lambda: banner("Loads orders."),
        '`make_tags("orders", build=...)`': lambda: tags("orders", build=short),
        '`dag_loaded_event(logger, "orders")`': lambda: event(logger, "orders"),
        '`logger.info("orders")`': lambda: logger.info("orders"),
    }


def _nothing() -> None:
    pass


def _measured(calls: dict[str, Callable[[], object]]) -> dict[str, float]:
    """Nanoseconds of a call, taken in turns."""
    timers = {name: timeit.Timer(call, timer=time.process_time) for name, call in calls.items()}
    often = {name: timer.autorange()[0] for name, timer in timers.items()}
    taken: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(ROUNDS):
        for name, timer in timers.items():
            taken[name].append(timer.timeit(often[name]) / often[name] * 1e9)
    return {name: statistics.median(times) for name, times in taken.items()}
