"""Ports for servers: one for each, in all processes of this machine."""

from __future__ import annotations

import os
import subprocess
import sys

from harness.ports import free_port

# Asks for ports, tells them, and lives until its input ends.
_OTHER = (
    "import sys; from harness.ports import free_port; "
    "print(*(free_port() for _ in range(20)), flush=True); sys.stdin.read()"
)


def test_no_port_is_given_twice_while_the_one_that_has_it_lives() -> None:
    own = {free_port() for _ in range(20)}
    with subprocess.Popen(
        [sys.executable, "-c", _OTHER],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    ) as process:
        assert process.stdout is not None
        others = {int(port) for port in process.stdout.readline().split()}
        own |= {free_port() for _ in range(20)}
    assert (len(own), len(others)) == (40, 20)
    assert not own & others
