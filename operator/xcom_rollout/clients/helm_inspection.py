"""Inspects a manifest between helm's rendering and applying, as helm's post renderer.

The post renderer is a process that helm starts. It asks this process through a socket in a folder
that only this user may enter: a manifest contains secrets, and none of it is written to a disk.
"""

import contextlib
import socket
import sys
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Final

from xcom_rollout.clients.errors import NotInspected

_ALLOWED: Final = b"1"
_POST_RENDERER: Final = f"""
import socket, sys
manifest = sys.stdin.buffer.read()
with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as judge:
    judge.connect(sys.argv[1])
    judge.sendall(manifest)
    judge.shutdown(socket.SHUT_WR)
    if judge.recv(1) != {_ALLOWED!r}:
        sys.exit("the manifest was rejected")
sys.stdout.buffer.write(manifest)
"""


class Inspection:
    """Calls a function with the manifest of one helm command, before helm applies it.

    Attributes:
        seen: whether a manifest was inspected and allowed.
        refused: what the function raised; None where it raised nothing.

    Raises:
        NotInspected: the path of the running Python is not known.
    """

    def __init__(self, inspect: Callable[[str], None]) -> None:
        if not sys.executable:
            # Helm reads an empty post renderer as none, and would apply without inspection.
            raise NotInspected("sys.executable is empty, so helm can be given no post renderer")
        self._inspect = inspect
        self.seen = False
        self.refused: Exception | None = None
        self._folder = tempfile.TemporaryDirectory(prefix="helm-")
        self._path = str(Path(self._folder.name) / "judge")
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._thread = threading.Thread(target=self._judge, name="helm-inspection", daemon=True)

    @property
    def arguments(self) -> tuple[str, ...]:
        """Arguments of the helm command."""
        words = ("-I", "-S", "-c", _POST_RENDERER, self._path)
        given = (("--post-renderer-args", word) for word in words)
        return ("--post-renderer", sys.executable, *(word for pair in given for word in pair))

    def __enter__(self) -> "Inspection":
        self._listener.bind(self._path)
        self._listener.listen(1)
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        # Wakes the thread where helm has ended without connecting.
        self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._listener.close()
        self._folder.cleanup()

    def _judge(self) -> None:
        try:
            caller, _ = self._listener.accept()
        except OSError:
            return
        with caller:
            manifest = bytearray()
            while part := caller.recv(1 << 20):
                manifest += part
            try:
                self._inspect(manifest.decode())
            except Exception as refused:  # noqa: BLE001 - raised again where helm was started
                self.refused = refused
                return
            self.seen = True
            with contextlib.suppress(OSError):  # helm has ended, which is reported elsewhere
                caller.sendall(_ALLOWED)
