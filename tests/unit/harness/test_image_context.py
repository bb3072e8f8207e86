"""What an image declares, and when it is built again."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from harness import tools
from harness.image_context import image_key, image_names, read_context
from harness.paths import IMAGES, REPO
from harness.shell import HarnessError


@pytest.fixture(autouse=True)
def _no_go_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    # A tool's key asks Go for its version; what is tested here is that the key counts.
    monkeypatch.setattr(tools, "tool_key", lambda name: f"{name}-key-1")


@pytest.fixture
def images(tmp_path: Path) -> Path:
    add(tmp_path, "base", 'base = "debian"\n')
    add(tmp_path, "app", 'base = "base"\npaths = ["LICENSE"]\ntools = ["helm"]\n')
    return tmp_path


def add(images: Path, name: str, declaration: str | None) -> None:
    (images / name).mkdir()
    (images / name / "Containerfile").write_text(f"FROM scratch\nLABEL name={name}\n")
    if declaration is not None:
        (images / name / "context.toml").write_text(declaration)


def test_a_declaration_is_read(images: Path) -> None:
    context = read_context("app", images)
    assert (context.base, context.paths, context.tools) == ("base", ("LICENSE",), ("helm",))
    assert REPO / "LICENSE" in context.files()


def test_without_a_declaration_the_folder_is_all(images: Path) -> None:
    add(images, "plain", None)
    context = read_context("plain", images)
    assert context.base is None
    assert [file.name for file in context.files()] == ["Containerfile"]


def test_the_context_holds_folder_paths_and_tools(
    images: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path_factory.mktemp("context")
    program = tmp_path_factory.mktemp("bin") / "helm"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    monkeypatch.setattr(tools, "ensure", lambda names: dict.fromkeys(names, program))
    read_context("app", images).write(target)
    found = {file.relative_to(target).as_posix() for file in target.rglob("*") if file.is_file()}
    assert found == {"Containerfile", "context.toml", "repo/LICENSE", "bin/helm"}
    assert (target / "bin/helm").stat().st_mode & 0o100


def test_an_image_is_built_from_a_file_of_the_repository_where_it_says_so(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path_factory.mktemp("bin") / "helm"
    program.write_text("")
    monkeypatch.setattr(tools, "ensure", lambda names: dict.fromkeys(names, program))
    target = tmp_path_factory.mktemp("context")
    operator = read_context("operator", IMAGES)
    operator.write(target)
    assert REPO / "Dockerfile" in operator.files()
    dockerfile = (REPO / "Dockerfile").read_text()
    assert (target / "Containerfile").read_text() == dockerfile
    for copied in re.findall(r"^COPY \$\{SOURCE\}/(\S+)", dockerfile, re.MULTILINE):
        assert (REPO / copied).exists(), copied


def test_the_key_changes_with_the_folder_the_base_the_tools_and_the_builder(
    images: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = [image_key("app", images, "buildah"), image_key("app", images, "docker")]
    monkeypatch.setattr(tools, "tool_key", lambda name: f"{name}-key-2")
    keys.append(image_key("app", images, "buildah"))
    (images / "base" / "Containerfile").write_text("FROM scratch\n")
    keys.append(image_key("app", images, "buildah"))
    (images / "app" / "start.sh").write_text("echo\n")
    keys.append(image_key("app", images, "buildah"))
    assert len(set(keys)) == len(keys)
    assert image_key("app", images, "buildah") == keys[-1]


@pytest.mark.parametrize(
    ("declaration", "message"),
    [
        ("bse = 'base'", "unknown key 'bse'"),
        ("base = 3", "base is 3"),
        ("paths = 'LICENSE'", "paths is 'LICENSE'"),
        ("paths = ['no/such/file']", "no/such/file"),
        ("paths = ['../outside']", "../outside"),
        ("tools = ['terraform']", "terraform"),
        ("tools = [1]", r"tools is \[1\]"),
        ("base = ", "context.toml"),
        ("containerfile = 'no/such/Containerfile'", "no/such/Containerfile"),
        ("arguments = {HELM = 3}", "arguments is {'HELM': 3}"),
    ],
)
def test_a_wrong_declaration_is_refused_by_name(
    images: Path, declaration: str, message: str
) -> None:
    add(images, "wrong", declaration)
    with pytest.raises(HarnessError, match=message):
        read_context("wrong", images)


def test_an_unknown_image_is_refused_with_the_known_ones(images: Path) -> None:
    with pytest.raises(HarnessError, match=r"unknown image 'ap'.*known: app, base"):
        read_context("ap", images)


def test_images_that_are_each_others_base_are_refused(images: Path) -> None:
    add(images, "hen", 'base = "egg"')
    add(images, "egg", 'base = "hen"')
    with pytest.raises(HarnessError, match="hen -> egg -> hen"):
        image_key("hen", images, "buildah")


@pytest.mark.parametrize("name", image_names(IMAGES))
def test_every_image_of_this_repository_declares_what_exists(name: str) -> None:
    assert image_key(name, IMAGES, "buildah")
