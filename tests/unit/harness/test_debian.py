"""The Debian mirror comes from the machine's own apt."""

from __future__ import annotations

from harness.debian import Source, parse_sources

LISTED = """\
http://mirror.example/debian-security/|bookworm-security|main|Debian
http://mirror.example/debian/|bookworm-updates|main|Debian
http://mirror.example/debian/|bookworm|main|Debian
http://mirror.example/debian/|bookworm|contrib|Debian
http://tools.example/apt|tools|main|Tools Inc.
http://mirror.example/debian/|bookworm|main|Debian
"""


def test_the_plain_suite_comes_first_and_others_origins_are_left_out() -> None:
    assert parse_sources(LISTED) == [
        Source("http://mirror.example/debian", "bookworm", "main"),
        Source("http://mirror.example/debian-security", "bookworm-security", "main"),
        Source("http://mirror.example/debian", "bookworm-updates", "main"),
    ]


def test_lists_that_were_never_fetched_hold_nothing() -> None:
    # apt leaves placeholders that it cannot fill.
    assert parse_sources("http://mirror.example/debian/|bookworm|main|$(ORIGIN)\n\n") == []


def test_a_source_is_written_as_a_line_of_sources_list() -> None:
    source = Source("http://mirror.example/debian", "bookworm", "main")
    assert source.line() == "deb http://mirror.example/debian bookworm main"
