"""Packs the probe into one file: `python -m xcom_probe.build OUT.pyz`. Not part of that file.

The same sources give the same bytes on every machine: entries are sorted, times and modes are
fixed, nothing is compiled, and the data is stored as it is, because the output of a compressor
depends on its library's version (and importing is quicker so).
"""

from __future__ import annotations

import hashlib
import sys
import zipfile
from pathlib import Path
from typing import Iterator

import xcom_static

# The oldest time that a zip file can hold.
_TIME = (1980, 1, 1, 0, 0, 0)
_MAIN = b"from xcom_probe.main import entry\n\nentry()\n"
# Tools for this repository, which have nothing to do in a pod.
_LEFT_OUT = frozenset({"xcom_probe/build.py", "xcom_static/audit/docs.py"})
# A ConfigMap holds 1 MiB, and etcd takes requests of 1.5 MiB, where base64 takes a third more.
_LIMIT = 768 * 1024


def build(out: Path) -> str:
    """Write the zipapp to `out` and return its sha256 in hex.

    Raises:
        OSError: `out` cannot be written.
        ValueError: the result would be too large for a ConfigMap.
    """
    out.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as archive:
        for name, content in sorted(_entries()):
            entry = zipfile.ZipInfo(name, _TIME)
            # The default depends on the platform that builds.
            entry.create_system = 3
            entry.external_attr = 0o100644 << 16
            archive.writestr(entry, content)
    data = out.read_bytes()
    if len(data) > _LIMIT:
        raise ValueError(f"{out} has {len(data)} bytes; the limit is {_LIMIT}")
    return hashlib.sha256(data).hexdigest()


def _entries() -> Iterator[tuple[str, bytes]]:
    yield "__main__.py", _MAIN
    for module in (__file__, xcom_static.__file__):
        package = Path(module).parent
        for path in package.rglob("*.py"):
            name = f"{package.name}/{path.relative_to(package).as_posix()}"
            if name not in _LEFT_OUT:
                yield name, path.read_bytes()


def main(arguments: list[str] | None = None) -> int:
    """Build to the path given; print its digest."""
    given = sys.argv[1:] if arguments is None else arguments
    if len(given) != 1:
        sys.stderr.write("usage: python -m xcom_probe.build OUT.pyz\n")
        return 2
    print(f"{build(Path(given[0]))}  {given[0]}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
