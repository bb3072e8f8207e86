"""Blobs: throughput and memory against boto3's own file transfer of the same bytes.

Each transfer is a process of its own, so that its peak memory is its own. Ours starts and ends with
an array in memory; boto3's with a file, on a file system in memory. Each uses the client that its
users get: ours makes its own, boto3's has no settings.

Right before each transfer another process touches as much memory as it will need. A virtual machine
may have given free memory back to its host, and takes longer to get it again than for all the rest:
without that, the same transfer took 0.8 or 1.3 s, by chance.
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

from harness.paths import REPO
from probe_world import ACCESS_KEY, BUCKET, SECRET_KEY, object_store

ROUNDS = int(os.environ.get("BENCH_ROUNDS", "5"))
MIB = int(os.environ.get("BENCH_BLOB_MIB", "256"))
_IN_MEMORY = Path("/dev/shm")
_PAIRS = (("put", "upload"), ("get", "download"))

# What both do beforehand (imports, the client, the data) is not timed; its memory is subtracted.
PROGRAM = """
import json, os, subprocess, sys, time
import boto3, numpy as np
from xcom_dags.blobs import BlobStore
what, mib, file, reference = sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4]
bucket = os.environ["BUCKET"]
store = BlobStore(f"s3://{bucket}/bench", "run", schema="bench", version=1, encryption=None)
client = store.client() if what in ("put", "get") else boto3.client("s3")
client.list_buckets()
array = None
if what == "put":
    array = np.random.default_rng(1).integers(0, 255, mib << 20, dtype="u1")
def peak():
    with open("/proc/self/status") as status:
        return int(next(line for line in status if line.startswith("VmHWM")).split()[1])
before = peak()
subprocess.run([sys.executable, "-c", f"b'x' * ({mib} << 22)"], check=True)
begin, processor = time.monotonic(), time.process_time()
answer = None
if what == "put":
    answer = store.put("blob", {"y": array})
elif what == "get":
    array = store.get(json.loads(reference))["y"]
elif what == "upload":
    client.upload_file(file, bucket, "bench/raw")
else:
    client.download_file(bucket, "bench/raw", file + ".back")
seconds, processor = time.monotonic() - begin, time.process_time() - processor
held = array.nbytes / 1048576 if what == "get" else 0
print(json.dumps({"seconds": seconds, "processor": processor,
                  "mib": (peak() - before) / 1024 - held, "answer": answer}))
"""


def measure() -> str:
    """Run the transfers in turns; returns the text for the page."""
    runs: dict[str, list[dict[str, Any]]] = {}
    with (
        tempfile.TemporaryDirectory(dir=_IN_MEMORY) as folder,
        object_store(Path(folder) / "server") as server,
    ):
        file = Path(folder) / "raw"
        file.write_bytes(os.urandom(MIB << 20))
        reference = ""
        for turn in range(ROUNDS + 1):
            for pair in _PAIRS:
                # Who is first finds the memory and the caches as somebody else left them.
                for what in pair if turn % 2 == 0 else reversed(pair):
                    done = _run(what, file, reference, server.endpoint)
                    if what == "put":
                        reference = json.dumps(done["answer"])
                    runs.setdefault(what, []).append(done)
    return "\n".join(
        [
            f"{MIB} MiB, median of {ROUNDS} pairs in turns, MinIO on the same machine.",
            "",
            "| Transfer | Ours, MiB/s | boto3, MiB/s | Ratio | Ours, processor | boto3, processor "
            "| Ours, MiB beyond the array | boto3, MiB |",
            "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
            # The first round warms caches.
            *(_row(pair, *(runs[what][1:] for what in pair)) for pair in _PAIRS),
        ]
    )


def _row(names: tuple[str, str], ours: list[dict[str, Any]], theirs: list[dict[str, Any]]) -> str:
    def median(runs: list[dict[str, Any]], field: str) -> float:
        return float(statistics.median(run[field] for run in runs))

    ratios = [other["seconds"] / one["seconds"] for one, other in zip(ours, theirs, strict=True)]
    return (
        f"| {names[0]} / {names[1]}_file | {MIB / median(ours, 'seconds'):.0f} "
        f"| {MIB / median(theirs, 'seconds'):.0f} "
        f"| **{statistics.median(ratios):.2f}** ({min(ratios):.2f} to {max(ratios):.2f}) "
        f"| {median(ours, 'processor'):.2f} s | {median(theirs, 'processor'):.2f} s "
        f"| {max(run['mib'] for run in ours):.0f} | {max(run['mib'] for run in theirs):.0f} |"
    )


def _run(what: str, file: Path, reference: str, endpoint: str) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, what, str(MIB), str(file), reference],
        env={
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(REPO / "operator"),
            "AWS_ENDPOINT_URL": endpoint,
            "AWS_ACCESS_KEY_ID": ACCESS_KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
            "AWS_DEFAULT_REGION": "us-east-1",
            "BUCKET": BUCKET,
        },
        capture_output=True,
        text=True,
        check=True,
    )
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer
