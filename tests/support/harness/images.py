"""Building the images that run in the cluster, with no image registry at hand.

Two builders make the same images from the same Containerfiles:

- `buildah`: Debian as root. The root file system comes from debootstrap; no registry is asked.
- `docker`: anywhere Docker runs; the root is the official `debian` image.

`IMAGE_BUILDER` chooses; by default it is buildah for root on Debian, else docker. The result is
cached as `images/<name>-<hash>.tar` (a docker-archive) in the cache folder and carries the hash as
its tag, so a changed image is another image, and pods that use it roll.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from harness import debian
from harness.image_context import DEBIAN, DEBIAN_SUITE, image_key, read_context
from harness.paths import IMAGES, cache_dir
from harness.say import step
from harness.shell import CommandError, HarnessError, locked, run

_BUILDER_PACKAGES = ("buildah", "debootstrap")
# Where a build sees this machine's certificate authorities; never part of the image.
_CA_IN_BUILD = "/run/build-ca.crt"
_CA_VARIABLES = ("SSL_CERT_FILE", "PIP_CERT", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
# How this machine reaches its package registries.
_REGISTRY_VARIABLES = (
    "PIP_INDEX_URL",
    "PIP_EXTRA_INDEX_URL",
    "UV_INDEX_URL",
    "UV_DEFAULT_INDEX",
    "http_proxy",
    "https_proxy",
    "no_proxy",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
)


@dataclass(frozen=True)
class Image:
    """A built image.

    Attributes:
        name: the folder's name below tests/e2e/images.
        ref: what a pod's `image:` says; use it with `imagePullPolicy: IfNotPresent`.
        archive: a docker-archive that holds it under that name.
    """

    name: str
    ref: str
    archive: Path


def image(name: str) -> Image:
    """The image as it would be built now, whether or not it exists yet."""
    key = image_key(name, IMAGES, builder())
    archive = cache_dir() / "images" / f"{name}-{key}.tar"
    return Image(name, f"localhost/xcom-rollout/{name}:{key}", archive)


def build(name: str) -> Image:
    """Build the image, and its bases, unless they are cached.

    Raises:
        HarnessError: a wrong declaration, a failing build, or no builder on this machine.
    """
    wanted = image(name)
    if wanted.archive.exists():
        return wanted
    with locked("images"):
        if not wanted.archive.exists():
            wanted.archive.parent.mkdir(exist_ok=True)
            _build(wanted)
    return wanted


def _build(wanted: Image) -> None:
    context = read_context(wanted.name, IMAGES)
    base = _base(context.base)
    with (
        tempfile.TemporaryDirectory(prefix=f"image-{wanted.name}-", dir=cache_dir()) as folder,
        step(f"building image {wanted.name} with {builder()}"),
    ):
        context.write(Path(folder))
        arguments = {**context.arguments, **({"BASE": base} if base else {})}
        if builder() == "buildah":
            _bud(wanted.ref, Path(folder), arguments)
        else:
            _docker_build(wanted.ref, Path(folder), arguments)
        _export(wanted)


def _base(name: str | None) -> str | None:
    """The reference of the base, which exists in the builder's storage afterwards."""
    if name is None:
        return None
    if name == DEBIAN:
        return _debian()
    wanted = image(name)
    if not wanted.archive.exists():
        _build(wanted)
    elif not _in_storage(wanted.ref):
        if builder() == "buildah":
            run(*_buildah(), "pull", f"docker-archive:{wanted.archive}")
        else:
            run("docker", "load", "-i", wanted.archive)
    return wanted.ref


def _debian() -> str:
    if builder() == "docker":
        return f"debian:{DEBIAN_SUITE}-slim"
    ref = image_ref_of_debian()
    if _in_storage(ref):
        return ref
    debian.install(_BUILDER_PACKAGES)
    mirrors = debian.sources()
    with (
        tempfile.TemporaryDirectory(prefix="image-debian-", dir=cache_dir()) as folder,
        step(f"debootstrap {DEBIAN_SUITE}"),
    ):
        root, context = Path(folder) / "root", Path(folder) / "context"
        context.mkdir()
        run("debootstrap", "--variant=minbase", DEBIAN_SUITE, root, mirrors[0].uri)
        here = mirrors[0].suite
        lines = [
            debian.Source(m.uri, m.suite.replace(here, DEBIAN_SUITE, 1), m.component).line()
            for m in mirrors
        ]
        (root / "etc/apt/sources.list").write_text("\n".join(lines) + "\n")
        for cached in (root / "var/cache/apt/archives").glob("*.deb"):
            cached.unlink()
        shutil.rmtree(root / "var/lib/apt/lists")
        run("tar", "-C", root, "--one-file-system", "-cf", context / "root.tar", ".")
        (context / "Containerfile").write_text("FROM scratch\nADD root.tar /\n")
        _bud(ref, context, {})
    return ref


def image_ref_of_debian() -> str:
    """The reference of the bare Debian file system in buildah's storage."""
    return f"localhost/xcom-rollout/{DEBIAN}:{image_key(DEBIAN, IMAGES, builder())}"


def _bud(ref: str, context: Path, arguments: dict[str, str]) -> None:
    debian.install(_BUILDER_PACKAGES)
    given = {**arguments, **registry_arguments(os.environ)}
    mounts = []
    bundle = ca_bundle(os.environ)
    if bundle is not None:
        mounts.append(f"{bundle}:{_CA_IN_BUILD}:ro")
        given.update(dict.fromkeys(_CA_VARIABLES, _CA_IN_BUILD))
    for name in ("uv", "pip"):
        (cache_dir() / "wheels" / name).mkdir(parents=True, exist_ok=True)
        mounts.append(f"{cache_dir() / 'wheels' / name}:/root/.cache/{name}")
    wheels = os.environ.get("PIP_FIND_LINKS")
    if wheels is not None and Path(wheels).is_dir():
        mounts.append(f"{wheels}:/run/build-wheels:ro")
        given["PIP_FIND_LINKS"] = "/run/build-wheels"
    run(
        *(*_buildah(), "bud", "--isolation", "chroot", "--network", "host", "--layers"),
        *("--file", context / "Containerfile", "--tag", ref),
        *(word for mount in mounts for word in ("--volume", mount)),
        *(word for key, value in given.items() for word in ("--build-arg", f"{key}={value}")),
        context,
    )


def _docker_build(ref: str, context: Path, arguments: dict[str, str]) -> None:
    given = {**arguments, **registry_arguments(os.environ)}
    run(
        *("docker", "build", "--file", context / "Containerfile", "--tag", ref),
        *(word for key, value in given.items() for word in ("--build-arg", f"{key}={value}")),
        context,
    )


def _export(wanted: Image) -> None:
    partial = wanted.archive.with_suffix(f".{os.getpid()}.partial")
    partial.unlink(missing_ok=True)
    try:
        if builder() == "buildah":
            run(*_buildah(), "push", wanted.ref, f"docker-archive:{partial}:{wanted.ref}")
        else:
            run("docker", "save", "-o", partial, wanted.ref)
        partial.replace(wanted.archive)
    finally:
        partial.unlink(missing_ok=True)


def _in_storage(ref: str) -> bool:
    command = (
        (*_buildah(), "inspect", "--type", "image", ref)
        if builder() == "buildah"
        else ("docker", "image", "inspect", ref)
    )
    try:
        run(*command)
    except CommandError:
        return False
    return True


def _buildah() -> tuple[str | Path, ...]:
    debian.install(_BUILDER_PACKAGES)
    storage = cache_dir() / "buildah"
    return (
        *("buildah", "--root", storage / "root", "--runroot", storage / "run"),
        *("--storage-driver", "overlay"),
    )


@cache
def builder() -> str:
    """`buildah` or `docker`.

    Raises:
        HarnessError: `IMAGE_BUILDER` holds another word, or neither builder can work here.
    """
    asked = os.environ.get("IMAGE_BUILDER", "")
    if asked in ("buildah", "docker"):
        return asked
    if asked:
        raise HarnessError(f"IMAGE_BUILDER is {asked!r}: use buildah or docker")
    if debian.is_root_on_debian():
        return "buildah"
    if shutil.which("docker"):
        return "docker"
    raise HarnessError("images are built by buildah (root on Debian) or by docker; here is neither")


def ca_bundle(environment: Mapping[str, str]) -> Path | None:
    """This machine's own certificate authorities, which a proxy on the way may need."""
    for candidate in (environment.get("SSL_CERT_FILE"), "/etc/ssl/certs/ca-certificates.crt"):
        if candidate and Path(candidate).is_file():
            return Path(candidate)
    return None


def registry_arguments(environment: Mapping[str, str]) -> dict[str, str]:
    """Build arguments that let a build reach packages the way this machine does."""
    return {key: environment[key] for key in _REGISTRY_VARIABLES if environment.get(key)}


def main() -> None:
    """`python -m harness.images NAME...`: build, and print each reference and archive."""
    for name in sys.argv[1:]:
        built = build(name)
        print(built.ref, built.archive)


if __name__ == "__main__":
    main()
