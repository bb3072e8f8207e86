"""What is published beside the ledger belongs to the rollout that is there."""

import copy
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import cast

import pytest

from simulation.operator import spec
from xcom_rollout.act.write_ledger import write_ledger
from xcom_rollout.clients.errors import Conflict
from xcom_rollout.clients.kube import Json
from xcom_rollout.clients.memo import Memo
from xcom_rollout.decide.ledger import CensusRecord, Ledger, OffloadedRun, RunKey
from xcom_rollout.decide.observed import Rollout
from xcom_rollout.observe.ledger import written_ledger
from xcom_rollout.wiring import Clients

NOW = datetime(2026, 11, 27, 12, tzinfo=UTC)
ROLLOUT = Rollout("airflow", "demo", "uid-1", 1, NOW, spec())
LIST = "api/v1/namespaces/airflow/configmaps/xbr-demo-offloaded-runs"
LEDGER = "api/v1/namespaces/airflow/configmaps/xbr-demo-ledger"


@dataclass
class Api:
    """ConfigMaps, with the rules of an API server on versions; a cache that is up to date."""

    stored: dict[str, Json] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    version: int = 0
    webhook: bool = False
    """Whether something else is stored than was sent."""

    def find(self, path: str) -> Json | None:
        self.asked.append(f"GET {path.rpartition('/')[2]}")
        return copy.deepcopy(self.stored.get(path))

    def known_version(self, path: str) -> str:
        there = self.stored.get(path)
        return "" if there is None else str(there["metadata"]["resourceVersion"])

    def create(self, path: str, body: Json) -> bool:
        place = f"{path}/{body['metadata']['name']}"
        self.asked.append(f"POST {body['metadata']['name']}")
        if place in self.stored:
            return False
        self._keep(place, body)
        return True

    def replace(self, path: str, body: Json) -> Json:
        self.asked.append(f"PUT {path.rpartition('/')[2]}")
        if self.known_version(path) != body["metadata"].get("resourceVersion"):
            raise Conflict("changed")
        return self._keep(path, body)

    def _keep(self, path: str, body: Json) -> Json:
        self.version += 1
        kept = copy.deepcopy(body)
        kept["metadata"]["resourceVersion"] = str(self.version)
        if self.webhook:
            kept["data"] = {**kept["data"], "hook": "was here"}
        self.stored[path] = kept
        return copy.deepcopy(kept)


class Operator:
    """What writes one ledger after the other."""

    def __init__(self, api: Api) -> None:
        self.api, self.ledger, self.minutes = api, Ledger(), 0
        self.world = cast("Clients", SimpleNamespace(api=api, memo=Memo()))

    def census(self, *runs: str, rollout: Rollout = ROLLOUT) -> list[str]:
        """Write a census; return what was asked."""
        self.minutes += 15
        found = tuple(OffloadedRun(RunKey("etl", run), 1, "running") for run in runs)
        taken = CensusRecord("job", 1, NOW + timedelta(minutes=self.minutes), found)
        before = len(self.api.asked)
        write_ledger(self.world, rollout, replace(self.ledger, census=taken))
        asked = self.api.asked[before:]
        self.ledger = written_ledger(self.api, self.world.memo, "airflow", "demo")  # type: ignore[arg-type]
        return asked


@pytest.fixture
def api() -> Api:
    return Api()


@pytest.fixture
def operator(api: Api) -> Operator:
    found = Operator(api)
    for _ in range(2):  # what is made once is there after the first
        found.census("a")
    return found


def test_a_census_that_finds_the_same_writes_the_ledger_only(operator: Operator) -> None:
    assert operator.census("a") == ["PUT xbr-demo-ledger"]


def test_a_list_that_somebody_edited_or_deleted_is_written_again(
    api: Api, operator: Operator
) -> None:
    held = api.stored[LIST]["data"]
    api.replace(LIST, {**api.stored[LIST], "data": {}})
    operator.census("a")
    assert api.stored[LIST]["data"] == held
    del api.stored[LIST]
    operator.census("a")
    assert api.stored[LIST]["data"] == held


def test_a_list_of_a_rollout_that_was_made_again_belongs_to_the_new_one(
    api: Api, operator: Operator
) -> None:
    """Else Kubernetes deletes it with the old one."""
    operator.census("a", rollout=replace(ROLLOUT, uid="uid-2"))
    (owner,) = api.stored[LIST]["metadata"]["ownerReferences"]
    assert owner["uid"] == "uid-2"


@pytest.mark.parametrize("by_hand", ["edited", "deleted"])
def test_a_ledger_that_somebody_changed_between_is_not_written_over(
    api: Api, operator: Operator, by_hand: str
) -> None:
    if by_hand == "edited":
        api.replace(LEDGER, copy.deepcopy(api.stored[LEDGER]))
    else:
        del api.stored[LEDGER]
    with pytest.raises(Conflict):
        operator.census("b")


def test_a_ledger_that_a_webhook_changed_is_read_as_it_is_stored(
    api: Api, operator: Operator
) -> None:
    api.webhook = True
    operator.census("a")
    assert api.asked[-1] == "GET xbr-demo-ledger"
