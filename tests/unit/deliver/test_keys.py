"""The keys that are there, as values of the chart."""

import base64
from types import SimpleNamespace
from typing import Any, cast

import pytest

from xcom_rollout.clients.kube import KubeApi
from xcom_rollout.deliver.keys import present_keys
from xcom_rollout.deliver.manifests import Difference


def rotated(values_key: str) -> Difference:
    return Difference(
        "Secret", "rel-key", "data.x", "changed", allowed=False, rotated=True, values_key=values_key
    )


def kept(data: dict[str, Any] | None, values_key: str = "jwtSecret") -> dict[str, str]:
    secret = None if data is None else {"data": data}
    api = cast("KubeApi", SimpleNamespace(find=lambda _: secret))
    return present_keys(api, "ns", [rotated(values_key)])


def test_a_key_is_kept_by_the_value_of_the_chart_that_makes_it() -> None:
    data = {"jwt-secret": base64.b64encode("k\u00fc".encode()).decode()}
    assert kept(data) == {"jwtSecret": "k\u00fc"}


@pytest.mark.parametrize(
    "data",
    [None, {}, {"other": "eA=="}, {"jwt-secret": ""}, {"jwt-secret": "/w=="}, {"jwt-secret": "?"}],
    ids=["no Secret", "empty", "another key", "nothing in it", "no text", "no base64"],
)
def test_what_no_value_can_hold_is_left_out(data: dict[str, Any] | None) -> None:
    assert kept(data) == {}


def test_a_secret_without_a_value_of_its_own_is_left_out() -> None:
    assert kept({"x": "eA=="}, "") == {}
