"""Chart values in and out."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xcom_rollout.decide.ledger import Ledger
from xcom_rollout.decide.settings import (
    OBJECT_STORAGE_CLASS,
    BackendSettings,
    ValuesError,
    astray,
    object_storage,
    read_settings,
    write_settings,
)
from xcom_rollout.stored.ledger_codec import decode, encode

SCALAR = st.one_of(st.text(max_size=5), st.integers(), st.booleans(), st.none())
VALUES = st.dictionaries(
    st.sampled_from(["env", "executor", "scheduler"]), SCALAR | st.lists(SCALAR)
)
OPTIONS = st.dictionaries(st.sampled_from(["parallelism", "dags_folder"]), SCALAR, min_size=1)
NEW = object_storage("s3://c@b/p", "1048576", "gzip")


@given(values=VALUES, core=OPTIONS, io=OPTIONS)
def test_other_values_of_the_user_are_never_touched(
    values: dict[str, object], core: dict[str, object], io: dict[str, object]
) -> None:
    before = values | {"config": {"core": core, "common.io": io, "api": {"x": "y"}}}
    flipped = write_settings(before, NEW)
    assert read_settings(flipped) == NEW
    assert write_settings(flipped, read_settings(before)) == before


@given(values=VALUES)
def test_a_flip_and_its_revert_leave_values_without_config_as_they_were(
    values: dict[str, object],
) -> None:
    assert write_settings(write_settings(values, NEW), BackendSettings()) == values


OWNED = {
    "core": ["xcom_backend"],
    "common.io": [
        "xcom_objectstorage_path",
        "xcom_objectstorage_threshold",
        "xcom_objectstorage_compression",
    ],
}
ODD: st.SearchStrategy[object] = st.sampled_from(
    [None, "", 0, 1048576, 1.5, True, "{{ .Values.x }}", "text", []]
)


def section(name: str) -> st.SearchStrategy[object]:
    keys = st.sampled_from([*OWNED[name], "parallelism", "dags_folder"])
    return st.none() | st.dictionaries(keys, ODD, max_size=4)


CONFIG = st.none() | st.fixed_dictionaries(
    {}, optional={"core": section("core"), "common.io": section("common.io"), "api": st.none()}
)
DEFAULTS = st.fixed_dictionaries(
    {}, optional={"core": st.just(["dags_folder"]), "common.io": st.just([])}
)


@given(values=VALUES, config=CONFIG, defaults=DEFAULTS)
def test_a_flip_and_its_revert_give_back_the_document_that_people_wrote(
    values: dict[str, object], config: object, defaults: dict[str, list[str]]
) -> None:
    before = values | {"config": config}
    found = read_settings(before)
    flipped = write_settings(before, NEW, defaults)
    assert read_settings(flipped) == NEW
    stopped = write_settings(flipped, replace(NEW, threshold="-1"), defaults)
    assert write_settings(stopped, found, defaults) == before
    assert write_settings(before, found, defaults) == before, "a delivery that changes nothing"


@given(values=VALUES, config=CONFIG)
def test_a_setting_that_is_changed_is_written_as_it_is_now(
    values: dict[str, object], config: object
) -> None:
    changed = replace(read_settings(values | {"config": config}), threshold="-1", path="s3://c@b/q")
    written = write_settings(values | {"config": config}, changed)
    now = read_settings(written)
    assert (now.threshold, now.path) == ("-1", "s3://c@b/q")


def test_a_null_section_keeps_the_defaults_of_the_chart_out() -> None:
    written = write_settings({"config": {"core": None}}, NEW, {"core": ["dags_folder"]})
    assert written["config"]["core"] == {
        "dags_folder": None,
        "xcom_backend": OBJECT_STORAGE_CLASS,
    }


def test_defaults_stay_out_after_the_revert_where_somebody_added_a_section() -> None:
    before, defaults = {"config": None}, {"core": ["dags_folder"], "logging": ["level"]}
    flipped = write_settings(before, NEW, defaults)
    flipped["config"]["api"] = {"x": "y"}
    left = write_settings(flipped, read_settings(before), defaults)
    assert left == {"config": {"core": {"dags_folder": None}, "logging": None, "api": {"x": "y"}}}


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"config": {"core": ["a"]}}, "config.core is a list"),
        ({"config": {"common.io": "text"}}, "config.common.io is a text"),
        ({"config": [1]}, "config is a list"),
        ({"config": 3}, "config is a number"),
        ({"config": {"core": True}}, "config.core is true or false"),
    ],
)
def test_a_section_that_is_no_map_is_refused_with_what_to_write(
    values: dict[str, object], words: str
) -> None:
    assert read_settings(values).is_database
    with pytest.raises(ValuesError, match=words) as refused:
        write_settings(values, NEW)
    assert "use option: value" in str(refused.value)


def test_a_template_is_what_the_chart_made_of_it_and_is_written_back_as_it_was() -> None:
    before = {"config": {"core": {"xcom_backend": "{{ .Values.x }}"}}}
    assert not read_settings(before).is_database
    found = read_settings(before, {"core.xcom_backend": "airflow.models.xcom.BaseXCom"})
    assert found.is_database
    assert write_settings(write_settings(before, NEW), found) == before


KEYS = ("core.xcom_backend", *(f"common.io.{name}" for name in OWNED["common.io"]))
RENDERED = st.dictionaries(st.sampled_from(KEYS), st.sampled_from(["my.Backend", "-1", "text"]))
PATHS = st.sampled_from([(), ("airflow",), ("platform", "airflow")])


def below(path: tuple[str, ...], values: dict[str, object]) -> dict[str, object]:
    for name in reversed(path):
        values = {name: values, "other": {"config": {"core": {"xcom_backend": "other.X"}}}}
    return values


@given(values=VALUES, config=CONFIG, rendered=RENDERED, path=PATHS, own=st.booleans())
def test_what_airflow_runs_is_read_from_its_file_and_the_revert_gives_back_the_same_document(
    values: dict[str, object],
    config: object,
    rendered: dict[str, str],
    path: tuple[str, ...],
    own: bool,
) -> None:
    """Whatever the values say, where they stand, and whether the chart sets the options itself."""
    defaults = OWNED if own else {}
    before = below(path, values | {"config": config})
    found = read_settings(before, rendered, path)
    assert {k: v for k, v in found.by_option.items() if v is not None} == rendered
    flipped = write_settings(before, NEW, defaults, path)
    assert read_settings(flipped, path=path) == NEW
    assert write_settings(flipped, found, defaults, path) == before
    assert write_settings(before, found, defaults, path) == before, "changes nothing"


@given(rest=VALUES, path=PATHS.filter(bool), odd=st.sampled_from([{}, None]))
def test_the_sections_of_a_dependency_are_given_back_as_hollow_as_they_were(
    rest: dict[str, object], path: tuple[str, ...], odd: dict[str, object] | None
) -> None:
    for before in (rest, rest | {path[0]: {}}, below(path[:-1], {path[-1]: {"config": odd}})):
        found = read_settings(before, {}, path)
        flipped = write_settings(before, NEW, {}, path)
        assert read_settings(flipped, path=path) == NEW
        assert flipped.get("config") == before.get("config"), "nothing goes beside"
        assert write_settings(flipped, found, {}, path) == before


def test_a_dependency_whose_values_are_null_is_refused_with_what_to_write() -> None:
    with pytest.raises(ValuesError, match=r"airflow is null .* set a map"):
        write_settings({"airflow": None}, NEW, {}, ("airflow",))
    found = read_settings({"airflow": None}, {}, ("airflow",))
    assert write_settings({"airflow": None}, found, {}, ("airflow",)) == {"airflow": None}
    with pytest.raises(ValuesError, match=r"airflow\.config\.core is a list"):
        write_settings({"airflow": {"config": {"core": [1]}}}, NEW, {}, ("airflow",))


def test_a_default_of_the_chart_that_is_not_wanted_is_taken_away() -> None:
    name = "xcom_objectstorage_compression"
    target = replace(NEW, compression=None)
    found = read_settings({}, {f"common.io.{name}": "zip"})
    flipped = write_settings({}, target, OWNED)
    assert flipped["config"]["common.io"][name] is None, "null, to Helm, is without the default"
    assert write_settings(flipped, found, OWNED) == {}


@pytest.mark.parametrize(
    "text", [" airflow.models.xcom.BaseXCom ", "airflow.models.xcom.BaseXCom\n"]
)
def test_space_around_a_text_counts_for_nothing_as_with_configparser(text: str) -> None:
    before = {"config": {"core": {"xcom_backend": text}}}
    found = read_settings(before)
    assert found.is_database
    assert write_settings(write_settings(before, NEW), found) == before


def test_an_option_that_the_chart_makes_something_else_of_is_named() -> None:
    landed = {key: value for key, value in NEW.by_option.items() if value is not None}
    assert astray(NEW, landed) == ()
    assert astray(NEW, {}) == KEYS
    assert astray(BackendSettings(), {"core.xcom_backend": "<nil>"}) == ("core.xcom_backend",)


def test_the_form_in_which_settings_stood_outlives_the_ledger() -> None:
    before = {"config": {"core": None, "common.io": {"xcom_objectstorage_threshold": 5}}}
    kept = decode(encode(Ledger(baseline=read_settings(before)))).baseline
    assert kept is not None
    assert write_settings(write_settings(before, NEW), kept) == before


def test_an_unquoted_threshold_is_seen_as_the_chart_renders_it() -> None:
    values = {"config": {"common.io": {"xcom_objectstorage_threshold": 1048576}}}
    assert read_settings(values).threshold == "1.048576e+06"


def test_the_threshold_is_delivered_as_a_string() -> None:
    config = write_settings({}, NEW)["config"]
    assert config["common.io"]["xcom_objectstorage_threshold"] == "1048576"
    assert config["core"]["xcom_backend"] == OBJECT_STORAGE_CLASS


@pytest.mark.parametrize(
    ("threshold", "offloads"),
    [
        *((None, False), ("-1", False), ("-2", False), (" -7 ", False), ("-0", True)),
        *(("0", True), ("1048576", True), ("{{ .Values.x }}", True)),
    ],
)
def test_below_zero_nothing_is_offloaded_as_by_the_provider(
    threshold: str | None, offloads: bool
) -> None:
    assert replace(NEW, threshold=threshold).offloads == offloads
    assert replace(NEW, threshold=threshold).stops(NEW) == (not offloads)


def test_the_object_backend_at_minus_one_reads_and_does_not_offload() -> None:
    readers = object_storage("s3://c@b/p", "-1", None)
    assert readers.reads_offloaded
    assert not readers.offloads
    assert NEW.offloads
    assert BackendSettings().is_database
