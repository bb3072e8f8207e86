"""Chart values in and out."""

from hypothesis import given
from hypothesis import strategies as st

from xcom_rollout.decide.settings import (
    OBJECT_STORAGE_CLASS,
    BackendSettings,
    object_storage,
    read_settings,
    write_settings,
)

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


def test_an_unquoted_threshold_is_seen_as_the_chart_renders_it() -> None:
    values = {"config": {"common.io": {"xcom_objectstorage_threshold": 1048576}}}
    assert read_settings(values).threshold == "1.048576e+06"


def test_the_threshold_is_delivered_as_a_string() -> None:
    config = write_settings({}, NEW)["config"]
    assert config["common.io"]["xcom_objectstorage_threshold"] == "1048576"
    assert config["core"]["xcom_backend"] == OBJECT_STORAGE_CLASS


def test_the_object_backend_at_minus_one_reads_and_does_not_offload() -> None:
    readers = object_storage("s3://c@b/p", "-1", None)
    assert readers.reads_offloaded
    assert not readers.offloads
    assert NEW.offloads
    assert BackendSettings().is_database
