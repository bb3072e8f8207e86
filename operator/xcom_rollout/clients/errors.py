"""What can go wrong outside: each error says what, where and what to do, in words for people."""

from typing import Final

RETRY_SOON: Final = 2.0
RETRY_LATER: Final = 15.0


class WorldError(Exception):
    """The world could not be read or changed.

    Attributes:
        message: what happened, where, and what to do.
        retry_after: seconds after which another try makes sense.
    """

    def __init__(self, message: str, retry_after: float = RETRY_LATER) -> None:
        super().__init__(message)
        self.message = message
        self.retry_after = retry_after


class Conflict(WorldError):  # noqa: N818 - named after what happened
    """Somebody else was quicker; the pass is simply repeated."""

    def __init__(self, message: str, retry_after: float = 0.5) -> None:
        super().__init__(message, retry_after)


class KubeError(WorldError):
    """The API server refused, or could not be asked."""


class Forbidden(KubeError):  # noqa: N818 - named after what happened
    """The operator lacks a right."""


class Malformed(WorldError):  # noqa: N818 - named after what happened
    """Something that the operator reads does not have the form that it should have."""


class HelmError(WorldError):
    """The helm command failed; the message quotes its output."""


class AirflowError(WorldError):
    """Airflow's REST API refused, or could not be asked."""

    def __init__(self, message: str, retry_after: float = RETRY_SOON) -> None:
        super().__init__(message, retry_after)


class ActionFailed(WorldError):  # noqa: N818 - named after what happened
    """An action could not be done for a reason in the cluster or in the spec."""
