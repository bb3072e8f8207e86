"""Which objects exist and what they hold, read as the backend does, several at a time."""

from __future__ import annotations

import importlib
import io
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Iterable, NamedTuple

from xcom_probe import redact
from xcom_probe.airflow.backend import ImportFailed, load_xcom
from xcom_probe.airflow.storage import ask_bucket, storage_path
from xcom_probe.model import CannotLook

AT_ONCE = 8
ANSWER_SECONDS = 60
# Of an object that is read, decompressed, in bytes.
LARGEST = 32 * 1024 * 1024


def objects_there(base: str, urls: Iterable[str]) -> dict[str, bool | None]:
    """For each URL whether there is an object; None where the store gave no answer.

    Raises:
        CannotLook: Airflow cannot be imported, or the place of `base` cannot be listed: an answer
            "not there" would mean nothing.
    """
    try:
        load_xcom()
        files = storage_path(base).fs
        ask_bucket(base, ANSWER_SECONDS)
    except ImportFailed as problem:
        raise CannotLook(f"Airflow cannot be imported here: {problem}") from problem
    except Exception as problem:
        raise CannotLook(f"{base}: {redact.error(problem)}") from problem
    keys = {url: storage_path(url).path for url in urls}
    with ThreadPoolExecutor(AT_ONCE) as pool:
        answers = pool.map(lambda key: _is_there(files, key), keys.values())
        return dict(zip(keys, answers))


def _is_there(files: Any, key: str) -> bool | None:
    try:
        return bool(files.info(key, refresh=True)["type"] == "file")
    except FileNotFoundError:
        return False
    except Exception:  # noqa: BLE001 - no right, no connection: not known
        return None


class Content(NamedTuple):
    """What an object holds, decompressed; or why that is not known.

    Attributes:
        data: empty where it is not known.
        why: empty where it is.
        is_store: the store gave no answer about this object, which says nothing about the object.
    """

    data: bytes
    why: str = ""
    is_store: bool = False


class Objects:
    """The objects below one base, read through Airflow's file system with its connection."""

    def __init__(self, base: str) -> None:
        """Make the file system.

        Raises:
            CannotLook: Airflow cannot be imported, or its connection cannot be used.
        """
        try:
            load_xcom()
            self._files = storage_path(base).fs
        except ImportFailed as problem:
            raise CannotLook(f"Airflow cannot be imported here: {problem}") from problem
        except Exception as problem:
            raise CannotLook(f"{base}: {redact.error(problem)}") from problem

    def read(self, urls: Iterable[str]) -> dict[str, Content]:
        """The content of each, decompressed by its suffix, as the backend does it."""
        keys = {url: storage_path(url).path for url in urls}
        with ThreadPoolExecutor(AT_ONCE) as pool:
            return dict(zip(keys, pool.map(self._read, keys.values())))

    def _read(self, key: str) -> Content:
        try:
            # Not from a cached listing.
            self._files.info(key, refresh=True)
            with self._files.open(key, "rb") as file:
                stored = file.read(LARGEST + 1)
        except FileNotFoundError:
            return Content(b"", "the object does not exist")
        except Exception as problem:  # noqa: BLE001 - no right, no connection: said in the result
            return Content(b"", f"the store: {redact.error(problem)}", is_store=True)
        return _decompressed(key, stored)


def _decompressed(key: str, stored: bytes) -> Content:
    kind = importlib.import_module("fsspec.utils").infer_compression(key)
    data = stored
    if kind is not None:
        opener: Any = importlib.import_module("fsspec.compression").compr[kind]
        try:
            with opener(io.BytesIO(stored), mode="r") as file:
                data = file.read(LARGEST + 1)
        except Exception as problem:  # noqa: BLE001 - each kind has its own errors
            return Content(b"", f"corrupt: not {kind} ({redact.error(problem)})")
    if len(data) > LARGEST or len(stored) > LARGEST:
        return Content(b"", f"larger than {LARGEST} bytes: not copied into a row")
    return Content(data)
