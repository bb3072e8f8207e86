"""Write the ledger, and the lists for people: the offloaded runs, the audits."""

import hashlib
import json
from typing import Final

from xcom_rollout.clients.errors import Conflict
from xcom_rollout.clients.kube import Json
from xcom_rollout.decide.actions import Report, reports_name
from xcom_rollout.decide.ledger import CensusRecord, Kill, Ledger
from xcom_rollout.decide.observed import Rollout
from xcom_rollout.decide.summarize import kill_runs_name, offloaded_runs_name
from xcom_rollout.stored.ledger_codec import to_config_map
from xcom_rollout.stored.ledger_memory import LedgerMemory
from xcom_rollout.stored.names import config_map_path, labels, ledger_name, owner
from xcom_rollout.stored.packing import pack
from xcom_rollout.wiring import Clients

RUNS_KEY: Final = "runs.json"
REPORT_LIMIT: Final = 384 * 1024
"""Bytes up to which an audit is plain text: two of them fit into a ConfigMap."""


def write_ledger(
    clients: Clients, rollout: Rollout, ledger: Ledger, report: Report | None = None
) -> None:
    """Replace the ledger, provided nobody has written it since it was read.

    It has no owner: what a kill has already cleared must be known even where the rollout was
    deleted and created again.

    Raises:
        Conflict: somebody has written it meanwhile.
        ExternalError: the cluster refused or could not be asked.
    """
    name = ledger_name(rollout.name)
    memory = LedgerMemory.of(clients.memo, rollout.namespace, name)
    listed = memory.ledger if memory.listed_for == rollout.uid else None
    # First: once the ledger holds a census or an audit, the operator never writes the lists again.
    if ledger.census is not None and (listed is None or listed.census != ledger.census):
        _publish(clients, rollout, offloaded_runs_name(rollout.name), _runs(ledger.census))
    if (kill := ledger.kill) is not None and kill.runs and (listed is None or listed.kill != kill):
        _publish(clients, rollout, kill_runs_name(rollout.name), _kill_runs(kill))
    if report is not None:
        _publish_report(clients, rollout, report)
    body = _config_map(rollout, name, to_config_map(ledger))
    answer: Json | None = None
    if ledger.resource_version is None:
        if not clients.api.create(config_map_path(rollout.namespace), body):
            raise Conflict(f"ConfigMap {rollout.namespace}/{name} was not created by the operator")
    else:
        body["metadata"]["resourceVersion"] = ledger.resource_version
        answer = clients.api.replace(config_map_path(rollout.namespace, name), body)
    memory.wrote(body, ledger, rollout.uid, answer)


def _publish(clients: Clients, rollout: Rollout, name: str, content: Json) -> None:
    """Make the ConfigMap hold the content; where it does already, write nothing.

    Where it is certainly unchanged since it was seen to hold that, it is not read either.
    """
    body = _config_map(rollout, name, content)
    body["metadata"]["ownerReferences"] = [owner(rollout)]
    path = config_map_path(rollout.namespace, name)
    seen = ("published", path)
    holds = (rollout.uid, hashlib.sha256(json.dumps(content).encode()).hexdigest())
    version = clients.api.known_version(path)
    if version and clients.memo.find(seen) == (*holds, version):
        return
    present = clients.api.find(path)
    if present is None:
        clients.api.create(config_map_path(rollout.namespace), body)
        return
    other = any((present.get(key) or {}) != content[key] for key in ("data", "binaryData"))
    # That of a rollout that was deleted, and created again since, would be deleted after it.
    owners = present["metadata"].get("ownerReferences") or ()
    if other or all(each.get("uid") != rollout.uid for each in owners):
        body["metadata"]["resourceVersion"] = present["metadata"]["resourceVersion"]
        present = clients.api.replace(path, body)
    clients.memo.put(seen, (*holds, present["metadata"]["resourceVersion"]))


def _publish_report(clients: Clients, rollout: Rollout, report: Report) -> None:
    """Add a report to those of other names."""
    name, key = reports_name(rollout.name), f"{report.name}.json"
    present = clients.api.find(config_map_path(rollout.namespace, name)) or {}
    packed = pack(key, report.text, plain_limit=REPORT_LIMIT)
    content: Json = {}
    for member in ("data", "binaryData"):
        kept = {k: v for k, v in (present.get(member) or {}).items() if not k.startswith(key)}
        content[member] = kept | packed[member]
    _publish(clients, rollout, name, content)


def _runs(census: CensusRecord) -> Json:
    runs = [
        {
            "dagId": run.key.dag_id,
            "runId": run.key.run_id,
            "rows": run.rows,
            "state": run.state,
        }
        for run in census.runs
    ]
    # Without the time of the census, which the status has: so it is written only if runs changed.
    content = pack(RUNS_KEY, json.dumps(runs, indent=1))
    content["data"]["count"] = str(len(runs))
    return content


def _kill_runs(kill: Kill) -> Json:
    runs = [
        {
            "dagId": run.key.dag_id,
            "runId": run.key.run_id,
            "stage": str(run.stage),
            "rows": run.rows,
            **({"message": run.message} if run.message else {}),
            **({"error": run.error, "tries": run.tries} if run.error else {}),
        }
        for run in kill.runs
    ]
    content = pack(RUNS_KEY, json.dumps(runs, indent=1))
    content["data"]["kill"] = str(kill.attempt)
    content["data"]["count"] = str(len(runs))
    return content


def _config_map(rollout: Rollout, name: str, content: Json) -> Json:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": name,
            "namespace": rollout.namespace,
            "labels": labels(rollout.name),
        },
        **content,
    }
