"""Paths of the Kubernetes API: built only here, so that no name can lead to another place."""

import re
from typing import Final
from urllib.parse import quote

from xcom_rollout.clients.errors import KubeError

_SAFE: Final = "!$&'()*+,;=:@~"
"""Characters that a segment of a path may contain unescaped (RFC 3986)."""
_ESCAPED: Final = re.compile(r"%(2[ef5]|5c)", re.IGNORECASE)
"""An escaped dot, slash, percent sign or backslash: the API server would decode it."""


def object_path(
    namespace: str, plural: str, name: str | None = None, *, version: str = "v1"
) -> str:
    """Return the path of the objects of a kind in a namespace, or of one of them.

    Args:
        plural: such as `secrets`.
        version: group and version, such as `batch/v1`; the core group has a version only.

    Raises:
        KubeError: a part is not a valid name: it would lead to another place.
    """
    group = ["apis" if "/" in version else "api", *version.split("/")]
    parts = [*group, "namespaces", namespace, plural, *([] if name is None else [name])]
    return "/".join(map(segment, parts))


def segment(name: str) -> str:
    """Return a name as a segment of a path.

    Raises:
        KubeError: the name is empty, `.` or `..`, or contains `/`, `%` or a backslash, which no
            object's name does.
    """
    if name in ("", ".", "..") or any(character in name for character in "/%\\"):
        raise KubeError(
            f"{name!r} is not the name of a Kubernetes object: it may be neither empty, . nor .., "
            "and may not contain /, % or a backslash"
        )
    return quote(name, safe=_SAFE)


def checked(path: str) -> str:
    """Return the path of a request if it is unambiguous.

    Raises:
        KubeError: it has an empty segment, one of dots, or one that hides its end.
    """
    parts = path.split("/")
    if any(part in ("", ".", "..") for part in parts) or _ESCAPED.search(path):
        raise KubeError(
            f"{path!r} is not sent to the Kubernetes API server: an empty, escaped or dot segment"
        )
    if any(character in path for character in "?#\\"):
        raise KubeError(
            f"{path!r} is not sent to the Kubernetes API server: it contains ?, # or a backslash"
        )
    return path
