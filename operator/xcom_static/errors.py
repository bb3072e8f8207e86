"""What stops an audit as a whole. One file that cannot be read does not: it is named."""

from __future__ import annotations


class InvalidArgumentError(Exception):
    """An argument is wrong; the message names it, its value and what to write instead."""


class NoFilesError(InvalidArgumentError):
    """The folder is not there, or holds no file that Airflow would look at."""


class UnavailableError(Exception):
    """A package that the answer depends on is not installed here; the message names it."""
