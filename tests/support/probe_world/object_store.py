"""A real S3 server, MinIO, on loopback."""

from __future__ import annotations

import base64
import http.client
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

from harness.ports import free_port
from harness.shell import HarnessError
from harness.tools import tool
from harness.waiting import NotYetError, wait_for

BUCKET = "airflow-xcom"
ACCESS_KEY = "probe-tests"
SECRET_KEY = "probe-tests-secret"
_ENCRYPTION_KEY = base64.b64encode(b"probe-tests".ljust(32, b"-")).decode()


@dataclass(frozen=True)
class ObjectStore:
    """A private MinIO server."""

    endpoint: str
    region: str = ""
    verify: bool = True

    def client(self) -> Any:
        """A client with all rights."""
        return boto3.client(
            "s3",
            endpoint_url=self.endpoint,
            aws_access_key_id=ACCESS_KEY,
            aws_secret_access_key=SECRET_KEY,
            region_name=self.region or "us-east-1",
            verify=self.verify,
            # Else botocore reads the whole environment, which pytest changes in another thread.
            config=Config(proxies={}),
        )

    def all_keys(self, bucket: str = BUCKET) -> list[str]:
        """Every key of a bucket."""
        pages = self.client().get_paginator("list_objects_v2").paginate(Bucket=bucket)
        return [item["Key"] for page in pages for item in page.get("Contents", [])]

    def buckets(self) -> set[str]:
        """Every bucket."""
        return {bucket["Name"] for bucket in self.client().list_buckets()["Buckets"]}


@contextmanager
def object_store(
    folder: Path, certificates: Path | None = None, region: str = ""
) -> Iterator[ObjectStore]:
    """Start MinIO with the bucket; stop it at the end.

    Args:
        certificates: folder with `public.crt` and `private.key`; without it, plain HTTP.
        region: the one that requests have to be signed for; any, if it is empty.
    """
    folder.mkdir(parents=True)
    address = f"127.0.0.1:{free_port()}"
    scheme = "https" if certificates else "http"
    # The tests reach it, whatever is wrong with its certificate.
    store = ObjectStore(f"{scheme}://{address}", region, verify=certificates is None)
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [
                *(tool("minio"), "server", "--quiet", "--address", address),
                *("--console-address", f"127.0.0.1:{free_port()}"),
                *("--certs-dir", certificates or folder / "no-certificates", folder / "data"),
            ],
            stdout=log,
            stderr=log,
            env={
                "HOME": str(folder),
                "MINIO_ROOT_USER": ACCESS_KEY,
                "MINIO_ROOT_PASSWORD": SECRET_KEY,
                "MINIO_UPDATE": "off",
                "MINIO_BROWSER": "off",
                # Without a key it cannot encrypt, and refuses requests for that.
                "MINIO_KMS_SECRET_KEY": f"tests:{_ENCRYPTION_KEY}",
                **({"MINIO_SITE_REGION": region} if region else {}),
            },
        )

    def ready() -> bool:
        if process.poll() is not None:
            raise HarnessError(f"minio ended: {(folder / 'log').read_text()[-2000:]}")
        asked: http.client.HTTPConnection
        if certificates is None:
            asked = http.client.HTTPConnection(address, timeout=3)
        else:
            context = ssl.create_default_context()
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            asked = http.client.HTTPSConnection(address, timeout=3, context=context)
        try:
            asked.request("GET", "/minio/health/ready")
            return asked.getresponse().status == 200
        except OSError as error:
            raise NotYetError(str(error)) from error
        finally:
            asked.close()

    try:
        wait_for("MinIO is ready", ready, 30)
        store.client().create_bucket(Bucket=BUCKET)
        yield store
    finally:
        process.terminate()
        process.wait(30)
