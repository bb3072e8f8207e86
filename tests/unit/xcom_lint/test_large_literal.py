"""XCL008."""

from __future__ import annotations

import pytest

from lint_cases import lines

TABLE = "[" + ", ".join(str(number) for number in range(1000)) + "]"


@pytest.mark.parametrize(
    ("body", "found"),
    [
        (f"return {TABLE}", True),
        (f"x = {TABLE}\n    return x", True),
        ("return TABLE", True),
        (f"ti.xcom_push('k', {TABLE})", True),
        (f"x = {TABLE}\n    return len(x)", False),
        ("return [1, 2, 3]", False),
        (f"def inner():\n        return {TABLE}\n    return 1", False),
    ],
)
def test_literals_of_a_size_on_their_way_into_xcom(body: str, found: bool) -> None:
    source = f"TABLE = {TABLE}\n@task\ndef t(ti=None):\n    {body}\n"
    assert bool(lines("XCL008", source, large_literal_bytes=2000)) is found
    assert lines("XCL008", source, large_literal_bytes=20000) == []


def test_literals_over_several_lines_are_measured_whole() -> None:
    rows = ",\n".join(f'    "{number:04}"' for number in range(100))
    source = f"@task\ndef t():\n    return [\n{rows}\n]\n"
    assert lines("XCL008", source, large_literal_bytes=1000) == [3]
    assert lines("XCL008", source, large_literal_bytes=1300) == []
