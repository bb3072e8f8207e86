"""Which build of the DAGs a process has loaded, shown before a run and in its log.

Whoever copies DAGs to where Airflow reads them stamps the folder with `.dag_build_info.json`
(`xbr stamp`). Three places show it: a banner in `doc_md`, a tag `build=<short>`, and the event
`dag_loaded` in the log of the first task. A missing or broken stamp shows as `unknown` and never
keeps a DAG from being parsed.
"""

from __future__ import annotations

import functools
import json
import logging
import os
import re
from typing import Any

from xcom_dags.events import log_event

STAMP = ".dag_build_info.json"
UNKNOWN = "unknown"
# The repository that the DAGs come from gives the field its name.
SHA_FIELD = os.environ.get("XCOM_DAGS_SHA_FIELD", "champollion_sha")
SYNCED_FIELD = "synced_at_utc"
# Airflow refuses a longer tag (column `dag_tag.name`).
_LONGEST_TAG = 100


def dag_build_info(dags_folder: str | None = None) -> dict[str, str]:
    """The stamp of the DAG folder, as it was when this process first asked.

    Args:
        dags_folder: the folder with the stamp. Without it: the file that `XCOM_DAGS_BUILD_INFO`
            names, else the stamp beside this module (where a DAG repository carries it as one
            file), else the one in Airflow's DAG folder.

    Returns:
        `champollion_sha` (see `SHA_FIELD`), `champollion_sha_short`, `synced_at_utc` and `status`,
        which is `ok`, or `unknown`, like all others, where no stamp can be read.
        The same dictionary on every call; do not change it. Never raises.
    """
    return _read(dags_folder)


@functools.lru_cache(maxsize=None)
def _read(dags_folder: str | None) -> dict[str, str]:
    try:
        with open(_stamp_path(dags_folder), encoding="utf-8") as file:
            stamp = json.load(file)
        found = {name: stamp[name] for name in (SHA_FIELD, SHA_FIELD + "_short", SYNCED_FIELD)}
        if _is_well_formed(*found.values()):
            return {**found, "status": "ok"}
    except Exception:  # noqa: BLE001, S110 - "unknown" is an answer, a DAG that cannot load is not
        pass
    return {
        SHA_FIELD: UNKNOWN,
        SHA_FIELD + "_short": UNKNOWN,
        SYNCED_FIELD: UNKNOWN,
        "status": UNKNOWN,
    }


def _is_well_formed(sha: object, short: object, synced: object) -> bool:
    """Whether a stamp is as `xbr stamp` writes it: its parts go into tags and into Markdown."""
    return (
        all(isinstance(value, str) for value in (sha, short, synced))
        and re.fullmatch("[0-9a-f]{40}([0-9a-f]{24})?", str(sha)) is not None
        and 4 <= len(str(short)) <= 40
        and str(sha).startswith(str(short))
        and re.fullmatch(r"[0-9T:.Z+-]{10,40}", str(synced)) is not None
    )


def _stamp_path(dags_folder: str | None) -> str:
    named = os.environ.get("XCOM_DAGS_BUILD_INFO")
    if dags_folder is None and named:
        return named
    beside = os.path.join(os.path.dirname(os.path.abspath(__file__)), STAMP)
    if dags_folder is None and os.path.exists(beside):
        return beside
    folder = dags_folder or os.environ.get("AIRFLOW__CORE__DAGS_FOLDER")
    if not folder:
        from airflow.configuration import conf

        folder = conf.get("core", "dags_folder")
    return os.path.join(os.path.expanduser(folder), STAMP)


def dag_version_banner(doc_md: str = "") -> str:
    """The line for the top of `doc_md`, followed by the text given.

    >>> dag_version_banner("Loads orders.").splitlines()[-1]
    'Loads orders.'
    """
    info = dag_build_info()
    banner = f"**Build** `{info[SHA_FIELD + '_short']}` · synced {info[SYNCED_FIELD]}"
    return f"{banner}\n\n{doc_md}" if doc_md else banner


def make_tags(*tags: str, build: str | None = None) -> list[str]:
    """The tags of a DAG, each once, with `build=<short>` at the end where `build` is given.

    Raises:
        ValueError: a tag is empty, or longer than the 100 characters that Airflow keeps.
    """
    wanted = list(dict.fromkeys(tags)) + ([f"build={build}"] if build else [])
    for tag in wanted:
        if not tag or len(tag) > _LONGEST_TAG:
            raise ValueError(f"tag {tag!r}: write 1 to {_LONGEST_TAG} characters")
    return wanted


def dag_loaded_event(logger: logging.Logger, dag_id: str, **extra: Any) -> None:
    """Log `dag_loaded` with the build that this process has; call it first in the first task.

    Raises:
        ValueError: a name in `extra` is not of the form that `log_event` takes.
    """
    info = dag_build_info()
    fields = {name: value for name, value in info.items() if name != "status"}
    log_event(logger, "dag_loaded", dag_id=dag_id, **fields, **extra)
