"""The cluster as the command line sees it, with error messages for people."""

import json
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from xcom_rollout.api import names
from xcom_rollout.cli.options import EXIT_UNREACHABLE, Target
from xcom_rollout.clients.connection import Connection
from xcom_rollout.clients.errors import Conflict, KubeconfigError, KubeError
from xcom_rollout.clients.kube import Json, KubeApi
from xcom_rollout.clients.kubeconfig import as_kubectl
from xcom_rollout.stored.rollouts import Raw, rollout_path

if TYPE_CHECKING:
    from xcom_rollout.wiring import Clients

T = TypeVar("T")

_REVIEWS: Final = "apis/authentication.k8s.io/v1/selfsubjectreviews"
_MOST_WATCH_ERRORS: Final = 30
_RETRY_SECONDS: Final = 1.0
_WATCH_SECONDS: Final = 3600
_SILENCE: Final = 150.0
"""Seconds without data after which a watch is started again: a bookmark comes each minute."""


class Unreachable(click.ClickException):
    """The cluster could not be reached, or the named object does not exist."""

    exit_code = EXIT_UNREACHABLE


@dataclass(frozen=True)
class Person:
    """The user and the time of a command, both according to the API server."""

    name: str
    now: datetime


class Session:
    """A connection to one namespace of a cluster."""

    def __init__(self, kube: Connection, namespace: str) -> None:
        self.kube = kube
        self.api = KubeApi(kube, manager="xbr")
        self.namespace = namespace

    @property
    def server(self) -> str:
        return self.kube.server

    def get(self, name: str) -> Raw:
        """Return the rollout.

        Raises:
            Unreachable: it does not exist, or the cluster cannot be asked.
        """
        with self.asking(f"read the rollout {name}"):
            return self.api.get(rollout_path(self.namespace, name))

    def annotate(self, raw: Raw, annotation: str, value: Mapping[str, Any] | None) -> None:
        """Set the annotation to `value` as JSON, or remove it, unless `raw` is out of date.

        Raises:
            Unreachable: the cluster cannot be asked or refuses.
            Conflict: the rollout has changed meanwhile, or is gone.
        """
        metadata = raw["metadata"]
        text = None if value is None else json.dumps(value, ensure_ascii=False)
        patch = {
            "metadata": {
                "resourceVersion": metadata["resourceVersion"],
                "annotations": {annotation: text},
            }
        }
        with self.asking(f"annotate the rollout {metadata['name']}"):
            self.api.patch(rollout_path(self.namespace, metadata["name"]), patch)

    def change(self, name: str, annotation: str, make: "Maker") -> Raw:
        """Annotate the rollout with the result of `make` for its newest version, and return that.

        `make` returns the new value; None removes the annotation. It is called again where somebody
        else changed the rollout at the same time, as the operator often does.
        """
        while True:
            raw = self.get(name)
            try:
                self.annotate(raw, annotation, make(raw))
            except Conflict:
                continue
            return raw

    def person(self) -> Person:
        """Return the user that the API server sees for this client."""
        with self.asking("read your user name"):
            review = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
            answer = self.api.review(_REVIEWS, review)
        return read_person(answer)

    def watch(self, name: str) -> Iterator[Raw]:
        """Yield the current rollout, and the rollout after each change.

        Raises:
            Unreachable: the cluster has not answered for half a minute, or the rollout is gone.
        """
        with self.asking(f"watch the rollout {name}"):
            # Raises the right error if it does not exist: a watch would wait for it.
            raw = self.api.get(rollout_path(self.namespace, name))
            yield raw
            version, failures = raw["metadata"]["resourceVersion"], 0
            while True:
                try:
                    for seen in self._seen(name):
                        failures = 0
                        if seen["metadata"]["resourceVersion"] != version:
                            version = seen["metadata"]["resourceVersion"]
                            yield seen
                except KubeError as error:
                    failures += 1
                    if error.status in (401, 403) or failures > _MOST_WATCH_ERRORS:
                        raise
                    time.sleep(_RETRY_SECONDS)

    def _seen(self, name: str) -> Iterator[Raw]:
        """Yield the current rollout, and the rollout after each change until the watch ends."""
        path, fields = rollout_path(self.namespace), f"metadata.name={name}"
        items, since = self.api.list_at(path, fields=fields)
        if not items:
            raise Unreachable(f"{self.namespace}/{name} was deleted")
        yield from items
        for event in self.api.watch(
            path, since, fields=fields, seconds=_WATCH_SECONDS, silence=_SILENCE
        ):
            if event["type"] == "DELETED":
                raise Unreachable(f"{self.namespace}/{name} was deleted")
            if event["type"] != "BOOKMARK":
                yield event["object"]

    def look(self, what: str, ask: Callable[["Clients"], T]) -> T:
        """Return what `ask` reads of the cluster, with the rights of the user.

        Args:
            what: what is looked at, for messages: `observe the rollout demo`.

        Raises:
            Unreachable: it cannot be seen.
        """
        from xcom_rollout.clients.errors import ExternalError
        from xcom_rollout.wiring import open_clients

        probe = os.environ.get("XBR_PROBE")
        clients = open_clients(self.kube, probe=Path(probe) if probe else None)
        with self.asking(what):
            try:
                return ask(clients)
            except ExternalError as error:
                raise Unreachable(str(error)) from error

    @contextmanager
    def asking(self, what: str) -> Iterator[None]:
        """Turn errors of the API server into messages: what was requested, and the remedy."""
        try:
            yield
        except KubeError as error:
            raise Unreachable(self._refusal(what, error)) from error

    def _refusal(self, what: str, error: KubeError) -> str:
        code, message = error.status, error.said
        if code == 0:
            return (
                f"cannot reach the Kubernetes API server {self.server}: {error}; check the "
                "cluster, and check the context with: kubectl config get-contexts"
            )
        if code == 404 and not error.reason:
            return (
                f"the resource {names.PLURAL}.{names.GROUP} is not installed in the cluster "
                f"{self.server}; install it with: xbr crd | kubectl apply --server-side -f -"
            )
        if code == 404:
            return (
                f"the rollout does not exist in the namespace {self.namespace} ({message}); list "
                f"rollouts with: kubectl get {names.SHORT_NAME} --all-namespaces"
            )
        if code == 403:
            return (
                f"you are not allowed to {what}: {message}; ask for a role such as the "
                "ClusterRole xbr-edit"
            )
        if code == 401:
            return f"{self.server} rejected your credentials: log in again"
        return f"cannot {what}: {message}"


Maker = Callable[[Raw], Mapping[str, Any] | None]


def read_person(answer: Json) -> Person:
    user = ((answer.get("status") or {}).get("userInfo") or {}).get("username")
    at = (answer.get("metadata") or {}).get("creationTimestamp")
    if not user or not at:
        raise Unreachable(
            "the API server did not return your user name (SelfSubjectReview was empty)"
        )
    return Person(str(user), datetime.fromisoformat(at))


def open_session(target: Target, namespace: str | None = None) -> Session:
    """Connect as kubectl would: KUBECONFIG, else the pod's service account, else ~/.kube/config.

    `namespace` is used where the options have none.

    Raises:
        Unreachable: there is no such configuration, or no such context in it.
    """
    try:
        kube = as_kubectl(target.context)
    except KubeconfigError as error:
        raise Unreachable(str(error)) from error
    return Session(kube, target.namespace or namespace or kube.namespace)
