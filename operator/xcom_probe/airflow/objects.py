"""Which objects are there, asked of the store as the backend would, several at a time."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any, Iterable

from xcom_probe import redact
from xcom_probe.airflow.backend import ImportFailed, load_xcom
from xcom_probe.airflow.storage import storage_path
from xcom_probe.model import CannotLook

_AT_ONCE = 8


def objects_there(base: str, urls: Iterable[str]) -> dict[str, bool | None]:
    """For each URL whether there is an object; None where the store would not say.

    Raises:
        CannotLook: Airflow cannot be imported, or the place of `base` cannot be listed: an answer
            "not there" would mean nothing.
    """
    try:
        load_xcom()
        folder = storage_path(base)
        files = folder.fs
        files.ls(str(folder.path).strip("/").split("/", 1)[0], detail=False)
    except ImportFailed as problem:
        raise CannotLook(f"Airflow cannot be imported here: {problem}") from problem
    except Exception as problem:
        raise CannotLook(f"{base}: {redact.error(problem)}") from problem
    keys = {url: storage_path(url).path for url in urls}
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        answers = pool.map(lambda key: _is_there(files, key), keys.values())
        return dict(zip(keys, answers))


def _is_there(files: Any, key: str) -> bool | None:
    try:
        return bool(files.info(key, refresh=True)["type"] == "file")
    except FileNotFoundError:
        return False
    except Exception:  # noqa: BLE001 - no right, no connection: not known
        return None
