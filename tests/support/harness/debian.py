"""What comes from Debian: packages of this machine, and its mirror for root file systems."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from harness.say import step
from harness.shell import CommandError, HarnessError, locked, run

_POLICY = Path("/usr/sbin/policy-rc.d")


def is_root_on_debian() -> bool:
    """Whether this process may install Debian packages and make Debian root file systems."""
    if sys.platform != "linux" or os.geteuid() != 0 or not Path("/etc/debian_version").exists():
        return False
    return "\nID=debian\n" in f"\n{Path('/etc/os-release').read_text()}"


def install(packages: Iterable[str]) -> None:
    """Install the packages that are missing. Services that they bring are not started.

    (The containerd of a cluster is ours, with its own socket; Debian's package would start another
    one, which is harmless but not wanted. After a reboot systemd starts it all the same.)

    Raises:
        HarnessError: packages are missing, and this is not Debian or we are not root.
    """
    wanted = list(packages)
    if not _missing(wanted):
        return
    # apt refuses to run beside another one.
    with locked("apt"):
        missing = _missing(wanted)
        if not missing:
            return
        remedy = f"apt-get install {' '.join(missing)}"
        if not Path("/usr/bin/apt-get").exists():
            raise HarnessError(
                f"missing on this machine, which has no apt-get: {', '.join(missing)}"
            )
        if os.geteuid() != 0:
            raise HarnessError(f"Debian packages are missing; run as root: {remedy}")
        with step(remedy), _no_service_started():
            try:
                _apt_install(missing)
            except CommandError:
                # Package lists that are old or empty are the usual cause.
                run("apt-get", "update")
                _apt_install(missing)


def _apt_install(packages: list[str]) -> None:
    run(
        *("apt-get", "install", "-y", "--no-install-recommends", *packages),
        env={"DEBIAN_FRONTEND": "noninteractive"},
    )


def _missing(packages: Iterable[str]) -> list[str]:
    return [name for name in packages if not _installed(name)]


def _installed(package: str) -> bool:
    status = run("dpkg-query", "-W", "-f", "${db:Status-Status}", package, check=False)
    return status.strip() == "installed"


@contextmanager
def _no_service_started() -> Iterator[None]:
    try:
        _POLICY.touch(mode=0o755, exist_ok=False)
    except FileExistsError:
        # The machine has a policy of its own.
        yield
        return
    try:
        _POLICY.write_text("#!/bin/sh\nexit 101\n")
        yield
    finally:
        _POLICY.unlink()


@dataclass(frozen=True)
class Source:
    """One suite of a Debian mirror, as in a line of sources.list."""

    uri: str
    suite: str
    component: str

    def line(self) -> str:
        """The line for sources.list."""
        return f"deb {self.uri} {self.suite} {self.component}"


def sources() -> list[Source]:
    """The Debian suites that this machine's own apt uses, its main suite first.

    Raises:
        HarnessError: no apt here, or it knows no Debian.
    """
    form = "$(REPO_URI)|$(RELEASE)|$(COMPONENT)|$(ORIGIN)"
    command = ("apt-get", "indextargets", "--format", form, "Created-By: Packages")
    listed = run(*command)
    if not parse_sources(listed):
        # Origin and the like are known only once the lists were fetched.
        run("apt-get", "update")
        listed = run(*command)
    found = parse_sources(listed)
    if not found:
        raise HarnessError(
            f"apt on this machine knows no Debian suite; `apt-get indextargets` says:\n{listed}"
        )
    return found


def parse_sources(listed: str) -> list[Source]:
    """Read lines of `uri|suite|component|origin`; keep Debian's `main`, the plain suite first."""
    found: dict[Source, None] = {}
    for line in listed.splitlines():
        parts = line.split("|")
        if len(parts) != 4:
            continue
        uri, suite, component, origin = parts
        if origin == "Debian" and component == "main":
            found[Source(uri.rstrip("/"), suite, component)] = None
    return sorted(found, key=lambda source: ("-" in source.suite, source.suite))
