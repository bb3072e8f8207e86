"""Running programs: an argument list in, text out, an error that shows what the program said."""

from __future__ import annotations

import fcntl
import os
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from harness.paths import cache_dir

# A failing build prints thousands of lines; the cause is at the end.
_TAIL_CHARACTERS = 6000


class HarnessError(Exception):
    """The harness cannot go on; the message says why and what to do."""


class CommandError(HarnessError):
    """A program ended with another code than 0.

    Attributes:
        code: the exit code.
        output: all that it printed, standard error last.
    """

    def __init__(self, command: Sequence[str], code: int, output: str) -> None:
        self.code = code
        self.output = output
        super().__init__(
            f"`{' '.join(command)}` ended with code {code}:\n{output[-_TAIL_CHARACTERS:].rstrip()}"
        )


def run(
    *command: str | Path,
    stdin: str | None = None,
    check: bool = True,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    timeout: float | None = None,
) -> str:
    """Run a program and return its standard output.

    Args:
        command: program and arguments.
        stdin: text for its standard input; nothing can be read from it when None.
        check: raise if the exit code is not 0; otherwise return standard output and error together.
        cwd: folder to run in.
        env: variables to add to this process's own.
        timeout: seconds.

    Raises:
        CommandError: `check` and the exit code is not 0.
        HarnessError: the program does not exist, or took longer than `timeout`.
    """
    words = [str(word) for word in command]
    try:
        done = subprocess.run(
            words,
            input=stdin if stdin is not None else "",
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
            cwd=cwd,
            env={**os.environ, **env} if env is not None else None,
            timeout=timeout,
        )
    except FileNotFoundError as error:
        raise HarnessError(f"`{words[0]}` is not on this machine: install it first") from error
    except subprocess.TimeoutExpired as error:
        raise HarnessError(f"`{' '.join(words)}` did not end within {timeout} s") from error
    if check and done.returncode != 0:
        raise CommandError(words, done.returncode, done.stdout + done.stderr)
    return done.stdout if check else done.stdout + done.stderr


@contextmanager
def locked(name: str) -> Iterator[None]:
    """Let one process at a time into the block; `name` is a file name in the cache folder."""
    folder = cache_dir() / "locks"
    folder.mkdir(exist_ok=True)
    with (folder / name).open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
