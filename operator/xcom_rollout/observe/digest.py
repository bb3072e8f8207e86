"""The digest of what a proof proves: while it stays the same, the proof holds.

The options that the flip itself changes are left out of it. So it is the same before the flip,
with every pod a reader, and after the cut-over, and any other change of the pods' images, templates
or configuration voids the proof.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from xcom_rollout.api import names
from xcom_rollout.clients.kube import Json
from xcom_rollout.clients.yaml_text import parse_yaml
from xcom_rollout.decide.observed import Rollout
from xcom_rollout.deliver.manifests import SECRET_KEYS
from xcom_rollout.release.airflow_cfg import without_owned_options
from xcom_rollout.release.objects import CONFIG_KEY, POD_TEMPLATE_KEY, PodTemplate

_IGNORED_ANNOTATIONS: Final = ("checksum/", "kubectl.kubernetes.io/restartedAt")
"""Prefixes of annotations whose only effect is that pods are replaced."""


@dataclass(frozen=True)
class Desired:
    """The requests of people, as far as a proof depends on them."""

    path: str
    threshold: str
    compression: str | None
    functional_s3: bool
    samples: str | None = None
    """`config_map_hash` of the samples of the round trip; None without any."""
    request: str | None = None
    """The last request to repeat all proofs; None without any."""

    @classmethod
    def of(cls, rollout: Rollout, samples: str | None) -> "Desired":
        spec = rollout.spec
        storage = spec.backend.object_storage
        return cls(
            path=storage.path,
            threshold=spec.threshold.bytes,
            compression=storage.compression,
            functional_s3=spec.gates.preflight.functional_s3,
            samples=samples,
            request=rollout.annotations.get(names.ANNOTATION_PROVE),
        )


@dataclass(frozen=True)
class Proving:
    """Everything that a proof depends on."""

    images: Mapping[str, tuple[str, ...]]
    """Image IDs by the reference that pods use."""
    templates: tuple[PodTemplate, ...]
    config_maps: Mapping[str, str | None]
    """`config_map_hash` by name; None for one that does not exist."""
    secrets: Mapping[str, str | None]
    """`secret_hash` by name; None for one that does not exist."""
    chart: tuple[str, str]
    desired: Desired
    probe: str


def digest(proving: Proving) -> str:
    """Return the sha256 in hex.

    Raises:
        ActionFailed: a template has no container that runs Airflow.
    """
    content = {
        "images": {
            template.component: list(proving.images.get(image, (image,)))
            for template in proving.templates
            for image in [str(template.main.get("image", ""))]
        },
        "templates": {
            template.component: {
                "metadata": _clean_metadata(template.metadata),
                "spec": template.spec,
            }
            for template in proving.templates
        },
        "configMaps": dict(proving.config_maps),
        "secrets": dict(proving.secrets),
        "chart": list(proving.chart),
        "desired": vars(proving.desired),
        "probe": proving.probe,
    }
    return _hash(content)


def config_map_hash(config_map: Json) -> str:
    """Return the sha256 in hex of a ConfigMap's content, without what the flip changes in it."""
    data: dict[str, Any] = dict(config_map.get("data") or {})
    if CONFIG_KEY in data:
        data[CONFIG_KEY] = without_owned_options(data[CONFIG_KEY])
    if POD_TEMPLATE_KEY in data:
        data[POD_TEMPLATE_KEY] = _clean_pod_template(data[POD_TEMPLATE_KEY])
    return _hash({"data": data, "binaryData": config_map.get("binaryData") or {}})


def secret_hash(secret: Json) -> str:
    """Return the sha256 in hex of a Secret's content, without keys that sign tokens and sessions.

    The chart generates new ones at each upgrade where nobody sets them: the first delivery would
    void its own proofs. They are never used to read or write XCom.
    """
    data = secret.get("data") or {}
    return _hash({key: None if key in SECRET_KEYS else value for key, value in data.items()})


def _clean_pod_template(text: str) -> Any:
    try:
        pod = parse_yaml(text)
    except ValueError:
        return text
    if not isinstance(pod, dict) or not isinstance(pod.get("metadata"), dict):
        return text
    return {**pod, "metadata": _clean_metadata(pod["metadata"])}


def _clean_metadata(metadata: Json) -> Json:
    annotations = {
        key: value
        for key, value in (metadata.get("annotations") or {}).items()
        if not key.startswith(_IGNORED_ANNOTATIONS)
    }
    # The API server adds `creationTimestamp: null`.
    return {"labels": metadata.get("labels") or {}, "annotations": annotations}


def _hash(content: Any) -> str:
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode()).hexdigest()
