"""The cluster as the command line sees it, with errors in words for people."""

import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click
import httpx2
from lightkube import ApiError, Client
from lightkube.config.kubeconfig import DEFAULT_KUBECONFIG, KubeConfig
from lightkube.core.exceptions import ConfigError
from lightkube.models.authentication_v1 import SelfSubjectReview as SelfSubjectReviewModel
from lightkube.resources.authentication_v1 import SelfSubjectReview
from lightkube.types import OnErrorAction, OnErrorResult, PatchType

from xcom_rollout.api import names
from xcom_rollout.cli.options import EXIT_UNREACHABLE, Target
from xcom_rollout.stored.rollouts import RESOURCE, Raw

if TYPE_CHECKING:
    from xcom_rollout.world import World

T = TypeVar("T")

_MOST_WATCH_ERRORS: Final = 30
_RETRY_SECONDS: Final = 1.0


class Unreachable(click.ClickException):
    """The cluster could not be asked, or what was named is not there."""

    exit_code = EXIT_UNREACHABLE


@dataclass(frozen=True)
class Person:
    """Who asks, and when, both as the API server says it."""

    name: str
    now: datetime


class Session:
    """A connection to one namespace of a cluster."""

    def __init__(self, kube: Client, namespace: str) -> None:
        self.kube = kube
        self.namespace = namespace

    @property
    def server(self) -> str:
        return str(self.kube.config.cluster.server)

    def get(self, name: str) -> Raw:
        """Return the rollout.

        Raises:
            Unreachable: it is not there, or the cluster cannot be asked.
        """
        with self.asking(f"read the rollout {name}"):
            return dict(self.kube.get(RESOURCE, name, namespace=self.namespace))

    def annotate(self, raw: Raw, annotation: str, value: Mapping[str, Any] | None) -> None:
        """Set the annotation to `value` as JSON, or remove it, unless `raw` is out of date.

        Raises:
            Unreachable: the cluster cannot be asked or refuses.
            ApiError: with status 409 where the rollout has changed meanwhile.
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
            self.kube.patch(
                RESOURCE,
                metadata["name"],
                patch,
                namespace=self.namespace,
                patch_type=PatchType.MERGE,
                field_manager="xbr",
            )

    def change(self, name: str, annotation: str, make: "Maker") -> Raw:
        """Annotate the rollout with what `make` says of its newest version, and return that.

        `make` returns the new value; None removes the annotation. It is asked again where
        somebody else changed the rollout at the same time, as the operator does all the while.
        """
        while True:
            raw = self.get(name)
            try:
                self.annotate(raw, annotation, make(raw))
            except ApiError as error:
                if error.status.code != 409:
                    raise
            else:
                return raw

    def person(self) -> Person:
        """Return who the API server takes this client for."""
        with self.asking("ask who you are"):
            answer = self.kube.create(SelfSubjectReview())
        return read_person(answer)

    def watch(self, name: str) -> Iterator[Raw]:
        """Yield the rollout as it is now and after each change.

        Raises:
            Unreachable: the cluster has not answered for half a minute, or the rollout is gone.
        """
        with self.asking(f"watch the rollout {name}"):
            # Says in the right words that it is not there: a watch would wait for it.
            self.kube.get(RESOURCE, name, namespace=self.namespace)
            for kind, seen in self.kube.watch(
                RESOURCE,
                namespace=self.namespace,
                fields={"metadata.name": name},
                on_error=_try_again,
            ):
                if kind == "DELETED":
                    raise Unreachable(f"{self.namespace}/{name} was deleted")
                yield dict(seen)

    def look(self, what: str, ask: Callable[["World"], T]) -> T:
        """Return what `ask` sees of the world around, with the rights of the user.

        Args:
            what: what is looked at, for messages: `observe the rollout demo`.

        Raises:
            Unreachable: it cannot be seen.
        """
        from xcom_rollout.clients.errors import WorldError
        from xcom_rollout.world import open_world

        probe = os.environ.get("XBR_PROBE")
        world = open_world(self.kube, probe=Path(probe) if probe else None)
        with self.asking(what):
            try:
                return ask(world)
            except WorldError as error:
                raise Unreachable(str(error)) from error

    @contextmanager
    def asking(self, what: str) -> Iterator[None]:
        """Turn what the API server answers into words: what was asked for, and what to do."""
        try:
            yield
        except ApiError as error:
            if error.status.code == 409:
                raise
            raise Unreachable(self._refusal(what, error)) from error
        except httpx2.HTTPStatusError as error:
            if error.response.status_code == httpx2.codes.NOT_FOUND:
                raise Unreachable(
                    f"the resource {names.PLURAL}.{names.GROUP} is not installed in the cluster "
                    f"{self.server}: install it with: xbr crd | kubectl apply --server-side -f -"
                ) from error
            raise Unreachable(f"cannot {what}: {self.server} answered: {error}") from error
        except httpx2.HTTPError as error:
            raise Unreachable(
                f"cannot reach the Kubernetes API server {self.server}: "
                f"{str(error) or type(error).__name__}; check the cluster, and the context with: "
                "kubectl config get-contexts"
            ) from error
        except ConfigError as error:
            raise Unreachable(f"cannot log in to {self.server}: {error}") from error

    def _refusal(self, what: str, error: ApiError) -> str:
        code, message = error.status.code, error.status.message
        if code == 404:
            return (
                f"there is no such rollout in the namespace {self.namespace} ({message}); list "
                f"them with: kubectl get {names.SHORT_NAME} --all-namespaces"
            )
        if code == 403:
            return (
                f"you may not {what}: {message}; ask for a right such as the ClusterRole xbr-edit"
            )
        if code == 401:
            return f"{self.server} does not accept your credentials: log in again"
        return f"cannot {what}: {message}"


Maker = Callable[[Raw], Mapping[str, Any] | None]


def read_person(answer: SelfSubjectReviewModel) -> Person:
    user = answer.status.userInfo if answer.status else None
    at = answer.metadata.creationTimestamp if answer.metadata else None
    if user is None or not user.username or at is None:
        raise Unreachable("the API server does not say who you are (SelfSubjectReview was empty)")
    return Person(user.username, at)


def open_session(target: Target, namespace: str | None = None) -> Session:
    """Connect as kubectl would: KUBECONFIG, else the pod's service account, else ~/.kube/config.

    `namespace` is taken where the options name none.

    Raises:
        Unreachable: there is no such configuration, or no such context in it.
    """
    try:
        config = _kubeconfig().get(target.context)
        if config is None:
            raise Unreachable("the kubeconfig has no current context: choose one with --context")
        kube = Client(config=config)
    except ConfigError as error:
        raise Unreachable(str(error)) from error
    except OSError as error:
        raise Unreachable(f"cannot use the kubeconfig: {error}") from error
    return Session(kube, target.namespace or namespace or kube.namespace)


def _kubeconfig() -> KubeConfig:
    named = [path for path in os.environ.get("KUBECONFIG", "").split(os.pathsep) if path]
    if len(named) > 1:
        raise Unreachable(
            f"KUBECONFIG names {len(named)} files; xbr reads one: merge them with: kubectl config "
            "view --flatten > FILE"
        )
    if named:
        return KubeConfig.from_file(named[0])
    try:
        return KubeConfig.from_service_account()
    except ConfigError:
        path = Path(DEFAULT_KUBECONFIG).expanduser()
        if not path.is_file():
            raise Unreachable(f"no KUBECONFIG is set and there is no {path}") from None
        return KubeConfig.from_file(path)


def _try_again(error: Exception, count: int) -> OnErrorResult:
    lasting = isinstance(error, ApiError) and error.status.code in (401, 403)
    if lasting or count > _MOST_WATCH_ERRORS:
        return OnErrorResult(OnErrorAction.RAISE)
    return OnErrorResult(OnErrorAction.RETRY, sleep=_RETRY_SECONDS)
