"""Airflow's REST API, version 1 (Airflow 2), as far as the kill-switch needs it."""

import base64
import binascii
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any, Final, TypeVar
from urllib.parse import quote

import httpx2

from xcom_rollout.clients.errors import AirflowError, WorldError
from xcom_rollout.clients.kube import Json, KubeApi
from xcom_rollout.decide.ledger import RunKey
from xcom_rollout.decide.observed import DagRun, Rollout

IN_FLIGHT: Final = ("running", "queued")
CONCURRENCY: Final = 8
PAGE: Final = 100
"""Most entries that Airflow returns at once unless [api] maximum_page_limit is raised."""
WRITE_TIMEOUT: Final = 30.0
"""Seconds for a change: clearing a run with many task instances takes its time."""

T = TypeVar("T")
R = TypeVar("R")


class AirflowApi:
    """Asks and changes DAGs and DAG runs. Every method raises `AirflowError`."""

    def __init__(self, http: httpx2.Client, base: str, auth: httpx2.BasicAuth, secret: str) -> None:
        """Use the web server at `base`; `secret` names where `auth` was read, for messages."""
        self._http = http
        self._base = base.rstrip("/")
        self._auth = auth
        self._secret = secret

    def in_flight(self) -> list[DagRun]:
        """Return every run that is running or queued."""
        return list(self._runs({"state": list(IN_FLIGHT)}))

    def changed_since(self, moment: datetime) -> list[DagRun]:
        """Return every run that Airflow has changed since `moment`."""
        return list(self._runs({"updated_at_gte": moment.isoformat()}))

    def run(self, key: RunKey) -> DagRun | None:
        """Return one run, None where Airflow has none of this key."""
        answer = self._ask("GET", _run_path(key))
        return None if answer is None else _dag_run(answer)

    def paused(self, dag_ids: Collection[str]) -> dict[str, bool | None]:
        """Return whether each DAG is paused, None for one that Airflow does not have.

        A request costs Airflow 0.15 s of processor time, most of it to check the password. So it
        is asked for all its DAGs page by page, unless asking for each takes fewer requests.
        """
        if not dag_ids:
            return {}
        found: dict[str, bool] = {}
        while True:
            query = {
                "only_active": False,
                "order_by": "dag_id",
                "fields": ["dag_id", "is_paused"],
                "limit": PAGE,
                "offset": len(found),
            }
            answer = self._ask("GET", "/dags", query)
            if answer is None:
                raise AirflowError(self._no_api())
            page, total = answer["dags"], answer["total_entries"]
            found |= {str(dag["dag_id"]): bool(dag["is_paused"]) for dag in page}
            if not page or len(found) >= total:
                return {dag_id: found.get(dag_id) for dag_id in dag_ids}
            if (total - len(found)) / PAGE > len(dag_ids):
                wanted = sorted(dag_ids)
                return dict(zip(wanted, in_parallel(self._paused, wanted), strict=True))

    def _paused(self, dag_id: str) -> bool | None:
        answer = self._ask("GET", f"/dags/{quote(dag_id, safe='')}")
        return None if answer is None else bool(answer["is_paused"])

    def set_paused(self, dag_id: str, paused: bool) -> None:
        """Pause or unpause the DAG; one that is gone is left alone."""
        self._ask(
            "PATCH",
            f"/dags/{quote(dag_id, safe='')}",
            {"update_mask": "is_paused"},
            {"is_paused": paused},
        )

    def fail(self, key: RunKey) -> None:
        """Set the run to failed; one that is gone is left alone."""
        self._ask("PATCH", _run_path(key), None, {"state": "failed"})

    def clear(self, key: RunKey) -> None:
        """Queue the whole run again; one that is gone is left alone."""
        # Without dry_run Airflow 2 only says what it would clear.
        self._ask("POST", f"{_run_path(key)}/clear", None, {"dry_run": False})

    def _runs(self, filters: Mapping[str, Any]) -> Iterator[DagRun]:
        """Page through runs; a run that moves between pages may come twice, or at the next look."""
        offset = 0
        while True:
            # In order of id, new runs come last and no page shifts.
            query = {**filters, "order_by": "id", "limit": PAGE, "offset": offset}
            answer = self._ask("GET", "/dags/~/dagRuns", query)
            if answer is None:
                raise AirflowError(self._no_api())
            page = answer["dag_runs"]
            yield from map(_dag_run, page)
            offset += len(page)
            if not page or offset >= answer["total_entries"]:
                return

    def _ask(
        self,
        method: str,
        path: str,
        query: Mapping[str, Any] | None = None,
        body: Json | None = None,
    ) -> Json | None:
        """Return the answer's JSON object, None for 404."""
        try:
            response = self._http.request(
                method,
                f"{self._base}/api/v1{path}",
                params=query,
                json=body,
                auth=self._auth,
                timeout=httpx2.USE_CLIENT_DEFAULT if method == "GET" else WRITE_TIMEOUT,
            )
        except httpx2.HTTPError as error:
            raise AirflowError(
                f"Airflow's API at {self._base} cannot be reached "
                f"({type(error).__name__}: {error}); check spec.airflow.api.service and port, and "
                "that the web server runs"
            ) from error
        if response.status_code == httpx2.codes.NOT_FOUND:
            return None
        if response.is_error:
            raise AirflowError(self._refusal(method, path, response))
        try:
            answer = response.json() if response.content else {}
        except ValueError as error:
            raise AirflowError(
                f"{self._base} answered {method} /api/v1{path} with something that is not JSON; "
                "check that spec.airflow.api names Airflow's web server"
            ) from error
        return answer if isinstance(answer, dict) else {}

    def _refusal(self, method: str, path: str, response: httpx2.Response) -> str:
        where = f"Airflow's API at {self._base}"
        if response.status_code == httpx2.codes.UNAUTHORIZED:
            return (
                f"{where} refuses the user of the Secret {self._secret} (401): check its keys "
                "username and password, and that [api] auth_backends holds basic_auth"
            )
        if response.status_code == httpx2.codes.FORBIDDEN:
            return (
                f"{where} forbids {method} {path} to the user of the Secret {self._secret} (403): "
                "it needs the rights to read DAGs and runs, pause DAGs, edit and clear runs "
                "(role Op)"
            )
        said = " ".join(response.text[:300].split())
        return f"{where} answered {response.status_code} to {method} {path}: {said}"

    def _no_api(self) -> str:
        try:
            newer = self._http.get(f"{self._base}/api/v2/version", auth=self._auth)
        except httpx2.HTTPError:
            newer = None
        if newer is not None and newer.status_code != httpx2.codes.NOT_FOUND:
            return (
                f"{self._base} is the API of Airflow 3 (/api/v2), which is not supported yet; "
                "Airflow 2.9 to 2.11 is"
            )
        return (
            f"there is no Airflow API at {self._base}/api/v1; check that spec.airflow.api.service "
            "and port name Airflow's web server"
        )


def open_airflow(http: httpx2.Client, api: KubeApi, url: str, rollout: Rollout) -> AirflowApi:
    """Return the API that `spec.airflow.api` names.

    Args:
        url: address with the fields {service}, {namespace} and {port}.

    Raises:
        AirflowError: the Secret with the user's name and password is missing or incomplete.
        KubeError: the Secret cannot be read.
    """
    spec = rollout.spec.airflow.api
    name = spec.credentials_secret_ref.name
    secret = api.find(f"api/v1/namespaces/{rollout.namespace}/secrets/{name}")
    field = "spec.airflow.api.credentialsSecretRef.name"
    if secret is None:
        raise AirflowError(
            f"{field}: there is no Secret {name!r} in the namespace {rollout.namespace!r}; make "
            "it with the keys username and password of an Airflow user"
        )
    data = secret.get("data") or {}
    missing = [key for key in ("username", "password") if not data.get(key)]
    if missing:
        raise AirflowError(f"{field}: the Secret {name!r} lacks the key {' and '.join(missing)}")
    try:
        user, password = (base64.b64decode(data[key]) for key in ("username", "password"))
    except binascii.Error as error:
        raise AirflowError(f"{field}: the Secret {name!r} cannot be decoded: {error}") from error
    base = url.format(service=spec.service, namespace=rollout.namespace, port=spec.port)
    return AirflowApi(http, base, httpx2.BasicAuth(user, password), name)


def in_parallel(
    action: Callable[[T], R], items: Iterable[T], *, workers: int = CONCURRENCY
) -> list[R]:
    """Return `action` of each item, in their order; do all of them even if one fails.

    Raises:
        WorldError: one or more failed; the first one's error, and how many there are.
    """
    with ThreadPoolExecutor(max_workers=workers) as pool:
        futures = [pool.submit(action, item) for item in items]
    errors = [error for future in futures if (error := future.exception()) is not None]
    unexpected = [error for error in errors if not isinstance(error, WorldError)]
    if unexpected:
        raise unexpected[0]
    if errors:
        raise _joined([error for error in errors if isinstance(error, WorldError)], len(futures))
    return [future.result() for future in futures]


def _joined(errors: Sequence[WorldError], total: int) -> WorldError:
    first = errors[0]
    if len(errors) == 1:
        return first
    return type(first)(
        f"{len(errors)} of {total} requests failed, the first so: {first.message}",
        first.retry_after,
    )


def _run_path(key: RunKey) -> str:
    return f"/dags/{quote(key.dag_id, safe='')}/dagRuns/{quote(key.run_id, safe='')}"


def _dag_run(run: Mapping[str, Any]) -> DagRun:
    try:
        return DagRun(
            RunKey(str(run["dag_id"]), str(run["dag_run_id"])),
            str(run["state"]),
            None if run.get("start_date") is None else str(run["start_date"]),
        )
    except KeyError as error:
        raise AirflowError(f"a DAG run in Airflow's answer lacks {error}") from error
