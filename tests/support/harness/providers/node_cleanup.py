"""Finding and removing what a node leaves on a machine, from the machine's own records."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

from harness.processes import ProcessId, identify, stop
from harness.shell import HarnessError, run
from harness.waiting import wait_for

_CGROUPS = Path("/sys/fs/cgroup")
_SHARES = (("cpu.weight", "2000"), ("cpu.shares", "20480"))
"""Files of v2 and v1, and twenty times what another process has."""
_RECORD = "absent-before.json"
# Made by the kubelet, containerd and the CNI plugins wherever their own folders are.
_FOREIGN = tuple(
    Path(path)
    for path in (
        *("/var/lib/kubelet", "/var/log/containers", "/var/log/pods", "/var/lib/cni"),
        *("/usr/libexec/kubernetes", "/run/containerd", "/opt/containerd"),
    )
)


def cgroup_roots() -> list[Path]:
    """The mount points under which a cgroup path exists: one on v2, one per controller on v1."""
    if (_CGROUPS / "cgroup.controllers").exists():
        return [_CGROUPS]
    return sorted(path for path in _CGROUPS.iterdir() if path.is_dir() and not path.is_symlink())


def make_cgroup(path: str) -> None:
    """Make the cgroup in every hierarchy; on v2 with every controller that the root offers.

    It gets its share of the processors before what else runs here: all pods together would
    otherwise count as much as one other process, and starve beside a compiler.
    """
    for root in cgroup_roots():
        if (root / "cgroup.controllers").exists():
            _delegate(root)
        folder = root / path.lstrip("/")
        folder.mkdir(exist_ok=True)
        if root.name == "cpuset":
            # A new cpuset is empty on v1, and nothing can run in an empty one.
            for name in ("cpuset.cpus", "cpuset.mems"):
                if not (folder / name).read_text().strip():
                    (folder / name).write_text((root / name).read_text())
        for name, share in _SHARES:
            if (folder / name).exists():
                (folder / name).write_text(share)


def _delegate(root: Path) -> None:
    for controller in (root / "cgroup.controllers").read_text().split():
        try:
            (root / "cgroup.subtree_control").write_text(f"+{controller}")
        except OSError:
            # The kubelet names the ones that it misses.
            continue


def kill_cgroup(path: str) -> None:
    """Kill every process in the cgroup and below, and remove the cgroup.

    Raises:
        WaitTimeoutError: processes or groups are still there after 20 s.
    """
    tops = [root / path.lstrip("/") for root in cgroup_roots()]

    def empty() -> bool:
        pids = {pid for top in tops for pid in _members(top)}
        for pid in pids:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        if pids:
            raise HarnessError(f"still in {path}: {sorted(pids)}")
        return True

    wait_for(f"cgroup {path} to be empty", empty, 20, interval=0.05)

    def removed() -> bool:
        left = [str(top) for top in tops if top.exists() and not _remove_tree(top)]
        if left:
            raise HarnessError(f"busy: {left}")
        return True

    wait_for(f"cgroup {path} to be removed", removed, 20, interval=0.05)


def _members(top: Path) -> set[int]:
    pids: set[int] = set()
    for folder, _, _ in os.walk(top):
        try:
            pids.update(int(word) for word in (Path(folder) / "cgroup.procs").read_text().split())
        except (FileNotFoundError, OSError):
            continue
    return pids


def _remove_tree(top: Path) -> bool:
    """Remove a tree of folders; False if one holds a file or is busy."""
    for folder, _, _ in os.walk(top, topdown=False):
        try:
            Path(folder).rmdir()
        except FileNotFoundError:
            continue
        except OSError:
            return False
    return True


def stop_shims(socket: Path) -> None:
    """End the shims of the containerd with this socket, and remove their sockets."""
    shims = _shims(str(socket))
    sockets = [path for shim in shims for path in _listening(shim.pid)]
    stop(shims, grace=2)
    for path in sockets:
        path.unlink(missing_ok=True)


def _shims(socket: str) -> list[ProcessId]:
    found = []
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit():
            continue
        try:
            words = (folder / "cmdline").read_bytes().decode(errors="replace").split("\0")
        except (FileNotFoundError, ProcessLookupError):
            continue
        if "containerd-shim" in words[0] and socket in words:
            shim = identify(int(folder.name))
            if shim is not None:
                found.append(shim)
    return found


def _listening(pid: int) -> list[Path]:
    inodes = set()
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        try:
            target = os.readlink(descriptor)
        except FileNotFoundError:
            continue
        if target.startswith("socket:["):
            inodes.add(target[len("socket:[") : -1])
    paths = []
    for line in Path("/proc/net/unix").read_text().splitlines()[1:]:
        fields = line.split()
        if len(fields) == 8 and fields[6] in inodes and fields[7].startswith("/run/containerd/"):
            paths.append(Path(fields[7]))
    return paths


def unmount_below(*folders: Path) -> None:
    """Unmount all that is mounted at or below the folders, the latest first."""
    points = []
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        # Blanks and the like are written as octal escapes (proc(5)).
        point = Path(line.split()[4].encode().decode("unicode_escape"))
        if any(point.is_relative_to(folder) for folder in folders):
            points.append(point)
    for point in reversed(points):
        # Lazily: a killed process may need a moment to let go.
        run("umount", "--lazy", point)


def record_foreign(root: Path) -> None:
    """Note which folders, whose place cannot be set, are not there before the node starts."""
    absent = [str(folder) for folder in _FOREIGN if not folder.exists()]
    (root / _RECORD).write_text(json.dumps(absent))


def forget_foreign(root: Path) -> None:
    """Remove what the node wrote outside its own folders: its files, and folders then empty.

    A folder that was there before, or that something else uses by now, stays.
    """
    for link in Path("/var/log/containers").glob("*"):
        if link.is_symlink() and Path(os.readlink(link)).is_relative_to(root):
            link.unlink()
    # One folder per pod sandbox of our containerd; CNI's cached results carry the same identifier.
    sandboxes = root.glob("containerd/io.containerd.grpc.v1.cri/sandboxes/*")
    ids = {folder.name for folder in sandboxes}
    for result in Path("/var/lib/cni/results").glob("*"):
        if ids.intersection(result.name.split("-")):
            result.unlink()
    record = root / _RECORD
    if not record.exists():
        return
    ours = [Path(text) for text in json.loads(record.read_text())]
    plugins = Path("/var/lib/kubelet/device-plugins")
    if plugins.parent in ours:
        for name in ("DEPRECATION", "kubelet.sock", "kubelet_internal_checkpoint"):
            (plugins / name).unlink(missing_ok=True)
    for folder in ours:
        _remove_tree(folder)
