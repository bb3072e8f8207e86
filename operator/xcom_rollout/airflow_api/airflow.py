"""Airflow as the kill-switch needs it: DAGs and DAG runs, read and changed by its REST API."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from urllib.parse import quote

import httpx2

from xcom_rollout.airflow_api.access import address, client_for, credentials
from xcom_rollout.airflow_api.each import MOST_BY_NAME, Answers, ask_each, is_of_one
from xcom_rollout.airflow_api.rest import Page, Rest, json_object, redirected, said, unreachable
from xcom_rollout.airflow_api.run_memory import RunMemory, RunsSeen
from xcom_rollout.airflow_api.v1 import V1
from xcom_rollout.airflow_api.v2 import v2
from xcom_rollout.clients.errors import AirflowError, AirflowFault
from xcom_rollout.clients.kube import Json, KubeApi
from xcom_rollout.clients.memo import Memo
from xcom_rollout.clients.parallel import CONCURRENCY, in_parallel
from xcom_rollout.clients.times import time_or_none
from xcom_rollout.decide.ledger import RunKey
from xcom_rollout.decide.observed import DagRun, Rollout
from xcom_rollout.decide.versions import KNOWN, OLDEST, is_known, read_version

__all__ = [
    "CONCURRENCY",
    "AirflowApi",
    "DagInfo",
    "airflow_version",
    "in_parallel",
    "open_airflow",
]

IN_FLIGHT: Final = ("running", "queued")
LARGEST_PAGE: Final = 1000
"""Entries requested at once. Airflow returns [api] maximum_page_limit at most, 100 by default, and
does not report that: the number is seen in its answer."""
_ELSEWHERE: Final = "not at this location"
"""Airflow 2's answer outside the path of its [webserver] base_url."""


@dataclass(frozen=True)
class DagInfo:
    """A DAG as Airflow knows it.

    Attributes:
        active: whether its file exists; runs of a DAG without one are not scheduled.
    """

    dag_id: str
    paused: bool
    active: bool


class AirflowApi:
    """Reads and changes DAGs and DAG runs. Every method raises `AirflowError`."""

    def __init__(self, rest: Rest, memory: RunMemory | None = None) -> None:
        """Use `rest`; `memory` is what was seen of this Airflow's runs before."""
        self._rest = rest
        self.memory = memory or RunMemory()

    @property
    def rest(self) -> Rest:
        """The requests below this API."""
        return self._rest

    @property
    def major(self) -> int:
        """Airflow's major version."""
        return self._rest.dialect.major

    def in_flight(self) -> list[DagRun]:
        """Return every run that is running or queued."""
        return list(self.list_runs({"state": list(IN_FLIGHT)}).runs)

    def changed_since(self, moment: datetime) -> list[DagRun]:
        """Return every run that Airflow has changed since `moment`."""
        return list(self.list_runs({"updated_at_gte": moment.isoformat()}).runs)

    def list_runs(self, filters: Mapping[str, Any]) -> RunsSeen:
        """Return the runs of all DAGs that the filters of the API match.

        A run that moves between pages may come twice, or at the next look.
        """
        # Ordered by id, new runs come last and pages do not shift.
        pages = list(self.pages("/dags/~/dagRuns", "dag_runs", {**filters, "order_by": "id"}))
        return _runs_seen(pages)

    def latest_runs(self) -> RunsSeen:
        """Return a small page of the runs that were changed last, for the clocks in it."""
        query = {"order_by": "-updated_at", "limit": 20}
        return _runs_seen([self._rest.listed("/dags/~/dagRuns", "dag_runs", query)])

    def run(self, key: RunKey) -> DagRun | None:
        """Return one run, None where Airflow has none of this key."""
        answer = self._rest.ask("GET", _run_path(key))
        return None if answer is None else _dag_run(answer)

    def dag(self, dag_id: str) -> DagInfo | None:
        """Return a DAG as Airflow knows it, None for one that it does not have."""
        answer = self._rest.ask("GET", _dag_path(dag_id))
        if answer is None:
            return None
        member, gone = self._rest.dialect.gone
        return DagInfo(dag_id, _is_paused(answer), answer.get(member) is not gone)

    def paused(self, dag_ids: Collection[str]) -> Answers[str, bool | None]:
        """Return whether each DAG is paused, None for one that Airflow does not have.

        A request costs Airflow 2 0.15 s of processor time, most of it to check the password. So
        all its DAGs are read page by page, unless reading each one takes fewer requests. What the
        pages lack is requested by name: the list leaves out what the user may not read.
        """
        if not dag_ids:
            return Answers({}, {})
        listed: dict[str, bool] = {}
        problem: AirflowError | None = None
        try:
            for found in self._listed_dags(set(dag_ids)):
                listed |= found
        except AirflowError as error:
            if not is_of_one(error) or len(dag_ids) > MOST_BY_NAME:
                raise
            problem = error
        missing = sorted(set(dag_ids) - listed.keys())
        asked = ask_each(self._paused, missing, answering=problem is None)
        if problem is not None and not listed and not asked.found:
            raise problem
        known = {dag_id: listed[dag_id] for dag_id in dag_ids if dag_id in listed}
        return Answers({**known, **asked.found}, asked.refused)

    def _listed_dags(self, dag_ids: set[str]) -> Iterator[dict[str, bool]]:
        """Yield page by page whether DAGs are paused, until reading each of the rest costs less."""
        seen: set[str] = set()
        query = {**self._rest.dialect.every_dag, "order_by": "dag_id"}
        for page in self.pages("/dags", "dags", query):
            listed = {str(dag.get("dag_id")): _is_paused(dag) for dag in page.entries}
            yield listed
            seen |= listed.keys()
            missing, total = len(dag_ids - seen), page.total
            if not missing:
                return
            if listed and total is not None and (total - len(seen)) / len(listed) > missing:
                return

    def _paused(self, dag_id: str) -> bool | None:
        info = self.dag(dag_id)
        return None if info is None else info.paused

    def set_paused(self, dag_id: str, paused: bool) -> None:
        """Pause or unpause the DAG; one that is gone is left alone."""
        self._rest.ask(
            "PATCH", _dag_path(dag_id), {"update_mask": "is_paused"}, {"is_paused": paused}
        )

    def fail(self, key: RunKey) -> str | None:
        """Set the run to failed, and return its state afterwards.

        It is not `failed` while a teardown is pending: Airflow ends the other tasks and lets the
        run end by itself.

        Returns:
            None for a run that is gone.

        Raises:
            AirflowError: also where Airflow does nothing because the DAG's file is gone.
        """
        answer = self._change(key, "PATCH", "", {"state": "failed"})
        state = None if answer is None else str(answer.get("state", "failed"))
        # Airflow 2 answers 200 and does nothing without the DAG's file.
        if state in IN_FLIGHT and not self._is_active(key.dag_id):
            raise _dag_is_gone(key)
        return state

    def clear(self, key: RunKey) -> None:
        """Queue the whole run again; one that is gone is left alone.

        Raises:
            AirflowError: also where the DAG's file is gone.
        """
        self._change(key, "POST", "/clear", self._rest.dialect.clear)

    def can_clear(self, key: RunKey) -> None:
        """Return if a clear of the run would do what it should; changes nothing.

        Raises:
            AirflowError: it would not: the run or its DAG is gone (the run would be queued
                forever), no version of the DAG is left, a right is missing.
        """
        answer = self._change(key, "POST", "/clear", {**self._rest.dialect.clear, "dry_run": True})
        if answer is None:
            raise AirflowError(
                f"Airflow no longer has the run {key}: there is nothing to clear",
                fault=AirflowFault.RUN_NOT_FOUND,
                status=404,
            )
        if not self._is_active(key.dag_id):
            raise _dag_is_gone(key)

    def _is_active(self, dag_id: str) -> bool:
        info = self.dag(dag_id)
        return info is not None and info.active

    def _change(self, key: RunKey, method: str, path: str, body: Json) -> Json | None:
        if not body.get("dry_run"):
            self.memory.asked_to_change(key)
        try:
            answer = self._rest.ask(method, f"{_run_path(key)}{path}", None, body)
        except AirflowError as error:
            # Airflow 2 answers 500 to a clear without the DAG's file.
            if error.status >= httpx2.codes.INTERNAL_SERVER_ERROR and not self._is_active(
                key.dag_id
            ):
                raise _dag_is_gone(key) from error
            raise
        if answer is None and self.run(key) is not None:
            raise _dag_is_gone(key)
        return answer

    def pages(self, path: str, member: str, query: Mapping[str, Any]) -> Iterator[Page]:
        """Yield the pages of a list, as large as Airflow returns them.

        Airflow 2.9 omits `total_entries` where certain fields are requested: then the list ends
        with an empty page.
        """
        offset = 0
        while True:
            asked = {**query, "limit": LARGEST_PAGE, "offset": offset}
            page = self._rest.listed(path, member, asked)
            yield page
            offset += len(page.entries)
            if page.is_last(offset):
                return


def airflow_version(http: httpx2.Client, base: str) -> tuple[int, int]:
    """Return major and minor version of the Airflow at `base`, as it reports it.

    It is requested each time: with the wrong version of the API, an upgraded Airflow would answer
    404, which would be read as runs that are gone.

    Raises:
        AirflowError: it does not report it, or the version is not known here.
    """
    hint = ""
    for path in ("/api/v1/version", "/api/v2/version"):
        try:
            response = http.get(f"{base}{path}", follow_redirects=False)
        except httpx2.HTTPError as error:
            raise unreachable(base, error) from error
        if response.is_redirect:
            raise redirected(base, f"GET {path}", path, response)
        if response.status_code == httpx2.codes.NOT_FOUND:
            if _ELSEWHERE in response.text:
                hint = (
                    "; the answer says that Airflow is below another path: set "
                    "spec.airflow.api.path to the path of its [webserver] base_url"
                )
            continue
        if response.is_error:
            raise AirflowError(
                f"{base} answered {response.status_code} to GET {path}, so the version of Airflow "
                f"is not known and no further request is sent: {said(response)}",
                fault=AirflowFault.UNREACHABLE,
                status=response.status_code,
            )
        text = str(json_object(base, f"GET {path}", response).get("version"))
        version = read_version(text)
        if version is not None and is_known(version):
            return version
        raise AirflowError(
            f"{base} reports Airflow {text!r}; pausing, stopping and clearing runs is supported "
            f"for {KNOWN} only"
        )
    raise AirflowError(
        f"there is no Airflow API at {base}: neither /api/v1/version nor /api/v2/version exists"
        + (
            hint
            or "; check that spec.airflow.api.service and port name Airflow's web server (Airflow "
            "3: its API server), and that path is the path that it is below"
        ),
        fault=AirflowFault.UNREACHABLE,
        status=404,
    )


def open_airflow(
    http: httpx2.Client, api: KubeApi, memo: Memo, url: str, rollout: Rollout
) -> AirflowApi:
    """Return the API that `spec.airflow.api` names, in the version that Airflow has.

    Args:
        memo: keeps the result of a login, what was seen of runs, and the client of a separate
            certificate authority.
        url: address with the fields {scheme}, {service}, {namespace} and {port}.

    Raises:
        AirflowError: the address is wrong, the Secret is missing or incomplete, or Airflow's
            version is not known.
        KubeError: the Secret, or the certificates, cannot be read.
    """
    spec, namespace = rollout.spec.airflow.api, rollout.namespace
    base = address(url, namespace, spec)
    client = client_for(http, api, memo, namespace, spec)
    version = airflow_version(client, base)
    known = credentials(api, memo, namespace, spec, base, version)
    dialect = V1 if version[0] == OLDEST[0] else v2(version)
    key = ("airflow runs", base, namespace, known.secret, dialect.prefix)
    return AirflowApi(Rest(client, base, dialect, known), memo.get(key, RunMemory))


def _dag_is_gone(key: RunKey) -> AirflowError:
    return AirflowError(
        f"Airflow has the run {key} but no longer knows the DAG {key.dag_id}: its file is "
        "missing, so the run can be neither stopped nor queued again; restore the file, or delete "
        "the run",
        fault=AirflowFault.DAG_NOT_FOUND,
        status=404,
    )


def _segment(name: str) -> str:
    # Quoting does not help: Airflow's web servers decode %2F before they choose a route, so the
    # path would be another one, and they answer 404 as if there were no such run.
    if name in ("", ".", "..") or "/" in name:
        raise AirflowError(
            f"a DAG or run named {name!r} cannot be addressed through the REST API; heal its runs "
            "without it: strategy Rehydrate"
        )
    return quote(name, safe="")


def _dag_path(dag_id: str) -> str:
    return f"/dags/{_segment(dag_id)}"


def _run_path(key: RunKey) -> str:
    return f"{_dag_path(key.dag_id)}/dagRuns/{_segment(key.run_id)}"


def _runs_seen(pages: Sequence[Page]) -> RunsSeen:
    listed = [run for page in pages for run in page.entries]
    try:
        decided = [time_or_none(run.get("last_scheduling_decision")) for run in listed]
    except (TypeError, ValueError) as error:
        raise AirflowError(
            f"last_scheduling_decision of a DAG run in Airflow's answer is not a time: {error}"
        ) from error
    return RunsSeen(
        tuple(map(_dag_run, listed)), pages[0].clock, max((t for t in decided if t), default=None)
    )


def _is_paused(dag: Mapping[str, Any]) -> bool:
    paused = dag.get("is_paused")
    # Airflow 2 may return null: a DAG that was never paused or unpaused.
    if "is_paused" not in dag or not isinstance(paused, bool | None):
        raise AirflowError(
            f"the DAG {dag.get('dag_id')!r} in Airflow's answer lacks is_paused, or it is not "
            "true or false"
        )
    return bool(paused)


def _dag_run(run: Mapping[str, Any]) -> DagRun:
    try:
        return DagRun(
            RunKey(str(run["dag_id"]), str(run["dag_run_id"])),
            str(run["state"]),
            None if run.get("start_date") is None else str(run["start_date"]),
        )
    except KeyError as error:
        raise AirflowError(f"a DAG run in Airflow's answer lacks {error}") from error
