"""What the verbs check before they change anything, and what plan says."""

import json
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import click
import pytest
import yaml
from click.testing import CliRunner

from xcom_rollout.api.names import ANNOTATION_KILL
from xcom_rollout.cli import main, resume
from xcom_rollout.cli.attest import validity
from xcom_rollout.cli.follow import ticking
from xcom_rollout.cli.plan import InvalidSpec, read_declared
from xcom_rollout.cli.session import Unreachable

ROOT = Path(__file__).resolve().parents[3]
DEMO = (ROOT / "docs/examples/demo.yaml").read_text()
REQUEST = '{"by": "ana", "at": "2026-01-01T12:00:00Z", "reason": "test"}'
FINISHED = {
    "attempt": 1,
    "engagedAt": "2026-01-01T12:00:01Z",
    "finishedAt": "2026-01-01T12:00:30Z",
}


def rollout(**changes: Any) -> dict[str, Any]:
    declared = yaml.safe_load(DEMO)
    metadata = declared["metadata"] | {"generation": 1, "annotations": {ANNOTATION_KILL: REQUEST}}
    return dict(declared | {"metadata": metadata, "status": {"killSwitch": FINISHED}} | changes)


def test_help_names_every_verb_and_the_exit_codes() -> None:
    result = CliRunner().invoke(main, ["--help"])
    assert result.exit_code == 0
    for word in ("attest", "crd", "kill", "plan", "resume", "status", "Exit codes"):
        assert word in result.output


@pytest.mark.parametrize("arguments", [["-o", "json", "crd"], ["crd", "-o", "json"]])
def test_common_options_stand_before_or_after_the_verb(arguments: list[str]) -> None:
    result = CliRunner().invoke(main, arguments)
    assert json.loads(result.output)["kind"] == "CustomResourceDefinition"


def test_crd_prints_the_file_that_is_checked_in() -> None:
    printed = CliRunner().invoke(main, ["crd"]).output
    assert printed == (ROOT / "crds/xcombackendrollouts.yaml").read_text()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["kill", "demo"], "--reason"),
        (["kill", "demo", "--reason", " "], "--reason is empty"),
        (["kill", "demo", "--reason", "x", "--strategy", "Slow"], "'Slow' is not one of"),
        (["kill", "demo", "--reason", "x", "--timeout", "5m"], "--timeout requires --wait"),
        (["kill", "demo", "--reason", "x", "--wait", "--timeout", "5"], "'5' is not a duration"),
        (["kill", "demo", "--dry-run", "--wait"], "--dry-run and --wait exclude each other"),
        (["attest", "demo"], "--evidence"),
        (["attest", "demo", "--evidence", ""], "--evidence is empty"),
        (["attest", "demo", "--evidence", "x", "--valid-for", "soon"], "'soon' is not a duration"),
        (["plan"], "give either the NAME of a rollout or -f FILE"),
        (["plan", "demo", "-f", str(ROOT / "docs/examples/demo.yaml")], "give either the NAME"),
        (["status"], "NAME"),
        (["explode"], "explode"),
    ],
)
def test_wrong_use_exits_with_2_and_says_what_to_give(arguments: list[str], message: str) -> None:
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 2
    assert message in result.output


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: [", "is not valid YAML"),
        ("kind: ConfigMap", "contains 0 objects of kind XComBackendRollout"),
        (f"{DEMO}\n---\n{DEMO}", "contains 2 objects"),
        (DEMO.replace("v1alpha1", "v9"), "this xbr supports xcomrollout.dev/v1alpha1"),
        (DEMO.replace("name: demo", "label: demo"), "metadata.name is required"),
    ],
)
def test_a_file_without_one_rollout_is_refused(text: str, message: str) -> None:
    with pytest.raises(InvalidSpec, match=message):
        read_declared(text, "FILE")


def test_other_objects_of_a_file_are_passed_over() -> None:
    text = f"apiVersion: v1\nkind: Namespace\nmetadata: {{name: airflow}}\n---\n{DEMO}"
    assert read_declared(text, "FILE")["metadata"]["name"] == "demo"


def test_plan_refuses_an_invalid_spec_before_it_asks_the_cluster(tmp_path: Path) -> None:
    file = tmp_path / "rollout.yaml"
    file.write_text(DEMO.replace('"1048576"', "1MB"))
    result = CliRunner(env={"KUBECONFIG": "/nowhere"}).invoke(main, ["plan", "-f", str(file)])
    assert result.exit_code == 2
    assert 'spec.threshold.bytes: "1MB" is not a whole number of bytes' in result.output


def test_a_finished_kill_may_be_taken_back() -> None:
    resume.check(rollout())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        pytest.param(
            lambda r: r["spec"]["killSwitch"].update(engaged=True),
            "set it to false where the spec is stored",
            id="declared in the spec",
        ),
        pytest.param(
            lambda r: r["metadata"].update(annotations={}),
            "there is nothing to withdraw",
            id="none",
        ),
        pytest.param(
            lambda r: r.update(status={"killSwitch": {**FINISHED, "finishedAt": None}}),
            "has not finished",
            id="going on",
        ),
        pytest.param(lambda r: r.pop("status"), "has not finished", id="not seen yet"),
        pytest.param(
            lambda r: r["metadata"]["annotations"].update(
                {ANNOTATION_KILL: REQUEST.replace("T12:00", "T13:00")}
            ),
            "has not finished",
            id="the finished one was an earlier one",
        ),
    ],
)
def test_resume_is_refused(change: Callable[[dict[str, Any]], object], message: str) -> None:
    raw = rollout()
    change(raw)
    with pytest.raises(resume.Refused, match=message) as caught:
        resume.check(raw)
    assert caught.value.exit_code == 1


def test_what_follows_a_rollout_is_asked_each_second_though_nothing_changes() -> None:
    going = threading.Event()

    def changes() -> Iterator[dict[str, Any]]:
        yield {"number": 1}
        going.wait(30)
        yield {"number": 2}
        raise Unreachable("gone")

    seen = ticking(changes(), 0.01)
    assert [next(seen), next(seen), next(seen)] == [{"number": 1}] * 3
    going.set()
    assert any(item == {"number": 2} for item in seen)
    with pytest.raises(Unreachable, match="gone"):
        list(seen)


def test_an_attestation_is_valid_for_as_long_as_the_rollout_allows() -> None:
    assert validity(rollout(), None) == timedelta(hours=720)
    assert validity(rollout(), timedelta(hours=1)) == timedelta(hours=1)
    with pytest.raises(
        click.UsageError, match=r"longer than spec\.rehearsal\.maxAge.*at most 720h"
    ):
        validity(rollout(), timedelta(hours=721))
