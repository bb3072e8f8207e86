"""Which values the object storage backend offloads: its threshold, for a while, in this process."""

from __future__ import annotations

import contextlib
import importlib
import os
from typing import Any, Iterator

from xcom_probe import options
from xcom_probe.model import CannotLook

ALWAYS = 0
NEVER = -1
_MODULE = "airflow.providers.common.io.xcom.backend"


@contextlib.contextmanager
def threshold(value: int) -> Iterator[None]:
    """Have the backend use another threshold inside the block, and the configured one after it.

    The backend asks Airflow's configuration once per process and keeps the answer in a cache. So
    the environment variable, which beats every other source, is set and the cache emptied; nothing
    of the backend is replaced.

    Raises:
        CannotLook: this version of the provider does not take its threshold from there.
    """
    cached: Any = getattr(importlib.import_module(_MODULE), "_get_threshold", None)
    if not hasattr(cached, "cache_clear"):
        raise CannotLook("this version of the provider stores its threshold in another place")
    name = options.env_name(*options.THRESHOLD)
    before = os.environ.get(name)
    os.environ[name] = str(value)
    try:
        cached.cache_clear()
        if cached() != value:
            raise CannotLook(f"the backend does not accept {name}={value}")
        yield
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before
        cached.cache_clear()
