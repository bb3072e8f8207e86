"""Write the ledger, and the list of offloaded runs that people read."""

import json

from xcom_rollout.clients.errors import Conflict
from xcom_rollout.clients.kube import Json
from xcom_rollout.clients.ledger_codec import to_config_map
from xcom_rollout.clients.object_names import config_map_path, labels, ledger_name, owner
from xcom_rollout.clients.packing import pack
from xcom_rollout.decide.ledger import CensusRecord, Ledger
from xcom_rollout.decide.observed import Rollout
from xcom_rollout.decide.summarize import offloaded_runs_name
from xcom_rollout.world import World

RUNS_KEY = "runs.json"


def write_ledger(world: World, rollout: Rollout, ledger: Ledger) -> None:
    """Replace the ledger, provided nobody has written it since it was read.

    It has no owner: what a kill has already cleared must be known even where the rollout was
    deleted and made again.

    Raises:
        Conflict: somebody has written it meanwhile.
        WorldError: the cluster refused or could not be asked.
    """
    if ledger.census is not None:
        # First: once the ledger holds a census, nothing makes the operator look at the list again.
        _publish(world, rollout, ledger.census)
    name = ledger_name(rollout.name)
    body = _config_map(rollout, name, to_config_map(ledger))
    if ledger.resource_version is None:
        if not world.api.create(config_map_path(rollout.namespace), body):
            raise Conflict(f"ConfigMap {rollout.namespace}/{name} was made by somebody else")
    else:
        body["metadata"]["resourceVersion"] = ledger.resource_version
        world.api.replace(config_map_path(rollout.namespace, name), body)


def _publish(world: World, rollout: Rollout, census: CensusRecord) -> None:
    """Make the list say what the last census found; where it does already, write nothing."""
    name = offloaded_runs_name(rollout.name)
    content = _runs(census)
    body = _config_map(rollout, name, content)
    body["metadata"]["ownerReferences"] = [owner(rollout)]
    path = config_map_path(rollout.namespace, name)
    present = world.api.find(path)
    if present is None:
        world.api.create(config_map_path(rollout.namespace), body)
        return
    if any((present.get(key) or {}) != content[key] for key in ("data", "binaryData")):
        body["metadata"]["resourceVersion"] = present["metadata"]["resourceVersion"]
        world.api.replace(path, body)


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
    content = pack(RUNS_KEY, json.dumps(runs, indent=1))
    content["data"]["takenAt"] = census.taken_at.isoformat()
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
