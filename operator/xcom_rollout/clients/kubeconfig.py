"""Where the API server is and who asks it: a kubeconfig, or the pod's service account.

The official client reads both. What it ignores silently, so that it would send requests as nobody
or as somebody else, is refused here with a message.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import yaml
from kubernetes.client import Configuration
from kubernetes.config import ConfigException, load_incluster_config, load_kube_config
from kubernetes.config.kube_config import ENV_KUBECONFIG_PATH_SEPARATOR, KubeConfigMerger

from xcom_rollout.clients.connection import Connection, words
from xcom_rollout.clients.errors import KubeconfigError

NAMESPACE: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")
DEFAULT: Final = "~/.kube/config"
_IMPERSONATION: Final = ("as", "as-uid", "as-groups", "as-user-extra")
_READ: Final = (ConfigException, OSError, ValueError, KeyError, TypeError, yaml.YAMLError)
"""What the official client raises for an invalid kubeconfig."""


def as_operator(context: str | None = None) -> Connection:
    """Connect as the pod's service account, else by KUBECONFIG, else by ~/.kube/config.

    Raises:
        KubeconfigError: there is none, or it cannot be used.
    """
    if NAMESPACE.is_file():
        return in_pod()
    return from_kubeconfig(os.environ.get("KUBECONFIG") or DEFAULT, context)


def as_kubectl(context: str | None = None) -> Connection:
    """Connect by KUBECONFIG, else as the pod's service account, else by ~/.kube/config.

    Raises:
        KubeconfigError: there is none, or it cannot be used.
    """
    named = os.environ.get("KUBECONFIG", "")
    if named:
        return from_kubeconfig(named, context)
    if NAMESPACE.is_file():
        return in_pod()
    path = Path(DEFAULT).expanduser()
    if not path.is_file():
        raise KubeconfigError(f"KUBECONFIG is not set and {path} does not exist")
    return from_kubeconfig(str(path), context)


def in_pod() -> Connection:
    """Connect as the pod's service account. Its token is read again each minute.

    Raises:
        KubeconfigError: the pod has none.
    """
    configuration = Configuration()
    try:
        load_incluster_config(configuration)
        namespace = NAMESPACE.read_text().strip()
    except (ConfigException, OSError) as error:
        raise KubeconfigError(
            f"the pod's service account cannot be used: {error}; check automountServiceAccountToken"
        ) from error
    return Connection(configuration, namespace=namespace)


def from_kubeconfig(files: str, context: str | None = None) -> Connection:
    """Connect as a context of a kubeconfig says.

    Args:
        files: a path, or several with colons between them, as in KUBECONFIG.
        context: None uses the current one.

    Raises:
        KubeconfigError: there is no such file or context, or it cannot be used.
    """
    files = ENV_KUBECONFIG_PATH_SEPARATOR.join(
        str(Path(path).expanduser()) for path in files.split(ENV_KUBECONFIG_PATH_SEPARATOR) if path
    )
    configuration = Configuration()
    try:
        merged = KubeConfigMerger(files).config
        if merged is None:
            raise KubeconfigError(f"the kubeconfig {files} does not exist")
        name = context or merged.safe_get("current-context")
        if not name:
            raise KubeconfigError(
                f"the kubeconfig {files} has no current context: choose one with --context, or "
                "with: kubectl config use-context"
            )
        chosen: Mapping[str, Any] = merged["contexts"].get_with_name(name)["context"].value
        user = _user(merged, chosen, files)
        if not merged["clusters"].get_with_name(chosen["cluster"])["cluster"].safe_get("server"):
            raise KubeconfigError(f"the cluster {chosen['cluster']!r} of {files} has no server")
        load_kube_config(files, name, client_configuration=configuration)
    except _READ as error:
        raise KubeconfigError(f"cannot use the kubeconfig {files}: {words(error)}") from error
    if not configuration.api_key and not configuration.cert_file and _is_asked_for(user):
        way = "exec" if "exec" in user else "auth-provider"
        raise KubeconfigError(
            f"{way} of the user {chosen['user']!r} in {files} returned no credentials: "
            f"{_program(user)}; check its output, and try: kubectl auth whoami"
        )
    return Connection(
        configuration,
        namespace=chosen.get("namespace") or "default",
        context=name,
        kubeconfig=files,
    )


def _user(merged: Any, chosen: Mapping[str, Any], files: str) -> Mapping[str, Any]:
    """Return the user of a context; empty for none.

    Raises:
        KubeconfigError: it does not exist, or impersonates another user.
    """
    name = chosen.get("user")
    if not name:
        return {}
    found = merged["users"].get_with_name(name, safe=True)
    if found is None:
        raise KubeconfigError(
            f"the kubeconfig {files} has no user {name!r}, which its context names"
        )
    user: Mapping[str, Any] = found.value.get("user") or {}
    for key in _IMPERSONATION:
        if user.get(key):
            raise KubeconfigError(
                f"the user {name!r} of {files} impersonates another user ({key}), which is not "
                "supported: use a user without impersonation"
            )
    return user


def _is_asked_for(user: Mapping[str, Any]) -> bool:
    return bool(user.get("exec") or user.get("auth-provider"))


def _program(user: Mapping[str, Any]) -> str:
    if user.get("exec"):
        return str(user["exec"].get("command"))
    return str(user["auth-provider"].get("name"))
