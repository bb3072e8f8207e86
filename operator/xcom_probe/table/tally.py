"""What an audit of the table found, by task, in bounded memory."""

from __future__ import annotations

from collections import Counter
from typing import Any, NamedTuple

FAILS, DRIFTS, OFFLOADS, NONE = "fails", "drifts", "offloads", "none"
_SEVERITY = {FAILS: 0, DRIFTS: 1, OFFLOADS: 2}
_MOST = 20_000


class Where(NamedTuple):
    """The values of one task under one key."""

    dag_id: str
    task_id: str
    key: str


class Kind(NamedTuple):
    """What is special about a value.

    Attributes:
        name: `json-strings`, another class of drift, `pickled`, `not-json`, ...
        effect: what happens with the object storage backend: fails, drifts, offloads.
        today: what happens without it.
    """

    name: str
    effect: str
    today: str = NONE

    @property
    def is_new(self) -> bool:
        """Whether the change of backend makes it worse."""
        return self.effect in (FAILS, DRIFTS) and self.today != self.effect


class Seen:
    """Rows of one kind at one place."""

    def __init__(self) -> None:
        self.rows = 0
        self.bytes = 0
        self.largest = 0
        self.detail = ""


class Tally:
    """Counts; the totals are exact, and of the places the worst are kept."""

    def __init__(self) -> None:
        self.totals: Counter[Kind] = Counter()
        self._dropped: Counter[Kind] = Counter()
        self._seen: dict[tuple[Where, Kind], Seen] = {}

    def add(
        self, where: Where, kind: Kind, rows: int, size: int, largest: int, detail: str = ""
    ) -> None:
        """Count `rows` rows of `size` bytes together."""
        self.totals[kind] += rows
        seen = self._seen.setdefault((where, kind), Seen())
        seen.rows += rows
        seen.bytes += size
        seen.largest = max(seen.largest, largest)
        seen.detail = seen.detail or detail
        if len(self._seen) > 2 * _MOST:
            kept = self._ranked()[:_MOST]
            self._dropped = self._places() - Counter(kind for (_, kind), _ in kept)
            self._seen = dict(kept)

    def rows(self, effect: str) -> int:
        """Rows that the change of backend gives this effect."""
        return _with_effect(self.totals, effect)

    def places(self, effect: str) -> int:
        """Places with such rows, those that were dropped included."""
        return _with_effect(self._places(), effect)

    def unreadable(self) -> int:
        """Rows that fail with either backend."""
        return sum(rows for kind, rows in self.totals.items() if kind.today == FAILS)

    def worst(self, number: int) -> list[dict[str, Any]]:
        """The worst places, with the names of the result document."""
        return [
            {
                "dagId": where.dag_id,
                "taskId": where.task_id,
                "key": where.key,
                "kind": kind.name,
                "effect": kind.effect,
                "today": kind.today,
                "rows": seen.rows,
                "bytes": seen.bytes,
                "largestBytes": seen.largest,
                "detail": seen.detail,
            }
            for (where, kind), seen in self._ranked()[:number]
        ]

    def count(self) -> int:
        """Places, those that were dropped included."""
        return sum(self._places().values())

    def _places(self) -> Counter[Kind]:
        return self._dropped + Counter(kind for _, kind in self._seen)

    def _ranked(self) -> list[tuple[tuple[Where, Kind], Seen]]:
        return sorted(
            self._seen.items(),
            key=lambda item: (
                not item[0][1].is_new,
                _SEVERITY[item[0][1].effect],
                -item[1].rows,
                item[0],
            ),
        )


def _with_effect(counts: Counter[Kind], effect: str) -> int:
    return sum(
        count
        for kind, count in counts.items()
        if kind.effect == effect and (effect == OFFLOADS or kind.is_new)
    )
