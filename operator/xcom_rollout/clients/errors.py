"""Errors of external systems: each message says what failed, where, and the remedy."""

import copy
from enum import StrEnum
from typing import Final, Self

RETRY_SOON: Final = 2.0
RETRY_LATER: Final = 15.0


class ExternalError(Exception):
    """Something outside of the operator could not be read or changed.

    Attributes:
        message: what happened, where, and the remedy.
        retry_after: seconds after which a retry makes sense.
    """

    def __init__(self, message: str, retry_after: float = RETRY_LATER) -> None:
        super().__init__(message)
        self.message = message
        self.retry_after = retry_after

    def reworded(self, message: str) -> Self:
        """Return the same error with another message."""
        other = copy.copy(self)
        other.message, other.args = message, (message,)
        return other


class Conflict(ExternalError):  # noqa: N818 - named after what happened
    """Somebody else was faster; the pass is simply repeated."""

    def __init__(self, message: str, retry_after: float = 0.5) -> None:
        super().__init__(message, retry_after)


class KubeconfigError(ExternalError):
    """Neither a kubeconfig nor a service account gives a way to the API server."""


class KubeError(ExternalError):
    """The API server refused, or could not be asked.

    Attributes:
        status: HTTP status of the answer; 0 without one.
        reason: the API server's reason, such as `NotFound`; empty where it gave none, as for a
            resource that is not installed.
        said: its message, unchanged.
    """

    def __init__(
        self,
        message: str,
        retry_after: float = RETRY_LATER,
        *,
        status: int = 0,
        reason: str = "",
        said: str = "",
    ) -> None:
        super().__init__(message, retry_after)
        self.status, self.reason, self.said = status, reason, said


class Forbidden(KubeError):  # noqa: N818 - named after what happened
    """The operator lacks a right."""


class Malformed(ExternalError):  # noqa: N818 - named after what happened
    """Something that the operator reads does not have the expected form."""


class HelmError(ExternalError):
    """The helm command failed; the message quotes its output."""


class NotInspected(HelmError):  # noqa: N818 - named after what happened
    """Helm could not show what it would apply, and so applied nothing."""


class AirflowFault(StrEnum):
    """Why a request to Airflow's REST API failed, for code that handles the cases differently."""

    UNREACHABLE = "Unreachable"
    """No answer, or one that is not from Airflow."""
    UNAUTHORIZED = "Unauthorized"
    """The login fails, or its token or session is refused."""
    FORBIDDEN = "Forbidden"
    """The user lacks a right."""
    DAG_NOT_FOUND = "DagNotFound"
    """Airflow has no such DAG, or its file is gone: none of its runs can be scheduled."""
    RUN_NOT_FOUND = "RunNotFound"
    CONFLICT = "Conflict"
    """Airflow refuses it in the current state of the DAG or the run (409)."""
    OTHER = "Other"


_SERVER_ERROR: Final = 500


class AirflowError(ExternalError):
    """Airflow's REST API refused, or could not be asked.

    Attributes:
        fault: which kind of failure it is.
        status: HTTP status of the answer; 0 without one.
    """

    def __init__(
        self,
        message: str,
        retry_after: float = RETRY_SOON,
        *,
        fault: AirflowFault = AirflowFault.OTHER,
        status: int = 0,
    ) -> None:
        super().__init__(message, retry_after)
        self.fault = fault
        self.status = status

    @property
    def is_failure(self) -> bool:
        """Whether Airflow, or a proxy in front of it, failed at the request (5xx)."""
        return self.status >= _SERVER_ERROR


class ActionFailed(ExternalError):  # noqa: N818 - named after what happened
    """An action failed for a reason in the cluster or in the spec."""


class SecretRotated(ActionFailed):
    """A delivery would change a secret that the chart generates at each upgrade."""
