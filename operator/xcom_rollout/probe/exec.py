"""The probe as a process inside a running pod."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from xcom_rollout.clients.kube import KubeApi
from xcom_rollout.probe.result import find_result

CONCURRENCY: Final = 4
"""Pods to inspect at a time."""
TIMEOUT: Final = 60.0
"""Seconds for one pod; importing Airflow alone takes a few."""

# The data for a process in a pod is sent to its standard input and stays in memory: the pod's file
# system may be read-only, and nothing shall be left behind in it. The end of standard input cannot
# be detected there, so its length is sent first.
_READ: Final = """
import os, runpy, sys
size = int(sys.argv[1])
data = sys.stdin.buffer.read(size)
if len(data) != size:
    sys.exit("xcom_probe: %d of %d bytes arrived" % (len(data), size))
fd = os.memfd_create("xcom_probe")
with open(fd, "wb", closefd=False) as file:
    file.write(data)
given = "/proc/self/fd/%d" % fd
"""
BOOTSTRAP: Final = f"""{_READ}
sys.argv = ["xcom_probe", *sys.argv[2:]]
runpy.run_path(given, run_name="__main__")
"""
"""Runs the zipapp that it is given."""
WAITING: Final = f"""{_READ}
import array, json, socket
probe, words = sys.argv[2], sys.argv[3:]
host = os.environ.get("HOSTNAME", "")
with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as waiting:
    try:
        number = os.stat("/proc/self/ns/mnt").st_ino
        waiting.connect("\\0xcom_probe-%d-%s" % (number, host))
    except OSError:
        if size:
            os.set_inheritable(fd, True)
            words += ["--runs-file", given]
        os.execv(sys.executable, ["python", probe, *words])
    files = array.array("i", [1, 2, fd] if size else [1, 2])
    rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, files)]
    waiting.sendmsg([json.dumps(words).encode()], rights)
    code = waiting.recv(1)
sys.exit(code[0] if code else "xcom_probe: the standby process did not answer")
"""
"""Sends the command to the process that waits in this container (`xcom_probe.waiting`), which
writes to this one's standard output. Where none waits yet, the zipapp is run."""


def ask_probe_in_image(
    api: KubeApi,
    namespace: str,
    pod: str,
    container: str,
    probe: str,
    arguments: Sequence[str],
    *,
    runs: bytes | None,
    timeout: float,
) -> Mapping[str, Any]:
    """Send a command to the probe that waits in a container, and return its result document.

    Args:
        probe: the zipapp's path in the container.
        arguments: with `--markers`, without which its result is not found.
        runs: content of `--runs-file`; None where the command takes none.
        timeout: seconds for everything.

    Raises:
        Forbidden: the right to start processes in pods is missing.
        KubeError: the process could not be started, or did not end in time.
        Malformed: it printed no result.
    """
    given = runs or b""
    command = ("python", "-I", "-S", "-c", WAITING, str(len(given)), probe, *arguments)
    return find_result(api.run(namespace, pod, container, command, given, timeout=timeout))


def ask_probe(
    api: KubeApi,
    namespace: str,
    pod: str,
    container: str,
    probe: bytes,
    arguments: Sequence[str],
    *,
    timeout: float = TIMEOUT,
) -> Mapping[str, Any]:
    """Run the probe, a zipapp, in a container and return its result document.

    Args:
        arguments: for the probe; with `--markers`, without which its result is not found.
        timeout: seconds for everything.

    Raises:
        Forbidden: the right to start processes in pods is missing.
        KubeError: the process could not be started, or did not end in time.
        Malformed: it printed no result.
    """
    command = ("python", "-c", BOOTSTRAP, str(len(probe)), *arguments)
    return find_result(api.run(namespace, pod, container, command, probe, timeout=timeout))
