"""Runs the probe in a set-up, with whatever servers, identities and packages that one names."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from minio import MinioAdmin
from minio.credentials.providers import StaticProvider

from harness.debian import install
from probe_world import (
    ACCESS_KEY,
    SECRET_KEY,
    Answer,
    Environment,
    ObjectStore,
    Pod,
    connection,
    free_port,
)
from set_ups import images, servers
from set_ups.certificates import Authority
from set_ups.setup import SetUp

# Every password that a set-up invents; it may appear nowhere.
WRONG_SECRET = "certainly-not-the-secret"
_CONNECTION = "AIRFLOW_CONN_XCOM_S3"


class World:
    """What all set-ups share: the S3 server and a certificate authority."""

    def __init__(self, store: ObjectStore, folder: Path) -> None:
        self.store = store
        self._folder = folder
        self._authority = Authority(folder / "ca")
        self._admin = MinioAdmin(
            endpoint=store.endpoint.removeprefix("http://"),
            credentials=StaticProvider(ACCESS_KEY, SECRET_KEY),
            secure=False,
        )

    def ask(self, setup: SetUp, pod: Pod, airflow: Environment, *command: str) -> Answer:
        """Run one command of the probe in a set-up, with what the rollout expects."""
        with self._made(setup, pod, airflow) as (changed, words):
            expected = (_filled(word, words) for word in setup.expect.arguments())
            # A round trip writes hundreds of objects, and two run beside each other.
            return changed.probe(*command, "--functional-s3", *expected, timeout=600)

    @contextmanager
    def _made(
        self, setup: SetUp, pod: Pod, airflow: Environment
    ) -> Iterator[tuple[Pod, dict[str, str]]]:
        folder = self._folder / f"{setup.name}-{airflow.version}"
        folder.mkdir()
        with ExitStack() as stack:
            endpoint = self.store.endpoint
            if setup.server:
                endpoint = stack.enter_context(servers.serve(setup.server, folder, self._authority))
            words = {
                "{endpoint}": endpoint,
                "{folder}": str(folder),
                "{ca}": str(self._authority.file),
                "{closed}": f"127.0.0.1:{free_port()}",
            }
            for name, content in setup.files.items():
                (folder / name).write_text(_filled(content, words))
            env: dict[str, str | None] = {
                _CONNECTION: self._connection(setup, airflow, endpoint, words),
                **dict.fromkeys(setup.unset),
                **{name: _filled(value, words) for name, value in setup.env.items()},
            }
            if setup.cfg:
                (folder / "airflow.cfg").write_text(_filled(setup.cfg, words))
                env["AIRFLOW_CONFIG"] = str(folder / "airflow.cfg")
            if setup.faketime:
                env |= _other_clock(setup.faketime)
            if setup.bucket:
                self._make_bucket(setup)
                stack.callback(self._remove_bucket, setup)
            pod = pod.with_env(env)
            if setup.image:
                pod = replace(pod, python=images.changed(airflow, folder, setup.image))
            yield pod, words

    def _connection(
        self, setup: SetUp, airflow: Environment, endpoint: str, words: dict[str, str]
    ) -> str:
        parts: dict[str, Any] = json.loads(connection(endpoint))
        if setup.identity:
            parts["login"], parts["password"] = self._identity(setup, airflow)
        for name, value in setup.connection.items():
            if isinstance(value, dict):
                parts[name] = {**parts[name], **value}
            else:
                parts[name] = value
        if isinstance(parts["extra"], dict):
            parts["extra"] = {name: value for name, value in parts["extra"].items() if value != ""}
        return _filled(json.dumps(parts), words)

    def _identity(self, setup: SetUp, airflow: Environment) -> tuple[str, str]:
        """An identity of the store with exactly the rights that the file lists."""
        name = f"{setup.name}-{airflow.version}"
        secret = f"{WRONG_SECRET}-{airflow.version}"
        self._admin.user_add(name, secret)
        self._admin.policy_add(
            name, policy={"Version": "2012-10-17", "Statement": list(setup.identity)}
        )
        self._admin.attach_policy([name], user=name)
        return name, secret

    def _make_bucket(self, setup: SetUp) -> None:
        client = self.store.client()
        name = setup.bucket["name"]
        client.create_bucket(
            Bucket=name, ObjectLockEnabledForBucket=setup.bucket.get("object_lock", False)
        )
        if setup.bucket.get("versioning"):
            client.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})

    def _remove_bucket(self, setup: SetUp) -> None:
        client = self.store.client()
        name = setup.bucket["name"]
        versions = client.list_object_versions(Bucket=name)
        for kind in ("Versions", "DeleteMarkers"):
            for item in versions.get(kind, []):
                client.delete_object(Bucket=name, Key=item["Key"], VersionId=item["VersionId"])
        client.delete_bucket(Bucket=name)


def _filled(text: str, words: dict[str, str]) -> str:
    for word, value in words.items():
        text = text.replace(word, value)
    return text


def _other_clock(offset: str) -> dict[str, str]:
    install(["libfaketime"])
    (library,) = Path("/usr/lib").glob("*/faketime/libfaketime.so.1")
    # Time-outs go on by the real clock.
    return {"LD_PRELOAD": str(library), "FAKETIME": offset, "DONT_FAKE_MONOTONIC": "1"}
