"""Which classes Airflow makes when it reads a value."""

from __future__ import annotations

import contextlib
import os
from typing import Iterator

from xcom_probe import options
from xcom_probe.airflow import backend

_OPTION = ("core", "allowed_deserialization_classes")


@contextlib.contextmanager
def classes(pattern: str) -> Iterator[None]:
    """Have this process allow classes of this pattern beside those that the pod allows.

    Airflow refuses to make an instance of any other class, with every backend; so what a backend
    does to objects can only be seen with an allowed class. Airflow caches that setting when it
    reads its first object, so call this before.
    """
    name = options.env_name(*_OPTION)
    before = os.environ.get(name)
    allowed = str(backend.configuration().get(*_OPTION, fallback=""))
    os.environ[name] = f"{allowed} {pattern}".strip()
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before
