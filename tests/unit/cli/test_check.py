"""What `xbr check` prints, and the rollout that it writes."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from simulation import START, Simulation
from xcom_rollout.api.parse import parse_spec
from xcom_rollout.cli import main
from xcom_rollout.cli.check import as_data, render, starting_text
from xcom_rollout.cli.session import Unreachable
from xcom_rollout.cli.starting import to_yaml
from xcom_rollout.decide.check import Group, Installed, Part, Row
from xcom_rollout.decide.check.installed import Record, WebOptions, WebService
from xcom_rollout.decide.check.starting import Start, comments, manifest
from xcom_rollout.decide.observed import Rival

RECORD = Record(airflow_version="3.0.2")
INSTALLED = Installed(
    Simulation([]).observe(),
    record=RECORD,
    services=(WebService("airflow-api-server", "api-server", 8443, https=True),),
    web=WebOptions(
        api_base_url=frozenset({"https://example.org/airflow"}),
        auth_manager=frozenset({"my.Manager"}),
    ),
)
GOOD = Row(Group.SUPPORTED, "executor", "KubernetesExecutor")
LATER = Row(Group.LATER, "inside the pods", "two Jobs look", reason="ProofFailed")
BAD = Row(Group.CHANGE, "readers", "it is paused", "resume it", "PodsWouldNotRoll")
UNSEEN = Row(Group.UNKNOWN, "REST API", "unknown: needs list services")


def test_rows_are_told_by_group_with_the_reason_the_remedy_and_a_verdict() -> None:
    text = "\n".join(render(INSTALLED, [BAD, GOOD, LATER, UNSEEN]))
    parts = (
        "your permissions",
        "Supported",
        "Change first",
        "Checked later by the proof",
        "Unknown",
    )
    places = [text.index(part) for part in parts]
    assert places == sorted(places)
    assert "it is paused (PodsWouldNotRoll). To do: resume it" in text
    assert text.endswith("Not yet: 1 thing must change first.")


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        ([GOOD, LATER], "Supported, as far as the configuration shows."),
        ([BAD, BAD], "Not yet: 2 things must change first."),
        ([GOOD, UNSEEN], "Unknown: nothing that could be read prevents a rollout"),
    ],
)
def test_the_last_lines_are_the_verdict(rows: list[Row], says: str) -> None:
    assert says in " ".join("\n".join(render(INSTALLED, rows)).split())


def test_json_is_the_same_as_data() -> None:
    data = as_data(INSTALLED, [GOOD, BAD])
    assert data["verdict"] == "change-first"
    assert data["rows"][1] == {
        "group": "Change first",
        "subject": "readers",
        "found": "it is paused",
        "reason": "PodsWouldNotRoll",
        "remedy": "resume it",
    }
    json.dumps(data)


def test_the_rollout_is_valid_and_says_what_is_to_be_filled_in() -> None:
    text = starting_text(INSTALLED, "base.airflow")
    written = yaml.safe_load(text)
    spec = parse_spec(written["spec"])
    api = spec.airflow.api
    assert (api.service, api.port, api.scheme, api.path) == (
        *("airflow-api-server", 8443, "https"),
        "/airflow",
    )
    assert api.login is not None
    assert api.login.type == "Bearer"
    assert spec.delivery.helm.values_path == "base.airflow"
    assert text.count("FILL IN") == 3
    assert written["metadata"] == {"name": "airflow", "namespace": "airflow"}


def test_a_release_that_has_a_rollout_is_told_so_above_the_new_one() -> None:
    """They may have one name, and an apply would change the one that is there."""
    assert "Do not apply" not in starting_text(INSTALLED, None)
    observed = replace(INSTALLED.observed, rivals=(Rival("airflow", START),))
    text = starting_text(replace(INSTALLED, observed=observed), None)
    assert "the rollout airflow already exists for this release" in text.replace("\n# ", " ")
    parse_spec(yaml.safe_load(text)["spec"])


def test_every_comment_stands_above_a_field() -> None:
    start = Start("r", "n", "airflow", "1.16.0", "base")
    text = to_yaml(manifest(start), comments(start))
    assert "FILL IN: the Service of" in text
    for comment in comments(start).values():
        assert comment in " ".join(text.replace("# ", "").split())


def test_yaml_that_comes_back_as_it_went_in() -> None:
    value = {"a": {"b": "1048576", "c": "1.16", "d": "no", "e": True, "f": 7, "g": "s3://c@b/x"}}
    assert yaml.safe_load(to_yaml(value, {}, head="for people: # all of them")) == value


def test_the_repository_is_known_of_airflows_own_chart_alone() -> None:
    for name, repository in (("airflow", "https://airflow.apache.org"), ("platform", "CHANGE-ME")):
        chart = manifest(Start("r", "n", name, "1"))["spec"]["delivery"]["helm"]["chart"]
        assert repository in chart["repository"]


def test_a_long_name_of_a_release_makes_a_valid_name_of_a_rollout() -> None:
    name = manifest(Start("r" * 39 + ".x", "n", "c", "1"))["metadata"]["name"]
    assert name == "r" * 39


def test_without_the_release_no_rollout_can_be_written() -> None:
    unseen = replace(
        INSTALLED,
        observed=replace(INSTALLED.observed, release=None),
        unseen=frozenset({Part.RELEASE}),
    )
    with pytest.raises(Unreachable, match="permission to list and get secrets"):
        starting_text(unseen, None)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("No_Name",), "that helm list prints"),
        (("airflow", "--values-path", "a b"), "--values-path: 'a b' is not a path of keys"),
        (("airflow", "--force"), "--force requires --write FILE"),
        (("airflow", "--write", "x" * 300), "File name too long"),
    ],
)
def test_wrong_use_is_told_before_anybody_is_asked(words: tuple[str, ...], says: str) -> None:
    result = CliRunner().invoke(main, ["check", *words])
    assert result.exit_code == 2
    assert says in " ".join(result.output.split())


def test_a_file_that_is_there_is_not_replaced(tmp_path: Path) -> None:
    file = tmp_path / "rollout.yaml"
    file.write_text("mine")
    result = CliRunner().invoke(main, ["check", "airflow", "--write", str(file)])
    assert result.exit_code == 2
    assert "replace it with --force" in result.output
    assert file.read_text() == "mine"
