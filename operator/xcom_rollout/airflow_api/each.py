"""Ask Airflow for several things one by one: a refusal of one does not affect the others."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

import httpx2

from xcom_rollout.clients.errors import AirflowError, AirflowFault
from xcom_rollout.clients.parallel import in_parallel

K = TypeVar("K")
V = TypeVar("V")

MOST_BY_NAME: Final = 100
"""Most things that are requested by name where Airflow refuses their list."""
_OF_ALL: Final = frozenset(
    {
        httpx2.codes.UNAUTHORIZED,
        httpx2.codes.PROXY_AUTHENTICATION_REQUIRED,
        httpx2.codes.REQUEST_TIMEOUT,
        httpx2.codes.TOO_MANY_REQUESTS,
        httpx2.codes.BAD_GATEWAY,
        httpx2.codes.SERVICE_UNAVAILABLE,
        httpx2.codes.GATEWAY_TIMEOUT,
    }
)
"""Answers of a server, or of a proxy in front of it, that do not depend on the request."""


@dataclass(frozen=True)
class Answers(Generic[K, V]):
    """Airflow's answers about several things.

    Attributes:
        found: those that it returned.
        refused: those that it refused to return, and why. Nothing is known about them: they may
            exist or be gone.
    """

    found: Mapping[K, V]
    refused: Mapping[K, AirflowError]


def is_of_one(error: AirflowError) -> bool:
    """Whether a refusal may be about the requested thing, and not about the API as a whole."""
    whole = (AirflowFault.UNREACHABLE, AirflowFault.UNAUTHORIZED)
    return error.fault not in whole and error.status not in _OF_ALL


def ask_each(
    ask: Callable[[K], V], keys: Collection[K], *, answering: bool = False
) -> Answers[K, V]:
    """Return the result of `ask` for each key, and the keys for which it was refused.

    Args:
        answering: whether Airflow has just answered something else. If it has not, and all of these
            fail, Airflow itself has failed.

    Raises:
        AirflowError: the API as a whole refused, failed or could not be reached.
    """

    def attempt(key: K) -> V | AirflowError:
        try:
            return ask(key)
        except AirflowError as error:
            if not is_of_one(error):
                raise
            return error

    found: dict[K, V] = {}
    refused: dict[K, AirflowError] = {}
    for key, outcome in zip(keys, in_parallel(attempt, keys), strict=True):
        if isinstance(outcome, AirflowError):
            refused[key] = outcome
        else:
            found[key] = outcome
    if (
        refused
        and not found
        and not answering
        and all(error.is_failure for error in refused.values())
    ):
        raise next(iter(refused.values()))
    return Answers(found, refused)
