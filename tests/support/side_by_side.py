"""Which tests stay together where pytest runs several processes (`-n 2`).

A conftest says so by the hook `pytest_xdist_make_scheduler`. (pytest-xdist's own way, the mark
`xdist_group`, has no effect with version 9.2 of pytest: the test's name, by which 3.8 hands it on,
can no longer be changed.)
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling


class Together(LoadScopeScheduling):  # type: ignore[misc]  # it has no types
    """Gives a process all tests of a group; whoever is done takes the next, the largest first.

    Args:
        group: from a test's name, with its file and parameters, to that of its group.
    """

    def __init__(self, config: pytest.Config, log: Any, group: Callable[[str], str]) -> None:
        super().__init__(config, log)
        self._group = group

    def _split_scope(self, nodeid: str) -> str:
        return self._group(nodeid)
