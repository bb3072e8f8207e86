"""Several requests at once, each with an outcome of its own."""

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar

from xcom_rollout.clients.errors import ExternalError

CONCURRENCY: Final = 4

T = TypeVar("T")
R = TypeVar("R")


def in_parallel(
    action: Callable[[T], R], items: Iterable[T], *, workers: int = CONCURRENCY
) -> list[R]:
    """Return `action` of each item, in their order; all are done even if one fails.

    Raises:
        ExternalError: one or more failed; the first one's error, and how many there are.
    """
    with ThreadPoolExecutor(max_workers=workers) as pool:
        futures = [pool.submit(action, item) for item in items]
    errors = [error for future in futures if (error := future.exception()) is not None]
    unexpected = [error for error in errors if not isinstance(error, ExternalError)]
    if unexpected:
        raise unexpected[0]
    if errors:
        raise _joined([error for error in errors if isinstance(error, ExternalError)], len(futures))
    return [future.result() for future in futures]


def _joined(errors: Sequence[ExternalError], total: int) -> ExternalError:
    first = errors[0]
    if len(errors) == 1:
        return first
    return first.reworded(
        f"{len(errors)} of {total} requests failed, the first with: {first.message}"
    )
