"""What `xbr plan` says of a decision."""

import json

from simulation import Simulation
from xcom_rollout.cli.plan import as_data, render
from xcom_rollout.decide import decide
from xcom_rollout.decide.actions import SetValues

RAW = {"metadata": {"name": "demo", "namespace": "airflow"}}


def test_plan_tells_the_next_action_and_why() -> None:
    sim = Simulation([])
    while not isinstance((decision := sim.step(stop_before=True)).action, SetValues):
        sim.step()
        sim.tick()
    text = "\n".join(render(RAW, decision, "FILE"))
    assert "Nothing is changed." in text
    assert "Next  deliver the object storage backend at threshold -1" in text
    assert "Why   readers-delivered: delivering" in text
    data = as_data(RAW, decision)
    assert data["action"]["type"] == "SetValues"
    assert data["action"]["arguments"]["settings"]["threshold"] == "-1"
    json.dumps(data)


def test_plan_does_not_print_the_whole_ledger() -> None:
    data = as_data(RAW, decide(Simulation([]).observe(), Simulation([]).now))
    assert data["action"]["type"] == "WriteLedger"
    assert data["action"]["arguments"]["ledger"] == "the ledger"
