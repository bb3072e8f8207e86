"""Requests to an API server, one by one and by who asked, from its own audit log."""

from __future__ import annotations

import json
import re
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

Counts = Counter[tuple[str, str]]
"""By verb, as the API server names it (`list`, `watch`), and resource with its subresource."""


@dataclass
class Asked:
    """The audit log of one user's requests.

    Attributes:
        flags: of the kube-apiserver that writes it.
    """

    flags: tuple[str, ...]
    _file: Path
    _read: int = 0

    def take(self) -> Counts:
        """Return the requests that came to an end since the last call; watches as they began."""
        found: Counts = Counter()
        if not self._file.exists():
            return found
        with self._file.open("rb") as log:
            log.seek(self._read)
            for line in log:
                if not line.endswith(b"\n"):
                    break
                self._read += len(line)
                found[_named(json.loads(line))] += 1
        return found


@contextmanager
def asked_by(user: str) -> Iterator[Asked]:
    """A log of what a user asks, as long as the block runs."""
    with tempfile.TemporaryDirectory(prefix="audit-") as folder:
        policy, log = Path(folder) / "policy.json", Path(folder) / "audit.log"
        policy.write_text(json.dumps(_policy(user)))
        flags = (
            *(f"--audit-policy-file={policy}", f"--audit-log-path={log}"),
            "--audit-log-mode=blocking",
        )
        yield Asked(flags, log)


def _policy(user: str) -> dict[str, object]:
    # A watch is told of when it begins, anything else when it is answered; so each once.
    once = {"level": "Metadata", "users": [user]}
    return {
        "apiVersion": "audit.k8s.io/v1",
        "kind": "Policy",
        "rules": [
            {**once, "verbs": ["watch"], "omitStages": ["RequestReceived", "ResponseComplete"]},
            {**once, "omitStages": ["RequestReceived", "ResponseStarted"]},
            {"level": "None"},
        ],
    }


def _named(event: dict[str, object]) -> tuple[str, str]:
    about = event.get("objectRef")
    words = about if isinstance(about, dict) else {}
    resource = (
        "/".join(str(words[key]) for key in ("resource", "subresource") if words.get(key))
        or str(event["requestURI"]).partition("?")[0]
    )
    by = re.match(r"helm|python-requests|kopf", str(event.get("userAgent", "")), re.IGNORECASE)
    return str(event["verb"]), f"{resource} (helm)" if by and by[0].lower() == "helm" else resource
