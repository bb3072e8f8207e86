"""Which revision the last resort goes back to."""

import base64
import json
from types import SimpleNamespace
from typing import Any

import pytest

from xcom_rollout.clients.errors import ActionFailed, KubeError
from xcom_rollout.clients.kube import Json
from xcom_rollout.decide.settings import BackendSettings
from xcom_rollout.deliver.earlier import Revisions
from xcom_rollout.deliver.release import HISTORY, StoredRelease, decode_record, decode_release

CONFIG = """---
# Source: airflow/templates/configmap.yaml
apiVersion: v1
kind: ConfigMap
metadata: {{name: config-{place}}}
data: {{airflow.cfg: "[core]\\nxcom_backend = {backend}"}}
"""


def revision(number: int, *backends: str, more: str = "", status: str = "superseded") -> Json:
    """Return a revision without values, whose chart makes an airflow.cfg of each of these."""
    manifest = "".join(
        CONFIG.format(place=place, backend=backend) for place, backend in enumerate(backends)
    )
    record = {
        "name": "rel",
        "version": number,
        "info": {"status": status, "last_deployed": "2026-01-02T03:04:05Z"},
        "chart": {"metadata": {"name": "airflow", "version": "1.0.0"}},
        "manifest": manifest + more,
    }
    packed = base64.b64encode(base64.b64encode(json.dumps(record).encode())).decode()
    labels = {"version": str(number), "status": status}
    return {"metadata": {"name": f"r{number}", "labels": labels}, "data": {"release": packed}}


def test_a_rollback_from_what_cannot_be_told_leads_to_what_can() -> None:
    """Without values, each revision that cannot be told looks like the database backend."""
    secrets = [revision(1, "", ""), revision(2, "my.X", "my.X"), revision(3, "my.X", "")]
    api: Any = SimpleNamespace(
        list=lambda *_, **__: secrets,
        find=lambda path: next(one for one in secrets if path.endswith(one["metadata"]["name"])),
    )
    newest, manifest = decode_release(secrets[-1]), str(decode_record(secrets[-1])["manifest"])
    assert newest.airflow.problem
    assert newest.settings == BackendSettings()
    for settings, number in ((BackendSettings(), 1), (BackendSettings(backend="my.X"), 2)):
        found, _ = Revisions(api, "airflow", None).to_roll_back_to(newest, manifest, settings)
        assert found.revision == number


KEY = "\n---\napiVersion: v1\nkind: Secret\nmetadata: {name: jwt}\ndata: {jwt-secret: KEY}\n"


def last_resort(*secrets: Json, broken: str = "") -> tuple[StoredRelease, list[str], list[str]]:
    """The revision to roll back to from the last of these, the keys it changes, what was read.

    Args:
        broken: name of a Secret that the API server does not hand out.
    """
    read = []

    def find(path: str) -> Json:
        name = path.rpartition("/")[2]
        read.append(name)
        if name == broken:
            raise KubeError("no")
        return next(one for one in secrets if one["metadata"]["name"] == name)

    api: Any = SimpleNamespace(list=lambda *_, **__: secrets, find=find)
    newest, manifest = decode_release(secrets[-1]), str(decode_record(secrets[-1])["manifest"])
    target, changed = Revisions(api, "airflow", None).to_roll_back_to(
        newest, manifest, BackendSettings(backend="my.X")
    )
    return target, [one.name for one in changed], read


def keyed(number: int, key: str, *, status: str = "superseded", backend: str = "my.X") -> Json:
    """Return a revision with this key of Airflow 3's tokens."""
    return revision(number, backend, more=KEY.replace("KEY", key), status=status)


def unreadable(number: int) -> Json:
    return {**keyed(number, "b"), "data": {"release": "bm8="}}


def test_the_last_resort_prefers_the_keys_of_now() -> None:
    target, changed, _ = last_resort(
        keyed(1, "a"), keyed(2, "b"), keyed(3, "c"), keyed(4, "b", backend="my.Y")
    )
    assert (target.revision, changed) == (2, [])


def test_a_revision_that_cannot_be_read_keeps_no_other_from_being_the_last_resort() -> None:
    target, changed, _ = last_resort(unreadable(1), keyed(2, "a"), keyed(3, "b", backend="my.Y"))
    assert (target.revision, changed) == (2, ["jwt"])
    target, _, _ = last_resort(keyed(1, "b"), unreadable(2), keyed(3, "b", backend="my.Y"))
    assert target.revision == 1
    with pytest.raises(ActionFailed, match="Secret r1 contains no readable Helm release"):
        last_resort(unreadable(1), keyed(2, "b", backend="my.Y"))


def test_with_a_last_resort_at_hand_an_api_server_that_fails_delays_no_kill() -> None:
    target, changed, _ = last_resort(
        keyed(1, "b"), keyed(2, "a"), keyed(3, "b", backend="my.Y"), broken="r1"
    )
    assert (target.revision, changed) == (2, ["jwt"])
    with pytest.raises(KubeError):
        last_resort(keyed(1, "b"), keyed(2, "b", backend="my.Y"), broken="r1")


def test_of_hundreds_of_revisions_few_are_read_once_one_will_do() -> None:
    old = [keyed(number, "a") for number in range(1, 300)]
    target, changed, read = last_resort(*old, keyed(300, "b", backend="my.Y"))
    assert (target.revision, changed) == (299, ["jwt"])
    # The newest itself is one of those to look at.
    assert len(read) == 2 + HISTORY


def test_what_failed_is_no_last_resort_before_what_once_was_deployed() -> None:
    target, changed, _ = last_resort(
        keyed(1, "a"), keyed(2, "b", backend="my.Y"), keyed(3, "b", status="failed")
    )
    assert (target.revision, changed) == (1, ["jwt"])
    target, changed, _ = last_resort(keyed(1, "a", status="failed"), keyed(2, "b", status="failed"))
    assert (target.revision, changed) == (2, [])
