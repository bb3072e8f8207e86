"""What the operator's own account may do, by the API server's access reviews."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from xcom_rollout.clients.errors import KubeError
from xcom_rollout.clients.kube import KubeApi

_RULES: Final = "apis/authorization.k8s.io/v1/selfsubjectrulesreviews"
_REVIEWS: Final = "apis/authorization.k8s.io/v1/selfsubjectaccessreviews"


def allowed(
    api: KubeApi,
    verb: str,
    plural: str,
    *,
    group: str = "",
    namespace: str = "",
    name: str = "",
    subresource: str = "",
) -> bool:
    """Return whether the operator may do it.

    Each account may ask, unless the cluster's `system:basic-user` was removed.

    Args:
        plural: such as `pods`.
        group: API group; empty for the core.
        namespace: empty for all, and for what belongs to the whole cluster.
        name: of one object; empty for all.
        subresource: such as `exec`; empty for the object itself.

    Raises:
        KubeError: the API server could not be asked.
    """
    attributes: dict[str, Any] = {
        "group": group,
        "resource": plural,
        "verb": verb,
        **({"namespace": namespace} if namespace else {}),
        **({"name": name} if name else {}),
        **({"subresource": subresource} if subresource else {}),
    }
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": attributes},
    }
    return bool((api.review(_REVIEWS, review).get("status") or {}).get("allowed"))


@dataclass(frozen=True)
class Rules:
    """What the operator certainly may do to all objects of a kind in one namespace.

    Attributes:
        granted: rules as (API groups, resources, verbs), in which `*` stands for every one.
    """

    granted: tuple[tuple[frozenset[str], frozenset[str], frozenset[str]], ...] = ()

    def allow(self, verb: str, plural: str, group: str) -> bool:
        """Return whether it certainly may; False means unknown."""
        return any(
            groups & {group, "*"} and resources & {plural, "*"} and verbs & {verb, "*"}
            for groups, resources, verbs in self.granted
        )


def rules(api: KubeApi, namespace: str) -> Rules:
    """Return the rules of a namespace by one request (SelfSubjectRulesReview).

    Empty where the API server reports that the list is incomplete, as with an authorization
    webhook, which may refuse what a rule grants. Also empty where the request is not answered, as
    by a proxy that does not know it: each right is requested then. A rule for objects by name is
    left out: it applies to these only.
    """
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectRulesReview",
        "spec": {"namespace": namespace},
    }
    try:
        status = api.review(_RULES, review).get("status") or {}
    except KubeError:
        return Rules()
    if status.get("incomplete") or status.get("evaluationError"):
        return Rules()
    return Rules(
        tuple(
            (_words(rule, "apiGroups"), _words(rule, "resources"), _words(rule, "verbs"))
            for rule in status.get("resourceRules") or ()
            if not rule.get("resourceNames")
        )
    )


def _words(rule: Mapping[str, Any], name: str) -> frozenset[str]:
    return frozenset(rule.get(name) or ())
