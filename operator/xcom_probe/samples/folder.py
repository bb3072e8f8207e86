"""A folder of samples: `NAME.json` holds one value, `NAME.py` a dict of values by name."""

from __future__ import annotations

import json
import os
import re
from functools import partial
from typing import Any, Iterator

from xcom_probe import redact
from xcom_probe.model import ERROR, PASS, Finding, UsageError
from xcom_probe.samples import sandbox
from xcom_probe.samples.child import LARGEST
from xcom_probe.samples.handover import rebuild
from xcom_probe.values.sample import Sample

KIND = "samples"
MOST = 1000
"""Samples of all files together."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}\Z")
_NAMES = "letters, digits, '.', '_' and '-', at most 200"


class SampleFolder:
    """Gives the samples of a folder, and remembers what could not be read."""

    def __init__(self, path: str, seconds: float) -> None:
        """Take the folder `path`; each Python file may take that many seconds.

        Raises:
            UsageError: there is no such folder.
        """
        if not os.path.isdir(path):
            raise UsageError(
                f"--samples: {path!r} is not a folder; use one that contains the samples"
            )
        self._path = path
        self._seconds = seconds
        self._problems: list[str] = []
        self._files = 0
        self._given = 0
        self._network: set[bool] = set()

    def samples(self) -> Iterator[Sample]:
        """The samples, file by file; one value at a time is in memory."""
        for name in sorted(os.listdir(self._path)):
            # A mounted ConfigMap holds its content twice, below names like `..data`.
            if name.startswith("."):
                continue
            self._files += 1
            stem, extension = os.path.splitext(name)
            path = os.path.join(self._path, name)
            if extension not in (".json", ".py") or not os.path.isfile(path):
                self._problem(name, "is neither NAME.json nor NAME.py: rename or remove it")
            elif not _NAME.match(stem):
                self._problem(name, f"its name may have {_NAMES}")
            elif extension == ".json":
                yield from self._counted(name, self._json(name, path, stem))
            else:
                yield from self._counted(name, self._python(name, path, stem))

    def finding(self) -> Finding:
        """The check `samples-read`; after the last sample."""
        expected = "every sample can be read"
        why = "A sample that is not tested proves nothing about the tasks that it represents."
        if self._problems:
            return Finding(
                "samples-read",
                ERROR,
                "; ".join(self._problems),
                expected,
                why,
                "Correct these files and run the probe again.",
            )
        if not self._given:
            return Finding(
                "samples-read",
                ERROR,
                f"{self._path} contains no sample",
                expected,
                why,
                "Put NAME.json (one value) or NAME.py (SAMPLES = {name: value}) there.",
            )
        seen = f"{self._given} samples of {self._files} files"
        if self._network:
            cut = "without" if self._network == {True} else "with"
            seen += f"; Python ran in a sandbox {cut} a network"
        return Finding("samples-read", PASS, seen, expected, why)

    def _counted(self, name: str, samples: Iterator[Sample]) -> Iterator[Sample]:
        for sample in samples:
            if self._given == MOST:
                self._problem(name, f"there are more than {MOST} samples; the rest is not tested")
                return
            self._given += 1
            yield sample

    def _json(self, name: str, path: str, stem: str) -> Iterator[Sample]:
        try:
            size = os.path.getsize(path)
            if size > LARGEST:
                self._problem(name, f"has {size} bytes; the limit is {LARGEST}")
                return
            # Read twice, so that a faulty file is reported as one, and the value made in its turn.
            _load(path)
        except ValueError as problem:
            self._problem(name, f"is not JSON: {problem}")
        except (OSError, RecursionError) as problem:
            self._problem(name, f"cannot be read: {problem}")
        else:
            yield Sample(f"{KIND}-{stem}", KIND, partial(_load, path))

    def _python(self, name: str, path: str, stem: str) -> Iterator[Sample]:
        most = MOST - self._given
        try:
            for message in sandbox.messages(path, most, self._seconds):
                if "networkCut" in message:
                    self._network.add(bool(message["networkCut"]))
                elif "error" in message:
                    line = message.get("line")
                    place = f"{name}, line {line}" if line else name
                    self._problem(place, str(message["error"]))
                elif "refused" in message:
                    self._problem(f"{name}, sample {message['name']!r}", message["refused"])
                else:
                    yield from self._one(name, stem, message)
        except sandbox.Trouble as problem:
            self._problem(name, str(problem))

    def _one(self, name: str, stem: str, message: dict[str, Any]) -> Iterator[Sample]:
        title = message["name"]
        if not _NAME.match(title):
            self._problem(f"{name}, sample {title!r}", f"its name may have {_NAMES}")
            return
        yield Sample(f"{KIND}-{stem}.{title}", KIND, partial(rebuild, message["value"]))

    def _problem(self, place: str, reason: str) -> None:
        self._problems.append(redact.text(f"{place}: {reason}"))


def _load(path: str) -> Any:
    with open(path, encoding="utf-8") as file:
        return json.load(file)
