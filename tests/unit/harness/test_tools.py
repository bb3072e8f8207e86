"""Go programs: which Go may build them, and that every wrapper module pins what it builds."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from harness import tools
from harness.paths import GOTOOLS
from harness.shell import HarnessError
from harness.tools import KUBERNETES_VERSION, TOOLS, ensure, parse_go_version


@pytest.mark.parametrize(
    ("text", "numbers"),
    [("go1.26.8", (1, 26, 8)), ("1.26", (1, 26, 0)), ("go1.27rc1", (1, 27, 0))],
)
def test_go_versions_are_compared_as_numbers(text: str, numbers: tuple[int, ...]) -> None:
    assert parse_go_version(text) == numbers


def test_something_else_than_a_go_version_is_refused() -> None:
    with pytest.raises(HarnessError, match="devel"):
        parse_go_version("devel")


def test_an_unknown_tool_is_refused_with_the_known_ones() -> None:
    with pytest.raises(HarnessError, match=r"'kubctl'.*kubectl"):
        ensure(["kubctl"])


@pytest.mark.parametrize("module", sorted({tool.module for tool in TOOLS.values()}))
def test_every_wrapper_module_pins_what_it_builds(module: str) -> None:
    text = (GOTOOLS / module / "go.mod").read_text()
    for tool in TOOLS.values():
        if tool.module == module and tool.package != ".":
            assert tool.package in text
    if "require" in text:
        assert (GOTOOLS / module / "go.sum").stat().st_size > 0


def test_the_kubernetes_module_has_the_version_that_its_programs_report() -> None:
    text = (GOTOOLS / "kubernetes" / "go.mod").read_text()
    assert f"k8s.io/kubernetes {KUBERNETES_VERSION} " in text
    staging = set(re.findall(r"=> k8s\.io/\S+ (v\S+)", text))
    assert staging == {KUBERNETES_VERSION.replace("v1.", "v0.")}


def test_a_program_that_is_asked_for_twice_is_built_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    built: list[str] = []
    monkeypatch.setattr(
        tools, "_build", lambda _module, wanted, _paths: built.extend(t.name for t in wanted)
    )
    tools.ensure(["kubectl", "pause", "kubectl", "kubelet"])
    assert sorted(built) == ["kubectl", "kubelet", "pause"]
