"""The form in which the cache keeps an object: without what nobody reads of it here, and small."""

import json
import sys
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from xcom_rollout.clients.kube import Json

LAST_APPLIED: Final = "kubectl.kubernetes.io/last-applied-configuration"
"""The annotation in which `kubectl apply` keeps the whole object."""
_SHORT: Final = 64
"""Characters up to which a text is likely to be found again elsewhere."""


@dataclass(frozen=True)
class Form:
    """How a store keeps its objects.

    Attributes:
        pack: returns what is kept of an object; the object is not changed.
        unpack: returns the object again, for reading only.
    """

    pack: Callable[[Json], Any]
    unpack: Callable[[Any], Json]


def slim(item: Json) -> Json:
    """Return an object without what nobody reads of it here, which is most of its weight.

    What `kubectl apply` leaves on a Secret is not kept either: it is the Secret's content.
    """
    metadata = dict(item["metadata"])
    if "annotations" in metadata:
        metadata["annotations"] = without_last_applied(metadata["annotations"])
    if "managedFields" in metadata:
        metadata["managedFields"] = [
            {key: entry[key] for key in ("manager", "time") if key in entry}
            for entry in metadata["managedFields"]
        ]
    kept: Json = {**item, "metadata": metadata}
    spec = item.get("spec")
    if isinstance(spec, dict) and "containers" in spec:  # a pod
        metadata.pop("managedFields", None)
        of_spec = {key: spec[key] for key in ("nodeName",) if key in spec}
        kept["spec"] = {**of_spec, "containers": [_named(each) for each in spec["containers"]]}
    elif isinstance(spec, dict) and "backoffLimit" in spec:  # a Job
        metadata.pop("managedFields", None)
        kept["spec"] = {key: value for key, value in spec.items() if key != "template"}
    return kept


def without_last_applied(annotations: Mapping[str, str]) -> dict[str, str]:
    """Return annotations without the copy of the object that `kubectl apply` keeps in one."""
    return {key: value for key, value in annotations.items() if key != LAST_APPLIED}


def _named(container: Json) -> Json:
    return {key: container[key] for key in ("name", "image") if key in container}


def _slim_and_shared(item: Json) -> Json:
    shared: Json = _shared(slim(item))
    return shared


def _shared(value: Any) -> Any:
    """Return the same value, with texts that all objects share.

    Each event is parsed separately, so otherwise each object has its own copy of every key and of
    most values, such as `True` and `RollingUpdate`: half of its weight.
    """
    if isinstance(value, dict):
        return {sys.intern(key): _shared(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_shared(each) for each in value]
    return sys.intern(value) if isinstance(value, str) and len(value) <= _SHORT else value


def _pack(item: Json) -> bytes:
    return zlib.compress(json.dumps(slim(item), separators=(",", ":")).encode())


def _unpack(packed: bytes) -> Json:
    item: Json = json.loads(zlib.decompress(packed))
    return item


AS_OBJECTS: Final = Form(_slim_and_shared, lambda item: item)
"""For many objects that are read often, such as the pods of thousands of tasks during a kill."""
COMPRESSED: Final = Form(_pack, _unpack)
"""For objects that are few in a namespace and read seldom. A Deployment of Airflow's takes 16 KiB
as an object and 1.2 KiB compressed; reading it takes 0.1 ms."""
