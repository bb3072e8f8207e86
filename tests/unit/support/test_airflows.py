"""The versions of Airflow that the probe's tests know."""

from __future__ import annotations

import re

import pytest

from harness.paths import REPO
from harness.pythons import SUITES
from harness.shell import HarnessError
from probe_world import AIRFLOWS, DEFAULT_AIRFLOW, installed, select


@pytest.mark.parametrize("version", AIRFLOWS)
def test_requirements_are_compiled_for_the_version_and_its_python(version: str) -> None:
    source = (REPO / "tests" / "airflows" / f"{version}.in").read_text()
    pythons = re.findall(r"--python-version (\S+)", source)
    assert pythons == [AIRFLOWS[version]]
    assert AIRFLOWS[version] in SUITES
    assert installed(version, "apache-airflow") == version


def test_no_requirements_are_left_of_a_version_that_is_not_tested() -> None:
    files = (REPO / "tests" / "airflows").glob("*.in")
    assert {file.stem for file in files} == set(AIRFLOWS)


def test_versions_are_chosen_by_minor_or_in_full_in_their_own_order() -> None:
    assert select("3.3,2.9.3") == ["2.9.3", "3.3.2"]
    assert select("2.11, 2.11.2") == [DEFAULT_AIRFLOW]
    assert select("all") == list(AIRFLOWS)


@pytest.mark.parametrize("asked", ["2.8", "2.9,", "", "2"])
def test_a_version_that_is_not_there_is_named(asked: str) -> None:
    with pytest.raises(HarnessError, match=r"use all, or some of 2\.9\.3, "):
        select(asked)
