"""Who waits for a run: tasks of TriggerDagRunOperator in runs in flight.

The operator writes the run id of the run that it triggered into its own XCom, under
`trigger_run_id`, and nothing else there names the DAG. That is known from the template field
`trigger_dag_id`, which Airflow keeps as rendered for the newest 30 runs of a task. What is not
known rules nothing out: such a task is listed for every run that it may wait for.
"""

from __future__ import annotations

import json
from typing import Any, Iterable, NamedTuple, Tuple

from xcom_probe.table.paths import below

RunKey = Tuple[str, str]

# What Airflow writes in place of a text that holds a secret.
_MASK = "***"


class Waiter(NamedTuple):
    """A task that waits, in a run in flight."""

    dag_id: str
    run_id: str
    task_id: str

    def as_json(self) -> dict[str, Any]:
        """With the names of the result document."""
        return {"dagId": self.dag_id, "runId": self.run_id, "taskId": self.task_id}


class Triggered(NamedTuple):
    """What is known of the run that a task waits for; None where it is not."""

    run_id: str | None
    dag_id: str | None


def triggered(value: Any, rendered: str | None, bases: Iterable[str]) -> Triggered:
    """What a row and the rendered field say.

    Args:
        value: of the row: JSON as bytes (Airflow 2), or the string itself; None if it is none.
        rendered: `trigger_dag_id` as it was rendered, None if it is not kept.
        bases: a value below one of them is the path of an offloaded one.
    """
    run_id = _text(value)
    if run_id is not None and any(run_id.startswith(below(base)) for base in bases):
        run_id = None
    if rendered is not None and _MASK in rendered:
        rendered = None
    return Triggered(run_id, rendered)


def waiters(
    tasks: Iterable[tuple[Waiter, Triggered]], runs: Iterable[RunKey]
) -> dict[RunKey, list[Waiter]]:
    """Who may wait for each of these runs, sorted; runs that nobody waits for are left out."""
    known = sorted(runs)
    by_run_id: dict[str, list[RunKey]] = {}
    for key in known:
        by_run_id.setdefault(key[1], []).append(key)
    found: dict[RunKey, set[Waiter]] = {}
    for waiter, child in tasks:
        candidates = known if child.run_id is None else by_run_id.get(child.run_id, [])
        for key in candidates:
            is_itself = key == (waiter.dag_id, waiter.run_id)
            if child.dag_id in (None, key[0]) and not is_itself:
                found.setdefault(key, set()).add(waiter)
    return {key: sorted(names) for key, names in found.items()}


def _text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    try:
        decoded = json.loads(bytes(value).decode("utf-8"))
    except ValueError:
        return None
    return decoded if isinstance(decoded, str) else None
