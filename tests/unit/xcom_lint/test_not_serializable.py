"""XCL006: the findings of the audit that fail for certain, or nearly so."""

from __future__ import annotations

import pytest

from lint_cases import lines


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ("np.zeros(3)", True),
        ('{"y": np.zeros(3)}', True),
        ('b"bytes"', True),
        ("np.zeros(3).tolist()", False),
        ('{"y": 1}', False),
        ("unknown()", False),
    ],
)
def test_values_that_fail_are_found(value: str, found: bool) -> None:
    source = f"import numpy as np\n@task\ndef t():\n    return {value}\n"
    assert lines("XCL006", source) == ([4] if found else [])
