"""Label selectors, matched here as the API server matches them.

The forms of the Kubernetes documentation ("Labels and Selectors") that the operator uses: `key`,
`key=value`, `key!=value` and `key in (one,two)`.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

_REQUIREMENT: Final = re.compile(
    r"\s*(?P<key>[\w./-]+)\s*"
    r"(?:(?P<equals>!?=)=?\s*(?P<value>[\w.-]*)|in\s*\((?P<values>[\w., -]*)\))?\s*(?:,|$)"
)


@dataclass(frozen=True)
class Requirement:
    """One term of a selector.

    Attributes:
        values: those that fit; None where any does.
        negated: whether they are those that do not fit; an object without the key then fits.
    """

    key: str
    values: frozenset[str] | None = None
    negated: bool = False

    def fits(self, labels: Mapping[str, str]) -> bool:
        if self.key not in labels:
            return self.negated
        return self.values is None or (labels[self.key] in self.values) is not self.negated

    def implies(self, other: "Requirement") -> bool:
        """Return whether every object that fits this one fits the other."""
        if self == other:
            return True
        if self.key != other.key or self.negated or other.negated:
            return False
        return other.values is None or (self.values is not None and self.values <= other.values)


Selector = tuple[Requirement, ...]


@lru_cache(maxsize=4096)
def parse_selector(text: str) -> Selector:
    """Return the requirements of a selector; none for an empty one.

    Raises:
        ValueError: the selector has a form that is not known here.
    """
    found: list[Requirement] = []
    position = 0
    while position < len(text):
        match = _REQUIREMENT.match(text, position)
        if match is None:
            raise ValueError(f"label selector {text!r} cannot be read at {text[position:]!r}")
        values: frozenset[str] | None = None
        if match["equals"]:
            values = frozenset((match["value"],))
        elif match["values"] is not None:
            values = frozenset(value.strip() for value in match["values"].split(","))
        found.append(Requirement(match["key"], values, match["equals"] == "!="))
        position = match.end()
    return tuple(found)


def matches(selector: Selector, labels: Mapping[str, str]) -> bool:
    """Return whether an object with these labels is selected."""
    return all(requirement.fits(labels) for requirement in selector)


def covers(wide: Selector, narrow: Selector) -> bool:
    """Return whether everything that `narrow` selects is surely selected by `wide` too."""
    return all(any(term.implies(needed) for term in narrow) for needed in wide)
