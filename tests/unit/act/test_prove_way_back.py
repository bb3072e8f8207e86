"""What a kill needs is asked for; a connection lost at one question is no right that is missing."""

from collections.abc import Collection, Iterable
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, cast

import pytest

from xcom_rollout.act import prove_way_back as module
from xcom_rollout.act.prove_way_back import TRIES, prove_way_back
from xcom_rollout.clients.errors import AirflowError, AirflowFault, ExternalError
from xcom_rollout.clients.kube import Json
from xcom_rollout.decide.actions import ProveWayBack
from xcom_rollout.decide.ledger import CensusRecord, Ledger, OffloadedRun, RunKey
from xcom_rollout.decide.observed import Observed
from xcom_rollout.decide.settings import BackendSettings
from xcom_rollout.wiring import Clients

NOW = datetime(2026, 1, 1, tzinfo=UTC)
LOST = AirflowError("the connection was lost", fault=AirflowFault.UNREACHABLE)
BROKEN = AirflowError("500 to PATCH /dags/x", status=500)
REFUSED = AirflowError("401 to POST /auth/token", fault=AirflowFault.UNAUTHORIZED, status=401)


class Asked:
    """Airflow as it answers at each look at the rights, and what was found of that."""

    def __init__(
        self,
        monkeypatch: pytest.MonkeyPatch,
        *answers: ExternalError | None,
        census: CensusRecord | None = None,
        namespaces: Collection[str] = (),
        empty: Collection[str] = (),
        refused: str = "",
        worker: bool = False,
        no_exec: str = "",
    ) -> None:
        self.refused, self.no_exec = refused, no_exec
        self.answers = list(answers)
        self.dag_ids: set[str] = set()
        self.recorded: list[Ledger] = []
        delivery = SimpleNamespace(keep_chart=lambda: "", forecast=lambda _: ())
        anything: dict[str, Any] = dict.fromkeys(("http", "api", "memo", "airflow_url"))
        anything["api"] = SimpleNamespace(now=lambda: NOW, review=self.review)
        monkeypatch.setattr(module, "open_airflow", lambda *_: None)
        monkeypatch.setattr(module, "describe_missing", self.describe_missing)
        monkeypatch.setattr(module, "delivery_for", lambda *_: delivery)
        monkeypatch.setattr(module, "write_ledger", lambda _w, _r, new: self.recorded.append(new))
        observed = SimpleNamespace(
            rollout=SimpleNamespace(namespace="airflow", name="x", uid="u", generation=1),
            ledger=Ledger(census=census),
            task_namespaces=tuple(empty),
            pods=[SimpleNamespace(namespace=name, component="") for name in ("", *namespaces)],
            workloads=[SimpleNamespace(component="worker")] * worker,
        )
        prove_way_back(
            cast("Clients", SimpleNamespace(**anything)),
            cast("Observed", observed),
            ProveWayBack(BackendSettings(), "d"),
        )

    def describe_missing(
        self, _airflow: object, _rights: object, dag_ids: Iterable[str]
    ) -> tuple[str, ...]:
        self.dag_ids |= set(dag_ids)
        answer = self.answers.pop(0)
        if answer is not None:
            raise answer
        return ()

    def review(self, _path: str, body: Json) -> Json:
        of = body["spec"]["resourceAttributes"]
        if of.get("subresource"):
            assert (of["resource"], of["subresource"], of["namespace"]) == (
                *("pods", "exec", "airflow"),
            )
            return {"status": {"allowed": of["verb"] != self.no_exec}}
        assert (of["verb"], of["resource"]) == ("delete", "pods")
        return {"status": {"allowed": of["namespace"] != self.refused}}

    @property
    def problems(self) -> tuple[str, ...]:
        (ledger,) = self.recorded
        assert ledger.way_back is not None
        return ledger.way_back.problems


@pytest.mark.parametrize("trouble", [LOST, BROKEN])
def test_a_failure_of_a_moment_is_asked_past(
    monkeypatch: pytest.MonkeyPatch, trouble: AirflowError
) -> None:
    assert Asked(monkeypatch, trouble, trouble, None).problems == ()


@pytest.mark.parametrize("trouble", [LOST, BROKEN])
def test_one_that_stays_is_a_problem_with_its_words(
    monkeypatch: pytest.MonkeyPatch, trouble: AirflowError
) -> None:
    asked = Asked(monkeypatch, *[trouble] * TRIES)
    assert asked.problems == (f"spec.airflow.api: {trouble.message}",)


def test_a_refusal_is_believed_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = Asked(monkeypatch, REFUSED, None)
    assert asked.problems == (f"spec.airflow.api: {REFUSED.message}",)
    assert len(asked.answers) == 1


def test_the_dags_of_the_last_census_are_asked_about(monkeypatch: pytest.MonkeyPatch) -> None:
    keys = [RunKey("a", "1"), RunKey("b", "1"), RunKey("b", "2")]
    runs = tuple(OffloadedRun(key, 1, "running") for key in keys)
    census = CensusRecord("job", 1, NOW, runs)
    assert Asked(monkeypatch, None, census=census).dag_ids == {"a", "b"}
    assert Asked(monkeypatch, None).dag_ids == set()


@pytest.mark.parametrize("refused", ["airflow", "tasks", "empty"])
def test_where_task_pods_cannot_be_ended_is_known_before_a_kill(
    monkeypatch: pytest.MonkeyPatch, refused: str
) -> None:
    """Also where no task runs at this moment."""

    def problems(refused: str = "") -> tuple[str, ...]:
        asked = Asked(monkeypatch, None, namespaces=["tasks"], empty=["empty"], refused=refused)
        return asked.problems

    (said,) = problems(refused)
    assert f"is not allowed to delete pods in the namespace {refused}" in said
    assert "watchNamespaces" in said
    assert problems() == ()


@pytest.mark.parametrize("verb", ["get", "create"])
def test_where_workers_cannot_be_asked_is_known_before_a_kill(
    monkeypatch: pytest.MonkeyPatch, verb: str
) -> None:
    (said,) = Asked(monkeypatch, None, worker=True, no_exec=verb).problems
    assert f"is not allowed to {verb} pods/exec in the namespace airflow" in said
    assert Asked(monkeypatch, None, worker=True).problems == ()
    assert Asked(monkeypatch, None, no_exec=verb).problems == (), "without workers nobody is asked"
