"""Transport by reference: arrays and tables in the object store, a small reference in XCom.

store = BlobStore("s3://aws_default@bucket/predictions", run_id, schema="pred", version=1)
reference = store.put("BTC/0", {"y": y})    # return it from the task
arrays = store.get(reference)               # in another pod, verified as a whole
"""

from xcom_dags.blobs.cohort import COMPLETE, INCONCLUSIVE_TOOLING, Cohort, CohortResult
from xcom_dags.blobs.errors import (
    AllAbsent,
    BlobAbsent,
    BlobError,
    BlobMalformed,
    BlobUnreachable,
    IncompleteCohort,
)
from xcom_dags.blobs.reference import BlobReference
from xcom_dags.blobs.store import BlobStore

__all__ = [
    "COMPLETE",
    "INCONCLUSIVE_TOOLING",
    "AllAbsent",
    "BlobAbsent",
    "BlobError",
    "BlobMalformed",
    "BlobReference",
    "BlobStore",
    "BlobUnreachable",
    "Cohort",
    "CohortResult",
    "IncompleteCohort",
]
