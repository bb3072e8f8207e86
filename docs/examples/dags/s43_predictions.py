"""DAG `s43_predictions`: five pods predict, one gate pools what they found.

The arrays go through the object store, references to them through XCom. The gate says `COMPLETE`
and stores a pool, or says `INCONCLUSIVE_TOOLING`, names what is missing and stores nothing.
"""

from __future__ import annotations

import hashlib
import logging
import time
from typing import Any

import pendulum
from airflow.decorators import dag, task
from airflow.models.param import Param

from xcom_dags.blobs import BlobStore, Cohort
from xcom_dags.provenance import dag_build_info, dag_loaded_event, dag_version_banner, make_tags

DAG_ID = "s43_predictions"
ASSETS = ("ADA", "BTC", "ETH", "SOL", "XRP")
# Airflow connection, bucket, prefix. Rights: xbr policy BASE --role producer.
BASE = "s3://predictions_s3@predictions/s43"
LOG = logging.getLogger("airflow.task")


def blob_store(run_id: str) -> BlobStore:
    """The blobs of one run; every task uses the same schema and version."""
    return BlobStore(
        BASE, run_id, schema="s43-predictions", version=1, event_prefix="s43_", logger=LOG
    )


def predict(asset: str, rows: int) -> Any:
    """Stands for the model: the same numbers for the same asset, so that anyone can check them."""
    import numpy as np  # here, because the scheduler parses this file all the time

    start = int.from_bytes(asset.encode("ascii"), "big")
    return np.arange(start, start + 4 * rows, dtype="<f8").reshape(rows, 4)


@dag(
    dag_id=DAG_ID,
    schedule=None,
    start_date=pendulum.datetime(2024, 1, 1, tz="UTC"),
    catchup=False,
    is_paused_upon_creation=False,
    default_args={"retries": 0},
    doc_md=dag_version_banner(__doc__ or ""),
    tags=make_tags("diagnostic", "s43", build=dag_build_info()["champollion_sha_short"]),
    params={
        "rows": Param(1000, type="integer", minimum=1),
        # To try what happens when a pod is lost: its first try takes ten minutes.
        "slow": Param(None, type=["null", "string"], enum=[None, *ASSETS]),
    },
)
def s43_predictions() -> None:
    # A dict return type would otherwise make Airflow push every key as a row of its own.
    @task(multiple_outputs=False)
    def acquire(asset: str, **context: Any) -> dict[str, Any]:
        dag_loaded_event(LOG, DAG_ID, run_id=context["run_id"], asset=asset)
        if asset == context["params"]["slow"] and context["ti"].try_number == 1:
            time.sleep(600)
        y = predict(asset, context["params"]["rows"])
        return blob_store(context["run_id"]).put(asset, {"y": y})

    # all_done: the gate has something to say also, and above all, when a pod was lost.
    @task(trigger_rule="all_done", multiple_outputs=False)
    def gate(references: Any, **context: Any) -> dict[str, Any]:
        import numpy as np

        blobs = blob_store(context["run_id"])
        found = {reference["key"]: reference for reference in references or []}
        result = Cohort(ASSETS).load(blobs, found)
        if result.missing:
            return {"verdict": result.verdict, "missing": sorted(result.missing)}
        pool = result.pool()
        pooled = np.concatenate([pool[asset]["y"] for asset in ASSETS])
        return {
            "verdict": result.verdict,
            "sha256": {
                asset: hashlib.sha256(pool[asset]["y"].tobytes()).hexdigest() for asset in ASSETS
            },
            "pool": blobs.put("gate/pool", {"y": pooled}, failed_event="gate_persist_failed"),
        }

    gate(acquire.expand(asset=list(ASSETS)))


s43_predictions()
