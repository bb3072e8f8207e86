"""XCL004 and XCL005: writes whose path goes to another task, and those that only look so."""

from __future__ import annotations

import pytest

from lint_cases import lines

IN_DAG = """
import os, pickle, tempfile
from pathlib import Path
import boto3
import joblib
import numpy as np
import pandas as pd
from airflow.io.path import ObjectStoragePath
from airflow.providers.amazon.aws.hooks.s3 import S3Hook

PATH = "/tmp/shared.bin"

@dag()
def d():
    @task
    def write(run_id=None, df=None, y=None):
BODY
    @task
    def read(given=None):
READ
    read(write())
"""


def found(code: str, body: str, read: str = "return 1") -> int:
    """How many problems a rule finds with these bodies of the two tasks."""

    def block(text: str) -> str:
        return "\n".join("        " + line for line in text.splitlines())

    return len(lines(code, IN_DAG.replace("BODY", block(body)).replace("READ", block(read))))


HANDED_OVER = [
    'path = "/tmp/p.npz"\nnp.savez(path, y=y)\nreturn path',
    'path = f"/data/{run_id}.npz"\nnp.savez_compressed(path, y=y)\nreturn {"path": path}',
    'with open("/tmp/x.json", "w") as f:\n    f.write("x")\nreturn "/tmp/x.json"',
    'path = Path("/tmp") / "x"\npath.write_text("x")\nreturn str(path)',
    'path = os.path.join("/mnt", run_id)\ndf.to_parquet(path)\nreturn path',
    'path = tempfile.mkdtemp()\ndf.to_csv(path + "/a.csv")\nreturn path',
    'key = f"p/{run_id}"\nboto3.client("s3").put_object(Bucket="b", Key=key)\nreturn key',
    'key = "p/x"\nS3Hook("c").load_string("x", key, "b")\nreturn f"s3://b/{key}"',
    'path = "/tmp/m"\njoblib.dump(y, path)\nti = None\nti.xcom_push(key="m", value=path)',
    'path = "/tmp/x"\nwith open(path, mode="ab") as f:\n    pickle.dump(y, f)\nreturn [path]',
]
READ_ELSEWHERE = [
    ('np.save("/tmp/y.npy", y)', 'return np.load("/tmp/y.npy").tolist()'),
    ("np.savez(PATH, y=y)", "return float(np.load(PATH)['y'][0])"),
    ('df.to_parquet("/data/x.parquet")', 'return len(pd.read_parquet("/data/x.parquet"))'),
    ('Path("/tmp/a.txt").write_text("x")', 'return Path("/tmp/a.txt").read_text()'),
    (
        's3 = boto3.client("s3")\ns3.upload_file("x", "b", "key/of/it")',
        's3 = boto3.client("s3")\ns3.download_file("b", "key/of/it", "y")',
    ),
]
WITHIN = [
    'with tempfile.NamedTemporaryFile("w") as f:\n    f.write("x")\nreturn 1',
    'with tempfile.TemporaryDirectory() as d:\n    np.savez(d + "/x.npz", y=y)\nreturn 1',
    "return df.to_json()",
    "return df.to_csv()",
    'with open("/tmp/in.txt") as f:\n    return f.read()',
    'path = "/tmp/in.txt"\nwith open(path, "rb") as f:\n    return path',
    'path = ObjectStoragePath("s3://b/x")\nwith path.open("wb") as f:\n    pass\nreturn path',
]


@pytest.mark.parametrize("body", HANDED_OVER)
def test_a_path_that_is_handed_over_blocks(body: str) -> None:
    assert found("XCL004", body) == 1


@pytest.mark.parametrize(("write", "read"), READ_ELSEWHERE)
def test_a_path_that_another_task_reads_blocks(write: str, read: str) -> None:
    assert found("XCL004", write, read) == 1
    assert found("XCL005", write, read) == 0


@pytest.mark.parametrize("body", WITHIN)
def test_what_stays_within_a_task_or_is_a_reference_is_not_found(body: str) -> None:
    assert (found("XCL004", body), found("XCL005", body)) == (0, 0)


@pytest.mark.parametrize(
    "body",
    [
        'np.savez("/tmp/y.npz", y=y)\nreturn 1',
        'df.to_parquet(f"/data/{run_id}.parquet")',
        "with open(PATH, 'w') as f:\n    f.write('x')",
    ],
)
def test_a_write_to_a_place_that_looks_shared_is_a_warning_only(body: str) -> None:
    assert (found("XCL004", body), found("XCL005", body)) == (0, 1)
