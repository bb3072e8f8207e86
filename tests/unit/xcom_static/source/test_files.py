"""Which files are looked at: as Airflow finds them."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path

import pytest

from xcom_static.errors import InvalidArgumentError
from xcom_static.source.files import GLOB, REGEXP, sources


def tree(root: Path, *names: str) -> Path:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x = 1\n")
    return root


def names(root: Path, syntax: str | None) -> list[str]:
    return [source.name for source in sources(str(root), syntax)]


def test_every_python_file_of_the_folder_is_found_in_order(tmp_path: Path) -> None:
    tree(tmp_path, "b.py", "a.py", "sub/c.py", "notes.txt", "sub/data.json")
    assert names(tmp_path, GLOB) == ["a.py", "b.py", "sub/c.py"]


def test_one_file_can_be_given(tmp_path: Path) -> None:
    tree(tmp_path, "a.py", "b.py")
    assert names(tmp_path / "a.py", None) == ["a.py"]


def test_a_folder_that_is_not_there_is_wrong_use(tmp_path: Path) -> None:
    with pytest.raises(InvalidArgumentError, match="nowhere"):
        names(tmp_path / "nowhere", GLOB)


@pytest.mark.parametrize("lines", ["", "*.py"])
def test_a_folder_without_a_file_to_look_at_is_no_clean_one(tmp_path: Path, lines: str) -> None:
    tree(tmp_path, "notes.txt", *(["left_out.py"] if lines else []))
    (tmp_path / ".airflowignore").write_text(lines)
    with pytest.raises(InvalidArgumentError, match="contains no Python file"):
        names(tmp_path, GLOB)


@pytest.mark.parametrize(
    ("syntax", "lines", "left"),
    [
        (GLOB, "skip.py", ["keep.py", "lib/deep/a.py", "lib/util.py"]),
        (GLOB, "lib/", ["keep.py", "skip.py"]),
        (GLOB, "lib/*.py", ["keep.py", "lib/deep/a.py", "skip.py"]),
        (GLOB, "/skip.py", ["keep.py", "lib/deep/a.py", "lib/skip.py", "lib/util.py"]),
        (GLOB, "**/a.py\n# all of it", ["keep.py", "lib/skip.py", "lib/util.py", "skip.py"]),
        (GLOB, "*.py\n!keep.py", ["keep.py"]),
        (GLOB, "lib/**", ["keep.py", "skip.py"]),
        (REGEXP, "skip", ["keep.py", "lib/deep/a.py", "lib/util.py"]),
        (REGEXP, "^skip", ["keep.py", "lib/deep/a.py", "lib/skip.py", "lib/util.py"]),
        (REGEXP, "lib/d.*", ["keep.py", "lib/skip.py", "lib/util.py", "skip.py"]),
        (REGEXP, "[", ["keep.py", "lib/deep/a.py", "lib/skip.py", "lib/util.py", "skip.py"]),
    ],
)
def test_the_ignore_file_leaves_out_what_it_names(
    tmp_path: Path, syntax: str, lines: str, left: list[str]
) -> None:
    tree(tmp_path, "keep.py", "skip.py", "lib/util.py", "lib/deep/a.py")
    if "lib/skip.py" in left:
        tree(tmp_path, "lib/skip.py")
    (tmp_path / ".airflowignore").write_text(lines + "\n")
    assert names(tmp_path, syntax) == left


def test_an_ignore_file_in_a_folder_counts_below_it_only(tmp_path: Path) -> None:
    tree(tmp_path, "a.py", "one/a.py", "one/b.py", "two/a.py")
    (tmp_path / "one" / ".airflowignore").write_text("a.py\n")
    assert names(tmp_path, GLOB) == ["a.py", "one/b.py", "two/a.py"]


def test_an_ignore_file_is_never_read_by_a_guess(tmp_path: Path) -> None:
    tree(tmp_path, "a.py")
    (tmp_path / ".airflowignore").write_text("b.py\n")
    with pytest.raises(InvalidArgumentError, match="--ignore-syntax"):
        names(tmp_path, None)


def test_of_an_archive_the_modules_at_its_top_are_looked_at(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "packed.zip", "w") as archive:
        archive.writestr("dag.py", "x = 1\n")
        archive.writestr("vendored/lib.py", "x = 1\n")
    assert [(item.name, item.data) for item in sources(str(tmp_path), GLOB)] == [
        ("packed.zip/dag.py", b"x = 1\n")
    ]


def test_a_damaged_archive_is_named_and_the_rest_is_looked_at(tmp_path: Path) -> None:
    tree(tmp_path, "a.py")
    with zipfile.ZipFile(tmp_path / "packed.zip", "w") as archive:
        archive.writestr("dag.py", "x = 1\n" * 100)
    content = bytearray((tmp_path / "packed.zip").read_bytes())
    content[60:70] = b"\0" * 10
    (tmp_path / "packed.zip").write_bytes(bytes(content))
    found = {item.name: item.problem for item in sources(str(tmp_path), GLOB)}
    assert found["a.py"] == ""
    assert "cannot be read" in found["packed.zip"]


def test_a_mounted_config_map_is_looked_at_once(tmp_path: Path) -> None:
    """Its files are links into a folder that a link names, too."""
    tree(tmp_path, "..2024/a.py")
    (tmp_path / "..data").symlink_to("..2024")
    (tmp_path / "a.py").symlink_to("..data/a.py")
    assert len(names(tmp_path, GLOB)) == 1


def test_a_loop_of_links_ends(tmp_path: Path) -> None:
    tree(tmp_path, "sub/a.py")
    (tmp_path / "sub" / "again").symlink_to(tmp_path)
    assert names(tmp_path, GLOB) == ["sub/a.py"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read_is_named(tmp_path: Path) -> None:
    tree(tmp_path, "a.py")
    (tmp_path / "a.py").chmod(0)
    assert "cannot be read" in next(iter(sources(str(tmp_path), GLOB))).problem
