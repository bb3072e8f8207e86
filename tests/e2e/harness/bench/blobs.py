"""Blobs: throughput and memory against boto3's own file transfer of the same bytes.

Each transfer is a process of its own, so that its peak memory is its own. Ours starts and ends with
an array in memory; boto3's with a file, on a file system in memory.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from probe_world import ACCESS_KEY, BUCKET, SECRET_KEY, object_store

from harness.paths import REPO

ROUNDS = int(os.environ.get("BENCH_ROUNDS", "5"))
MIB = int(os.environ.get("BENCH_BLOB_MIB", "256"))
_IN_MEMORY = Path("/dev/shm")

# What both do beforehand (imports, the client, the data) is not timed; its memory is subtracted.
PROGRAM = """
import json, os, sys, time
import boto3, numpy as np
from xcom_dags.blobs import BlobStore
what, mib, file, reference = sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4]
client = boto3.client("s3", endpoint_url=os.environ["ENDPOINT"],
                      aws_access_key_id=os.environ["KEY"],
                      aws_secret_access_key=os.environ["SECRET"], region_name="us-east-1")
client.list_buckets()
bucket = os.environ["BUCKET"]
store = BlobStore(f"s3://{bucket}/bench", "run", schema="bench", version=1, client=client,
                  encryption=None)
array = None
if what == "put":
    array = np.random.default_rng(1).integers(0, 255, mib << 20, dtype="u1")
def peak():
    with open("/proc/self/status") as status:
        return int(next(line for line in status if line.startswith("VmHWM")).split()[1])
before = peak()
begin = time.monotonic()
answer = None
if what == "put":
    answer = store.put("blob", {"y": array})
elif what == "get":
    array = store.get(json.loads(reference))["y"]
elif what == "upload":
    client.upload_file(file, bucket, "bench/raw")
else:
    client.download_file(bucket, "bench/raw", file + ".back")
seconds = time.monotonic() - begin
held = array.nbytes / 1048576 if what == "get" else 0
print(json.dumps({"seconds": seconds, "mib": (peak() - before) / 1024 - held, "answer": answer}))
"""


def measure() -> str:
    """Run the transfers in turns; returns the text for the page."""
    seconds: dict[str, list[float]] = {}
    memory: dict[str, list[float]] = {}
    with (
        tempfile.TemporaryDirectory(dir=_IN_MEMORY) as folder,
        object_store(Path(folder) / "server") as server,
    ):
        file = Path(folder) / "raw"
        file.write_bytes(os.urandom(MIB << 20))
        reference = ""
        for _ in range(ROUNDS + 1):
            for what in ("put", "upload", "get", "download"):
                done = _run(what, file, reference, server.endpoint)
                if what == "put":
                    reference = json.dumps(done["answer"])
                seconds.setdefault(what, []).append(done["seconds"])
                memory.setdefault(what, []).append(done["mib"])
    rows = []
    for ours, theirs in (("put", "upload"), ("get", "download")):
        # The first round warms caches.
        one, other = statistics.median(seconds[ours][1:]), statistics.median(seconds[theirs][1:])
        rows.append(
            f"| {ours} / {theirs}_file | {MIB / one:.0f} | {MIB / other:.0f} "
            f"| **{other / one:.2f}** | {max(memory[ours][1:]):.0f} "
            f"| {max(memory[theirs][1:]):.0f} |"
        )
    return "\n".join(
        [
            f"{MIB} MiB, median of {ROUNDS} runs in turns, MinIO on the same machine.",
            "",
            "| Transfer | Ours, MiB/s | boto3, MiB/s | Ratio | Ours, MiB beyond the array "
            "| boto3, MiB |",
            "| --- | ---: | ---: | ---: | ---: | ---: |",
            *rows,
        ]
    )


def _run(what: str, file: Path, reference: str, endpoint: str) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, what, str(MIB), str(file), reference],
        env={
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(REPO / "operator"),
            "ENDPOINT": endpoint,
            "KEY": ACCESS_KEY,
            "SECRET": SECRET_KEY,
            "BUCKET": BUCKET,
        },
        capture_output=True,
        text=True,
        check=True,
    )
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer
