"""The hashes that decide whether something is built again."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.paths import content_hash, files_of


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "one").write_text("1")
    (tmp_path / "two").write_text("2")
    return tmp_path


def test_same_content_has_the_same_hash_anywhere(
    tree: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    other = tmp_path_factory.mktemp("other")
    (other / "a").mkdir()
    (other / "two").write_text("2")
    (other / "a" / "one").write_text("1")
    assert content_hash([tree], relative_to=tree) == content_hash([other], relative_to=other)


def test_order_of_paths_does_not_matter(tree: Path) -> None:
    paths = [tree / "a", tree / "two"]
    assert content_hash(paths, relative_to=tree) == content_hash(paths[::-1], relative_to=tree)


def test_bytes_names_run_bits_and_extras_each_count(tree: Path) -> None:
    seen = [content_hash([tree], relative_to=tree)]
    (tree / "two").write_text("3")
    seen.append(content_hash([tree], relative_to=tree))
    (tree / "two").rename(tree / "three")
    seen.append(content_hash([tree], relative_to=tree))
    (tree / "three").chmod(0o755)
    seen.append(content_hash([tree], relative_to=tree))
    seen.append(content_hash([tree], ["go1.26"], relative_to=tree))
    assert len(set(seen)) == len(seen)


def test_caches_of_python_tools_do_not_count(tree: Path) -> None:
    before = content_hash([tree], relative_to=tree)
    (tree / "a" / "__pycache__").mkdir()
    (tree / "a" / "__pycache__" / "x.cpython-311.pyc").write_text("")
    (tree / "b.pyc").write_text("")
    assert content_hash([tree], relative_to=tree) == before


def test_a_missing_path_is_an_error(tree: Path) -> None:
    with pytest.raises(FileNotFoundError, match="nowhere"):
        files_of(tree / "nowhere")
