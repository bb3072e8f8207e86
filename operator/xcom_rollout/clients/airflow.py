"""Airflow as the kill-switch needs it: DAGs and DAG runs, asked and changed by its REST API."""

import base64
import binascii
import hashlib
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any, Final, TypeVar
from urllib.parse import quote

import httpx2

from xcom_rollout.clients.airflow_rest import Rest, json_object, said, unreachable
from xcom_rollout.clients.airflow_v1 import V1, basic_auth
from xcom_rollout.clients.airflow_v2 import TokenAuth, v2
from xcom_rollout.clients.errors import AirflowError, WorldError
from xcom_rollout.clients.kube import Json, KubeApi
from xcom_rollout.clients.memo import Memo
from xcom_rollout.decide.ledger import RunKey
from xcom_rollout.decide.observed import DagRun, Rollout

IN_FLIGHT: Final = ("running", "queued")
CONCURRENCY: Final = 8
PAGE: Final = 100
"""Most entries that Airflow returns at once unless [api] maximum_page_limit is raised."""
OLDEST: Final = (2, 9)
"""Major and minor number of the oldest Airflow that is known here."""
NEWEST_MAJOR: Final = 3
_VERSION: Final = re.compile(r"([0-9]+)\.([0-9]+)")

T = TypeVar("T")
R = TypeVar("R")


class AirflowApi:
    """Asks and changes DAGs and DAG runs. Every method raises `AirflowError`."""

    def __init__(self, rest: Rest) -> None:
        self._rest = rest

    def in_flight(self) -> list[DagRun]:
        """Return every run that is running or queued."""
        return list(self._runs({"state": list(IN_FLIGHT)}))

    def changed_since(self, moment: datetime) -> list[DagRun]:
        """Return every run that Airflow has changed since `moment`."""
        return list(self._runs({"updated_at_gte": moment.isoformat()}))

    def run(self, key: RunKey) -> DagRun | None:
        """Return one run, None where Airflow has none of this key."""
        answer = self._rest.ask("GET", _run_path(key))
        return None if answer is None else _dag_run(answer)

    def paused(self, dag_ids: Collection[str]) -> dict[str, bool | None]:
        """Return whether each DAG is paused, None for one that Airflow does not have.

        A request costs Airflow 2 0.15 s of processor time, most of it to check the password. So
        it is asked for all its DAGs page by page, unless asking for each takes fewer requests.
        """
        if not dag_ids:
            return {}
        found: dict[str, bool] = {}
        while True:
            query = {
                **self._rest.dialect.every_dag,
                "order_by": "dag_id",
                "limit": PAGE,
                "offset": len(found),
            }
            answer = self._rest.ask("GET", "/dags", query)
            if answer is None:
                raise self._rest.missing("/dags")
            page, total = answer["dags"], answer["total_entries"]
            found |= {str(dag["dag_id"]): bool(dag["is_paused"]) for dag in page}
            if not page or len(found) >= total:
                return {dag_id: found.get(dag_id) for dag_id in dag_ids}
            if (total - len(found)) / PAGE > len(dag_ids):
                wanted = sorted(dag_ids)
                return dict(zip(wanted, in_parallel(self._paused, wanted), strict=True))

    def _paused(self, dag_id: str) -> bool | None:
        answer = self._rest.ask("GET", f"/dags/{quote(dag_id, safe='')}")
        return None if answer is None else bool(answer["is_paused"])

    def set_paused(self, dag_id: str, paused: bool) -> None:
        """Pause or unpause the DAG; one that is gone is left alone."""
        self._rest.ask(
            "PATCH",
            f"/dags/{quote(dag_id, safe='')}",
            {"update_mask": "is_paused"},
            {"is_paused": paused},
        )

    def fail(self, key: RunKey) -> None:
        """Set the run to failed; one that is gone is left alone."""
        self._change(key, "PATCH", "", {"state": "failed"})

    def clear(self, key: RunKey) -> None:
        """Queue the whole run again; one that is gone is left alone."""
        self._change(key, "POST", "/clear", self._rest.dialect.clear)

    def _change(self, key: RunKey, method: str, path: str, body: Json) -> None:
        answer = self._rest.ask(method, f"{_run_path(key)}{path}", None, body)
        if answer is None and self.run(key) is not None:
            raise AirflowError(
                f"Airflow has the run {key} and answers 404 to a change of it: it does not know "
                f"the DAG {key.dag_id} any more; bring its file back, or delete the run"
            )

    def _runs(self, filters: Mapping[str, Any]) -> Iterator[DagRun]:
        """Page through runs; a run that moves between pages may come twice, or at the next look."""
        offset = 0
        while True:
            # In order of id, new runs come last and no page shifts.
            query = {**filters, "order_by": "id", "limit": PAGE, "offset": offset}
            answer = self._rest.ask("GET", "/dags/~/dagRuns", query)
            if answer is None:
                raise self._rest.missing("/dags/~/dagRuns")
            page = answer["dag_runs"]
            yield from map(_dag_run, page)
            offset += len(page)
            if not page or offset >= answer["total_entries"]:
                return


def airflow_version(http: httpx2.Client, base: str) -> tuple[int, int]:
    """Return major and minor version of the Airflow at `base`, as it says itself.

    It is asked anew each time: asked by the wrong version of the API, an Airflow that was upgraded
    would answer 404, which would be taken for runs that are gone.

    Raises:
        AirflowError: it does not say, or it is a version that is not known here.
    """
    for path in ("/api/v1/version", "/api/v2/version"):
        try:
            response = http.get(f"{base}{path}")
        except httpx2.HTTPError as error:
            raise unreachable(base, error) from error
        if response.status_code == httpx2.codes.NOT_FOUND:
            continue
        if response.is_error:
            raise AirflowError(
                f"{base} answered {response.status_code} to GET {path}, so the version of Airflow "
                f"is not known and nothing is asked of it: {said(response)}"
            )
        text = str(json_object(base, f"GET {path}", response).get("version"))
        found = _VERSION.match(text)
        version = (int(found[1]), int(found[2])) if found else (0, 0)
        if OLDEST <= version < (NEWEST_MAJOR + 1, 0):
            return version
        raise AirflowError(
            f"{base} says it is Airflow {text!r}; how to pause, stop and clear runs is known for "
            f"Airflow {OLDEST[0]}.{OLDEST[1]} to {NEWEST_MAJOR}.x only"
        )
    raise AirflowError(
        f"there is no Airflow API at {base}: it has neither /api/v1/version nor /api/v2/version; "
        "check that spec.airflow.api.service and port name Airflow's web server (Airflow 3: its "
        "API server)"
    )


def open_airflow(
    http: httpx2.Client, api: KubeApi, memo: Memo, url: str, rollout: Rollout
) -> AirflowApi:
    """Return the API that `spec.airflow.api` names, in the version that Airflow has.

    Args:
        memo: keeps the token of a login.
        url: address with the fields {service}, {namespace} and {port}.

    Raises:
        AirflowError: the Secret with the user's name and password is missing or incomplete, or
            Airflow's version cannot be told.
        KubeError: the Secret cannot be read.
    """
    spec = rollout.spec.airflow.api
    secret = spec.credentials_secret_ref.name
    user, password = _credentials(api, rollout.namespace, secret)
    base = url.format(service=spec.service, namespace=rollout.namespace, port=spec.port).rstrip("/")
    version = airflow_version(http, base)
    if version[0] == OLDEST[0]:
        return AirflowApi(Rest(http, base, V1, basic_auth(user, password), secret))
    # The password itself is no key: keys may be shown.
    key = ("airflow token", base, secret, user, hashlib.sha256(password).hexdigest())
    auth = memo.get(key, lambda: TokenAuth(base, user.decode(), password.decode(), secret))
    return AirflowApi(Rest(http, base, v2(version), auth, secret))


def _credentials(api: KubeApi, namespace: str, name: str) -> tuple[bytes, bytes]:
    secret = api.find(f"api/v1/namespaces/{namespace}/secrets/{name}")
    field = "spec.airflow.api.credentialsSecretRef.name"
    if secret is None:
        raise AirflowError(
            f"{field}: there is no Secret {name!r} in the namespace {namespace!r}; make "
            "it with the keys username and password of an Airflow user"
        )
    data = secret.get("data") or {}
    missing = [key for key in ("username", "password") if not data.get(key)]
    if missing:
        raise AirflowError(f"{field}: the Secret {name!r} lacks the key {' and '.join(missing)}")
    try:
        user, password = (base64.b64decode(data[key]) for key in ("username", "password"))
        # Airflow 3 takes them as JSON.
        for value in (user, password):
            value.decode()
    except (binascii.Error, UnicodeDecodeError) as error:
        raise AirflowError(f"{field}: the Secret {name!r} cannot be decoded: {error}") from error
    return user, password


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
