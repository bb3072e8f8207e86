"""Chooses the earlier revision to which the last resort, `helm rollback`, goes back."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass

from xcom_rollout.clients.errors import ActionFailed, KubeError, Malformed
from xcom_rollout.clients.kube import Json, KubeApi
from xcom_rollout.decide.settings import BackendSettings, ValuesError, write_settings
from xcom_rollout.deliver.airflow_config import ValuesPath
from xcom_rollout.deliver.manifests import (
    Difference,
    blocking,
    differences,
    mark_unstable,
    name_some,
    rotated,
)
from xcom_rollout.deliver.release import (
    HISTORY,
    StoredRelease,
    decode_record,
    decode_release,
    list_revisions,
    secrets_path,
)

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Revisions:
    """The revisions of the releases of a namespace."""

    api: KubeApi
    namespace: str
    values_path: ValuesPath | None
    """The place of the values of Airflow's chart, by the spec."""

    def to_roll_back_to(
        self, stored: StoredRelease, manifest: str, settings: BackendSettings
    ) -> tuple[StoredRelease, Sequence[Difference]]:
        """Return the revision to roll back to, and the keys in which it differs.

        The search for one with the present keys never loses a usable one that was already found: a
        failed revision is not preferred, an unreadable one is skipped, and only a few more are
        examined.

        Args:
            stored: the newest revision.
            manifest: of the newest revision. It holds secrets.
            settings: that it has to have.

        Raises:
            ActionFailed: there is none.
            KubeError: the API server could not be asked, and none was found yet.
        """
        api, namespace, obstacles = self.api, self.namespace, []
        at_hand: tuple[StoredRelease, Sequence[Difference]] | None = None
        more = HISTORY
        listed = reversed(list_revisions(api, namespace, stored.name))
        # A failed one is used if there is no other, such as that of the upgrade just tried.
        for metadata in sorted(listed, key=lambda found: _status(found) == "failed"):
            if _status(metadata) not in ("superseded", "deployed", "failed"):
                continue
            if at_hand is not None:
                if more == 0 or (_status(metadata) == "failed" and at_hand[0].status != "failed"):
                    break
                more -= 1
            try:
                secret = api.find(secrets_path(namespace, metadata["name"]))
                if secret is None:
                    continue
                candidate = decode_release(secret, self.values_path)
                other = str(decode_record(secret).get("manifest") or "")
            except Malformed as error:
                obstacles.append(error.message)
                continue
            except KubeError as error:
                if at_hand is None:
                    raise
                log.warning("no other revision is considered: %s", error.message)
                break
            if candidate.airflow.problem:
                continue  # its values alone are not enough to apply it
            if candidate.settings != settings or (
                candidate.chart_name,
                candidate.chart_version,
            ) != (stored.chart_name, stored.chart_version):
                continue
            found = differences(manifest, other)
            if _same_but_for(settings, stored, candidate):
                # Nobody changed anything between them: the chart itself generates it each time.
                found = mark_unstable(found, manifest, other)
            stopped, changed = blocking(found), rotated(found)
            if stopped:
                obstacles.append(
                    f"revision {candidate.revision} also differs: {name_some(stopped)}"
                )
            elif not changed:
                return candidate, ()
            elif at_hand is None:
                at_hand = candidate, changed
        if at_hand is not None:
            return at_hand
        why = "; ".join(obstacles) or "no revision has these settings and this chart"
        raise ActionFailed(
            f"release {stored.name} has no revision to roll back to for the "
            f"{settings.describe()}: {why}. To use another revision: helm rollback {stored.name} "
            f"REVISION -n {namespace} --no-hooks"
        )


def _same_but_for(settings: BackendSettings, one: StoredRelease, other: StoredRelease) -> bool:
    """Return whether two revisions differ only in the settings that a flip owns."""
    try:
        values = [
            write_settings(each.values, settings, each.options, each.airflow.path)
            for each in (one, other)
        ]
    except ValuesError:
        return False
    return one.chart_digest == other.chart_digest and values[0] == values[1]


def _status(metadata: Json) -> str:
    return str((metadata.get("labels") or {}).get("status", ""))
