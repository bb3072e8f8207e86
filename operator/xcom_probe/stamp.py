"""The build stamp beside the DAGs of this pod. No Airflow here."""

from __future__ import annotations

import errno
import json
import os
from typing import Any, Mapping, NamedTuple

from xcom_probe import bundles, options
from xcom_probe.model import CannotLook

STAMP = ".dag_build_info.json"
DEFAULT_FIELD = "champollion_sha"
_SYNCED = "synced_at_utc"
# git-sync removes the old tree some time after it has moved the link; three moves within one read
# are not expected.
_ATTEMPTS = 3


class Stamp(NamedTuple):
    """What a DAG folder says of its build.

    Attributes:
        folder: as Airflow's settings name it.
        resolved: where its links led when it was read; the tree that git-sync had there.
        sha: the commit, None where it is not known.
        synced_at: when the DAGs were copied, None where it is not known.
        problem: why not; empty where both are known.
        empty: whether the folder is empty or missing.
    """

    folder: str
    resolved: str
    sha: str | None
    synced_at: str | None
    problem: str
    empty: bool = False

    def as_json(self) -> dict[str, Any]:
        """The form of the result document."""
        return {
            "folder": self.folder,
            "resolved": self.resolved,
            "sha": self.sha,
            "syncedAt": self.synced_at,
            "problem": self.problem,
            "empty": self.empty,
        }


def stamps(environ: Mapping[str, str], cfg: options.ConfigFile, airflow_3: bool) -> list[Stamp]:
    """The stamp of each folder that Airflow reads DAGs from here.

    Airflow 3 has bundles. Those of other kinds than a local folder keep their trees in ways of
    their own; they are in the list with a problem that says so.
    """
    field = environ.get("XCOM_DAGS_SHA_FIELD") or DEFAULT_FIELD
    named = environ.get("XCOM_DAGS_BUILD_INFO")
    if named:
        folder, name = os.path.split(os.path.abspath(named))
        return [read(folder, field, name)]
    try:
        found = bundles.configured(environ, cfg, airflow_3)
    except CannotLook as problem:
        return [Stamp("", "", None, None, str(problem))]
    return [_of_bundle(bundle, field) for bundle in found]


def _of_bundle(bundle: bundles.Bundle, field: str) -> Stamp:
    if bundle.folder is not None:
        return read(bundle.folder, field)
    why = f"the bundle {bundle.name} is a {bundle.classpath}, whose files are not known here"
    return Stamp("", "", None, None, why)


def read(folder: str, field: str = DEFAULT_FIELD, name: str = STAMP) -> Stamp:
    """Read the stamp in a folder that may be switched to another tree meanwhile."""
    resolved, why = folder, ""
    for _ in range(_ATTEMPTS):
        # One resolution for the read and for the report.
        resolved = os.path.realpath(folder)
        try:
            with open(os.path.join(resolved, name), encoding="utf-8") as file:
                found = json.load(file)
        except OSError as problem:
            why = f"{name} cannot be read: {problem.strerror}"
            turned = os.path.realpath(folder) != resolved
            if turned and problem.errno in (errno.ENOENT, errno.ENOTDIR, errno.ESTALE):
                continue
            break
        except ValueError as problem:
            why = f"{name} is not JSON: {problem}"
            break
        return _checked(folder, resolved, field, name, found)
    return Stamp(folder, resolved, None, None, why, _is_empty(resolved))


def _is_empty(folder: str) -> bool:
    try:
        with os.scandir(folder) as entries:
            return next(entries, None) is None
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:
        return False


def _checked(folder: str, resolved: str, field: str, name: str, found: Any) -> Stamp:
    sha = found.get(field) if isinstance(found, dict) else None
    if not isinstance(sha, str) or not sha:
        why = f"{name} has no field {field} (XCOM_DAGS_SHA_FIELD sets another name)"
        return Stamp(folder, resolved, None, None, why)
    synced = found.get(_SYNCED)
    return Stamp(folder, resolved, sha, synced if isinstance(synced, str) else None, "")
