"""All that the probe knows of Airflow's inside, and the only place that imports it.

Written for Airflow 2.9 to 2.11; what the 3.x task SDK does differently goes behind the same names.
Airflow is imported by name at run time: it is there in the pod, not where this is developed.
"""

from __future__ import annotations

import importlib
import json
from typing import Any, Iterator, NamedTuple

from xcom_probe import options, place, redact
from xcom_probe.model import CannotLook

DATABASE = "Database"
OBJECT_STORAGE = "ObjectStorage"
OBJECT_BACKEND = "airflow.providers.common.io.xcom.backend.XComObjectStorageBackend"
# The classes a backend type may be loaded as; the second name of BaseXCom is that of Airflow 3.
BACKEND_CLASSES: dict[str, tuple[str, ...]] = {
    DATABASE: ("airflow.models.xcom.BaseXCom", "airflow.sdk.bases.xcom.BaseXCom"),
    OBJECT_STORAGE: (OBJECT_BACKEND,),
}

FIRST_COMMON_IO = (1, 3, 0)
# (Airflow major.minor, common-io) that cannot be imported together: a circular import. Measured.
BROKEN_PAIRS = frozenset({("2.10", "1.6.2"), ("2.11", "1.6.1"), ("2.11", "1.6.2")})
# From the next version on, strings that look like JSON are decoded twice on Airflow 2. Measured on
# 2.11.2 with every version from 1.4.2 to 1.7.2.
JSON_STRINGS_REMEDY = (
    "Pin apache-airflow-providers-common-io to 1.5.3 on Airflow 2 (later ones decode twice), or "
    "make sure that no task pushes strings that parse as JSON."
)


class ImportFailed(Exception):
    """Airflow, or the XCom class it is configured with, cannot be imported here."""


def airflow_series() -> tuple[int, int]:
    """Major and minor version of the installed Airflow; (0, 0) if it is not installed."""
    numbers = version_numbers(place.airflow_version() or "")
    return (numbers[0], numbers[1]) if len(numbers) > 1 else (0, 0)


def version_numbers(version: str) -> tuple[int, ...]:
    """The leading numbers of a version: `2.11.2rc1` is (2, 11, 2)."""
    numbers = []
    for part in version.split("."):
        digits = ""
        for character in part:
            if not character.isdigit():
                break
            digits += character
        if not digits:
            break
        numbers.append(int(digits))
        if digits != part:
            break
    return tuple(numbers)


def load_xcom() -> Any:
    """The XCom class that Airflow loads in a process with this configuration.

    `airflow.models.xcom` has to be imported before the provider's module: the other way round the
    import is circular on Airflow 2.

    Raises:
        ImportFailed: with the reason, on one line.
    """
    place.use_scratch()
    try:
        return importlib.import_module("airflow.models.xcom").XCom
    except Exception as problem:
        raise ImportFailed(redact.error(problem)) from problem


def qualified_name(cls: Any) -> str:
    """`module.Class` of a loaded class."""
    return f"{cls.__module__}.{cls.__qualname__}"


def configuration() -> Any:
    """Airflow's configuration object.

    Raises:
        ImportFailed: Airflow itself cannot be imported.
    """
    try:
        return importlib.import_module("airflow.configuration").conf
    except Exception as problem:
        raise ImportFailed(redact.error(problem)) from problem


def effective(conf: Any, option: tuple[str, str]) -> str | None:
    """The value that the backend gets, asked for exactly as the backend asks for it."""
    section, name = option
    try:
        if option == options.THRESHOLD:
            return str(conf.get(section, name, fallback="-1"))
        if option == options.COMPRESSION:
            value = conf.get(section, name, fallback=None)
        else:
            value = conf.get(section, name, suppress_warnings=True)
    except Exception as problem:
        if type(problem).__name__ == "AirflowConfigException":
            return None
        raise
    return None if value is None else str(value)


def pickling(conf: Any) -> tuple[bool, str]:
    """Whether XCom values are pickled, and the text of the option. Airflow 3 has no such option."""
    if airflow_series() >= (3, 0):
        return False, "Airflow 3 never pickles XCom"
    return (
        bool(conf.getboolean("core", "enable_xcom_pickling", fallback=False)),
        str(conf.get("core", "enable_xcom_pickling", fallback="False")),
    )


def configured_class(conf: Any) -> Any:
    """The class that `[core] xcom_backend` names."""
    return conf.getimport("core", "xcom_backend")


class _Row(NamedTuple):
    """What `deserialize_value` needs of a row: its value."""

    value: Any


def read_inline(xcom: Any, value: Any) -> Any:
    """`value` after one way through an inline row and the backend's `deserialize_value`."""
    return xcom.deserialize_value(_Row(_inline(value)))


def _inline(value: Any) -> Any:
    encoded = json.dumps(value)
    return encoded.encode("utf-8") if airflow_series() < (3, 0) else encoded


class FoundConnection(NamedTuple):
    """A connection and the secrets backend that answered for it, with the variable if there is."""

    connection: Any
    source: str


def find_connection(conn_id: str) -> FoundConnection | None:
    """Ask Airflow's secrets backends in its order; None if all of them say that there is none.

    Raises:
        CannotLook: none knows the connection, and at least one could not be asked.
    """
    conf = importlib.import_module("airflow.configuration")
    problems: list[str] = []
    for backend in conf.ensure_secrets_loaded():
        kind = type(backend).__name__
        try:
            connection = backend.get_connection(conn_id=conn_id)
        except Exception as problem:  # noqa: BLE001 - Airflow goes on to the next backend too
            problems.append(f"{kind} ({redact.error(problem)})")
            continue
        if connection is not None:
            redact.secret(connection.password)
            if kind == "EnvironmentVariablesBackend":
                return FoundConnection(connection, f"env:AIRFLOW_CONN_{conn_id.upper()}")
            if kind == "MetastoreBackend":
                return FoundConnection(connection, "metadata database")
            return FoundConnection(connection, f"secrets backend {kind}")
    if problems:
        raise CannotLook("could not ask {}".format("; ".join(problems)))
    return None


def s3_hook(conn_id: str | None) -> Any:
    """The hook that the provider's file system takes session, endpoint and settings from."""
    return importlib.import_module("airflow.providers.amazon.aws.hooks.s3").S3Hook(
        aws_conn_id=conn_id
    )


def storage_path(url: str) -> Any:
    """Airflow's own path object, the one that the backend uses."""
    module = "airflow.io.path" if airflow_series() < (3, 0) else "airflow.sdk"
    return importlib.import_module(module).ObjectStoragePath(url)


class ThrowAwayRun:
    """One finished DAG run with one task instance, inside a transaction that is never committed.

    Values are written by `XCom.set` and read by `XCom.get_value`, as tasks do, against the real
    tables and constraints; nobody else ever sees the rows, and no end of this process, SIGKILL
    included, can leave one behind. Only objects in storage outlive the transaction.
    """

    DAG_ID = "xcom_probe"
    TASK_ID = "roundtrip"

    def __init__(self, xcom: Any, run_id: str) -> None:
        self.xcom = xcom
        self.run_id = run_id
        self._session: Any = None

    def __enter__(self) -> ThrowAwayRun:
        """Open the transaction and insert the run.

        Raises:
            CannotLook: the database is out of reach or refuses the rows.
        """
        if airflow_series() >= (3, 0):
            raise CannotLook(
                "the round trip through the database is written for Airflow 2; "
                f"this is {place.airflow_version()}"
            )
        try:
            self._session = importlib.import_module("airflow.settings").Session()
            self._insert_run()
        except Exception as problem:
            self.close()
            raise CannotLook(f"metadata database: {redact.error(problem)}") from problem
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Roll everything back."""
        if self._session is not None:
            try:
                self._session.rollback()
            finally:
                self._session.close()

    def _insert_run(self) -> None:
        now = importlib.import_module("airflow.utils.timezone").utcnow()
        run = importlib.import_module("airflow.models.dagrun").DagRun.__table__
        task = importlib.import_module("airflow.models.taskinstance").TaskInstance.__table__
        self._session.execute(
            run.insert().values(
                dag_id=self.DAG_ID,
                run_id=self.run_id,
                execution_date=now,
                state="success",
                run_type="manual",
                clear_number=0,
            )
        )
        self._session.execute(
            task.insert().values(
                dag_id=self.DAG_ID,
                run_id=self.run_id,
                task_id=self.TASK_ID,
                map_index=-1,
                state="success",
                pool="default_pool",
                pool_slots=1,
            )
        )

    def write(self, key: str, value: Any) -> None:
        """Push a value as a task does. A failing write leaves the others untouched."""
        with self._session.begin_nested():
            self.xcom.set(
                key=key,
                value=value,
                dag_id=self.DAG_ID,
                task_id=self.TASK_ID,
                run_id=self.run_id,
                session=self._session,
            )

    def stored(self, key: str) -> bytes:
        """The bytes of the row, as the database returns them."""
        base = importlib.import_module("airflow.models.xcom").BaseXCom
        query = self._session.query(base.value).filter_by(
            dag_id=self.DAG_ID, task_id=self.TASK_ID, run_id=self.run_id, map_index=-1, key=key
        )
        return bytes(query.one()[0])

    def read(self, key: str) -> Any:
        """Pull the value as a task does."""
        ti_key = importlib.import_module("airflow.models.taskinstancekey").TaskInstanceKey(
            self.DAG_ID, self.TASK_ID, self.run_id, 1, -1
        )
        return self.xcom.get_value(ti_key=ti_key, key=key, session=self._session)

    def purge(self, path: str) -> None:
        """Remove the object of a value as Airflow does before a task runs again."""
        self.xcom.purge(_Row(path), self._session)


def find_objects(url: str) -> Iterator[str]:
    """Full URLs of the objects below `url`, asked of the store and not of a cache."""
    folder = storage_path(url)
    folder.fs.invalidate_cache()
    prefix = url.split("://", 1)[0] + "://"
    for name in folder.fs.find(folder.path):
        yield prefix + name if "://" not in name else name


def remove_object(url: str, base: str) -> None:
    """Remove one object that `find_objects` named, through the file system of `base`."""
    storage_path(base).fs.rm_file(url.split("://", 1)[1])
