"""XCL003."""

from __future__ import annotations

import pytest

from lint_cases import lines


@pytest.mark.parametrize(
    ("tags", "found"),
    [
        ('make_tags("a", build=dag_build_info()["champollion_sha_short"])', False),
        ('["a", f"build={dag_build_info()}"]', False),
        ('["a", *make_tags(build="x")]', False),
        ('make_tags("a")', True),
        ('["a", "rebuild=1"]', True),
        ("[]", True),
    ],
)
def test_tags_need_a_build(tags: str, found: bool) -> None:
    source = f"@dag(tags={tags})\ndef d(): ...\n"
    assert bool(lines("XCL003", source)) is found
    by_name = f"TAGS = {tags}\n@dag(tags=TAGS)\ndef d(): ...\n"
    assert bool(lines("XCL003", by_name)) is found


def test_no_tags_at_all_are_found() -> None:
    assert lines("XCL003", "@dag()\ndef d(): ...\n") == [2]
