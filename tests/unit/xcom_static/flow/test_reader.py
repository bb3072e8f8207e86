"""What the page above the flow says of joins, loops, calls and confidence, held by examples.

What each known function gives is held by the snippets.
"""

from __future__ import annotations

import pytest

from xcom_static.audit.effects import Target
from xcom_static.audit.engine import module_findings
from xcom_static.flow.frame import Outcome
from xcom_static.flow.reader import Flow
from xcom_static.flow.values import CONFIDENCE, Values
from xcom_static.source.modules import parse
from xcom_static.source.tasks import discover

IMPORTS = "import numpy as np\nimport pandas as pd\n"


def outcome(text: str) -> Outcome:
    """What the last function of a file gives."""
    module = parse("etl.py", (IMPORTS + text).encode())
    function = module.functions[-1]
    return Flow(module).outcome(function.node, function.scope)


def returned(body: str, parameters: str = "x") -> Values:
    """What a function with this body returns."""
    lines = "".join(f"    {line}\n" for line in body.splitlines())
    return outcome(f"def f({parameters}):\n{lines}").values()


def kinds(values: Values) -> list[str]:
    return [value.kind for value in values]


@pytest.mark.parametrize(
    ("body", "found"),
    [
        ("y = 1\nif x:\n    y = b''\nreturn y", ["bytes", "int"]),
        # One way leaves it unknown: it stays known.
        ("if x:\n    y = b''\nelse:\n    y = other(x)\nreturn y", ["bytes"]),
        # A way that ends is not joined, and nothing is read behind it.
        ("y = b''\nif x:\n    y = 1\n    raise ValueError\nreturn y", ["bytes"]),
        ("return 1\nreturn b''", ["int"]),
        # A test says what a name holds on either way.
        ("y = None\nif x:\n    y = b''\nif y is None:\n    return 1\nreturn y", ["int", "bytes"]),
        # A handler may run after any part of the body.
        (
            "y = 1\ntry:\n    y = b''\nexcept OSError:\n    return y\nreturn 's'",
            ["int", "bytes", "str"],
        ),
        ("y = 1\ntry:\n    y = b''\nfinally:\n    z = y\nreturn z", ["bytes"]),
        ("y = 1\nmatch x:\n    case 1:\n        y = b''\nreturn y", ["bytes", "int"]),
    ],
)
def test_where_ways_meet_a_name_holds_what_it_holds_on_any(body: str, found: list[str]) -> None:
    assert kinds(returned(body)) == found


def test_a_way_of_an_expression_binds_nothing_for_the_others() -> None:
    assert kinds(returned("y = 1\nz = [y for y in [b'']]\nreturn y")) == ["int"]
    assert kinds(returned("y = b''\nreturn y if y is None else 1")) == ["int"]


def test_a_body_of_a_loop_is_read_once_and_may_not_be_run() -> None:
    assert kinds(returned("y = 1\nfor i in x:\n    z = y\n    y = b''\nreturn z")) == ["int"]
    assert kinds(returned("y = 1\nwhile x:\n    y = b''\nreturn y")) == ["bytes", "int"]


def test_a_list_collects_what_is_put_into_it() -> None:
    filled, empty = returned("y = []\nfor i in x:\n    y.append((i, 1))\nreturn y")
    assert (filled.kind, kinds(filled.items)) == ("list", ["tuple"])
    assert (empty.kind, empty.items) == ("list", ())


def test_two_names_for_one_list_are_two_lists() -> None:
    (value,) = returned("y = []\nz = y\nz.append(1)\nreturn y")
    assert value.items == ()


def test_a_call_is_what_the_function_returns_whatever_it_is_given() -> None:
    text = "def g(x):\n    return x\ndef h():\n    return b''\ndef f():\n    return [g(b''), h()]\n"
    (value,) = outcome(text).values()
    assert kinds(value.items) == ["bytes"]


def test_a_function_that_calls_itself_is_read_to_its_end() -> None:
    found = outcome("def f(x):\n    if x:\n        return f(x)\n    return b''\n")
    assert kinds(found.values()) == ["bytes"]


@pytest.mark.parametrize(
    ("body", "parameters", "confidence"),
    [
        ("return np.zeros(3)", "", "high"),
        ("return [np.zeros(3)][0]", "", "medium"),
        ("return np.zeros(3).sum()", "", "low"),
        ("return frame.head()", "frame: pd.DataFrame", "low"),
    ],
)
def test_each_guess_takes_confidence(body: str, parameters: str, confidence: str) -> None:
    (value,) = returned(body, parameters)
    assert CONFIDENCE[value.sure] == confidence


def test_an_annotation_counts_only_where_nothing_else_is_known() -> None:
    annotated = "def f(x) -> np.ndarray:\n    return "
    assert kinds(outcome(f"{annotated}other(x)\n").values()) == ["ndarray"]
    assert kinds(outcome(f"{annotated}[]\n").values()) == ["list"]


def test_each_push_is_noted_with_its_key() -> None:
    found = outcome("def f(ti):\n    if ti:\n        ti.xcom_push('k', b'')\n    return 1\n")
    assert [(item.key, kinds(item.values)) for item in found.pushed] == [("k", ["bytes"])]
    assert [item.key for item in found.returned] == ["return_value"]


def test_what_yields_gives_a_generator() -> None:
    assert kinds(outcome("def f():\n    yield 1\n    return b''\n").values()) == ["generator"]


NESTED = {
    "either of two containers": 'q = {"m": [q, q]} if p[NUMBER] else {"n": (q, q)}',
    "in a branch": "if p[NUMBER]: q = [q, (q, q)]",
    "by calls": "q = dict(a=q, b=[q, dict(q)]) if p[NUMBER] else (q, [q])",
    "by itself": "r = r + [r, r]; q = [r, q]",
    "caught": "try:\n        q[NUMBER] = q\n    except KeyError:\n        q = [q, q]",
}


@pytest.mark.timeout(30)
@pytest.mark.parametrize("line", NESTED.values(), ids=NESTED)
def test_containers_that_hold_each_other_many_times_over_are_read(line: str) -> None:
    """Each of 40 lines doubles the ways to the same value; no reading walks through all of them."""
    lines = "\n".join(f"    {line.replace('NUMBER', str(number))}" for number in range(40))
    source = f"@task\ndef t(p):\n    q = {{}}\n    r = []\n{lines}\n    return q\n"
    module = parse("dag.py", f"from airflow.decorators import task\n{source}".encode())
    module_findings(module, discover(module), Target(None))
