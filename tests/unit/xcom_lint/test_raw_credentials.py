"""XCL007."""

from __future__ import annotations

import pytest

from lint_cases import lines


@pytest.mark.parametrize(
    ("code", "found"),
    [
        ('x = "postgresql://app:hunter2@db/orders"', True),
        ('x = "redis://:hunter2@cache:6379/0"', True),
        ("x = \"host=db dbname=x user=a password='hunter 2'\"", True),
        ('connect(password="hunter2")', True),
        ('boto3.client("s3", aws_secret_access_key="abc/def")', True),
        ('x = "AKIAIOSFODNN7EXAMPLE"', True),
        ('x = "postgresql://app@db/orders"', False),
        ('x = "postgresql://app:{password}@db/orders"', False),
        ('x = "postgresql://app:$PASSWORD@db/orders"', False),
        ('x = "postgresql://app:***@db/orders"', False),
        ('x = f"postgresql://app:{secret}@db/orders"', False),
        ('x = "https://example.org/a@b:c"', False),
        ('x = "s3://aws_default@bucket/prefix"', False),
        ("connect(password=secret)", False),
        ('connect(password="")', False),
        ('connect(password="{{ conn.db.password }}")', False),
        ('"""postgresql://app:hunter2@db/orders"""', False),
        ('x = "host=db dbname=x password="', False),
    ],
)
def test_credentials_in_the_code(code: str, found: bool) -> None:
    assert bool(lines("XCL007", f"def f():\n    {code}\n")) is found
