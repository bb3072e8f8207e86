"""What an audit says as a whole: targets, effects, files that cannot be read, forms of output."""

from __future__ import annotations

import json
import sysconfig

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xcom_static.audit import engine
from xcom_static.audit.effects import SERIES, Target, code, effect, version
from xcom_static.audit.sarif import sarif
from xcom_static.audit.target import ignore_syntax, target
from xcom_static.audit.text import lines, summary
from xcom_static.errors import InvalidArgumentError, UnavailableError
from xcom_static.source.files import GLOB, REGEXP, Source, sources

DAG = b"""
import json
import numpy as np
from airflow.decorators import dag, task

@dag
def etl():
    @task
    def extract():
        return json.dumps({"password": "a secret"})

    @task
    def grid():
        return np.zeros(3)
"""


def look(source: bytes, where: Target | None = None) -> engine.Result:
    return engine.audit([Source("dags/etl.py", source)], where or Target((2, 11)))


def test_a_finding_says_where_what_and_what_to_do() -> None:
    text, grid = look(DAG).findings
    assert (text.file, text.line, text.column) == ("dags/etl.py", 10, 16)
    assert (text.dag_id, text.task_id, text.key) == ("etl", "extract", "return_value")
    assert (text.kind, text.effect, text.today, text.new) == ("json-str", "drifts", "none", True)
    assert (grid.kind, grid.effect, grid.today, grid.new) == ("ndarray", "fails", "fails", False)
    assert "numpy.zeros()" in grid.message
    assert "object store" in grid.fix


def test_what_the_dag_has_in_its_texts_is_never_repeated() -> None:
    for source in (DAG, b"from airflow.decorators import task\n@task\ndef f(): return '\"abc\"'\n"):
        result = look(source)
        assert result.findings
        told = json.dumps([item.as_json() for item in result.findings]) + json.dumps(
            sarif(result, "1.2.3")
        )
        assert "secret" not in told
        assert "abc" not in told


@pytest.mark.parametrize(
    ("where", "effects"),
    [
        (Target((2, 10), (1, 4, 2)), ["fails"]),
        (Target((2, 11), (1, 5, 3)), ["fails"]),
        (Target((2, 11), (1, 5, 4)), ["drifts", "fails"]),
        (Target((2, 11)), ["drifts", "fails"]),
        (Target((3, 1), (1, 7, 1)), ["fails"]),
        (Target(), ["drifts", "fails"]),
    ],
)
def test_the_effect_is_that_of_the_version_asked_for(where: Target, effects: list[str]) -> None:
    assert [item.effect for item in look(DAG, where).findings] == effects


def test_without_a_version_it_says_for_which_it_holds() -> None:
    text, grid = look(DAG, Target()).findings
    assert text.where == "on Airflow 2 with common-io 1.5.4 or newer when not offloaded"
    assert grid.where == ""
    assert effect("uuid", Target()).where == "on Airflow 2.9 to 3.1"
    assert effect("nested-tuple", Target((3, 1))).where == "when offloaded"
    assert effect("nan", Target((3, 1))).where == "when not offloaded"


def test_a_frame_depends_on_the_packages_beside_it() -> None:
    def frame(**known: object) -> str:
        return effect("dataframe", Target((2, 11), frames_known=True, **known)).effect  # type: ignore[arg-type]

    assert frame(pandas=(2, 2), pyarrow=True) == "none"
    assert frame(pandas=(3, 0), pyarrow=True) == "fails"
    assert frame(pandas=(2, 2), pyarrow=False) == "fails"
    newest = Target((3, 3), pandas=(3, 0), pyarrow=True, frames_known=True)
    assert effect("dataframe", newest).effect == "none"
    assert "pyarrow" in effect("dataframe", Target((2, 11))).where


def test_what_fails_with_both_backends_is_not_new() -> None:
    for kind in ("ndarray", "bytes"):
        assert not effect(kind, Target((2, 11))).new
    assert effect("json-str", Target((2, 11))).new
    assert effect("nested-tuple", Target((3, 1))).new
    assert code("tuple-keys", (3, 1)) == "DFF"


def test_a_file_that_cannot_be_parsed_is_named_and_the_others_are_looked_at() -> None:
    broken = Source("broken.py", b"import airflow\ndef f(:\n")
    deep = Source("deep.py", b"import airflow\nx = " + b"(" * 500 + b")" * 500)
    zero = Source("zero.py", b"import airflow\0")
    result = engine.audit([broken, deep, zero, Source("etl.py", DAG)], Target((2, 11)))
    assert [item.file for item in result.unreadable] == ["broken.py", "deep.py", "zero.py"]
    assert result.unreadable[0].line == 2
    assert len(result.findings) == 2
    assert (result.files, result.tasks) == (4, 2)


def test_a_long_chain_of_branches_is_no_crash() -> None:
    chain = "".join(f"    elif n == {n}:\n        return {n}\n" for n in range(3000))
    source = (
        f"from airflow.decorators import task\n@task\ndef f(n):\n    if n:\n        pass\n{chain}"
    )
    result = look(source.encode())
    assert result.findings == []
    assert [item.why for item in result.unreadable] in ([], ["nested too deeply"])


def test_a_file_without_airflow_is_not_even_parsed() -> None:
    result = look(b"def f(:\n")
    assert (result.files, result.parsed, result.unreadable) == (1, 0, [])


def test_no_python_of_this_installation_makes_it_crash() -> None:
    """Every file of the standard library and of the packages here, taken for DAG code."""
    folders = {sysconfig.get_path("stdlib"), sysconfig.get_path("purelib")}
    found = [
        Source(item.name, item.data + b"\n# airflow\n")
        for folder in sorted(folders)
        for number, item in enumerate(sources(folder, GLOB))
        if number % 61 == 0 and item.data
    ]
    result = engine.audit(found, Target())
    assert result.files > 50
    assert [item for item in result.unreadable if "Error" in item.why] == []


@given(st.text(alphabet="abx=()[]{}:,.*'\" \n\tfordefinreturnlambda@task", max_size=80))
def test_no_text_makes_it_crash(text: str) -> None:
    body = text.replace("\n", "\n    ")
    result = look(
        f"from airflow.decorators import task\n@task\ndef f(a, b):\n    {body}\n".encode()
    )
    assert result.files == 1


def test_the_text_names_place_rule_task_and_remedy() -> None:
    result = look(DAG)
    told = "\n".join(lines(result.as_json()))
    assert "dags/etl.py:10:16: XCA014 drifts (high confidence)" in told
    assert "etl.extract returns a string that is JSON" in told
    assert "do: Return the value itself" in told
    assert summary(result.as_json()) == "1 files, 2 tasks: 1 drifts, 1 fails"


def test_without_an_airflow_it_asks_for_a_version() -> None:
    with pytest.raises(UnavailableError, match=r"--airflow 2\.11"):
        target("auto")


@pytest.mark.parametrize("text", ["two", "2", "1.10", "2.8"])
def test_a_version_that_is_none_is_wrong_use(text: str) -> None:
    with pytest.raises(InvalidArgumentError, match="--airflow"):
        target(text)


def test_a_newer_airflow_counts_as_the_newest_that_was_measured() -> None:
    assert version("3.4.0rc1") == (3, 4, 0)
    assert effect("nested-tuple", target("3.9")) == effect("nested-tuple", Target(SERIES[-1]))


def test_the_ignore_file_is_read_as_that_airflow_reads_it() -> None:
    assert ignore_syntax(None, target("2.11")) == REGEXP
    assert ignore_syntax(None, target("3.0")) == GLOB
    assert ignore_syntax("glob", target("2.11")) == GLOB
    assert ignore_syntax(None, Target()) is None
    with pytest.raises(InvalidArgumentError, match="glob or regexp"):
        ignore_syntax("regex", Target())
