"""Airflow 3: the runs of task instances.

An ID stands for one try of a task: a clear gives the task another one. So its run never changes,
and the ID of an earlier try is no longer listed.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, Final

from xcom_rollout.airflow_api.airflow import AirflowApi
from xcom_rollout.clients.errors import AirflowError
from xcom_rollout.clients.kube import Json
from xcom_rollout.decide.ledger import RunKey

_LIST: Final = "/dags/~/dagRuns/~/taskInstances"
_MEMBER: Final = "task_instances"
_RUNS: Final = 100
"""Runs whose task instances are requested at a time."""
_PAGE: Final = 100
_EVER: Final = "1970-01-01T00:00:00Z"


def runs_of_instances(
    airflow: AirflowApi, wanted: Collection[str], runs: Collection[RunKey]
) -> dict[str, RunKey]:
    """Return the run of each ID; one that Airflow does not list is left out.

    Reads the running task instances of all DAGs, and the started ones of `runs`, until all are
    found. `GET .../taskInstances` and `POST .../taskInstances/list` are the same in 3.0 to 3.3.

    Raises:
        AirflowError: Airflow could not be asked, or refused.
    """
    left = set(wanted)
    found: dict[str, RunKey] = {}
    for page in _pages(airflow, runs):
        for entry in page:
            if str(entry.get("id")) in left:
                found[str(entry["id"])] = _run_of(entry)
        left -= found.keys()
        if not left:
            break
    return found


def _pages(airflow: AirflowApi, runs: Collection[RunKey]) -> Iterator[Sequence[Mapping[str, Any]]]:
    for page in airflow.pages(_LIST, _MEMBER, {"state": ["running"], "order_by": "id"}):
        yield page.entries
    ordered = sorted(runs)
    for begin in range(0, len(ordered), _RUNS):
        some, offset = ordered[begin : begin + _RUNS], 0
        body: Json = {
            "dag_ids": sorted({key.dag_id for key in some}),
            "dag_run_ids": sorted({key.run_id for key in some}),
            "start_date_gte": _EVER,
            "order_by": "id",
            "page_limit": _PAGE,
        }
        while True:
            answer = airflow.rest.ask(
                "POST", f"{_LIST}/list", None, {**body, "page_offset": offset}
            )
            if answer is None:
                raise AirflowError(f"Airflow has no POST {_LIST}/list", status=404)
            page = airflow.rest.page_of(answer, f"{_LIST}/list", _MEMBER)
            yield page.entries
            offset += len(page.entries)
            if page.is_last(offset):
                break


def _run_of(entry: Mapping[str, Any]) -> RunKey:
    try:
        return RunKey(str(entry["dag_id"]), str(entry["dag_run_id"]))
    except KeyError as error:
        raise AirflowError(f"a task instance in Airflow's answer lacks {error}") from error
