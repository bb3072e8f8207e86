"""Whether somebody listens at an abstract socket."""

import time
from pathlib import Path

_LISTENS = "00010000"
"""The flag __SO_ACCEPTCON, as /proc/net/unix prints it: a name that is only bound refuses."""


def wait_until_it_listens(name: str, seconds: float = 60) -> None:
    """Return once somebody listens at a name, given without its leading NUL.

    Raises:
        AssertionError: nobody did in that time.
    """
    deadline = time.monotonic() + seconds
    while not _listens(f"@{name}"):
        assert time.monotonic() < deadline, f"nobody listens at {name}"
        time.sleep(0.02)


def _listens(shown: str) -> bool:
    lines = Path("/proc/net/unix").read_text().splitlines()
    return any(line.split()[3] == _LISTENS and line.endswith(f" {shown}") for line in lines[1:])
