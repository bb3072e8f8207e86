"""What sets the backend beside the operator: by the names that the probe knows, too."""

from __future__ import annotations

import pytest

from xcom_probe import options
from xcom_static.audit import runtime_changes
from xcom_static.source.modules import parse


def test_the_options_are_those_that_the_probe_reads() -> None:
    assert frozenset(options.OPTIONS) == runtime_changes.OPTIONS
    assert {options.env_name(*option) for option in options.OPTIONS} == runtime_changes.VARIABLES


def kinds(text: str) -> list[str]:
    source = text.encode()
    return [item.kind for item in runtime_changes.found_in(parse("etl.py", source), source)]


@pytest.mark.parametrize(
    "text",
    [
        "from airflow.models import xcom\nxcom.XCom = Mine\n",
        "from airflow.models import xcom\nxcom.BaseXCom = Mine\n",
        "from airflow.models import xcom\n(xcom\n .  XCom) = Mine\n",
        "from airflow.models import xcom\nxcom. \\\n XCom = Mine\n",
        "from airflow.models import xcom\nsetattr(xcom, 'XCom', Mine)\n",
        'from airflow.models import xcom\nNAME = "XCom"\nsetattr(xcom, NAME, Mine)\n',
        "from airflow.models.xcom import XCom\nXCom.serialize_value = mine\n",
        "from airflow.models.xcom import (\n    XCom as X,\n)\nX.serialize_value = mine\n",
        "from airflow.models.xcom import BaseXCom\nY = BaseXCom\nY.get_one = mine\n",
        "def f():\n    from airflow.models import XCom\n    XCom.get_one = mine\n",
        "from airflow.models import *\nXCom.get_one = mine\n",
    ],
)
def test_a_replaced_class_is_found_in_each_spelling(text: str) -> None:
    assert "xcom-class" in kinds(text)


def test_what_is_only_said_of_xcom_is_nothing() -> None:
    text = '"""Pushes to XCom."""\nfrom airflow.models import xcom\nxcom.other = 1  # XCom = Mine\n'
    assert kinds(text) == []
