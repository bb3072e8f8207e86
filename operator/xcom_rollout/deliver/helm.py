"""Delivery by `helm upgrade` of the release, with the chart that it runs.

Hooks are left out on purpose (`--no-hooks`). The official chart runs the database migrations and
the creation of the first user as hooks at every upgrade: a flip changes neither, they take some
20 s, and a hook that fails marks the release as failed. The kill-switch cannot wait for that. With
`useHelmHooks: false` these are plain Jobs of the release: an upgrade creates one again that its TTL
has removed; it runs at the same time, nothing waits for it, and it changes nothing.

Values go to Helm's standard input, because they may contain secrets, for which no file is safe; and
as JSON, which is YAML: a YAML printer for Python leaves strings such as 1e6 without quotes, and
Helm would read a number.

The chart is the one kept in the cluster since before the first delivery (`kept_chart.py`), made
from Helm's own record of the release. The rendered manifest is compared with that of the release
(`manifests.py`) before it is applied: a delivery changes only what a flip owns.

Where `helm upgrade` cannot deliver the way back, `helm rollback` is used, which applies a stored
manifest and so needs no chart and no template.
"""

import json
import logging
import re
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from xcom_rollout.api import names
from xcom_rollout.api.v1alpha1 import HelmChart
from xcom_rollout.clients.errors import (
    ActionFailed,
    Conflict,
    ExternalError,
    HelmError,
    Malformed,
    NotInspected,
    SecretRotated,
)
from xcom_rollout.clients.kube import Json
from xcom_rollout.decide.observed import Maker, Release, Rollout
from xcom_rollout.decide.settings import (
    BackendSettings,
    ValuesError,
    astray,
    place_of,
    write_settings,
)
from xcom_rollout.deliver import rights
from xcom_rollout.deliver.airflow_config import AirflowConfig, ValuesPath, airflow_config
from xcom_rollout.deliver.chart import archive_of, content_digest
from xcom_rollout.deliver.earlier import Revisions
from xcom_rollout.deliver.kept_chart import ChartShelf, ChartState, write_whole
from xcom_rollout.deliver.keys import merged_below, present_keys
from xcom_rollout.deliver.manifests import (
    Difference,
    blocking,
    differences,
    mark_unstable,
    name_some,
    rotated,
)
from xcom_rollout.deliver.marks import maker_of, mark_of, marked
from xcom_rollout.deliver.owners import foreign_owner
from xcom_rollout.deliver.refusals import not_ours, not_taken
from xcom_rollout.deliver.release import (
    HISTORY,
    StoredRelease,
    config_maps,
    decode_record,
    list_revisions,
    newest_release,
    revision_of,
    secrets_path,
)
from xcom_rollout.deliver.repository import compose, pull_whole
from xcom_rollout.deliver.repository_access import Access, access_to
from xcom_rollout.release.objects import list_workloads
from xcom_rollout.stored.names import config_map_path
from xcom_rollout.wiring import Clients

INTERRUPTED: Final = ("pending-upgrade", "pending-rollback")
"""States in which a Helm process of the operator leaves a revision when it is killed."""
_BUSY: Final = "another operation (install/upgrade/rollback) is in progress"
_NEW_KEY: Final = (
    "A new key invalidates what the old one signed: on Airflow 3 every running task fails and the "
    "API answers 403"
)
_TEMPLATE_SAYS: Final = re.compile(r"(execution error at \([^)]*\)).*", re.DOTALL)

log = logging.getLogger(__name__)


class _NotPlainError(Exception):
    """A delivery would change more than the options, which may still be allowed."""


@dataclass(frozen=True)
class Rendered:
    """What `helm upgrade --dry-run` shows. Holds secrets: never printed, never written."""

    manifest: str
    chart_digest: str


@dataclass(frozen=True)
class HelmDelivery:
    """Delivery of one rollout's settings through Helm."""

    clients: Clients
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
            settings=stored.settings,
            updated_at=stored.updated_at,
            maker=maker_of(stored, self.clients.instance),
            values_path=stored.airflow.path,
            layout_problem=stored.airflow.problem,
        )

    def stored(self) -> StoredRelease | None:
        """Return the newest revision with its values."""
        return newest_release(
            self.clients.api,
            self.clients.memo,
            self.rollout.namespace,
            self.rollout.spec.airflow.release,
            self._values_path,
        )

    def missing(self) -> str:
        """Return why no release is found, and the remedy.

        Helm can also keep its records in ConfigMaps or in a database (HELM_DRIVER); the operator
        reads Secrets, Helm's default.
        """
        name, namespace = self.rollout.spec.airflow.release, self.rollout.namespace
        records = self.clients.api.list(
            config_map_path(namespace), labels=f"owner=helm,name={name}", metadata_only=True
        )
        if records:
            return (
                f"spec.airflow.release: Helm stores the release {name!r} in ConfigMaps of the "
                f"namespace {namespace!r} (HELM_DRIVER=configmap), but the operator reads and "
                "writes Secrets, Helm's default. Copy each ConfigMap into a Secret of the same "
                "name, labels and key `release`, of the type helm.sh/release.v1, and run helm "
                "without HELM_DRIVER from then on"
            )
        return (
            f"spec.airflow.release: there is no Helm release {name!r} in the namespace "
            f"{namespace!r}; list the releases with: helm list -n {namespace}. If you run helm "
            "with HELM_DRIVER=sql, its records are in a database: the operator needs them in "
            "Secrets, Helm's default"
        )

    def foreign_owner(self) -> str:
        """Return which other controller delivers to the release, and the remedy; else empty."""
        stored = self.stored()
        release, namespace = self.rollout.spec.airflow.release, self.rollout.namespace
        labels = {} if stored is None else stored.labels
        workloads = list_workloads(self.clients.api, namespace, release)
        path = () if stored is None else stored.airflow.path
        return foreign_owner(release, namespace, labels, workloads, path)

    def chart_kept(self) -> ChartState:
        """Return whether the chart that the release runs is kept in the cluster.

        Two requests for metadata: cheap enough for each pass.
        """
        stored = self.stored()
        if stored is None:
            return ChartState(kept=False, digest="", why="the release does not exist")
        return self._shelf.state(stored)

    def keep_chart(self) -> str:
        """Keep the chart that the release runs in the cluster; return its content digest.

        Where it is kept already, nothing is done. The chart is made from Helm's record of the
        release. Only where that is incomplete, because the chart depends on others, it comes from
        `spec.delivery.helm.chart.repository`, or its dependencies come from the repositories in
        Chart.yaml. Either way it is rendered with the values of the release and compared with the
        release's manifest.

        Raises:
            ActionFailed: there is no such chart, or it is not the one of the release.
            HelmError: helm failed, or the repository cannot be reached.
        """
        return self._keep(self._deliverable())

    def forecast(self, settings: BackendSettings | None = None) -> tuple[str, ...]:
        """Return what would stop a delivery of `settings` now, in words.

        Without settings, those of the release are used: a delivery that changes nothing. Keeps the
        chart if it is not kept yet.
        """
        found = []
        try:
            owner = self.foreign_owner()
            found += [owner] if owner else []
            stored = self._deliverable()
            found += map(str, self._missing_rights(stored, by_rules=True))
            wanted = stored.settings if settings is None else settings
            self._check(stored, self._difference(stored, wanted)[1], way_back=False)
        except (ActionFailed, HelmError, Malformed) as error:
            found.append(error.message)
        return tuple(found)

    def render(self, settings: BackendSettings) -> Mapping[str, Json]:
        """Return the ConfigMaps that a delivery of `settings` would leave, by name.

        Helm renders them with access to the cluster, as in a real upgrade, and changes nothing. A
        change that no delivery may make is an error, so nothing that a chart reads in the cluster
        is returned.

        Raises:
            ActionFailed: a delivery would change more than the four options, or not these.
            HelmError: helm failed.
        """
        stored = self._deliverable()
        wanted, manifest = self._arriving(stored, settings)
        found = self._compared(stored, self._chart_file(stored), wanted, manifest)
        self._check(stored, found, way_back=True)
        try:
            return config_maps(manifest)
        except (ValueError, KeyError, TypeError) as error:
            raise HelmError(
                f"helm upgrade --dry-run printed no manifest: {type(error).__name__}"
            ) from error

    def apply(
        self, settings: BackendSettings, from_revision: int, *, way_back: bool = False
    ) -> str:
        """Deliver `settings`; every other value of the release stays unchanged.

        Does not wait for pods: the operator observes them itself. On the way back a secret that the
        chart generates at each upgrade does not stop it, the chart may be another one than that of
        the spec, and where `helm upgrade` cannot deliver, `helm rollback` is tried.

        Returns what people have to know about it, empty for an ordinary delivery.

        Raises:
            Conflict: the release has another revision than `from_revision` by now, or somebody
                else's Helm is running.
            SecretRotated: a forward delivery would change a key that signs tokens.
            ActionFailed: it is pending (never forced), missing, of another chart, or a delivery
                would change more than what a flip owns, or would not reach airflow.cfg.
            HelmError: helm failed.
        """
        stored = self._deliverable(way_back=way_back)
        self._expect(stored, from_revision)
        try:
            return self._upgrade(stored, settings, way_back=way_back)
        except (ActionFailed, HelmError, Malformed) as error:
            if not way_back:
                raise
            error = error.reworded(error.message + self._lacking(stored))
            log.warning("helm upgrade cannot deliver the revert: %s", error.message)
            return self._roll_back_after(error, settings, from_revision)

    def roll_back(self, settings: BackendSettings, from_revision: int, because: str = "") -> str:
        """Deliver `settings` by `helm rollback` to a revision that had them.

        It is the newest one with these settings, the present chart, and nothing else different;
        one with other keys only where none that was ever deployed has the present ones. Rollback
        applies the stored manifest: neither chart nor repository is needed.

        Args:
            because: why `helm upgrade` is not used, for people.

        Returns what was done, for people.

        Raises:
            Conflict: the release has another revision than `from_revision` by now.
            ActionFailed: no stored revision fits.
            HelmError: helm failed.
        """
        stored = self._deliverable(way_back=True)
        self._expect(stored, from_revision)
        revisions = Revisions(self.clients.api, self.rollout.namespace, self._values_path)
        target, changed = revisions.to_roll_back_to(stored, self._manifest(stored), settings)
        self._remove_failed(keep=target)
        self._expect_still(stored)
        mark = mark_of(self.clients.instance, stored.revision + 1)
        with marked(self.clients.api, self.rollout.namespace, target, mark):
            self._run(
                (
                    *("rollback", stored.name, str(target.revision)),
                    *("--namespace", self.rollout.namespace, "--no-hooks"),
                    *("--history-max", str(self._history())),
                )
            )
        done = (
            f"release {stored.name} was rolled back to revision {target.revision}, which holds "
            f"the {settings.describe()}"
        )
        if changed:
            done += f" and other secrets than now ({name_some(changed)})"
        if because:
            done += f", because: {because}"
        return f"{done}. {_NEW_KEY}" if changed else done

    def forget(self, revision: int) -> None:
        """Remove the operator's own revision that an interrupted Helm process left pending.

        What it has changed in Airflow stays; the next delivery starts from there. Nobody else's
        revision is ever removed.

        Raises:
            Conflict: the newest revision is another one, not pending, or not the operator's.
        """
        stored = self.stored()
        if (
            stored is None
            or stored.revision != revision
            or stored.status not in INTERRUPTED
            or maker_of(stored, self.clients.instance) is Maker.OTHER
        ):
            raise Conflict(f"revision {revision} is not an interrupted delivery of the operator")
        path = secrets_path(self.rollout.namespace, stored.secret)
        self.clients.api.delete(path, uid=stored.uid, grace_seconds=0)

    # -- what a delivery needs ------------------------------------------------------------------

    @property
    def _shelf(self) -> ChartShelf:
        return ChartShelf(self.clients, self.rollout)

    @property
    def _chart(self) -> HelmChart:
        return self.rollout.spec.delivery.helm.chart

    @property
    def _values_path(self) -> ValuesPath | None:
        named = self.rollout.spec.delivery.helm.values_path
        return None if named is None else tuple(named.split("."))

    def _deliverable(self, *, way_back: bool = False) -> StoredRelease:
        """Return the release if it can be delivered to.

        Every delivery is made with the chart of the release. Only the way there requires that it is
        the one of the spec: an upgrade of the chart during a kill must not stop the kill.

        Raises:
            ActionFailed: it cannot.
        """
        stored, namespace = self.stored(), self.rollout.namespace
        release = self.rollout.spec.airflow.release
        if stored is None:
            raise ActionFailed(self.missing())
        if stored.status.startswith("pending"):
            raise ActionFailed(
                f"release {release} is {stored.status}: a Helm operation is in progress or was "
                "interrupted; the operator does not override it. If none is running, recover "
                f"with: helm rollback {release} -n {namespace}"
            )
        if not way_back and (other := self._other_chart(stored)):
            raise ActionFailed(f"{other}; a flip does not change the chart")
        return stored

    def _other_chart(self, stored: StoredRelease) -> str:
        """Return how the chart of the spec differs from the release's; empty if it does not."""
        chart = self._chart
        if (stored.chart_name, stored.chart_version) == (chart.name, chart.version):
            return ""
        return (
            f"spec.delivery.helm.chart: {chart.name} {chart.version} is not the chart that the "
            f"release runs, {stored.chart_name} {stored.chart_version}"
        )

    def _keep(self, stored: StoredRelease) -> str:
        state = self._shelf.state(stored)
        if not state.kept:
            self._shelf.put(stored, self._fitting_archive(stored))
        return state.digest

    def _expect(self, stored: StoredRelease, revision: int) -> None:
        if stored.revision != revision:
            raise Conflict(
                f"release {stored.name} is at revision {stored.revision}, but the decision was "
                f"made for revision {revision}"
            )

    def _expect_still(self, stored: StoredRelease) -> None:
        """Raise `Conflict` where the release has changed since it was read.

        The comparison takes seconds, and Helm does not accept an expected revision: what somebody
        did meanwhile would be undone.
        """
        newest = self.stored()
        if newest is None:
            raise ActionFailed(self.missing())
        self._expect(newest, stored.revision)

    def _chart_file(self, stored: StoredRelease) -> Path:
        """Return the kept chart of the release; the first time, keep it."""
        file = self._shelf.file(stored)
        if file is None:
            self._keep(stored)
            file = self._shelf.file(stored)
        if file is None:
            raise Conflict("the kept chart was removed while it was being read")
        return file

    def _fitting_archive(self, stored: StoredRelease) -> bytes:
        """Return an archive of the chart that renders the release's manifest."""
        problems: list[ActionFailed | HelmError] = []
        for origin, made in self._origins(stored):
            try:
                archive = made()
                unlike = self._unlike(stored, archive, origin)
            except (HelmError, Malformed) as error:
                problems.append(HelmError(error.message))
                continue
            if not unlike:
                return archive
            problems.append(ActionFailed(unlike))
        if other := self._other_chart(stored):
            raise ActionFailed(
                f"{other}, which is not kept in the cluster, and {problems[0].message}: set "
                "spec.delivery.helm.chart to that chart and its repository"
            )
        first, *more = problems
        if stored.dependencies and more:
            raise type(first)(f"{first.message}. {more[0].message}")
        raise first

    def _origins(self, stored: StoredRelease) -> Iterator[tuple[str, Callable[[], bytes]]]:
        """Yield the possible origins of the release's chart, the likeliest first."""
        helm, folder, record = self.clients.helm, self.clients.work / "charts", self._record(stored)
        if not stored.dependencies:
            yield "built from Helm's record of the release", lambda: archive_of(record["chart"])
        # A chart may contain others that its Chart.yaml does not list.
        if not self._other_chart(stored):
            repository = self._chart.repository
            yield (
                f"pulled from {repository}",
                lambda: pull_whole(helm, self._chart, folder, self._access()),
            )
        if stored.dependencies:
            yield (
                "built from Helm's record of the release and the charts that it depends on",
                lambda: compose(helm, record["chart"], folder, self._access()),
            )

    def _access(self) -> Access:
        return access_to(self.clients.api, self.rollout.namespace, self._chart)

    def _unlike(self, stored: StoredRelease, archive: bytes, origin: str) -> str:
        """Return how the chart differs from that of the release; empty if it does not."""
        chart = f"{stored.chart_name} {stored.chart_version}, {origin},"
        with tempfile.TemporaryDirectory(prefix="chart-") as folder:
            file = Path(folder) / "chart.tgz"
            write_whole(file, archive)
            try:
                rendered = self._rendered(stored, file, stored.settings)
                stopped = blocking(self._compared(stored, file, stored.settings, rendered.manifest))
            except HelmError as error:
                return f"spec.delivery.helm.chart: {chart} cannot be rendered: {error.message}"
        if rendered.chart_digest != stored.chart_digest:
            return (
                f"spec.delivery.helm.chart: {chart} differs in content from the chart of the "
                f"release ({rendered.chart_digest[:12]}, {stored.chart_digest[:12]}): set "
                "spec.delivery.helm.chart.repository to the repository that the release came from"
            )
        return not_ours(stored, stopped) if stopped else ""

    def _rendered(self, stored: StoredRelease, chart: Path, settings: BackendSettings) -> Rendered:
        """Render as a real upgrade would, with access to the cluster."""
        output = self._helm_upgrade(
            stored, chart, settings, ("--dry-run=server", "--output", "json")
        )
        try:
            shown = json.loads(output)
            return Rendered(str(shown["manifest"]), content_digest(shown["chart"]))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            # Without the error's text: it may quote what was rendered.
            raise HelmError(
                f"helm upgrade --dry-run printed no manifest ({type(error).__name__})"
            ) from None

    def _record(self, stored: StoredRelease) -> Json:
        secret = self.clients.api.find(secrets_path(self.rollout.namespace, stored.secret))
        if secret is None:
            raise Conflict(f"revision {stored.revision} of {stored.name} no longer exists")
        return decode_record(secret)

    def _manifest(self, stored: StoredRelease) -> str:
        return str(self._record(stored).get("manifest") or "")

    def _arriving(
        self, stored: StoredRelease, settings: BackendSettings
    ) -> tuple[BackendSettings, str]:
        """Return the settings in the form in which they arrive in airflow.cfg, and the manifest.

        The original text of the values is written again only where the chart still renders it to
        the same setting. Otherwise, as with a template or a default that means another backend by
        now, the setting itself is written, or the way back would lead elsewhere.

        Raises:
            ActionFailed: the chart renders something else, so a delivery changes nothing or
                something else.
        """
        chart = self._chart_file(stored)
        manifest, made, wrong = self._render_and_compare(stored, chart, settings)
        places = {place_of(option, stored.airflow.path) for option in wrong}
        if places & settings.as_written.keys():
            kept = {place: was for place, was in settings.as_written.items() if place not in places}
            settings = replace(settings, as_written=kept)
            manifest, made, wrong = self._render_and_compare(stored, chart, settings)
        if wrong:
            raise ActionFailed(not_taken(stored, settings, wrong, made))
        return settings, manifest

    def _render_and_compare(
        self, stored: StoredRelease, chart: Path, settings: BackendSettings
    ) -> tuple[str, AirflowConfig, tuple[str, ...]]:
        """Return the manifest, its airflow.cfg, and the options in which that differs.

        Raises:
            ActionFailed: it has no airflow.cfg that could be Airflow's.
        """
        manifest = self._rendered(stored, chart, settings).manifest
        made = airflow_config(manifest, self._values_path)
        if made.problem:
            raise ActionFailed(f"release {stored.name}: {made.problem}")
        return manifest, made, astray(settings, made.options)

    def _difference(
        self, stored: StoredRelease, settings: BackendSettings
    ) -> tuple[BackendSettings, Sequence[Difference]]:
        """Return the settings in the form in which they arrive, and what a delivery would change.

        Raises:
            ActionFailed: they would not arrive.
        """
        settings, manifest = self._arriving(stored, settings)
        return settings, self._compared(stored, self._chart_file(stored), settings, manifest)

    def _compared(
        self, stored: StoredRelease, chart: Path, settings: BackendSettings, manifest: str
    ) -> tuple[Difference, ...]:
        """Return what `manifest` changes; if that is too much, with unstable differences marked.

        A difference that two renders of the same values show as well was not made by anybody.
        """
        found = differences(self._manifest(stored), manifest)
        if not blocking(found):
            return found
        # Within one second a template renders the same time.
        time.sleep(1.0 - time.time() % 1.0)
        again = self._rendered(stored, chart, settings)
        return mark_unstable(found, manifest, again.manifest)

    def _with_present_keys(
        self, stored: StoredRelease, settings: BackendSettings, found: Sequence[Difference]
    ) -> tuple[StoredRelease, Sequence[Difference], str]:
        """Return the release with the present keys in its values, where that keeps them.

        Also returns what a delivery then changes, and what people have to know about it.
        """
        keys = present_keys(self.clients.api, self.rollout.namespace, rotated(found))
        if not keys:
            return stored, found, ""
        keeping = replace(stored, values=merged_below(stored.values, stored.airflow.path, keys))
        try:
            _, after = self._difference(keeping, settings)
        except (ActionFailed, HelmError):
            return stored, found, ""
        if blocking(after) or not set(rotated(after)) < set(rotated(found)):
            return stored, found, ""
        return (
            keeping,
            after,
            f"release {stored.name}: its chart generates {name_some(rotated(found))} at each "
            "upgrade, which on Airflow 3 ends running tasks. The operator wrote the present value "
            f"into the values of the release ({', '.join(sorted(keys))}), so it is kept; add it "
            "to your own values too",
        )

    def _check(self, stored: StoredRelease, found: Sequence[Difference], *, way_back: bool) -> str:
        """Return what people have to know about these differences.

        Raises:
            ActionFailed, SecretRotated: a delivery may not make them.
        """
        stopped = blocking(found)
        if stopped:
            raise ActionFailed(not_ours(stored, stopped))
        changed = rotated(found)
        if not changed:
            return ""
        values = sorted({one.values_key for one in changed if one.values_key})
        remedy = (
            f"set {', '.join(values)} in the values of the release to the present value in the "
            "Secret (another value ends running tasks once; or set the names of your own Secrets "
            "that contain it) and upgrade the release once yourself"
            if values
            else "set a fixed value for it in the chart's values and upgrade the release once "
            "yourself"
        )
        text = (
            f"release {stored.name}: the chart generates {name_some(changed)} at each upgrade. "
            f"{_NEW_KEY}. Remedy: {remedy}"
        )
        if not way_back:
            raise SecretRotated(text)
        return text

    def _missing_rights(
        self, stored: StoredRelease, *, by_rules: bool = False
    ) -> tuple[rights.MissingRight, ...]:
        """Return the rights that Helm would lack half-way."""
        return rights.missing(
            self.clients.api,
            self.clients.memo,
            self._manifest(stored),
            self.rollout.namespace,
            by_rules=by_rules,
        )

    def _require_rights(self, stored: StoredRelease) -> None:
        found = self._missing_rights(stored)
        if found:
            raise ActionFailed(
                f"release {stored.name} was not changed, because Helm would stop halfway: "
                f"{rights.describe(found)}"
            )

    def _lacking(self, stored: StoredRelease) -> str:
        """Return a sentence about missing rights, after a delivery that failed."""
        try:
            found = self._missing_rights(stored)
        except ExternalError:
            return ""
        return f". Missing permissions: {rights.describe(found)}" if found else ""

    # -- helm ----------------------------------------------------------------------------------

    def _upgrade(self, stored: StoredRelease, settings: BackendSettings, *, way_back: bool) -> str:
        if not way_back:
            self._require_rights(stored)
        self._remove_failed()

        def expect_plain(manifest: str) -> None:
            made = airflow_config(manifest, self._values_path)
            found = differences(self._manifest(stored), manifest)
            if made.problem or astray(settings, made.options) or blocking(found) or rotated(found):
                raise _NotPlainError
            self._expect_still(stored)

        try:
            self._deliver(stored, settings, expect_plain)
            return ""
        except _NotPlainError:
            log.info("a delivery changes more than the options; checking in detail")
        except NotInspected as error:
            log.warning(
                "helm cannot show what it applies, so the manifest is rendered: %s", error.message
            )
        settings, found = self._difference(stored, settings)
        kept = ""
        if way_back and rotated(found) and not blocking(found):
            stored, found, kept = self._with_present_keys(stored, settings, found)
        note = self._check(stored, found, way_back=way_back)
        if note:
            log.warning("delivered anyway, because it is the revert: %s", note)
        self._expect_still(stored)
        self._deliver(stored, settings)
        return ". ".join(filter(None, (kept, note)))

    def _deliver(
        self,
        stored: StoredRelease,
        settings: BackendSettings,
        inspect: Callable[[str], None] | None = None,
    ) -> None:
        """Upgrade the release; `inspect` sees the manifest before it is applied."""
        note = f"xcom-rollout {self.rollout.name}: {settings.describe()}"
        mark = mark_of(self.clients.instance, stored.revision + 1)
        extra = (
            *("--history-max", str(self._history()), "--description", note),
            *("--labels", f"{names.LABEL_DELIVERY}={mark}"),
        )
        self._helm_upgrade(stored, self._chart_file(stored), settings, extra, inspect)

    def _helm_upgrade(
        self,
        stored: StoredRelease,
        chart: Path,
        settings: BackendSettings,
        extra: Sequence[str],
        inspect: Callable[[str], None] | None = None,
    ) -> str:
        try:
            values = json.dumps(
                write_settings(stored.values, settings, stored.options, stored.airflow.path)
            )
        except ValuesError as error:
            raise ActionFailed(f"release {stored.name}: {error}") from error
        arguments = upgrade_arguments(stored.name, chart, self.rollout.namespace, extra)
        try:
            return self._run(arguments, values, inspect)
        except HelmError as error:
            if not stored.dependencies:
                raise
            # A chart from a repository may read the cluster, and its error may quote what it read.
            raise error.reworded(_TEMPLATE_SAYS.sub(r"\1", error.message)) from None

    def _run(
        self,
        arguments: Sequence[str],
        values: str | None = None,
        inspect: Callable[[str], None] | None = None,
    ) -> str:
        helm = self.clients.helm
        try:
            if inspect is None:
                return helm.run(arguments, stdin=values)
            return helm.run_inspected(arguments, inspect, stdin=values)
        except HelmError as error:
            if _BUSY in error.message:
                raise Conflict(error.message, retry_after=2.0) from error
            raise

    def _history(self) -> int:
        """Return how many revisions Helm has to keep so that the operator causes no removal."""
        present = list_revisions(
            self.clients.api, self.rollout.namespace, self.rollout.spec.airflow.release
        )
        return max(len(present) + 1, HISTORY)

    def _remove_failed(self, keep: StoredRelease | None = None) -> None:
        """Remove the operator's own failed revisions, except the newest revision of all.

        A delivery that fails each minute would otherwise fill the namespace.
        """
        api, namespace = self.clients.api, self.rollout.namespace
        listed = list_revisions(api, namespace, self.rollout.spec.airflow.release)
        for metadata in listed[:-1]:
            labels = metadata.get("labels") or {}
            mark, number = labels.get(names.LABEL_DELIVERY, ""), revision_of(metadata)
            if (
                labels.get("status") == "failed"
                and mark.rpartition("-r")[2] == str(number)
                and (keep is None or keep.secret != metadata["name"])
            ):
                api.delete(
                    secrets_path(namespace, metadata["name"]), uid=metadata["uid"], grace_seconds=0
                )

    # -- the last resort -----------------------------------------------------------------------

    def _roll_back_after(
        self,
        error: ActionFailed | HelmError | Malformed,
        settings: BackendSettings,
        from_revision: int,
    ) -> str:
        """Roll back where an upgrade failed; its own failed revision is not a conflict."""
        try:
            stored = self._deliverable(way_back=True)
            ours = (
                stored.revision == from_revision + 1
                and maker_of(stored, self.clients.instance) is Maker.SELF
            )
            return self.roll_back(
                settings, stored.revision if ours else from_revision, error.message
            )
        except (ActionFailed, HelmError, Malformed) as second:
            raise type(error)(
                f"{error.message}. The fallback also failed: {second.message}"
            ) from error


def upgrade_arguments(
    release: str, chart: Path, namespace: str, extra: Sequence[str]
) -> tuple[str, ...]:
    """Return the arguments of `helm upgrade`, which reads the values from its standard input.

    `--reset-values` makes them complete: without it, Helm keeps the old values where the new ones
    are empty, as at a revert of a release without values of its own.
    """
    return (
        "upgrade",
        release,
        str(chart),
        "--namespace",
        namespace,
        "--values",
        "-",
        "--reset-values",
        "--no-hooks",
        *extra,
    )
