"""Checks whether Airflow's user may do everything that a kill needs, without changing anything.

Airflow checks rights before it looks anything up, and before it validates the request. So a change
of a run that does not exist is answered with 403 where the right is missing and with 404 where it
is granted; a change of a DAG with a mask without a field, with 403 or 400. Measured on 2.11.2 (FAB)
and 3.3.2 (FAB and Simple), tests/probe/test_rest_api.py.
"""

from collections.abc import Collection, Hashable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from urllib.parse import quote

from xcom_rollout.airflow_api.airflow import AirflowApi
from xcom_rollout.clients.errors import AirflowError, AirflowFault
from xcom_rollout.clients.kube import Json
from xcom_rollout.clients.memo import Memo
from xcom_rollout.clients.parallel import in_parallel

NO_RUN: Final = "xcom-rollout-asks-for-its-rights"
"""Id of a run that no DAG has."""
NO_DAG: Final = NO_RUN
MOST_DAGS: Final = 20
"""DAGs checked at a time: each takes six requests."""
KEPT: Final = timedelta(hours=1)
"""How long the answers about one DAG are valid: Airflow 2 writes three of the requests to its audit
log, unless it refuses them."""
_NAMED: Final = 5
"""DAGs that a message names."""
FIELD: Final = "spec.airflow.api.credentialsSecretRef"


@dataclass(frozen=True)
class MissingRight:
    """A right that the user lacks.

    Attributes:
        right: what the user may not do, in words.
        dag_id: the DAG that it may not do it to; empty where it may not do it to any.
        field: the field of the spec with the user.
        remedy: what to do.
    """

    right: str
    dag_id: str
    field: str
    remedy: str

    def __str__(self) -> str:
        which = f" (asked about the DAG {self.dag_id})" if self.dag_id else ""
        return f"{self.field}: the user is not allowed to {self.right}{which}; {self.remedy}"


@dataclass(frozen=True)
class _Question:
    right: str
    permission: str
    method: str
    path: str
    query: dict[str, Any] | None = None
    body: Json | None = None


_RUN: Final = f"/dagRuns/{NO_RUN}"
_PAUSE: Final = "pause DAGs"
_QUESTIONS: Final = (
    _Question("read DAGs", "can read on DAGs", "GET", ""),
    _Question("read DAG runs", "can read on DAG Runs", "GET", _RUN),
    _Question("read task instances", "can read on Task Instances", "GET", f"{_RUN}/taskInstances"),
    _Question(_PAUSE, "can edit on DAGs", "PATCH", "", {"update_mask": NO_RUN}),
    _Question(
        "set DAG runs to failed", "can edit on DAG Runs", "PATCH", _RUN, None, {"state": "failed"}
    ),
    _Question(
        "clear DAG runs", "can edit on DAG Runs", "POST", f"{_RUN}/clear", None, {"dry_run": True}
    ),
)


def missing_rights(airflow: AirflowApi, dag_ids: Collection[str] = ()) -> tuple[MissingRight, ...]:
    """Return the rights that a kill needs and the user lacks; empty where none is missing.

    Args:
        dag_ids: DAGs to check, because rights may be granted for single DAGs. Where there are
            none, or Airflow knows none of them, the rights to any DAG are checked.

    Raises:
        AirflowError: the user is refused or has no right, or Airflow cannot be asked.
    """
    asked = sorted(dag_ids) or [NO_DAG]
    found = in_parallel(lambda dag_id: _missing(airflow, dag_id), asked)
    nothing = all(len(rights) == len(_QUESTIONS) for rights in found)
    if nothing and not airflow.rest.allows("GET", "/dags", {"limit": 1}):
        raise AirflowError(
            f"{FIELD}: Airflow denies every request of the user of the Secret "
            f"{airflow.rest.secret} (403): its username or password is wrong, which Airflow 2 "
            "reports in this way, or the user has no role; give it the role Op",
            fault=AirflowFault.UNAUTHORIZED,
            status=403,
        )
    return tuple(right for rights in found for right in rights)


class DagRights:
    """The rights to single DAGs by recent answers. Thread-safe."""

    def __init__(self, memo: Memo, key: Hashable, now: datetime) -> None:
        """Args: `key` identifies the user."""
        self._memo, self._key, self._now = memo, key, now

    def missing(self, airflow: AirflowApi, dag_id: str) -> Sequence[MissingRight]:
        """Return the rights to this DAG that the user lacks.

        Of a kept answer only the refused rights are checked again.

        Raises:
            AirflowError: Airflow cannot be asked.
        """
        key = ("rights to a DAG", self._key, dag_id)
        kept: tuple[datetime, Sequence[MissingRight]] | None = self._memo.find(key)
        if kept is None or self._now - kept[0] >= KEPT:
            kept = self._now, _missing(airflow, dag_id)
        elif kept[1]:
            refused = {right.right for right in kept[1]}
            kept = kept[0], _missing(airflow, dag_id, refused)
        self._memo.put(key, kept)
        return kept[1]


def describe_missing(
    airflow: AirflowApi, rights: DagRights, dag_ids: Collection[str] = ()
) -> tuple[str, ...]:
    """Return in words which rights that a kill needs the user lacks; empty where none is missing.

    The rights to any DAG are checked, and those to the first `MOST_DAGS` of these: Airflow can
    exclude a user from single DAGs.

    Raises:
        AirflowError: as `missing_rights`.
    """
    to_any = missing_rights(airflow)
    reported = {right.right for right in to_any}
    of_dags: dict[str, list[MissingRight]] = {}
    asked = sorted(set(dag_ids))[:MOST_DAGS]
    for found in in_parallel(lambda dag_id: rights.missing(airflow, dag_id), asked):
        for right in found:
            if right.right not in reported:
                of_dags.setdefault(right.right, []).append(right)
    return (*map(str, to_any), *map(_of_dags, of_dags.values()))


def _of_dags(rights: Sequence[MissingRight]) -> str:
    """Return one right, missing for several DAGs, in words."""
    first, dag_ids = rights[0], [right.dag_id for right in rights]
    if len(rights) == 1:
        return str(first)
    more = f" and {len(rights) - _NAMED} more" if len(rights) > _NAMED else ""
    which = f"(asked about the DAGs {', '.join(dag_ids[:_NAMED])}{more})"
    return (
        f"{first.field}: the user is not allowed to {first.right} {which}; {first.remedy}, and "
        "for the others"
    )


def _missing(
    airflow: AirflowApi, dag_id: str, only: Collection[str] | None = None
) -> list[MissingRight]:
    """Args: `only` the rights to check, in addition to those that a GET shows."""
    rest, root = airflow.rest, f"/dags/{quote(dag_id, safe='')}"
    missing = []
    paused: bool | None = None
    for question in _QUESTIONS:
        if only is not None and question.method != "GET" and question.right not in only:
            continue
        body = question.body
        if question.right == _PAUSE:
            # Its present state, although the mask excludes everything.
            body = {"is_paused": True if paused is None else paused}
        if not rest.allows(question.method, f"{root}{question.path}", question.query, body):
            missing.append(_right(question, "" if dag_id == NO_DAG else dag_id))
        elif not question.path and question.method == "GET":
            info = airflow.dag(dag_id)
            paused = None if info is None else info.paused
    return missing


def _right(question: _Question, dag_id: str) -> MissingRight:
    of_dag = f", or access_control of the DAG {dag_id}" if dag_id else ""
    return MissingRight(
        question.right,
        dag_id,
        FIELD,
        f"give it the role Op, or one with the permission {question.permission}{of_dag}",
    )
