"""`xbr` as its users run it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

from harness.paths import REPO


class Xbr:
    """Runs `xbr` as its users do, in a process of its own."""

    def __init__(self, kubeconfig: Path, namespace: str) -> None:
        self.command = [sys.executable, "-m", "xcom_rollout.cli"]
        self.environment = os.environ | {
            "KUBECONFIG": str(kubeconfig),
            "PYTHONPATH": str(REPO / "operator"),
        }
        self.namespace = namespace

    def __call__(self, *arguments: str, stdin: str = "") -> Answer:
        done = subprocess.run(
            [*self.command, "-n", self.namespace, *arguments],
            env=self.environment,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        return Answer(done.returncode, done.stdout, done.stderr)

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [*self.command, "-n", self.namespace, *arguments],
            env=self.environment,
            stdout=subprocess.PIPE,
            text=True,
            # A shell has what it runs in the background ignore it, and children inherit that.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )


class Answer:
    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err

    def __repr__(self) -> str:
        return f"exit {self.code}\n{self.out}\n{self.err}"
