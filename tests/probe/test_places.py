"""Places it has to run in: a read-only container without a shell, and a process's memory."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from probe_world import ALONE, PATH, THRESHOLD, Answer, Pod
from xcom_rollout.probe.exec import BOOTSTRAP

pytestmark = pytest.mark.airflow

# As documented in docs/probe.md: the zipapp comes through standard input and touches no disk.
STREAMED = (
    "import os,runpy,sys;"
    "fd=os.memfd_create('xcom_probe.pyz');"
    "f=os.fdopen(fd,'wb',closefd=False);f.write(sys.stdin.buffer.read());f.flush();"
    "sys.argv[0]='/proc/self/fd/%d'%fd;"
    "runpy.run_path(sys.argv[0],run_name='__main__')"
)

# A mount namespace of its own in which every file system is read-only, then a user that owns
# nothing. It keeps the right to read, because the environment may lie below a private home.
READ_ONLY = (
    "import ctypes,os,sys\n"
    "libc=ctypes.CDLL(None,use_errno=True)\n"
    "def call(ok,what):\n"
    "    if ok!=0: sys.exit('%s: %s'%(what,os.strerror(ctypes.get_errno())))\n"
    "call(libc.unshare(0x00020000),'unshare')\n"
    "MS_RDONLY,MS_REMOUNT,MS_BIND,MS_REC,MS_PRIVATE=1,32,4096,16384,1<<18\n"
    "call(libc.mount(None,b'/',None,MS_REC|MS_PRIVATE,None),'private')\n"
    "for line in open('/proc/self/mounts').read().splitlines():\n"
    "    where=line.split()[1].encode().decode('unicode_escape')\n"
    "    if not where.startswith(('/proc','/dev','/sys')):\n"
    "        libc.mount(None,where.encode(),None,MS_REMOUNT|MS_BIND|MS_RDONLY,None)\n"
    "os.execvp('setpriv',['setpriv','--reuid=65534','--regid=65534','--clear-groups',"
    "'--inh-caps=-all,+dac_read_search','--ambient-caps=-all,+dac_read_search']+sys.argv[1:])\n"
)


def streamed(pod: Pod, how: tuple[str, ...], *arguments: str) -> Answer:
    """Run the zipapp from the memory of a Python process, as `kubectl exec -i` would."""
    done = subprocess.run(
        [*ALONE, pod.python, "-c", *how, *arguments],
        input=pod.pyz.read_bytes(),
        env=pod.env,
        capture_output=True,
        check=False,
        timeout=120,
    )
    return Answer(done.returncode, done.stdout.decode(), done.stderr.decode())


@pytest.mark.parametrize("by", ["hand", "operator"])
def test_streamed_into_memory(pod: Pod, by: str) -> None:
    size = str(pod.pyz.stat().st_size)
    how = (STREAMED,) if by == "hand" else (BOOTSTRAP, size)
    answer = streamed(pod, how, "inspect", "--expect-backend", "ObjectStorage", "--json")
    assert answer.code == 0, answer.stderr
    assert set(answer.checks("pass")) == {"backend-loaded"}
    assert streamed(pod, how, "census", "--base", PATH, "--json").result["runs"] == []


@pytest.mark.skipif(os.geteuid() != 0, reason="a mount namespace takes root")
def test_read_only_and_without_rights(pod: Pod) -> None:
    """The container security context that the operator's Jobs have."""
    home = Path(pod.env["AIRFLOW_HOME"])
    before = sorted(home.rglob("*"))
    prefix: list[str | Path] = [pod.python, "-c", READ_ONLY]
    check = "import os;print(os.geteuid(),os.access('/tmp',os.W_OK))"
    seen = subprocess.run(
        [*prefix, pod.python, "-c", check],
        env=pod.env,
        capture_output=True,
        text=True,
        check=False,
    )
    assert seen.stdout.split() == ["65534", "False"], seen.stderr
    arguments = ["--functional-s3", "--expect-path", PATH, "--expect-threshold", str(THRESHOLD)]
    done = subprocess.run(
        [*prefix, pod.python, pod.pyz, "prove", *arguments, "--json"],
        env=pod.env,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    answer = Answer(done.returncode, done.stdout, done.stderr)
    assert answer.failing() == set(), answer.stdout + answer.stderr
    assert answer.code == 0
    assert sorted(home.rglob("*")) == before
