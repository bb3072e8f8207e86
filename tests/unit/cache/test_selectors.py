"""Label selectors match here as in the API server, and what covers what is never guessed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xcom_rollout.cache.collections import WATCHED, serving
from xcom_rollout.cache.selectors import covers, matches, parse_selector
from xcom_rollout.release.objects import release_selector
from xcom_rollout.stored.names import selector


@pytest.mark.parametrize(
    ("text", "labels", "fits"),
    [
        ("", {}, True),
        ("tier=airflow", {"tier": "airflow"}, True),
        ("tier==airflow", {"tier": "airflow"}, True),
        ("tier=airflow", {"tier": "web"}, False),
        ("tier=airflow", {}, False),
        ("owner!=helm", {"owner": "helm"}, False),
        ("owner!=helm", {"owner": "other"}, True),
        ("owner!=helm", {}, True),
        ("tier", {"tier": ""}, True),
        ("tier", {}, False),
        ("component in (scheduler, worker)", {"component": "worker"}, True),
        ("component in (scheduler,worker)", {"component": "webserver"}, False),
        ("a=1,component in (x,y),b!=2", {"a": "1", "component": "y"}, True),
        ("a=1,component in (x,y),b!=2", {"a": "1", "component": "y", "b": "2"}, False),
        ("xcomrollout.dev/rollout=demo", {"xcomrollout.dev/rollout": "demo"}, True),
    ],
)
def test_a_selector_selects(text: str, labels: dict[str, str], fits: bool) -> None:
    assert matches(parse_selector(text), labels) is fits


@pytest.mark.parametrize("text", ["!tier", "tier notin (a)", "tier>3", "tier=a b", "=a", ","])
def test_a_form_that_is_not_known_is_an_error_and_no_guess(text: str) -> None:
    with pytest.raises(ValueError, match="cannot be read"):
        parse_selector(text)


KEYS = st.sampled_from(["a", "b"])
VALUES = st.sampled_from(["x", "y", "z"])
TERMS = st.one_of(
    KEYS,
    st.builds("{}={}".format, KEYS, VALUES),
    st.builds("{}!={}".format, KEYS, VALUES),
    st.builds("{} in ({},{})".format, KEYS, VALUES, VALUES),
)
SELECTORS = st.lists(TERMS, max_size=3).map(",".join).map(parse_selector)
LABELS = st.dictionaries(KEYS, VALUES)


@given(SELECTORS, SELECTORS, LABELS)
def test_what_a_covered_selector_selects_the_covering_one_selects_too(
    wide: object, narrow: object, labels: dict[str, str]
) -> None:
    if covers(wide, narrow) and matches(narrow, labels):  # type: ignore[arg-type]
        assert matches(wide, labels)  # type: ignore[arg-type]


def test_every_list_of_a_look_at_rest_is_served_by_a_watch() -> None:
    for plural, version, text in (
        ("pods", "v1", release_selector("airflow")),
        ("pods", "v1", "kubernetes_executor=True"),
        ("deployments", "apps/v1", release_selector("airflow")),
        ("statefulsets", "apps/v1", release_selector("airflow")),
        ("jobs", "batch/v1", selector("demo")),
        ("secrets", "v1", "owner!=helm"),
        ("secrets", "v1", "owner=helm,name=airflow"),
        ("configmaps", "v1", ""),
        ("xcombackendrollouts", "xcomrollout.dev/v1alpha1", ""),
    ):
        found = serving(plural, version, parse_selector(text))
        assert found is not None, (plural, text)
        assert found in WATCHED


def test_a_list_that_no_watch_holds_whole_is_not_served() -> None:
    assert serving("pods", "v1", parse_selector("batch.kubernetes.io/job-name=x")) is None
    assert serving("pods", "v1", ()) is None
    assert serving("events", "v1", ()) is None
    assert serving("pods", "v2", parse_selector("tier=airflow")) is None
