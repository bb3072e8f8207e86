"""Where Airflow gets its DAGs: one folder, or the bundles of Airflow 3. No Airflow here."""

from __future__ import annotations

import json
import os
from typing import Mapping, NamedTuple

from xcom_probe import options
from xcom_probe.model import CannotLook

LOCAL = "airflow.dag_processing.bundles.local.LocalDagBundle"
LIST = ("dag_processor", "dag_bundle_config_list")
_FOLDER = ("core", "dags_folder")
_DEFAULT_NAME = "dags-folder"


class Bundle(NamedTuple):
    """A source of DAGs.

    Attributes:
        name: as it is configured.
        classpath: the class that provides it.
        folder: where its files are; None where only its class can say that.
    """

    name: str
    classpath: str
    folder: str | None

    @property
    def what(self) -> str:
        """The name of its class, without the module."""
        return self.classpath.rpartition(".")[2]


def configured(
    environ: Mapping[str, str], cfg: options.ConfigFile, airflow_3: bool
) -> list[Bundle]:
    """The bundles that Airflow is configured with, at least one, in their order.

    Airflow 2, and Airflow 3 where no list is set, have the DAG folder.

    Raises:
        CannotLook: the list cannot be read, or names none: Airflow then has no DAGs.
    """
    own = options.expand(
        options.setting(_FOLDER, environ, cfg)
        or os.path.join(environ.get("AIRFLOW_HOME") or "~/airflow", "dags")
    )
    listed = options.setting(LIST, environ, cfg) if airflow_3 else None
    if listed is None:
        return [Bundle(_DEFAULT_NAME, LOCAL, own)]
    try:
        found = [
            (str(item["name"]), str(item["classpath"]), dict(item.get("kwargs") or {}))
            for item in json.loads(listed)
        ]
    except (ValueError, KeyError, TypeError, AttributeError) as problem:
        raise CannotLook(f"[{LIST[0]}] {LIST[1]} cannot be read: {problem!r}") from problem
    if not found:
        raise CannotLook(f"[{LIST[0]}] {LIST[1]} contains no bundle, so Airflow has no DAGs")
    return [
        Bundle(
            name,
            classpath,
            options.expand(str(kwargs.get("path") or own)) if classpath == LOCAL else None,
        )
        for name, classpath, kwargs in found
    ]
