"""The helm command, version 3, as a subprocess."""

import os
import re
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from xcom_rollout.clients.errors import HelmError, NotInspected
from xcom_rollout.clients.helm_inspection import Inspection
from xcom_rollout.clients.memory_file import MemoryFile

TIMEOUT: Final = 60.0
"""Seconds that a helm command may take; with GRACE it stays below the core's DELIVERY_LIMIT."""
GRACE: Final = 20.0
"""Seconds that helm has after SIGTERM: it then still records the release as failed, while SIGKILL
would leave it pending forever."""
_MOST_OUTPUT: Final = 1500
_POST_RENDERER_FAILED: Final = re.compile(r"post[- ]?render", re.IGNORECASE)


@dataclass(frozen=True)
class HelmRunner:
    """Runs helm with all its files below `home`, because the root file system may be read-only.

    Attributes:
        binary: name on PATH or path of helm.
        home: writable folder for its cache, configuration and data.
        global_arguments: arguments of every command, such as the kubeconfig's context.
        environment: variables added to those of this process.
    """

    binary: str
    home: Path
    global_arguments: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)

    def run_inspected(
        self, arguments: Sequence[str], inspect: Callable[[str], None], *, stdin: str | None = None
    ) -> str:
        """Run a command that applies a manifest, and inspect that before it is applied.

        The inspected manifest is the applied one: helm renders once, and passes the result to its
        post renderer, which returns it unchanged or fails; helm has changed nothing by then.

        Args:
            inspect: called with the manifest, in a thread; what it raises stops the command.

        Raises:
            NotInspected: the post renderer did not work, so nothing was applied: no memory for it,
                or a helm 4, which expects the name of a plugin.
            HelmError: as `run`; or helm has applied a manifest without showing it.
            Exception: what `inspect` raised.
        """
        with Inspection(inspect) as inspection:
            try:
                output = self.run((*arguments, *inspection.arguments), stdin=stdin)
            except HelmError as error:
                if inspection.refused is not None:
                    raise inspection.refused from None
                if not inspection.seen and _POST_RENDERER_FAILED.search(error.message):
                    raise NotInspected(error.message) from error
                raise
        if not inspection.seen:
            raise HelmError(f"helm {arguments[0]} applied a manifest without showing it")
        return output

    def run(
        self,
        arguments: Sequence[str],
        *,
        stdin: str | None = None,
        files: Sequence[MemoryFile] = (),
        explains: bool = False,
    ) -> str:
        """Run a command and return what it printed.

        Args:
            stdin: data that must not be in a file, such as the values of a release.
            files: data that it reads by path and that must not be on a disk.
            explains: whether the reason of a failure is in its output, not in its errors.

        Raises:
            HelmError: helm is missing, failed (its output is quoted) or took too long.
        """
        words = [self.binary, *arguments, *self.global_arguments]
        shown = f"helm {arguments[0]}"
        try:
            process = subprocess.Popen(
                words,
                env=self._environment(),
                stdin=subprocess.DEVNULL if stdin is None else subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                pass_fds=[file.descriptor for file in files],
                text=True,
                errors="replace",
            )
        except OSError as error:
            raise HelmError(
                f"cannot start helm ({self.binary}): {error}; set HELM_BIN to the path of helm 3"
            ) from error
        with process:
            try:
                output, errors = process.communicate(input=stdin, timeout=TIMEOUT)
            except subprocess.TimeoutExpired as error:
                process.terminate()
                try:
                    _, errors = process.communicate(timeout=GRACE)
                except subprocess.TimeoutExpired:
                    process.kill()
                    _, errors = process.communicate()
                raise HelmError(
                    f"{shown} took more than {TIMEOUT:.0f} s and was stopped: {_trimmed(errors)}"
                ) from error
        if process.returncode != 0:
            said = _trimmed(f"{output}\n{errors}" if explains else errors)
            raise HelmError(f"{shown} failed: {said or f'exit {process.returncode}'}")
        return output

    def _environment(self) -> dict[str, str]:
        return {
            **os.environ,
            "HELM_CACHE_HOME": str(self.home / "cache"),
            "HELM_CONFIG_HOME": str(self.home / "config"),
            "HELM_DATA_HOME": str(self.home / "data"),
            **self.environment,
        }


def _trimmed(text: str) -> str:
    """Return the end of helm's output, which has the cause, without its warnings."""
    lines = [line.strip() for line in text.splitlines() if not line.startswith("WARNING:")]
    words = " ".join(line for line in lines if line)
    return words if len(words) <= _MOST_OUTPUT else f"... {words[-_MOST_OUTPUT:]}"
