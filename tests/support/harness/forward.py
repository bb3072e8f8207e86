"""A local port that leads to a Service in the cluster, and comes back when the pod behind it goes.

`kubectl port-forward` holds on to one pod and ends with it. Airflow's webserver is replaced in the
middle of what the tests look at, so a user of a port asks for its address before each request and
reports a request that failed.
"""

from __future__ import annotations

import re
import subprocess
import threading
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

from harness.shell import HarnessError

_READY = re.compile(r"Forwarding from 127\.0\.0\.1:(\d+)")
_START_SECONDS = 15.0


class PortForward:
    """`kubectl port-forward` to one Service, started when first used and again after `renew`.

    Args:
        kubectl: the words that run kubectl against the cluster.
        namespace: of the Service.
        target: such as `svc/minio`.
        port: of the Service.
    """

    def __init__(
        self, kubectl: Sequence[str | Path], namespace: str, target: str, port: int
    ) -> None:
        self._command = [
            *(str(word) for word in kubectl),
            *("--namespace", namespace, "port-forward", "--address", "127.0.0.1"),
            *(target, f":{port}"),
        ]
        self._what = f"{namespace}/{target}:{port}"
        self._process: subprocess.Popen[str] | None = None
        self._address = ""

    def __enter__(self) -> PortForward:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def address(self) -> str:
        """`127.0.0.1:PORT`, from a process that was running a moment ago.

        Raises:
            HarnessError: the forward could not be set up: for example, no ready pod behind the
                Service.
        """
        if self._process is None or self._process.poll() is not None:
            self.close()
            self._start()
        return self._address

    def renew(self) -> None:
        """Forget the present process: the next `address` starts another, to a pod that is ready."""
        self.close()

    def close(self) -> None:
        """End the process, if there is one."""
        process, self._process = self._process, None
        if process is None:
            return
        process.terminate()
        try:
            process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if process.stdout is not None:
            process.stdout.close()

    def _start(self) -> None:
        process = subprocess.Popen(
            self._command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._process = process
        if process.stdout is None:
            raise AssertionError("stdout was asked for")
        # A connection that hangs must not hang the caller: the process is ended instead.
        watchdog = threading.Timer(_START_SECONDS, process.terminate)
        watchdog.start()
        said: list[str] = []
        try:
            for line in process.stdout:
                said.append(line)
                if match := _READY.search(line):
                    self._address = f"127.0.0.1:{match.group(1)}"
                    break
            else:
                self.close()
                raise HarnessError(f"port-forward to {self._what}: {''.join(said).strip()}")
        finally:
            watchdog.cancel()
        # Later lines ("Handling connection for ...") would fill the pipe.
        threading.Thread(target=_drain, args=[process], daemon=True).start()


def _drain(process: subprocess.Popen[str]) -> None:
    try:
        for _ in process.stdout or ():
            pass
    except ValueError:
        # Closed by `close` meanwhile.
        return
