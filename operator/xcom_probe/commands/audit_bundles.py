"""The DAG files of several bundles."""

from __future__ import annotations

import os
from typing import Iterator, Mapping, Sequence

from xcom_probe import options
from xcom_probe.bundles import Bundle
from xcom_static.errors import NoFilesError
from xcom_static.source import files
from xcom_static.source.files import Source


def label(bundle: Bundle) -> str:
    """What stands in place of a file's name for a bundle that has no files here."""
    return f"bundle {bundle.name}"


def sources(bundles: Sequence[Bundle], syntax: str | None) -> Iterator[Source]:
    """Every Python file of each bundle, and one that has no files here with the reason.

    Where several bundles have files here, these are named BUNDLE/FILE.

    Args:
        syntax: as of `files.sources`.

    Raises:
        InvalidArgumentError: `syntax` is needed; or there is only one bundle and its folder is not
            there, or holds no Python file.
        UnavailableError: a pattern language is missing here.
    """
    local = [bundle for bundle in bundles if bundle.folder is not None]
    for bundle in bundles:
        if bundle.folder is None:
            yield Source(label(bundle), b"", f"a {bundle.what}, whose files are not in this pod")
        elif len(bundles) == 1:
            yield from files.sources(bundle.folder, syntax)
        else:
            prefix = f"{bundle.name}/" if len(local) > 1 else ""
            try:
                for source in files.sources(bundle.folder, syntax):
                    yield source._replace(name=prefix + source.name)
            except NoFilesError as problem:
                yield Source(label(bundle), b"", str(problem))


def local_settings(environ: Mapping[str, str]) -> Iterator[Source]:
    """Airflow's `airflow_local_settings`, where the chart mounts it: it runs in every process."""
    home = options.expand(environ.get("AIRFLOW_HOME", "~/airflow"))
    path = os.path.join(home, "config", "airflow_local_settings.py")
    if os.path.exists(path):
        yield from files.sources(path, None)
