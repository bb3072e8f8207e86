"""Delivery by `helm upgrade` of the release, with the chart that it runs.

Hooks are left out on purpose (`--no-hooks`). The official chart runs the database migrations and
the creation of the first user as hooks at every upgrade: a flip changes neither, they take some
20 s, and a hook that fails marks the release as failed. The kill-switch cannot wait for that.

Values go to Helm as JSON, which is YAML: a YAML printer for Python leaves strings such as 1e6
without quotes, and Helm would read a number.
"""

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from xcom_rollout.api import names
from xcom_rollout.api.v1alpha1 import HelmChart
from xcom_rollout.clients.errors import ActionFailed, Conflict, HelmError, Malformed
from xcom_rollout.clients.helm import HelmRunner
from xcom_rollout.clients.kube import Json
from xcom_rollout.clients.yaml_text import parse_documents
from xcom_rollout.decide.observed import Maker, Release, Rollout
from xcom_rollout.decide.settings import BackendSettings, read_settings, write_settings
from xcom_rollout.deliver.release import StoredRelease, newest_release
from xcom_rollout.world import World

HISTORY: Final = 10
"""Revisions that Helm keeps, its own default."""


@dataclass(frozen=True)
class HelmDelivery:
    """Delivery of one rollout's settings through Helm."""

    world: World
    rollout: Rollout

    def current(self) -> Release | None:
        """Return the release as its newest revision shows it, None where there is none."""
        stored = self.stored()
        if stored is None:
            return None
        return Release(
            revision=stored.revision,
            status=stored.status,
            chart_name=stored.chart_name,
            chart_version=stored.chart_version,
            settings=read_settings(stored.values),
            updated_at=stored.updated_at,
            maker=maker_of(stored, self.world.instance),
        )

    def stored(self) -> StoredRelease | None:
        """Return the newest revision with its values."""
        return newest_release(
            self.world.api,
            self.world.memo,
            self.rollout.namespace,
            self.rollout.spec.airflow.release,
        )

    def forecast(self) -> tuple[str, ...]:
        """Return what would stop a delivery now, in words; pulls the chart if it is not at hand."""
        try:
            self._deliverable()
            self._chart_file()
        except (ActionFailed, HelmError, Malformed) as error:
            return (error.message,)
        return ()

    def render(self, settings: BackendSettings) -> Mapping[str, Json]:
        """Return the ConfigMaps that a delivery of `settings` would leave, by name.

        Helm renders them with the cluster at hand, as at a real upgrade, and changes nothing.
        """
        stored = self._deliverable()
        output = self._upgrade(
            stored, settings, ("--dry-run=server", "--hide-secret", "--output", "json")
        )
        try:
            return config_maps(json.loads(output)["manifest"])
        except (ValueError, KeyError, TypeError) as error:
            raise HelmError(f"helm upgrade --dry-run printed no manifest: {error!r}") from error

    def apply(self, settings: BackendSettings, from_revision: int) -> None:
        """Deliver `settings`; every other value of the release stays as it is.

        Does not wait for pods: the operator sees for itself how they come.

        Raises:
            Conflict: the release has another revision than `from_revision` by now.
            ActionFailed: it is pending (never forced), missing or of another chart.
            HelmError: helm failed.
        """
        stored = self._deliverable()
        if stored.revision != from_revision:
            raise Conflict(
                f"release {stored.name} is at revision {stored.revision}, and this was decided on "
                f"revision {from_revision}"
            )
        note = f"xcom-rollout {self.rollout.name}: {settings.describe()}"
        mark = mark_of(self.world.instance, stored.revision + 1)
        self._upgrade(
            stored,
            settings,
            (
                *("--history-max", str(HISTORY), "--description", note),
                *("--labels", f"{names.LABEL_DELIVERY}={mark}"),
            ),
        )

    def forget(self, revision: int) -> None:
        """Remove the operator's own revision that an interrupted Helm process left pending.

        What it has changed of Airflow stays; the next delivery begins from there. Nobody else's
        revision is ever removed.

        Raises:
            Conflict: the newest revision is another one, not pending, or not the operator's.
        """
        stored = self.stored()
        if (
            stored is None
            or stored.revision != revision
            or stored.status != "pending-upgrade"
            or maker_of(stored, self.world.instance) is Maker.OTHER
        ):
            raise Conflict(f"revision {revision} is no interrupted delivery of the operator's")
        secrets = f"api/v1/namespaces/{self.rollout.namespace}/secrets"
        self.world.api.delete(f"{secrets}/{stored.secret}", uid=stored.uid, grace_seconds=0)

    def _deliverable(self) -> StoredRelease:
        stored, namespace = self.stored(), self.rollout.namespace
        release, chart = self.rollout.spec.airflow.release, self._chart
        if stored is None:
            raise ActionFailed(
                f"spec.airflow.release: there is no Helm release {release!r} in the namespace "
                f"{namespace!r}"
            )
        if stored.status.startswith("pending"):
            raise ActionFailed(
                f"release {release} is {stored.status}: a Helm operation goes on, or was "
                "interrupted; it is never forced. If none is running, end it with: helm rollback "
                f"{release} -n {namespace}"
            )
        if (stored.chart_name, stored.chart_version) != (chart.name, chart.version):
            raise ActionFailed(
                f"spec.delivery.helm.chart: {chart.name} {chart.version} is not the chart that "
                f"the release runs, {stored.chart_name} {stored.chart_version}; a flip never "
                "changes the chart"
            )
        return stored

    @property
    def _chart(self) -> HelmChart:
        return self.rollout.spec.delivery.helm.chart

    def _upgrade(
        self, stored: StoredRelease, settings: BackendSettings, extra: Sequence[str]
    ) -> str:
        chart = self._chart_file()
        with values_file(write_settings(stored.values, settings)) as values:
            return self.world.helm.run(
                upgrade_arguments(stored.name, chart, self.rollout.namespace, values, extra)
            )

    def _chart_file(self) -> Path:
        """Return the chart, from the folder or else from its repository.

        It stays in the folder, so that the way back does not depend on the repository.
        """
        chart = self._chart
        key = hashlib.sha256(f"{chart.repository} {chart.name} {chart.version}".encode())
        folder = self.world.work / "charts" / key.hexdigest()[:24]
        file = folder / f"{chart.name}-{chart.version}.tgz"
        if not file.is_file():
            pull(self.world.helm, chart, file)
        return file


def mark_of(instance: str, revision: int) -> str:
    """Return the value of the label by which the operator knows its own revisions."""
    return f"{instance}-r{revision}"


def maker_of(stored: StoredRelease, instance: str) -> Maker:
    """Return who began the revision. Helm hands labels down, hence the number in the mark."""
    maker, _, revision = stored.mark.rpartition("-r")
    if revision != str(stored.revision):
        return Maker.OTHER
    return Maker.SELF if maker == instance else Maker.OPERATOR


def upgrade_arguments(
    release: str, chart: Path, namespace: str, values: Path, extra: Sequence[str]
) -> tuple[str, ...]:
    """Return the arguments of `helm upgrade`.

    `--reset-values` makes the file the whole truth: without it an empty file, such as a release
    without values of its own gets back at a revert, makes Helm keep the old values.
    """
    return (
        "upgrade",
        release,
        str(chart),
        "--namespace",
        namespace,
        "--values",
        str(values),
        "--reset-values",
        "--no-hooks",
        *extra,
    )


def pull(helm: HelmRunner, chart: HelmChart, file: Path) -> None:
    """Fetch the chart into `file`, at once or not at all.

    Raises:
        HelmError: the repository cannot be reached or has no such chart.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    oci = chart.repository.startswith("oci://")
    source = (
        (f"{chart.repository.rstrip('/')}/{chart.name}",)
        if oci
        else (chart.name, "--repo", chart.repository)
    )
    with tempfile.TemporaryDirectory(dir=file.parent, prefix="pull-") as folder:
        try:
            helm.run(("pull", *source, "--version", chart.version, "--destination", folder))
        except HelmError as error:
            raise HelmError(
                f"spec.delivery.helm.chart: {chart.name} {chart.version} cannot be had from "
                f"{chart.repository}: {error.message}"
            ) from error
        got = Path(folder) / file.name
        if not got.is_file():
            # Helm takes a version such as 1.16 for a range.
            found = ", ".join(sorted(path.name for path in Path(folder).iterdir())) or "nothing"
            raise HelmError(
                f"spec.delivery.helm.chart.version: {chart.version!r} must be one exact version; "
                f"the repository gave {found}"
            )
        os.replace(got, file)


@contextmanager
def values_file(values: Mapping[str, Any]) -> Iterator[Path]:
    """Provide a file with the values that only this user can read, and remove it afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="values-"))
    try:
        path = folder / "values.yaml"
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            json.dump(values, file)
        yield path
    finally:
        shutil.rmtree(folder)


def config_maps(manifest: str) -> Mapping[str, Json]:
    """Return the ConfigMaps of a rendered manifest by name.

    Raises:
        ValueError: the manifest is not YAML.
    """
    try:
        documents = parse_documents(manifest)
    except ValueError as error:
        raise ValueError(f"the rendered manifest is not YAML: {error}") from error
    return {
        document["metadata"]["name"]: document
        for document in documents
        if isinstance(document, dict) and document.get("kind") == "ConfigMap"
    }
