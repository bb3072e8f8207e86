"""Names that other systems see: the API group, labels, annotations, conditions.

Kept in one place because each of them is a public interface: dashboards, GitOps health checks and
`kubectl wait` commands depend on them.
"""

from typing import Final

GROUP: Final = "xcomrollout.dev"
VERSION: Final = "v1alpha1"
KIND: Final = "XComBackendRollout"
PLURAL: Final = "xcombackendrollouts"
SINGULAR: Final = "xcombackendrollout"
SHORT_NAME: Final = "xbr"
API_VERSION: Final = f"{GROUP}/{VERSION}"

MANAGER: Final = "xcom-rollout"
"""Field manager and `app.kubernetes.io/managed-by` value of everything the operator writes."""

LABEL_ROLLOUT: Final = f"{GROUP}/rollout"
LABEL_KIND: Final = f"{GROUP}/job-kind"
LABEL_COMPONENT: Final = f"{GROUP}/component"

JOB_COMPONENT: Final = "xcom-probe"
"""The chart's label `component` on the pods of the operator's Jobs. Those keep the chart's `tier`
and `release`, because NetworkPolicies select pods by them."""

LABEL_CHART: Final = f"{GROUP}/chart-part"
"""On the Secrets that keep the chart of a release: the number of the part, from 1."""

LABEL_DELIVERY: Final = f"{GROUP}/delivery"
"""On the Secret of a Helm revision: which process of the operator makes it, and its number.
Later revisions inherit labels, so it is only valid where the number is the revision's."""

ANNOTATION_DIGEST: Final = f"{GROUP}/digest"
ANNOTATION_KILL: Final = f"{GROUP}/kill"
"""Request: engages the kill-switch. JSON object with `by`, `at` (RFC 3339), `reason` and, to
override `spec.killSwitch.strategy`, `strategy`; where somebody changed that, `strategyBy`,
`strategyAt` and `strategyReason`. `after` is for `xbr`: the newest kill that had ended by then."""
ANNOTATION_ATTESTATION: Final = f"{GROUP}/rehearsal-attestation"
"""A person's statement that the kill-switch was rehearsed: JSON with `by`, `at`, `evidence`,
`expiresAt`."""

ANNOTATION_PROVE: Final = f"{GROUP}/prove"
"""Request: another value than before voids all proofs and audits, so that they run again."""


FINALIZER: Final = f"{GROUP}/kill"
"""On a rollout with a kill in progress: it is deleted when the kill has finished."""


class Condition:
    """Condition types. The first three follow kstatus; the others state what has been shown."""

    READY: Final = "Ready"
    RECONCILING: Final = "Reconciling"
    STALLED: Final = "Stalled"
    ACCEPTED: Final = "Accepted"
    PROVEN: Final = "Proven"
    CALIBRATED: Final = "Calibrated"
    AUDITED: Final = "Audited"
    REHEARSED: Final = "Rehearsed"
    BUILD_CONFIRMED: Final = "BuildConfirmed"
    ARMED: Final = "Armed"
    """Whether the kill-switch was shown to have everything that it needs."""
    READERS_CONFIRMED: Final = "ReadersConfirmed"
    OFFLOADING: Final = "Offloading"
    REVERTED: Final = "Reverted"
    RECOVERED: Final = "Recovered"


DOMAIN_CONDITIONS: Final = (
    Condition.ACCEPTED,
    Condition.PROVEN,
    Condition.CALIBRATED,
    Condition.AUDITED,
    Condition.REHEARSED,
    Condition.BUILD_CONFIRMED,
    Condition.ARMED,
    Condition.READERS_CONFIRMED,
    Condition.OFFLOADING,
    Condition.REVERTED,
    Condition.RECOVERED,
)
