"""The keys that a chart generates at each upgrade, and their present values in the cluster.

A delivery that changes the key of Airflow 3's tokens ends every running task. Where a value of the
chart can hold the key, that value preserves the present one.
"""

import base64
import binascii
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from xcom_rollout.clients.kube import Json, KubeApi
from xcom_rollout.deliver.manifests import AIRFLOW_3_KEYS, SECRET_KEYS, Difference
from xcom_rollout.deliver.release import secrets_path

_DATA_KEYS: Final = {value: key for key, value in SECRET_KEYS.items()}


def present_keys(api: KubeApi, namespace: str, changed: Iterable[Difference]) -> dict[str, str]:
    """Return the chart values that keep these rotated secrets, by name. They are secrets.

    A secret without a chart value of its own, and one that is not text, is left out.

    Raises:
        KubeError: a Secret cannot be read.
    """
    kept = {}
    for one in changed:
        if not one.values_key:
            continue
        secret = api.find(secrets_path(namespace, one.name)) or {}
        packed = (secret.get("data") or {}).get(_DATA_KEYS[one.values_key])
        try:
            text = base64.b64decode(packed or "", validate=True).decode()
        except (binascii.Error, UnicodeDecodeError):
            continue
        if text:
            kept[one.values_key] = text
    return kept


def unset_keys(objects: Iterable[Json], given: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    """Return the chart values without which a chart of Airflow 3 generates a key itself.

    Nothing where no Secret holds a key of Airflow 3: a new session key ends no task.

    Args:
        objects: those of the manifest.
        given: the values of Airflow's chart: those of the release, then the chart's own. Null in
            the former removes a default.
    """
    made = {
        key
        for item in objects
        if item.get("kind") == "Secret"
        for field in ("data", "stringData")
        for key in SECRET_KEYS.keys() & (item.get(field) or {}).keys()
    }
    if not made & AIRFLOW_3_KEYS:
        return ()
    names = sorted(SECRET_KEYS[key] for key in made)
    return tuple(
        name
        for name in names
        if not next((values[name] for values in given if name in values), None)
    )


def merged_below(
    values: Mapping[str, Any], path: Sequence[str], added: Mapping[str, Any]
) -> dict[str, Any]:
    """Return chart values with `added` below a path of keys, and everything else unchanged."""
    if not path:
        return {**values, **added}
    inner = values.get(path[0])
    below = merged_below(inner if isinstance(inner, Mapping) else {}, path[1:], added)
    return {**values, path[0]: below}
