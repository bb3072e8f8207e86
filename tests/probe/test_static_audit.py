"""The static audit beside a real Airflow: its table of effects, the settings and packages there."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from harness.packages import fetch
from harness.paths import REPO
from probe_world import Environment, Pod, installed
from xcom_static.audit import engine
from xcom_static.audit.effects import Target, code, version
from xcom_static.audit.sarif import sarif
from xcom_static.source.files import GLOB, Source, sources

pytestmark = [pytest.mark.airflow, pytest.mark.every_airflow]

SNIPPETS = REPO / "tests/unit/xcom_static/snippets"
PROGRAM = Path(__file__).with_name("measure_effects.py")
LETTERS = {"ok": ".", "drifts": "D", "fails": "F"}
# Reported by rules of their own, not by the table: see `effects.effect` and the tests below.
BY_RULE = {"json-str", "digits-str", "dataframe", "nested-dataframe", "dataclass", "attrs"}
# Equal to what was written, of another class: not worth a finding.
SUBCLASSES = {"defaultdict", "counter", "ordereddict"}
# The names by which the table knows what was measured.
NAMES = {
    "inf": "nan",
    "none-keys": "int-keys",
    "bool-keys": "int-keys",
    "float-keys": "int-keys",
    "df-to-dict": "int-keys",
    "date-keys": "tuple-keys",
    "np-int-keys": "tuple-keys",
    "dict-of-tuple": "nested-tuple",
    "list-of-ndarray": "ndarray",
    "np-list-float64": "np-float64",
}


@pytest.fixture(scope="session")
def measured(airflow: Environment) -> dict[str, str]:
    """Three letters for each kind of value, as `effects` writes them."""
    with PROGRAM.open() as program:
        done = subprocess.run(
            [airflow.python, "-"], stdin=program, capture_output=True, text=True, check=False
        )
    assert done.returncode == 0, done.stderr[-3000:]
    effects: dict[str, list[str]] = json.loads(done.stdout)["effects"]
    return {
        kind: "".join(LETTERS[answer.partition(":")[0]] for answer in answers)
        for kind, answers in effects.items()
    }


def test_the_table_of_effects_is_what_this_airflow_does(
    airflow: Environment, measured: dict[str, str]
) -> None:
    series = version(airflow.version)
    expected = {
        kind: code(NAMES.get(kind, kind), (series[0], series[1]))
        for kind in measured
        if kind not in BY_RULE | SUBCLASSES
    }
    if version(installed(airflow.version, "numpy"))[0] < 2:
        # The serializer knows numpy 1's name of it.
        expected["np-bool"] = "..."
    assert len(expected) > 70
    assert {kind: measured[kind] for kind in expected} == expected


def test_strings_that_look_like_json_change_where_the_audit_says_so(
    airflow: Environment, measured: dict[str, str]
) -> None:
    provider = version(installed(airflow.version, "apache-airflow-providers-common-io"))
    changes = version(airflow.version) < (3,) and provider >= (1, 5, 4)
    for kind in ("json-str", "digits-str"):
        assert measured[kind] == (".D." if changes else "...")


def audit(pod: Pod, *words: str) -> dict[str, Any]:
    answer = pod.probe("audit", "--static", *words)
    assert answer.code in (0, 1), answer.stderr
    return dict(answer.result["static"])


def test_it_looks_into_the_folder_of_this_airflow_and_judges_for_its_version(
    pod: Pod, measured: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "etl.py").write_text(
        "import json, uuid\n"
        "import numpy as np\n"
        "import pandas as pd\n"
        "from airflow.decorators import dag, task\n"
        "@dag(schedule=None)\n"
        "def etl():\n"
        "    @task\n"
        "    def text():\n"
        "        return json.dumps({})\n"
        "    @task\n"
        "    def identifier():\n"
        "        return uuid.uuid4()\n"
        "    @task\n"
        "    def frame():\n"
        "        return pd.DataFrame()\n"
        "    @task\n"
        "    def grid():\n"
        "        return np.zeros(3)\n"
        "    [text(), identifier(), frame(), grid()]\n"
        "etl()\n"
    )
    static = audit(pod.with_env({"AIRFLOW__CORE__DAGS_FOLDER": str(tmp_path)}))
    found = {(item["dagId"], item["taskId"]): item["effect"] for item in static["findings"]}
    kinds = {"text": "json-str", "identifier": "uuid", "frame": "dataframe", "grid": "ndarray"}
    words = {"F": "fails", "D": "drifts"}
    expected = {
        ("etl", task): words[max(measured[kind][1:], key=".DF".index)]
        for task, kind in kinds.items()
        if measured[kind][1:] != ".."
    }
    assert static["folder"] == str(tmp_path)
    assert found == expected


def test_the_examples_that_airflow_ships_are_read_whole(pod: Pod, airflow: Environment) -> None:
    folders = sorted(airflow.venv.glob("lib/python3*/site-packages/airflow/example_dags"))
    assert folders
    static = audit(pod, "--dags", str(folders[0]))
    assert static["files"] > 40
    assert static["tasks"] > 150
    assert static["unreadable"] == []


def test_the_sarif_follows_the_schema_of_its_makers() -> None:
    """The package is Microsoft's object model of SARIF, generated from this schema."""
    folder = fetch("sarif-om==1.0.4")
    schema = json.loads(next(folder.rglob("sarif-2.1.0-rtm.4.json")).read_text("utf-8-sig"))
    broken = Source("broken.py", b"import airflow\ndef f(:\n")
    result = engine.audit([*sources(str(SNIPPETS), GLOB), broken], Target())
    assert len(result.findings) > 150
    assert len(result.unreadable) == 1
    jsonschema.validate(sarif(result, "1.2.3"), schema)
