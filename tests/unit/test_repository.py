"""Guards the house rules of CONTRIBUTING.md that concern files rather than code."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from xcom_rollout import __version__

ROOT = Path(__file__).resolve().parents[2]


def dotted(*labels: str) -> str:
    """A host name, put together here so that this file does not contain it."""
    return ".".join(labels)


def folder(*names: str) -> str:
    """A path below the root folder, put together for the same reason."""
    return "".join(f"/{name}" for name in names) + "/"


# Where packages and images come from is a matter of the machine, not of the project.
REGISTRY_HOSTS = (
    dotted("pypi", "org"),
    dotted("pythonhosted", "org"),
    dotted("proxy", "golang", "org"),
    dotted("sum", "golang", "org"),
    dotted("registry", "npmjs", "org"),
    dotted("deb", "debian", "org"),
    dotted("security", "debian", "org"),
    dotted("crates", "io"),
)
MACHINE_PATHS = (
    folder("work", "main"),
    folder("work", "shared"),
    folder("tmp", "brief"),
    folder("root", ".pyenv"),
    folder("root", ".cache", "xcom-rollout"),
)
# A home folder of a named person; /home/airflow is the official Airflow image's own user.
HOME = re.compile(r"/(?:home|Users)/(?!airflow\b)[a-z][\w.-]*/")


def tracked_files() -> list[Path]:
    """Files that git tracks or would track, as absolute paths; deleted ones are left out."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    return [path for name in listed.split("\0") if name and (path := ROOT / name).is_file()]


def tracked_text() -> Iterator[tuple[Path, int, str]]:
    """Each line of each tracked text file, with its number from 1."""
    for path in tracked_files():
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        for number, line in enumerate(text.splitlines(), start=1):
            yield path.relative_to(ROOT), number, line


@pytest.fixture(scope="module")
def lines() -> list[tuple[Path, int, str]]:
    found = list(tracked_text())
    assert len(found) > 1000, "git lists too few files: these tests would prove nothing"
    return found


def test_no_tracked_file_names_a_registry_host(lines: list[tuple[Path, int, str]]) -> None:
    found = [
        f"{path}:{number}: {host}"
        for path, number, line in lines
        for host in REGISTRY_HOSTS
        if host in line
    ]
    assert found == []


def test_no_tracked_file_names_a_path_of_a_machine(lines: list[tuple[Path, int, str]]) -> None:
    found = [
        f"{path}:{number}: {line.strip()[:120]}"
        for path, number, line in lines
        if any(needle in line for needle in MACHINE_PATHS) or HOME.search(line)
    ]
    assert found == []


def test_pins_have_versions_and_hashes_and_no_addresses() -> None:
    for path in sorted((ROOT / "requirements").glob("*.txt")):
        text = path.read_text(encoding="utf-8")
        assert "://" not in text, path.name
        assert not re.search(r"^\s*(-i|--index|--extra-index|--find-links)", text, re.M), path.name
        entries = re.split(r"\n(?=\S)", text.strip())
        assert len(entries) > 10, path.name
        for entry in entries:
            assert re.match(r"[a-z0-9-]+(\[[a-z,]+\])?==\S+", entry), f"{path.name}: {entry[:80]}"
            assert "--hash=sha256:" in entry, f"{path.name}: {entry[:80]}"


def test_the_shipped_pins_are_the_tested_pins() -> None:
    def pins(name: str) -> dict[str, str]:
        text = (ROOT / "requirements" / name).read_text(encoding="utf-8")
        return dict(re.findall(r"^([a-z0-9-]+)==(\S+)", text, re.M))

    runtime, dev = pins("runtime.txt"), pins("dev.txt")
    assert runtime
    assert {name: dev.get(name) for name in runtime} == runtime


def test_nothing_shadows_the_standard_library_operator() -> None:
    found = [
        str(path.relative_to(ROOT))
        for path in tracked_files()
        if path.name == "__init__.py" and path.parent.name == "operator"
    ]
    assert found == []


def test_no_lock_file_that_records_addresses() -> None:
    names = {path.name for path in tracked_files()}
    assert names.isdisjoint({"uv.lock", "pylock.toml", "poetry.lock", "Pipfile.lock"})


def test_no_tracked_file_is_large() -> None:
    found = [
        f"{path.relative_to(ROOT)}: {path.stat().st_size} bytes"
        for path in tracked_files()
        if path.stat().st_size > 2 * 1024 * 1024
    ]
    assert found == []


def test_license_is_the_whole_apache_2() -> None:
    text = (ROOT / "LICENSE").read_text(encoding="utf-8")
    assert "Apache License" in text
    assert "Version 2.0, January 2004" in text
    assert "9. Accepting Warranty or Additional Liability" in text
    assert "END OF TERMS AND CONDITIONS" in text


def test_changelog_has_an_unreleased_section() -> None:
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert re.search(r"^## \[Unreleased\]$", text, re.M)


def test_every_make_target_is_documented() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    phony = set(re.findall(r"^\.PHONY: (\S+)$", makefile, re.M))
    targets = set(re.findall(r"^([a-z][\w-]*):(?!=)", makefile, re.M))
    documented = set(re.findall(r"^([a-z][\w-]*):.* ## \S", makefile, re.M))
    assert len(targets) > 10
    assert targets == documented == phony

    listed = subprocess.run(
        ["make", "help"], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout
    assert set(re.findall(r"^  ([a-z][\w-]*) ", listed, re.M)) == targets


def test_ci_and_hooks_run_what_developers_run() -> None:
    assert "make test" in (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    workflow = (ROOT / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8")
    assert "run: bash .ci/run" in workflow
    hooks = (ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8")
    assert set(re.findall(r"- repo: (\S+)", hooks)) == {"local"}


def test_each_package_tells_type_checkers_that_it_has_types() -> None:
    packages = [file.parent for file in (ROOT / "operator").glob("*/__init__.py")]
    assert len(packages) >= 5
    assert [folder.name for folder in packages if not (folder / "py.typed").is_file()] == []


def test_actions_are_pinned_by_commit_with_their_version_beside() -> None:
    used = [
        line.strip().removeprefix("- ")
        for file in (ROOT / ".github" / "workflows").glob("*.yml")
        for line in file.read_text().splitlines()
        if "uses:" in line and "uses: ./" not in line
    ]
    assert used
    pinned = re.compile(r"uses: [\w-]+/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+")
    assert [line for line in used if not pinned.fullmatch(line)] == []


def test_the_chart_and_the_distribution_have_one_version() -> None:
    chart = yaml.safe_load((ROOT / "charts/xcom-rollout/Chart.yaml").read_text())
    assert (chart["version"], chart["appVersion"]) == (__version__, __version__)
