"""Object stores other than MinIO, on loopback: versitygw, fake-gcs-server and Azurite.

The first two are built from their Go modules, Azurite is installed from npm, pinned by
tests/airflows/azurite. They are started for the tests marked `stores` alone.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import hmac
import http.client
import json
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.utils import formatdate
from pathlib import Path
from urllib.parse import quote, urlencode
from xml.etree import ElementTree

import boto3

from harness.paths import REPO, cache_dir, content_hash
from harness.ports import free_port
from harness.say import step
from harness.shell import HarnessError, locked, run
from harness.tools import tool
from harness.waiting import NotYetError, wait_for

BUCKET = "airflow-xcom"
ACCESS_KEY = "probe-tests"
SECRET_KEY = "probe-tests-secret"
_AZURITE = REPO / "tests" / "airflows" / "azurite"
_AZURE_ACCOUNT = "probetests"
_AZURE_KEY = base64.b64encode(b"probe-tests-key".ljust(64, b"-")).decode()


@dataclass(frozen=True)
class Store:
    """A private server with one bucket.

    Attributes:
        scheme: of the paths that lie in it.
        connection: what AIRFLOW_CONN_* has to hold.
        objects: every object in the bucket.
        remove: removes one object of the bucket.
        stop: ends the server.
        env: what else a pod needs to reach it.
    """

    scheme: str
    connection: str
    objects: Callable[[], list[str]]
    remove: Callable[[str], None]
    stop: Callable[[], None]
    env: dict[str, str] = field(default_factory=dict)


def azurite() -> Path:
    """The script of Azurite's blob service, installed once per lock file.

    Raises:
        HarnessError: there is no Node.js, or the registry does not give a package.
    """
    for program in ("node", "npm"):
        if shutil.which(program) is None:
            raise HarnessError(f"{program} is not on PATH; Azurite needs Node.js 20 or newer")
    files = [_AZURITE / "package.json", _AZURITE / "package-lock.json"]
    folder = cache_dir() / "npm" / f"azurite-{content_hash(files, [])}"
    script = folder / "node_modules" / "azurite" / "dist" / "src" / "blob" / "main.js"
    with locked("azurite"):
        if not (folder / ".complete").exists():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
            for file in files:
                shutil.copy(file, folder)
            with step("npm ci azurite"):
                run("npm", "ci", "--omit=dev", "--ignore-scripts", "--no-audit", cwd=folder)
            (folder / ".complete").touch()
    return script


@contextmanager
def versitygw(folder: Path) -> Iterator[Store]:
    """An S3 server that keeps objects as files."""
    port = free_port()
    (folder / "data").mkdir(parents=True)
    command = [
        *(str(tool("versitygw")), "--port", f"127.0.0.1:{port}", "--quiet"),
        *("--access", ACCESS_KEY, "--secret", SECRET_KEY),
        # Its metadata in files: not every file system takes extended attributes.
        *("posix", "--sidecar", str(folder / "meta"), str(folder / "data")),
    ]
    (folder / "meta").mkdir()
    endpoint = f"http://127.0.0.1:{port}"
    client = boto3.client(
        "s3",
        endpoint_url=endpoint,
        aws_access_key_id=ACCESS_KEY,
        aws_secret_access_key=SECRET_KEY,
        region_name="us-east-1",
    )

    def keys() -> list[str]:
        pages = client.get_paginator("list_objects_v2").paginate(Bucket=BUCKET)
        return [item["Key"] for page in pages for item in page.get("Contents", [])]

    connection = {
        "conn_type": "aws",
        "login": ACCESS_KEY,
        "password": SECRET_KEY,
        "extra": {"endpoint_url": endpoint, "region_name": "us-east-1"},
    }
    with _server(command, folder, port) as stop:
        client.create_bucket(Bucket=BUCKET)
        yield Store(
            "s3",
            json.dumps(connection),
            keys,
            lambda key: client.delete_object(Bucket=BUCKET, Key=key),
            stop,
        )


@contextmanager
def fake_gcs(folder: Path) -> Iterator[Store]:
    """A server that speaks Google's JSON API. It asks for no credentials."""
    port = free_port()
    folder.mkdir(parents=True)
    endpoint = f"http://127.0.0.1:{port}"
    command = [
        *(str(tool("fake-gcs-server")), "-scheme", "http", "-host", "127.0.0.1"),
        *("-port", str(port), "-backend", "memory", "-log-level", "error"),
        # Uploads go on at the address that it names itself.
        *("-external-url", endpoint, "-public-host", f"127.0.0.1:{port}"),
    ]

    def ask(method: str, path: str, body: object = None) -> bytes:
        sent = None if body is None else json.dumps(body).encode()
        return _ask(port, method, path, {"Content-Type": "application/json"}, sent)

    def keys() -> list[str]:
        return [item["name"] for item in json.loads(ask("GET", objects)).get("items", [])]

    objects = f"/storage/v1/b/{BUCKET}/o"
    connection = {
        "conn_type": "google_cloud_platform",
        "extra": {"is_anonymous": True, "project": "probe-tests", "gcs.endpoint": endpoint},
    }
    with _server(command, folder, port) as stop:
        ask("POST", "/storage/v1/b", {"name": BUCKET})
        yield Store(
            "gs",
            json.dumps(connection),
            keys,
            lambda key: _nothing(ask("DELETE", f"{objects}/{quote(key, safe='')}")),
            stop,
            # Else gcsfs asks by gRPC for the kind of bucket, with TLS, a minute long.
            {"GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT": "false"},
        )


@contextmanager
def azurite_server(folder: Path) -> Iterator[Store]:
    """Microsoft's emulator of the blob service."""
    port = free_port()
    folder.mkdir(parents=True)
    command = [
        *("node", str(azurite()), "--blobHost", "127.0.0.1", "--blobPort", str(port)),
        *("--location", str(folder / "data"), "--silent", "--disableTelemetry"),
        # The SDK is newer than the emulator.
        "--skipApiVersionCheck",
    ]
    endpoint = f"http://127.0.0.1:{port}/{_AZURE_ACCOUNT}"

    def ask(method: str, path: str, query: Mapping[str, str]) -> bytes:
        headers = _signed(method, path, query)
        asked = f"/{_AZURE_ACCOUNT}/{path}" + (f"?{urlencode(query)}" if query else "")
        return _ask(port, method, asked, headers, None)

    def keys() -> list[str]:
        listed = ask("GET", BUCKET, {"comp": "list", "restype": "container"})
        names = ElementTree.fromstring(listed).iter("Name")  # noqa: S314 - of our own server
        return [name.text or "" for name in names]

    connection = {
        "conn_type": "wasb",
        "extra": {
            "connection_string": f"DefaultEndpointsProtocol=http;AccountName={_AZURE_ACCOUNT};"
            f"AccountKey={_AZURE_KEY};BlobEndpoint={endpoint};"
        },
    }
    env = {"AZURITE_ACCOUNTS": f"{_AZURE_ACCOUNT}:{_AZURE_KEY}"}
    with _server(command, folder, port, env) as stop:
        ask("PUT", BUCKET, {"restype": "container"})
        yield Store(
            "abfs",
            json.dumps(connection),
            keys,
            lambda key: _nothing(ask("DELETE", f"{BUCKET}/{quote(key)}", {})),
            stop,
        )


STORES = {"versitygw": versitygw, "fake-gcs-server": fake_gcs, "azurite": azurite_server}


def _nothing(_: object) -> None:
    return None


@contextmanager
def _server(
    command: list[str], folder: Path, port: int, env: Mapping[str, str] | None = None
) -> Iterator[Callable[[], None]]:
    log = folder / "log"
    with log.open("wb") as file:
        process = subprocess.Popen(
            command,
            stdout=file,
            stderr=file,
            env={"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": str(folder), **(env or {})},
        )

    def answers() -> bool:
        if process.poll() is not None:
            raise HarnessError(f"{command[0]} ended: {log.read_text()[-2000:]}")
        try:
            with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=3)) as to:
                to.request("GET", "/")
                return to.getresponse().status < 500
        except OSError as error:
            raise NotYetError(str(error)) from error

    def stop() -> None:
        process.terminate()
        process.wait(30)

    try:
        wait_for(f"{Path(command[0]).name} answers", answers, 60)
        yield stop
    finally:
        stop()


def _ask(
    port: int, method: str, path: str, headers: Mapping[str, str], body: bytes | None
) -> bytes:
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=10)) as to:
        to.request(method, path, body, dict(headers))
        answer = to.getresponse()
        content = answer.read()
    if answer.status >= 300:
        raise HarnessError(f"{method} {path}: HTTP {answer.status} {content[:500]!r}")
    return content


def _signed(method: str, path: str, query: Mapping[str, str]) -> dict[str, str]:
    """Headers with a shared key, as Microsoft documents it, of a request without a body."""
    headers = {"x-ms-date": formatdate(usegmt=True), "x-ms-version": "2021-08-06"}
    named = "".join(f"{name}:{value}\n" for name, value in sorted(headers.items()))
    resource = f"/{_AZURE_ACCOUNT}/{_AZURE_ACCOUNT}/{path}" + "".join(
        f"\n{name}:{value}" for name, value in sorted(query.items())
    )
    text = f"{method}\n" + "\n" * 11 + named + resource
    digest = hmac.digest(base64.b64decode(_AZURE_KEY), text.encode(), hashlib.sha256)
    return {
        **headers,
        "Content-Length": "0",
        "Authorization": f"SharedKey {_AZURE_ACCOUNT}:{base64.b64encode(digest).decode()}",
    }
