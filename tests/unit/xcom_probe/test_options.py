"""Where a value comes from, and which look-alikes Airflow ignores."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xcom_probe import options
from xcom_probe.options import ABSENT, BACKEND, COMPRESSION, PATH, THRESHOLD, ConfigFile, Option

NO_FILE = ConfigFile("/airflow.cfg", {})


@pytest.mark.parametrize(
    ("option", "name"),
    [
        (BACKEND, "AIRFLOW__CORE__XCOM_BACKEND"),
        (PATH, "AIRFLOW__COMMON_IO__XCOM_OBJECTSTORAGE_PATH"),
        (THRESHOLD, "AIRFLOW__COMMON_IO__XCOM_OBJECTSTORAGE_THRESHOLD"),
        (COMPRESSION, "AIRFLOW__COMMON_IO__XCOM_OBJECTSTORAGE_COMPRESSION"),
    ],
)
def test_the_one_variable_that_airflow_reads(option: tuple[str, str], name: str) -> None:
    assert options.env_name(*option) == name
    assert options.misspelt_env({name: "x"}) == []


def test_environment_beats_file_beats_default() -> None:
    name = options.env_name(*THRESHOLD)
    cfg = ConfigFile("/airflow.cfg", {"common.io": {"xcom_objectstorage_threshold": "1"}})
    assert options.source(*THRESHOLD, "2", {name: "2"}, cfg) == Option("2", f"env:{name}")
    assert options.source(*THRESHOLD, "1", {}, cfg) == Option("1", "file:/airflow.cfg")
    assert options.source(*THRESHOLD, "-1", {}, NO_FILE) == Option("-1", "default")
    assert options.source(*PATH, None, {}, NO_FILE) == Option(None, ABSENT)


@pytest.mark.parametrize(
    ("name", "intended"),
    [
        ("AIRFLOW__COMMON.IO__XCOM_OBJECTSTORAGE_PATH", PATH),
        ("AIRFLOW__COMMONIO__XCOM_OBJECTSTORAGE_THRESHOLD", THRESHOLD),
        ("AIRFLOW__COMMON__IO__XCOM_OBJECTSTORAGE_COMPRESSION", COMPRESSION),
        ("AIRFLOW__COMMON_IO__XCOM_OBJECTSTORAGE_TRESHOLD", THRESHOLD),
        ("AIRFLOW__COMMON_IO__XCOM_OBJECT_STORAGE_PATH", PATH),
        ("AIRFLOW__COMMON_IO__OBJECTSTORAGE_PATH", PATH),
        ("AIRFLOW__CORE__XCOM_OBJECTSTORAGE_PATH", PATH),
        ("AIRFLOW_COMMON_IO_XCOM_OBJECTSTORAGE_PATH", PATH),
        ("airflow__common_io__xcom_objectstorage_path", PATH),
        ("AIRFLOW__COMMON-IO__XCOM_OBJECTSTORAGE_PATH", PATH),
        ("AIRFLOW__CORE__XCOMBACKEND", BACKEND),
        ("AIRFLOW__CORE_XCOM_BACKEND", BACKEND),
    ],
)
def test_look_alikes_are_found(name: str, intended: tuple[str, str]) -> None:
    (found,) = options.misspelt_env({name: "value"})
    assert (found.where, found.intended, found.value) == (name, intended, "value")
    assert found.certain


@pytest.mark.parametrize("suffix", ["_CMD", "_SECRET"])
@pytest.mark.parametrize("option", options.OPTIONS)
def test_indirect_values_are_ignored_by_airflow_and_never_shown(
    option: tuple[str, str], suffix: str
) -> None:
    (found,) = options.misspelt_env({options.env_name(*option) + suffix: "cat /a/secret"})
    assert (found.intended, found.value) == (option, None)


@pytest.mark.parametrize(
    "name",
    [
        "AIRFLOW__CORE__EXECUTOR",
        "AIRFLOW__CORE__ENABLE_XCOM_PICKLING",
        "AIRFLOW__SECRETS__BACKEND",
        "AIRFLOW__API__AUTH_BACKENDS",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN",
        "AIRFLOW__CELERY__RESULT_BACKEND",
        "AIRFLOW__COMMON_IO__STATE_STORE_OBJECTSTORAGE_PATH",
        "AIRFLOW_CONN_COMMON_IO_XCOM_OBJECTSTORAGE_PATH",
        "AIRFLOW_VAR_XCOM_OBJECTSTORAGE_PATH",
        "AIRFLOW_COMMON_IO_SERVICE_HOST",
        "AIRFLOW_COMMON_IO_PORT_8080_TCP_ADDR",
        "XCOM_BUCKET",
        "XCOM_SIDECAR_IMAGE",
        "XCOM_DAGS_BUILD_INFO",
        "XCOM_DAGS_SHA_FIELD",
        "XCOM_BACKEND_SERVICE_HOST",
        "OBJECTSTORAGE_PATH",
        "CORE__EXECUTOR",
        "PATH",
    ],
)
def test_other_variables_are_left_alone(name: str) -> None:
    assert options.misspelt_env({name: "x"}) == []


@pytest.mark.parametrize(
    ("name", "intended"),
    [
        ("XCOM_OBJECTSTORAGE_PATH", PATH),
        ("XCOM_OBJECTSTORAGE_THRESHOLD", THRESHOLD),
        ("COMMON_IO__XCOM_OBJECTSTORAGE_COMPRESSION", COMPRESSION),
        ("CORE__XCOM_BACKEND", BACKEND),
        ("XCOM_BACKEND", BACKEND),
        ("xcom_backend", BACKEND),
        ("AIRLOW__COMMON_IO__XCOM_OBJECTSTORAGE_PATH", PATH),
        ("AF__CORE__XCOM_BACKEND", BACKEND),
    ],
)
def test_a_name_without_airflows_prefix_is_found_and_is_no_certain_error(
    name: str, intended: tuple[str, str]
) -> None:
    (found,) = options.misspelt_env({name: "value"})
    assert (found.where, found.intended, found.certain) == (name, intended, False)


def test_a_helper_that_the_right_setting_is_made_of_is_no_mistake() -> None:
    helper = {"XCOM_OBJECTSTORAGE_PATH": "s3://a@b/c"}
    right = options.env_name(*PATH)
    # Kubernetes expands $(NAME) before a process sees it, Airflow expands $NAME itself.
    for value in ("s3://a@b/c", "$XCOM_OBJECTSTORAGE_PATH", "${XCOM_OBJECTSTORAGE_PATH}/d"):
        assert options.misspelt_env({**helper, right: value}) == []
        cfg = ConfigFile("/airflow.cfg", {"common.io": {"xcom_objectstorage_path": value}})
        assert options.misspelt_env(helper, cfg) == []
    (found,) = options.misspelt_env({**helper, right: "s3://other/d"})
    assert found.where == "XCOM_OBJECTSTORAGE_PATH"


@pytest.mark.parametrize("option", options.OPTIONS)
@pytest.mark.parametrize("section", ["KUBERNETES_ENVIRONMENT_VARIABLES", "KUBERNETES_SECRETS"])
def test_what_the_chart_repeats_for_the_executor_is_left_alone(
    section: str, option: tuple[str, str]
) -> None:
    name = options.env_name(*option)
    assert options.misspelt_env({name: "x", f"AIRFLOW__{section}__{name}": "x"}) == []
    cfg = ConfigFile("/airflow.cfg", {section.lower(): {name: "x"}})
    assert options.misspelt_file(cfg) == []


@given(st.dictionaries(st.from_regex(r"[A-Za-z_.]{1,40}", fullmatch=True), st.text()))
def test_the_right_names_are_never_called_misspelt(environ: dict[str, str]) -> None:
    right = {options.env_name(*option): "x" for option in options.OPTIONS}
    found = {item.where for item in options.misspelt_env({**environ, **right})}
    assert found.isdisjoint(right)


def test_file_is_read_as_airflow_reads_it(tmp_path: Path) -> None:
    cfg = tmp_path / "airflow.cfg"
    cfg.write_text(
        "[common.io]\n"
        "xcom_objectstorage_path = s3://a@b/c\n"
        "XCOM_OBJECTSTORAGE_THRESHOLD = 5\n"
        "xcom_objectstorage_compression_cmd = cat /secret\n"
        "[common_io]\nxcom_objectstorage_threshold = 7\n"
        "[core]\nxcom_backend = a.B\nparallelism = 8\n"
    )
    read = options.read_config({"AIRFLOW_CONFIG": str(cfg)})
    assert options.source(*PATH, "s3://a@b/c", {}, read).source == f"file:{cfg}"
    assert options.source(*THRESHOLD, "-1", {}, read).source == "default"
    assert {(item.where.split(" in ")[0], item.value) for item in options.misspelt_file(read)} == {
        ("[common.io] XCOM_OBJECTSTORAGE_THRESHOLD", "5"),
        ("[common.io] xcom_objectstorage_compression_cmd", None),
        ("[common_io] xcom_objectstorage_threshold", "7"),
    }


def test_file_that_is_missing_or_broken(tmp_path: Path) -> None:
    environ = {"AIRFLOW_HOME": str(tmp_path)}
    missing = options.read_config(environ)
    assert missing == ConfigFile(str(tmp_path / "airflow.cfg"), {})
    (tmp_path / "airflow.cfg").write_text("no section\n")
    assert options.read_config(environ).problem.startswith("MissingSectionHeaderError")


def test_expansion(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XBR_ONE", "$XBR_TWO/x")
    monkeypatch.setenv("XBR_TWO", "two")
    assert options.expand("a/${XBR_ONE}/$XBR_NOT_SET") == "a/two/x/$XBR_NOT_SET"
