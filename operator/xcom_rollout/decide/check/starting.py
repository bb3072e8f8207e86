"""The rollout that `xbr check` gives people to start from."""

from dataclasses import dataclass, field
from typing import Any, Final

from xcom_rollout.api import names
from xcom_rollout.api.crd import MAX_NAME_LENGTH
from xcom_rollout.decide.check.web import Web

PATH: Final = "s3://aws_default@CHANGE-ME/xcom"
"""A person has to name the bucket; the API server accepts this path, a proof would not."""
SECRET: Final = "airflow-api"
OFFICIAL: Final = ("airflow", "https://airflow.apache.org")
"""Name and repository of Airflow's own chart."""
ELSEWHERE: Final = "https://CHANGE-ME"
THRESHOLD: Final = "1048576"


@dataclass(frozen=True)
class Start:
    """The parts of it that were found; a person fills in the rest."""

    release: str
    namespace: str
    chart_name: str
    chart_version: str
    values_path: str | None = None
    web: Web = field(default_factory=Web)


def manifest(start: Start) -> dict[str, Any]:
    """Return the rollout as plain data, valid to the API server."""
    api: dict[str, Any] = {"service": start.web.service or "airflow-webserver"}
    if start.web.port:
        api["port"] = start.web.port
    if start.web.https:
        api["scheme"] = "https"
    if start.web.path:
        api["path"] = start.web.path
    if start.web.login:
        api["login"] = {"type": start.web.login}
    api["credentialsSecretRef"] = {"name": SECRET}
    helm: dict[str, Any] = {
        "chart": {
            "repository": OFFICIAL[1] if start.chart_name == OFFICIAL[0] else ELSEWHERE,
            "name": start.chart_name,
            "version": start.chart_version,
        }
    }
    if start.values_path:
        helm["valuesPath"] = start.values_path
    return {
        "apiVersion": names.API_VERSION,
        "kind": names.KIND,
        "metadata": {"name": rollout_name(start.release), "namespace": start.namespace},
        "spec": {
            "airflow": {"release": start.release, "api": api},
            "backend": {"type": "ObjectStorage", "objectStorage": {"path": PATH}},
            "threshold": {"bytes": THRESHOLD},
            "rehearsal": {"required": True},
            "delivery": {"type": "Helm", "helm": helm},
        },
    }


def rollout_name(release: str) -> str:
    """Return a name for a rollout of a release."""
    return release[:MAX_NAME_LENGTH].rstrip("-.")


def comments(start: Start) -> dict[tuple[str, ...], str]:
    """Return the comment above each field, for people, by its path."""
    server = "Airflow's web server (Airflow 3: its API server)"
    found = f"{server}, as found." if start.web.service else f"FILL IN: the Service of {server}."
    return {**_COMMENTS, ("spec", "airflow", "api"): found}


_COMMENTS: Final = {
    ("spec", "airflow", "api", "credentialsSecretRef"): (
        "FILL IN: a Secret of this namespace with the keys username and password (login Bearer: "
        "token) of an Airflow user with the role Op."
    ),
    ("spec", "backend", "objectStorage", "path"): (
        "FILL IN: scheme://CONNECTION@BUCKET/PREFIX. CONNECTION is the id of an existing Airflow "
        "connection, BUCKET an existing bucket. The path is immutable."
    ),
    ("spec", "threshold", "bytes"): (
        "Values of this size or larger go to the bucket. Keep the quotes: without them YAML makes "
        "it a number that Airflow cannot read."
    ),
    ("spec", "rehearsal", "required"): (
        "The cut-over waits until a rehearsal of the kill-switch is attested: kubectl xbr attest."
    ),
    ("spec", "delivery", "helm", "chart", "repository"): (
        "FILL IN if the chart comes from elsewhere. Used only if the chart has dependencies."
    ),
    ("spec", "delivery", "helm", "chart", "version"): (
        "The version that the release runs: a flip does not upgrade the chart."
    ),
    ("spec", "delivery", "helm", "valuesPath"): "Where the values of Airflow's chart are.",
}
