"""What can go wrong with a blob. Each message names the key and says what to do."""

from __future__ import annotations


class BlobError(Exception):
    """Any fault of a blob or of the store."""


class BlobAbsent(BlobError):
    """The store answered, and there is no such object: its producer did not finish."""


class BlobUnreachable(BlobError):
    """The store did not answer, or refused: a fault of transport or configuration."""


class BlobMalformed(BlobError):
    """There is an object, and it is not what its reference says. Never tolerated."""


class IncompleteCohort(BlobError):
    """A pool was asked for of a cohort that is not complete."""


class AllAbsent(BlobError):
    """Nothing of a cohort could be loaded: one fault of transport or configuration, not many."""
