"""The way to the API server: what a kubeconfig or a service account says, and what is refused."""

from __future__ import annotations

import datetime
import json
import os
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from kubernetes.config import incluster_config

from nasty_http import NastyServer, Reply
from xcom_rollout.clients import kubeconfig
from xcom_rollout.clients.errors import KubeconfigError
from xcom_rollout.clients.kubeconfig import as_kubectl, as_operator, from_kubeconfig

PATH = "api/v1/pods"


@pytest.fixture(autouse=True)
def nothing_around(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No service account, no kubeconfig and no proxy of this machine."""
    for name in tuple(os.environ):
        if name.lower().endswith("_proxy") or name.startswith("KUBE"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(kubeconfig, "NAMESPACE", tmp_path / "absent")


@pytest.fixture
def server() -> Iterator[NastyServer]:
    with NastyServer() as server:
        server.answer(f"/{PATH}", Reply(body={"items": []}))
        yield server


def written(file: Path, server: str, name: str = "one", **user: Any) -> str:
    """Write a kubeconfig of one context and return its path."""
    context = {"cluster": name, "user": name, "namespace": f"ns-{name}"}
    content = {
        "current-context": name,
        "contexts": [{"name": name, "context": context}],
        "clusters": [{"name": name, "cluster": {"server": server}}],
        "users": [{"name": name, "user": user}],
    }
    file.write_text(yaml.safe_dump(content))
    return str(file)


def changed(file: str, change: str) -> str:
    """Change the kubeconfig by a line of Python about `it`; return its path."""
    it = yaml.safe_load(Path(file).read_text())
    exec(change, {"it": it})  # noqa: S102  a line of this file
    Path(file).write_text(yaml.safe_dump(it))
    return file


def program(file: Path, output: str, code: int = 0) -> dict[str, Any]:
    """Return an `exec` of a program that prints `output`."""
    file.write_text(f"#!/bin/sh\necho run >>{file}.runs\ncat <<'E'\n{output}\nE\nexit {code}\n")
    file.chmod(0o700)
    return {"apiVersion": "client.authentication.k8s.io/v1", "command": str(file)}


def credential(token: str, expires: str = "") -> str:
    status = {"token": token, **({"expirationTimestamp": expires} if expires else {})}
    version = "client.authentication.k8s.io/v1"
    return json.dumps({"apiVersion": version, "kind": "ExecCredential", "status": status})


def login(server: NastyServer) -> str | None:
    return server.received[-1].headers.get("authorization")


@pytest.mark.parametrize(
    ("user", "header"),
    [
        ({"token": "abc"}, "Bearer abc"),
        ({"tokenFile": "token"}, "Bearer from-file"),
        ({"username": "u", "password": "p"}, "Basic dTpw"),
        ({}, None),
    ],
    ids=["token", "file", "password", "nobody"],
)
def test_the_user_of_the_context_asks(
    tmp_path: Path, server: NastyServer, user: dict[str, str], header: str | None
) -> None:
    (tmp_path / "token").write_text("from-file")
    found = from_kubeconfig(written(tmp_path / "config", server.url, **user))
    assert found.send("GET", PATH).status == 200
    assert login(server) == header
    assert (found.namespace, found.context, found.in_pod) == ("ns-one", "one", False)


def test_several_files_are_one_and_a_context_of_the_second_is_taken(
    tmp_path: Path, server: NastyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = os.pathsep.join(
        (
            written(tmp_path / "a", "https://elsewhere.invalid"),
            written(tmp_path / "b", server.url, "two", token="second"),
        )
    )
    monkeypatch.setenv("KUBECONFIG", files)
    found = as_kubectl("two")
    found.send("GET", PATH)
    assert login(server) == "Bearer second"
    assert (found.namespace, found.kubeconfig) == ("ns-two", files)
    assert as_operator("one").server == "https://elsewhere.invalid"


def test_a_program_is_asked_once_and_again_when_its_token_has_ended(
    tmp_path: Path, server: NastyServer
) -> None:
    lasting = program(tmp_path / "lasting", credential("t1", "2099-01-01T00:00:00Z"))
    found = from_kubeconfig(written(tmp_path / "a", server.url, exec=lasting))
    for _ in range(3):
        found.send("GET", PATH)
    assert login(server) == "Bearer t1"
    assert (tmp_path / "lasting.runs").read_text() == "run\n"
    ended = program(tmp_path / "ended", credential("t2", "2020-01-01T00:00:00Z"))
    found = from_kubeconfig(written(tmp_path / "b", server.url, exec=ended))
    found.send("GET", PATH)
    assert (tmp_path / "ended.runs").read_text() == "run\n" * 2


def test_a_program_that_gives_nothing_is_named_and_nobody_is_asked(
    tmp_path: Path, server: NastyServer
) -> None:
    failing = program(tmp_path / "failing", "", 1)
    with pytest.raises(
        KubeconfigError, match=r"exec of the user 'one'.*returned no credentials.*fail"
    ):
        from_kubeconfig(written(tmp_path / "config", server.url, exec=failing))
    assert server.received == []


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("del it['current-context']", "no current context: choose one with --context"),
        ("it['current-context'] = 'x'", "x in .*contexts"),
        ("it['users'] = []", "no user 'one', which its context names"),
        ("it['users'][0]['user']['as'] = 'admin'", r"impersonates another user \(as\)"),
        ("it['clusters'][0]['cluster'] = {'a': 1}", "the cluster 'one' of .* has no server"),
        ("it['clusters'] = []", "one in .*clusters"),
        ("it.pop('contexts')", "x|contexts|one"),
        ("it['contexts'] = 7", "cannot use the kubeconfig"),
        ("it['clusters'][0]['cluster']['certificate-authority'] = 'gone'", "gone"),
    ],
)
def test_a_kubeconfig_that_leads_nowhere_says_where_it_is_wrong(
    tmp_path: Path, change: str, said: str
) -> None:
    file = changed(written(tmp_path / "config", "https://h.invalid", token="t"), change)
    with pytest.raises(KubeconfigError, match=said):
        from_kubeconfig(file)


@pytest.mark.parametrize("text", ["", "[1, 2]", "a: {", "just words"])
def test_a_file_of_another_kind_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "config").write_text(text)
    with pytest.raises(KubeconfigError, match=str(tmp_path / "config")):
        from_kubeconfig(str(tmp_path / "config"))


def test_where_there_is_none_the_place_of_one_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(KubeconfigError, match=f"KUBECONFIG is not set.*{tmp_path}/.kube/config"):
        as_kubectl()
    with pytest.raises(KubeconfigError, match=f"{tmp_path}/.kube/config"):
        as_operator()
    monkeypatch.setenv("KUBECONFIG", "/nowhere")
    with pytest.raises(KubeconfigError, match="the kubeconfig /nowhere"):
        as_kubectl()


def test_in_a_pod_the_token_that_the_kubelet_renews_is_read_again(
    tmp_path: Path, server: NastyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "token").write_text("first")
    (tmp_path / "ca.crt").write_text("some")
    (tmp_path / "namespace").write_text("home")
    monkeypatch.setattr(kubeconfig, "NAMESPACE", tmp_path / "namespace")
    monkeypatch.setattr(incluster_config, "SERVICE_TOKEN_FILENAME", str(tmp_path / "token"))
    monkeypatch.setattr(incluster_config, "SERVICE_CERT_FILENAME", str(tmp_path / "ca.crt"))
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "127.0.0.1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", str(server.port))
    monkeypatch.setattr(incluster_config, "_join_host_port", lambda host, port: f"{host}:{port}")
    found = as_operator()
    assert (found.namespace, found.in_pod) == ("home", True)
    assert found.server == f"https://127.0.0.1:{server.port}"
    assert found.login() == {"authorization": "bearer first"}
    (tmp_path / "token").write_text("second")
    assert found.login() == {"authorization": "bearer first"}, "the file is not read each time"
    later = datetime.datetime.now() + datetime.timedelta(seconds=61)  # noqa: DTZ005  as there
    clock = type("Clock", (datetime.datetime,), {"now": classmethod(lambda *_: later)})
    there = SimpleNamespace(datetime=clock, timedelta=datetime.timedelta)
    monkeypatch.setattr(incluster_config, "datetime", there)
    assert found.login() == {"authorization": "bearer second"}


def test_a_proxy_of_the_environment_is_used_and_no_proxy_is_kept(
    tmp_path: Path, server: NastyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = written(tmp_path / "config", "http://cluster.invalid", token="t")
    monkeypatch.setenv("HTTP_PROXY", server.url.replace("://", "://me:it%40@"))
    from_kubeconfig(file).send("GET", PATH)
    assert server.received[-1].headers["proxy-authorization"] == "Basic bWU6aXRA"
    count = len(server.received)
    changed(file, f"it['clusters'][0]['cluster']['server'] = {server.url!r}")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("NO_PROXY", "10.0.0.0/8,127.0.0.0/8")
    from_kubeconfig(file).send("GET", PATH)
    assert len(server.received) == count + 1
