"""`roundtrip`: values written and read back through the backend that is loaded here.

Rows live in a transaction that is never committed (see `throwaway.ThrowAwayRun`). Objects are
written below `<base>/xcom_probe/<unique run>/` and removed, also when the process is ended.
"""

from __future__ import annotations

import argparse
import itertools
import logging
from argparse import ArgumentParser, Namespace
from datetime import datetime, timezone
from typing import Any, Callable, Iterator

from xcom_probe import ending, options
from xcom_probe.airflow import allowing, storage, throwaway, versions
from xcom_probe.commands import inspect
from xcom_probe.model import CannotLook, Finding
from xcom_probe.report import Report
from xcom_probe.roundtrip import findings, judge, leftovers
from xcom_probe.roundtrip.travel import Traveller, is_object_backend
from xcom_probe.samples.folder import SampleFolder
from xcom_probe.values import addressed, arrays, drift, plain, sized, typed
from xcom_probe.values.sample import NotHere, Sample

HELP = "write and read back values through the loaded backend; leaves nothing behind"

_LONGEST_SAMPLES = 600
_REMEDIES = {drift.JSON_STRINGS: versions.JSON_STRINGS_REMEDY}


def arguments(parser: ArgumentParser) -> None:
    """Add the arguments of `roundtrip`."""
    parser.add_argument(
        "--expect-threshold",
        metavar="BYTES",
        type=int,
        help="the expected threshold, by default the pod's own; values below, at and above it are "
        "tested",
    )
    trip_arguments(parser)


def trip_arguments(parser: ArgumentParser) -> None:
    """Add the arguments that every command with a round trip has."""
    parser.add_argument(
        "--accept-drift",
        metavar="CLASS",
        action="append",
        default=[],
        choices=sorted(drift.CLASSES),
        help="accept that values change in this way with the backend; repeatable. One of "
        + ", ".join(sorted(drift.CLASSES)),
    )
    parser.add_argument(
        "--samples",
        metavar="DIR",
        help="also test the values of this folder: NAME.json holds one, NAME.py a dict of them",
    )
    parser.add_argument(
        "--samples-timeout",
        metavar="SECONDS",
        type=_seconds,
        default=10.0,
        help="longest time for one Python file of samples (default: 10)",
    )
    parser.add_argument(
        "--strict",
        action="store_true",
        help="values that change with the backend in a way that is not accepted fail instead of "
        "warn",
    )


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds <= _LONGEST_SAMPLES:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a number of seconds above 0 and up to {_LONGEST_SAMPLES}"
        )
    return seconds


def run(args: Namespace, report: Report) -> None:
    """Load Airflow here and make the trip."""
    given = user_samples(args)
    loaded = inspect.load(report, threshold=args.expect_threshold)
    if loaded.xcom is None:
        raise CannotLook(f"the XCom class cannot be imported: {loaded.problem}")
    trip(loaded, args, given, report)


def user_samples(args: Namespace) -> SampleFolder | None:
    """The folder of --samples, None without that argument.

    Raises:
        UsageError: there is no such folder.
    """
    return SampleFolder(args.samples, args.samples_timeout) if args.samples else None


def trip(loaded: Any, args: Namespace, given: SampleFolder | None, report: Report) -> None:
    """Write, read, compare, clean up; one check per kind of value.

    Args:
        loaded: `checks.configuration.Loaded` with its class imported.
        args: with `expect_threshold` (bytes; what is offloaded is judged by this; None takes what
            the pod says) and what `trip_arguments` adds.
        given: the samples of the user.

    Raises:
        CannotLook: nothing is expected, and Airflow cannot read the pod's own threshold.
    """
    threshold = args.expect_threshold
    if threshold is None:
        threshold = loaded.threshold()
    if threshold is None:
        raise CannotLook(
            f"Airflow cannot read the threshold {loaded.options[options.THRESHOLD]}; use digits"
        )
    policy = findings.Policy(args.accept_drift, args.strict, _REMEDIES)
    now = datetime.now(timezone.utc)
    run_id = leftovers.new_run_id(now)
    base = _base(loaded) if is_object_backend(loaded.xcom) else None
    seen: list[dict[str, Any]] = []
    report.members["values"] = seen
    outcomes = []
    skipped: list[Finding] = []
    traveller: Traveller | None = None
    # What Airflow says of a value that it refuses is in the result.
    logging.disable(logging.CRITICAL)
    try:
        if base and threshold >= 0:
            report.findings.append(leftovers.sweep(base, now))
        with throwaway.ThrowAwayRun(run_id) as made, allowing.classes("xcom_probe.*"):
            traveller = Traveller(made, loaded.xcom, base, threshold)
            ours = _samples(base, run_id, threshold, skipped)
            for sample in itertools.chain(ours, given.samples() if given else ()):
                outcome = traveller.take(sample)
                outcomes.append(outcome)
                # What is done so far is in the report, whenever this ends.
                seen.append(outcome.as_dict())
        report.findings.extend(findings.findings(outcomes, policy) + skipped)
        if given:
            report.findings.append(given.finding())
        report.members["drift"] = findings.drift_members(judge.new_drift(outcomes), policy)
    finally:
        logging.disable(logging.NOTSET)
        if base and (threshold >= 0 or (traveller is not None and traveller.offloaded)):
            report.findings.append(leftovers.clean(base, run_id))


def _samples(
    base: str | None, run_id: str, threshold: int, skipped: list[Finding]
) -> Iterator[Sample]:
    """All values, one after the other; kinds that cannot be tried go to `skipped`."""
    yield from plain.samples()
    yield from plain.path_strings(base or "", _object_maker(base, run_id, threshold))
    yield from typed.samples()
    yield from addressed.samples()
    for kind in (arrays.NUMPY, arrays.PANDAS):
        yield from _of_package(kind, skipped)
    yield from sized.samples(threshold)
    if threshold > sized.LARGEST:
        skipped.append(
            findings.not_looked_at(
                sized.ABOVE,
                f"values of {threshold} bytes or more are too large to test in a pod (limit "
                f"{sized.LARGEST})",
            )
        )


def _object_maker(base: str | None, run_id: str, threshold: int) -> Callable[[], str] | None:
    """What makes an object that a string can name; none where nothing is to be offloaded."""
    if not base or threshold < 0:
        return None
    path = leftovers.named_object(base, run_id)

    def make() -> str:
        with ending.held():
            storage.write_object(path, b'"the content of an object"')
        return path

    return make


def _of_package(kind: str, skipped: list[Finding]) -> list[Sample]:
    try:
        return arrays.samples(kind)
    except NotHere as reason:
        skipped.append(findings.not_looked_at(kind, str(reason)))
        return []


def _base(loaded: Any) -> str:
    """The base path as the backend writes it into rows."""
    return str(storage.storage_path(loaded.path())).rstrip("/") if loaded.path() else ""
