"""The static audit: processor time against `ast.parse` of the same files, and what it finds.

The files are DAGs and operators that ship in packages: Airflow's own examples, the providers with
their system tests (DAGs, too), packages of others. Unit tests are left out. They come from the
package registry, pinned, once; sdists where the wheel has no examples.
"""

from __future__ import annotations

import ast
import gc
import os
import statistics
import sys
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bench import page
from harness.packages import fetch
from harness.say import step
from xcom_static.audit import engine
from xcom_static.audit.effects import Target
from xcom_static.source.files import Source

ROUNDS: Final = int(os.environ.get("BENCH_ROUNDS", "7"))
TARGET: Final = Target((2, 11))

_PROVIDER: Final = "apache-airflow-providers-"
COLLECTIONS: Final[dict[str, tuple[str, ...]]] = {
    "Airflow 2.11 and 3.3, examples included": (
        "apache-airflow==2.11.2",
        "apache-airflow-core==3.3.2",
        f"{_PROVIDER}standard==1.21.0",
    ),
    "Amazon provider": (f"{_PROVIDER}amazon==9.39.0", f"{_PROVIDER}amazon==3.4.0"),
    "Google provider": (f"{_PROVIDER}google==22.8.0", f"{_PROVIDER}google==6.0.0"),
    "11 other providers": (
        f"{_PROVIDER}common-ai==1.0.0",
        f"{_PROVIDER}common-sql==2.4.0",
        f"{_PROVIDER}databricks==7.23.0",
        f"{_PROVIDER}http==6.3.0",
        f"{_PROVIDER}postgres==7.1.1",
        f"{_PROVIDER}ssh==7.0.1",
        f"{_PROVIDER}docker==4.6.1",
        f"{_PROVIDER}apache-spark==6.3.4",
        f"{_PROVIDER}cncf-kubernetes==10.25.0",
        f"{_PROVIDER}microsoft-azure==15.2.1",
        f"{_PROVIDER}snowflake==6.20.0",
    ),
    "9 packages of others": (
        "astro-sdk-python==1.9.0",
        "astronomer-cosmos==1.15.1",
        "astronomer-providers==1.19.4",
        "airflow-provider-fivetran==1.1.4",
        "airflow-provider-great-expectations==1.0.0",
        "airflow-ai-sdk==0.1.8",
        "airflow-provider-lakefs==0.48.0",
        "acryl-datahub-airflow-plugin==1.7.0.17",
        "openmetadata-managed-apis==2.0.7.0",
    ),
}
# Their wheels hold examples, and their sdists cannot be had or built.
_WHEELS: Final = frozenset(
    {"apache-airflow-core==3.3.2", f"{_PROVIDER}amazon==3.4.0", f"{_PROVIDER}google==6.0.0"}
)
_LEFT_OUT: Final = ("/tests/unit/", "/tests/integration/")


@dataclass(frozen=True)
class Measured:
    """One collection: its files, what was found, processor seconds of each round."""

    name: str
    result: engine.Result
    parse: Sequence[float]
    audit: Sequence[float]

    @property
    def ratio(self) -> float:
        """The median of the rounds' ratios."""
        pairs = zip(self.audit, self.parse, strict=True)
        return statistics.median(audit / parse for audit, parse in pairs)


def measure() -> str:
    """Return the results as Markdown."""
    warnings.simplefilter("ignore", SyntaxWarning)
    loaded = {}
    for name in COLLECTIONS:
        with step(f"fetch {name}"):
            loaded[name] = list(sources(name))
    found = []
    for name, files in loaded.items():
        with step(f"audit {name}, {len(files)} files"):
            found.append(_measured(name, files))
    with step("all of them at once"):
        found.append(_measured("All", [source for files in loaded.values() for source in files]))
    return report(found)


def sources(*names: str) -> Iterator[Source]:
    """The files of these collections; of all of them without a name.

    Raises:
        HarnessError: a package could not be had.
    """
    for name in names or COLLECTIONS:
        for item in COLLECTIONS[name]:
            yield from read(fetch(item, wheel=item in _WHEELS))


def read(folder: Path) -> Iterator[Source]:
    """Its Python files, but for unit tests."""
    for path in sorted(folder.rglob("*.py")):
        name = path.relative_to(folder).as_posix()
        if not any(part in f"/{name}" for part in _LEFT_OUT):
            yield Source(f"{folder.name}/{name}", path.read_bytes())


def _measured(name: str, files: Sequence[Source]) -> Measured:
    result = engine.audit(files, TARGET)
    parse, audit = [], []
    for _ in range(ROUNDS):
        parse.append(_seconds(lambda: _parse(files)))
        audit.append(_seconds(lambda: engine.audit(files, TARGET)))
    return Measured(name, result, parse, audit)


def _parse(files: Sequence[Source]) -> None:
    """What the audit is measured against; a file that it names as unreadable fails here, too."""
    for source in files:
        try:
            ast.parse(source.data)
        except (SyntaxError, ValueError):
            continue


def _seconds(work: Callable[[], object]) -> float:
    """Processor time: other work on the machine does not count."""
    gc.collect()
    begin = time.process_time()
    work()
    return time.process_time() - begin


def report(found: Sequence[Measured]) -> str:
    """The results as Markdown."""
    rows = []
    for item in found:
        effects = Counter(finding.effect for finding in item.result.findings)
        per_thousand = statistics.median(item.audit) * 1000 / item.result.files
        rows.append(
            (
                item.name,
                f"{item.result.files:,}",
                f"{item.result.parsed:,}",
                f"{item.result.tasks:,}",
                f"{effects['fails']} / {effects['drifts']} / {effects['offloads']}",
                len(item.result.unreadable),
                f"{per_thousand:.2f}",
                f"**{item.ratio:.2f}**",
            )
        )
    header = (
        *("Collection", "Files", "Of them name Airflow", "Tasks"),
        *("Fail / drift / offload", "Unreadable", "Audit of 1,000 files, s", "Ratio to parsing"),
    )
    bound = "kept" if found[-1].ratio <= 2 else "not kept"
    return (
        f"Median of {ROUNDS} rounds, processor time, Python {sys.version.split()[0]}; judged for "
        f"Airflow 2.11.\n\n{page.table(header, rows)}\n\n"
        f"Ratio over all: **{found[-1].ratio:.2f}** (bound: 2, {bound})."
    )
