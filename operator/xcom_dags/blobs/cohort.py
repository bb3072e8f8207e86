"""What several producers have written for one consumer: all of it, or a verdict that says not."""

from __future__ import annotations

from typing import Any, Iterable, Mapping, NamedTuple, Optional, Union

from xcom_dags.blobs import metrics as names
from xcom_dags.blobs.errors import AllAbsent, BlobAbsent, BlobUnreachable, IncompleteCohort
from xcom_dags.blobs.store import BlobStore

COMPLETE = "COMPLETE"
INCONCLUSIVE_TOOLING = "INCONCLUSIVE_TOOLING"


References = Union[Mapping[str, Optional[Mapping[str, Any]]], Iterable[Optional[Mapping[str, Any]]]]


class CohortResult(NamedTuple):
    """What there is.

    Attributes:
        present: blobs by key.
        missing: why there is none, by key, in the order that was expected.
        verdict: `COMPLETE`, or `INCONCLUSIVE_TOOLING` if anything is missing.
    """

    present: dict[str, Any]
    missing: dict[str, str]
    verdict: str

    def pool(self) -> dict[str, Any]:
        """All blobs of a complete cohort.

        Raises:
            IncompleteCohort: something is missing. A result drawn from the rest would look like
                one of the whole.
        """
        if self.missing:
            raise IncompleteCohort(
                "{}: {} of {} missing: {}".format(
                    self.verdict,
                    len(self.missing),
                    len(self.missing) + len(self.present),
                    "; ".join(f"{key} ({reason})" for key, reason in self.missing.items()),
                )
            )
        return self.present


class Cohort:
    """The keys that a consumer expects."""

    def __init__(self, expected: Iterable[str]) -> None:
        """Name them.

        Raises:
            ValueError: there is none, one is named twice, or a text is given in place of names.
        """
        if isinstance(expected, str):
            raise ValueError(f"expected {expected!r} is one text; pass a list: [{expected!r}]")
        self.expected = list(expected)
        if not self.expected or len(set(self.expected)) != len(self.expected):
            raise ValueError(f"expected {self.expected!r}: name at least one key, each once")

    def load(self, store: BlobStore, references: References) -> CohortResult:
        """Load what is there.

        Args:
            store: where from.
            references: what the producers returned, by key or as a list (what a mapped task gives);
                None or no entry for one that returned nothing.

        Raises:
            BlobMalformed: a blob is there and is not what its reference says.
            AllAbsent: nothing could be loaded.
            ValueError: there is a reference that nobody expects, one under another's key, or there
                are two of one key.
        """
        references = _by_key(references)
        self._check(references)
        present: dict[str, Any] = {}
        missing: dict[str, str] = {}
        unreachable = []
        for key in self.expected:
            reference = references.get(key)
            if reference is None:
                missing[key] = "its producer returned no reference"
                continue
            try:
                present[key] = store.get(reference)
            except BlobAbsent as problem:
                missing[key] = str(problem)
            except BlobUnreachable as problem:
                missing[key] = str(problem)
                unreachable.append(str(problem))
        store.gauge(names.COHORT_COUNT, len(present))
        store.gauge(names.COHORT_EXPECTED, len(self.expected))
        verdict = INCONCLUSIVE_TOOLING if missing else COMPLETE
        if missing:
            # The gauges are of the cohort loaded last, of whatever DAG; a count outlives it.
            store.count(names.COHORT_INCOMPLETE)
        store.event(
            "acquire_outcome",
            verdict=verdict,
            cohort_count=len(present),
            cohort_expected=len(self.expected),
            missing=list(missing),
        )
        if not present:
            raise AllAbsent(
                f"none of {len(self.expected)} blobs of run {store.run_id} could be loaded. This "
                "is one fault of transport or configuration, not many of producers: look at the "
                f"connection, the bucket {store.place.bucket!r} and the folder {store.folder!r}. "
                f"{_first(missing, unreachable)}"
            )
        return CohortResult(present, missing, verdict)

    def _check(self, references: Mapping[str, Mapping[str, Any] | None]) -> None:
        unexpected = sorted(set(references) - set(self.expected))
        if unexpected:
            raise ValueError(f"references: {unexpected} is not expected; expected {self.expected}")
        for key, reference in references.items():
            if isinstance(reference, Mapping) and reference.get("key", key) != key:
                raise ValueError(f"references: {key!r} refers to the blob {reference['key']!r}")


def _by_key(references: References) -> Mapping[str, Mapping[str, Any] | None]:
    """References by their keys. Of two with one key, a mapping would lose one without a word."""
    if isinstance(references, Mapping):
        return references
    found: dict[str, Mapping[str, Any] | None] = {}
    for item in references:
        reference: Any = item  # XCom gives whatever a task has returned
        if reference is None:
            continue
        if not isinstance(reference, Mapping) or not isinstance(reference.get("key"), str):
            raise ValueError(f"references: {str(reference)[:100]!r} is not what put has returned")
        key = reference["key"]
        if key in found:
            raise ValueError(
                f"references: several have the key {key!r}; give the blob of each mapped task a "
                f"key of its own, as in put(f'{key}/{{ti.map_index}}', ...), and expect these"
            )
        found[key] = reference
    return found


def _first(missing: Mapping[str, str], unreachable: list[str]) -> str:
    """The error closest to the cause: the store's own words, if there are any."""
    if unreachable:
        return f"The store says: {unreachable[0]}"
    key, why = next(iter(missing.items()))
    return f"The first of them, {key!r}: {why}"
