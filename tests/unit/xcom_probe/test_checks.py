"""Checks whose words depend on what else a pod has in its environment."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from xcom_probe import options, runtime
from xcom_probe.checks import Outcome, Skip, provider, settings
from xcom_probe.checks.loaded import Expectation, Loaded
from xcom_probe.model import FAIL, PASS, WARN
from xcom_probe.options import ABSENT, ConfigFile, Option

WANTED = "s3://aws_default@bucket/xcom"
PIP = "_PIP_ADDITIONAL_REQUIREMENTS"


def loaded(environ: Mapping[str, str]) -> Loaded:
    """What a process has loaded, as far as these checks ask, without Airflow."""
    made = Loaded.__new__(Loaded)
    made.expected = Expectation(path=WANTED)
    made.environ = environ
    made.file = ConfigFile("/airflow.cfg", {})
    made.misspelt_env = options.misspelt_env(environ, made.file)
    made.misspelt_file = []
    made.options = dict.fromkeys(options.OPTIONS, Option(None, ABSENT))
    return made


def test_a_misspelt_variable_of_airflows_fails_and_says_it_for_the_option() -> None:
    given = loaded({"AIRFLOW__COMMONIO__XCOM_OBJECTSTORAGE_PATH": WANTED})
    assert settings.env_misspelt(given).status == FAIL
    with pytest.raises(Skip, match="env-misspelt found"):
        settings.compare(given, options.PATH, WANTED)


def test_one_without_the_prefix_warns_and_hides_no_option_that_is_wrong() -> None:
    given = loaded({"XCOM_OBJECTSTORAGE_PATH": "a secret"})
    outcome = settings.env_misspelt(given)
    assert outcome.status == WARN
    assert options.env_name(*options.PATH) in outcome.remedy
    assert "a secret" not in outcome.observed
    assert settings.compare(given, options.PATH, WANTED).status == FAIL


def installed(monkeypatch: pytest.MonkeyPatch, environ: Mapping[str, str], *here: str) -> Outcome:
    packages = {runtime.PROVIDERS[name] for name in here}
    monkeypatch.setattr(runtime, "version", lambda name: "1.7.2" if name in packages else None)
    monkeypatch.setattr(provider, "_findable", lambda _: True)
    return provider.provider_installed(loaded(environ))


@pytest.mark.parametrize(
    ("requirements", "named"),
    [
        ("s3fs", "s3fs"),
        ("s3fs==2024.1 apache-airflow-providers-amazon[s3fs]>=8", "s3fs, apache-airflow-providers"),
        ("--extra-index-url https://user:secret@host/simple s3fs", "s3fs"),
        ("--index-url=https://user:secret@host/simple 's3fs ; python_version>\"3\"'", "s3fs"),
        ("git+https://user:secret@host/s3fs.git s3fs", "s3fs"),
        ("s3fs@https://user:secret@host/s3fs.whl", "s3fs"),
        ("-r /secret/list.txt", "packages"),
        ("unclosed 's3fs", "packages"),
    ],
)
def test_packages_that_a_pod_installs_at_its_start_are_named_as_the_reason(
    monkeypatch: pytest.MonkeyPatch, requirements: str, named: str
) -> None:
    outcome = installed(monkeypatch, {PIP: requirements}, "common.io", "amazon")
    assert outcome.status == FAIL
    assert f"this pod installs {named}" in outcome.observed
    assert PIP in outcome.observed
    assert "secret" not in outcome.observed + outcome.remedy
    assert "image" in outcome.remedy


def test_without_it_the_remedy_says_what_does_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    for environ in ({}, {PIP: ""}):
        outcome = installed(monkeypatch, environ, "common.io", "amazon")
        assert "not installed" in outcome.observed
        assert PIP not in outcome.observed
        assert "at pod startup" in outcome.remedy


def test_packages_that_are_there_pass_whatever_else_a_start_installs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    outcome = installed(monkeypatch, {PIP: "polars"}, "common.io", "amazon", "s3fs")
    assert outcome.status == PASS
