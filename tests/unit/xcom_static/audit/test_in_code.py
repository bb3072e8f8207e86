"""What sets the backend beside the operator: by the names that the probe knows, too."""

from __future__ import annotations

from xcom_probe import options
from xcom_static.audit import in_code


def test_the_options_are_those_that_the_probe_reads() -> None:
    assert frozenset(options.OPTIONS) == in_code.OPTIONS
    assert {options.env_name(*option) for option in options.OPTIONS} == in_code.VARIABLES
