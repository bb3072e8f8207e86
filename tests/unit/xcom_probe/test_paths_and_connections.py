"""What is strange in a base path, and what the amazon provider ignores of a connection."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xcom_probe.airflow.aws_connection import ignored_extras
from xcom_probe.checks.base_path import strange

NEW, OLD = (9, 39, 0), (8, 27, 0)
NAMES = st.text("abcdefghijklmnopqrstuvwxyz0123456789_-", min_size=1, max_size=20)


@pytest.mark.parametrize(
    ("path", "part"),
    [
        (" s3://c@b/p", "spaces"),
        ("s3://c@b/p\n", "line feeds"),
        ("s3://c@b/p\tq", "line feeds"),
        ("S3://c@b/p", "upper case"),
        ("s3://key:secret@b/p", "password"),
        ("s3://c@b//p", "//"),
        ("s3://c@b/p//q", "//"),
        ("s3://c@b/./p", "folder . or .."),
        ("s3://c@b/p/../q", "folder . or .."),
        ("s3://c@b/p?a=1", "'?' truncates"),
        ("s3://c@b/p#a", "'#' truncates"),
        ("s3://c@b/$(NAME)/p", "$(NAME) was not expanded"),
        ("s3://c@b/${NAME}/p", "${NAME} was not expanded"),
        ("s3://c@b/$NAME", "$NAME was not expanded"),
    ],
)
def test_one_strange_thing_is_named(path: str, part: str) -> None:
    (problem,) = strange(path)
    assert part in problem
    assert "secret" not in problem


@given(NAMES, NAMES, st.lists(NAMES, max_size=4), st.booleans())
def test_a_plain_path_is_not_strange(
    connection: str, bucket: str, folders: list[str], slash: bool
) -> None:
    path = f"s3://{connection}@{bucket}" + "".join(f"/{folder}" for folder in folders)
    assert strange(path + ("/" if slash else "")) == []


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("endpoint", "endpoint_url"),
        ("endpoint_uri", "endpoint_url"),
        ("endpointUrl", "endpoint_url"),
        ("extra__aws__endpoint_url", "endpoint_url"),
        ("region", "region_name"),
        ("aws_secret_key", "aws_secret_access_key"),
        ("host", "endpoint_url"),
        ("external_id", "assume_role_kwargs"),
        ("team", ""),
    ],
)
def test_ignored_extras_are_found_with_what_was_meant(name: str, meant: str) -> None:
    assert ignored_extras(["region_name", name, "verify"], NEW) == {name: meant}


def test_old_providers_read_what_new_ones_ignore() -> None:
    assert ignored_extras(["host", "profile"], OLD) == {}
    assert ignored_extras(["host", "profile"], NEW) == {
        "host": "endpoint_url",
        "profile": "profile_name",
    }
