"""A start command that sets the options of the backend is a problem before a flip."""

from collections.abc import Sequence

import pytest

from xcom_rollout.clients.kube import Json
from xcom_rollout.observe.start_commands import options_set_at_start
from xcom_rollout.release.airflow_cfg import OWNED_VARIABLES
from xcom_rollout.release.objects import PodTemplate

BACKEND = "AIRFLOW__CORE__XCOM_BACKEND"
MOUNTED = "/opt/airflow/airflow.cfg"


def template(**fields: object) -> PodTemplate:
    mounts = [
        {"name": "config", "mountPath": MOUNTED, "subPath": "airflow.cfg"},
        {"name": "settings", "mountPath": "/mnt/settings/"},
    ]
    main: Json = {"name": "scheduler", "volumeMounts": mounts, **fields}
    sidecar = {"name": "log-groomer", "args": [f"export {BACKEND}=x.Y"]}
    return PodTemplate("scheduler", {}, {"containers": [main, sidecar]})


@pytest.mark.parametrize("variable", sorted(OWNED_VARIABLES))
@pytest.mark.parametrize(
    "script",
    [
        "export {}=x.Y; exec airflow scheduler",
        "exec env {}=x.Y airflow scheduler",
        "unset {}\nexec airflow scheduler",
        "echo '#'a#b; export {}=x.Y",
        "# a comment\nexport {}=x.Y",
        'python -c \'import os; os.environ["{}"] = "x.Y"\'',
    ],
)
def test_an_owned_variable_in_a_start_command_is_named(variable: str, script: str) -> None:
    (told,) = options_set_at_start([template(args=["bash", "-c", script.format(variable)])])
    assert f"args of the container scheduler of the scheduler pod names {variable}:" in told
    assert "Remove it" in told


def test_every_field_that_starts_something_is_looked_at() -> None:
    hook = {"postStart": {"exec": {"command": ["sh", "-c", f"export {BACKEND}=a"]}}}
    export = [f"{BACKEND}=a airflow"]
    found = options_set_at_start([template(command=export, args=export, lifecycle=hook)])
    assert [told.split(" of ")[0] for told in found] == ["command", "args", "lifecycle"]


@pytest.mark.parametrize("path", ["/other.cfg", "/mnt/settings-of-old/airflow.cfg"])
def test_another_airflow_cfg_is_named(path: str) -> None:
    (told,) = options_set_at_start(
        [template(args=["bash", "-c", f"AIRFLOW_CONFIG='{path}' exec airflow scheduler"])]
    )
    assert f"AIRFLOW_CONFIG={path}" in told


def test_another_home_has_another_airflow_cfg() -> None:
    script = "export AIRFLOW_HOME=/srv/airflow; exec airflow scheduler"
    (told,) = options_set_at_start([template(args=["bash", "-c", script])])
    assert "sets AIRFLOW_HOME=/srv/airflow: the process reads /srv/airflow/airflow.cfg" in told


@pytest.mark.parametrize(
    "args",
    [
        ["scheduler"],
        ["bash", "-c", "AIRFLOW_HOME=/opt/airflow exec airflow scheduler"],
        ["bash", "-c", f"AIRFLOW_HOME=/x AIRFLOW_CONFIG={MOUNTED} exec airflow scheduler"],
        ["bash", "-c", "exec airflow scheduler"],
        ["bash", "-c", f"echo ${BACKEND} ${{{BACKEND}}} $({BACKEND}); exec airflow scheduler"],
        ["bash", "-c", f"export MY_{BACKEND}=a {BACKEND}_OF_OLD=b; exec airflow scheduler"],
        ["bash", "-c", f"export AIRFLOW_CONFIG={MOUNTED}; exec airflow scheduler"],
        ["bash", "-c", "export AIRFLOW_CONFIG=$AIRFLOW_HOME/airflow.cfg; exec airflow scheduler"],
        ["bash", "-c", 'AIRFLOW_CONFIG="${CONFIG}" exec airflow scheduler'],
        ["bash", "-c", "AIRFLOW_CONFIG=/mnt/settings/airflow.cfg exec airflow scheduler"],
        ["bash", "-c", f"# {BACKEND} comes from the chart\nexec airflow scheduler"],
        ["bash", "-c", f"cd /x;#AIRFLOW_CONFIG=/b {BACKEND}=c\nexec airflow scheduler # {BACKEND}"],
        ["bash", "-c", "source /vault/secrets/config && exec airflow scheduler"],
    ],
)
def test_a_start_command_that_sets_nothing_is_no_problem(args: Sequence[str]) -> None:
    assert options_set_at_start([template(args=args)]) == ()


def test_one_template_seen_twice_is_told_once() -> None:
    one = template(args=[f"{BACKEND}=a"])
    assert len(options_set_at_start([one, one])) == 1
