"""What an API server lacks without controllers and kubelets: pods that ran, and their logs.

Only for Jobs of the operator's census: each is completed a few seconds after it was created, as a
real one is (4 s on a real node), with a pod that printed a census of no runs.
"""

from __future__ import annotations

import json
import ssl
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx2
import yaml

from harness.apiserver import ApiServer
from harness.say import say

NODE = "bench-node"
CENSUS_SECONDS = 4.0
CENSUS = {
    "schema": "xcom-probe/v1",
    "command": "census",
    "verdict": "pass",
    "facts": {},
    "checks": [],
    "runs": [],
}


class Api:
    """The API server as plain JSON."""

    def __init__(self, server: ApiServer) -> None:
        context = ssl.create_default_context(cafile=str(server.folder / "pki" / "ca.crt"))
        context.load_cert_chain(str(_client_certificate(server)))
        self._client = httpx2.Client(
            base_url=server.url, verify=context, timeout=60.0, trust_env=False
        )

    def close(self) -> None:
        self._client.close()

    def create(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """POST; returns the object."""
        return self._send("POST", path, body, "application/json")

    def patch_status(self, path: str, status: Mapping[str, Any]) -> dict[str, Any]:
        """Merge into the status of the object at `path`."""
        return self._send(
            "PATCH", f"{path}/status", {"status": status}, "application/merge-patch+json"
        )

    def patch(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Merge into the object at `path`."""
        return self._send("PATCH", path, body, "application/merge-patch+json")

    def items(self, path: str) -> list[dict[str, Any]]:
        """List the objects at `path`."""
        answer = self._client.get(path)
        answer.raise_for_status()
        return list(answer.json()["items"])

    def watch(self, path: str, selector: str) -> Iterator[dict[str, Any]]:
        """The objects of each event, until the connection ends."""
        params = {"watch": "true", "labelSelector": selector}
        with self._client.stream("GET", path, params=params, timeout=None) as answer:
            answer.raise_for_status()
            for line in answer.iter_lines():
                if line:
                    yield json.loads(line)["object"]

    def _send(self, verb: str, path: str, body: Mapping[str, Any], kind: str) -> dict[str, Any]:
        answer = self._client.request(
            verb, path, content=json.dumps(body), headers={"Content-Type": kind}
        )
        if answer.is_error:
            raise httpx2.HTTPStatusError(
                f"{verb} {path}: {answer.status_code} {answer.text[:1000]}",
                request=answer.request,
                response=answer,
            )
        return dict(answer.json())


@contextmanager
def census_node(server: ApiServer, api: Api) -> Iterator[None]:
    """A node whose pods are those of census Jobs, while the block runs."""
    log = _log().encode()

    class Kubelet(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/plain")
            self.send_header("Content-Length", str(len(log)))
            self.end_headers()
            self.wfile.write(log)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
            """Say nothing."""

    httpd = ThreadingHTTPServer(("127.0.0.1", 0), Kubelet)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    pki = server.folder / "pki"
    context.load_cert_chain(pki / "apiserver.crt", pki / "apiserver.key")
    httpd.socket = context.wrap_socket(httpd.socket, server_side=True)
    _make_node(api, int(httpd.server_port))
    stop = threading.Event()
    for work in (httpd.serve_forever, lambda: _complete_jobs(api, stop)):
        threading.Thread(target=work, daemon=True).start()
    try:
        yield
    finally:
        stop.set()
        httpd.shutdown()
        httpd.server_close()


def running_pod(api: Api, namespace: str, deployment: Mapping[str, Any]) -> dict[str, Any]:
    """Make the pod of a Deployment that its controller would make, running and ready."""
    template = deployment["spec"]["template"]
    started = now()
    name = f"{deployment['metadata']['name']}-0"
    path = f"/api/v1/namespaces/{namespace}/pods"
    api.create(
        path,
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": name, "labels": template["metadata"]["labels"]},
            "spec": {**template["spec"], "nodeName": NODE},
        },
    )
    statuses = [
        {
            "name": container["name"],
            "image": container["image"],
            "imageID": f"sha256:{'0' * 64}",
            "ready": True,
            "started": True,
            "restartCount": 0,
            "state": {"running": {"startedAt": started}},
        }
        for container in template["spec"]["containers"]
    ]
    return api.patch_status(
        f"{path}/{name}",
        {
            "phase": "Running",
            "startTime": started,
            "conditions": [{"type": "Ready", "status": "True"}],
            "containerStatuses": statuses,
        },
    )


def now() -> str:
    """The time as Kubernetes writes it."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


def _complete_jobs(api: Api, stop: threading.Event) -> None:
    while not stop.is_set():
        try:
            for job in api.watch("/apis/batch/v1/jobs", "xcomrollout.dev/job-kind"):
                if stop.is_set():
                    return
                if not (job.get("status") or {}).get("conditions"):
                    threading.Timer(CENSUS_SECONDS, _complete, (api, job)).start()
        except httpx2.HTTPError as error:
            if not stop.is_set():
                say(f"the watch of Jobs is begun again: {error}")


def _complete(api: Api, job: Mapping[str, Any]) -> None:
    namespace, name = job["metadata"]["namespace"], job["metadata"]["name"]
    path = f"/api/v1/namespaces/{namespace}/pods"
    template = job["spec"]["template"]
    labels = {**template["metadata"]["labels"], "batch.kubernetes.io/job-name": name}
    moment = now()
    try:
        api.create(
            path,
            {
                "apiVersion": "v1",
                "kind": "Pod",
                "metadata": {"name": f"{name}-pod", "labels": labels},
                "spec": {**template["spec"], "nodeName": NODE},
            },
        )
        api.patch_status(f"{path}/{name}-pod", {"phase": "Succeeded"})
        conditions = [
            {
                "type": kind,
                "status": "True",
                "lastProbeTime": moment,
                "lastTransitionTime": moment,
                "reason": "CompletionsReached",
            }
            for kind in ("SuccessCriteriaMet", "Complete")
        ]
        api.patch_status(
            f"/apis/batch/v1/namespaces/{namespace}/jobs/{name}",
            {
                "startTime": job["metadata"]["creationTimestamp"],
                "completionTime": moment,
                "succeeded": 1,
                "conditions": conditions,
            },
        )
    except httpx2.HTTPError as error:
        say(f"Job {namespace}/{name} could not be completed: {error}")


def _make_node(api: Api, port: int) -> None:
    api.create(
        "/api/v1/nodes",
        {"apiVersion": "v1", "kind": "Node", "metadata": {"name": NODE}},
    )
    api.patch_status(
        f"/api/v1/nodes/{NODE}",
        {
            "addresses": [{"type": "InternalIP", "address": "127.0.0.1"}],
            "daemonEndpoints": {"kubeletEndpoint": {"Port": port}},
        },
    )


def _log() -> str:
    body = json.dumps(CENSUS)
    return f"-----BEGIN XCOM PROBE RESULT-----\n{body}\n-----END XCOM PROBE RESULT-----\n"


def _client_certificate(server: ApiServer) -> Path:
    """A file with the administrator's certificate and key."""
    import base64

    user = yaml.safe_load(server.kubeconfig.read_text())["users"][0]["user"]
    path = server.folder / "bench-client.pem"
    path.touch(mode=0o600)
    parts = (user["client-certificate-data"], user["client-key-data"])
    path.write_bytes(b"".join(base64.b64decode(part) for part in parts))
    return path
