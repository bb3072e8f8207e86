"""Text fits into a ConfigMap, compressed where it is long."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xcom_rollout.clients.errors import ActionFailed
from xcom_rollout.stored.packing import pack, unpack


@given(st.text(max_size=200), st.integers(0, 200))
def test_text_is_unpacked_as_it_was_packed(text: str, limit: int) -> None:
    assert unpack("key", pack("key", text, plain_limit=limit)) == text


def test_short_text_can_be_read_with_kubectl() -> None:
    assert pack("key", "short") == {"data": {"key": "short"}, "binaryData": {}}


def test_long_text_is_compressed() -> None:
    packed = pack("key", "x" * 1000, plain_limit=999)
    assert packed["data"] == {}
    assert list(packed["binaryData"]) == ["key.gz"]


def test_text_that_fits_into_no_config_map_is_refused_with_its_size() -> None:
    noise = random.Random(1).randbytes(1_200_000).hex()  # noqa: S311
    with pytest.raises(ActionFailed, match=r"key has [0-9]+ bytes after compression"):
        pack("key", noise)


def test_what_is_not_there_is_none() -> None:
    assert unpack("key", {"data": {"other": "x"}}) is None
