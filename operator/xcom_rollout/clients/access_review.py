"""What the operator's own account may do, asked of the API server without doing it."""

from typing import Any, Final

from xcom_rollout.clients.kube import KubeApi

_REVIEWS: Final = "apis/authorization.k8s.io/v1/selfsubjectaccessreviews"


def allowed(
    api: KubeApi, verb: str, plural: str, *, group: str = "", namespace: str = "", name: str = ""
) -> bool:
    """Return whether the operator may do it.

    Each account may ask, unless the cluster's `system:basic-user` was taken away.

    Args:
        plural: such as `pods`.
        group: API group; empty for the core.
        namespace: empty for all, and for what belongs to the whole cluster.
        name: of one object; empty for all.

    Raises:
        KubeError: the API server could not be asked.
    """
    attributes: dict[str, Any] = {
        "group": group,
        "resource": plural,
        "verb": verb,
        **({"namespace": namespace} if namespace else {}),
        **({"name": name} if name else {}),
    }
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": attributes},
    }
    return bool((api.review(_REVIEWS, review).get("status") or {}).get("allowed"))
