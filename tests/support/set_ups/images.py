"""Airflow environments with other packages than the pinned ones."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Any

from harness.shell import run
from probe_world import Environment, without_package


def changed(environment: Environment, folder: Path, image: dict[str, Any]) -> Path:
    """A copy without `image["without"]` (module, distribution), with the pins `image["add"]`.

    Returns:
        Its interpreter.
    """
    module, distribution = image["without"]
    python = without_package(environment, folder / "image", module, distribution)
    if "add" in image:
        added = folder / "added"
        run(
            *(sys.executable, "-m", "uv", "pip", "install", "--quiet", "--no-deps"),
            *("--python", environment.python, "--target", added, *image["add"]),
        )
        (site_packages,) = (folder / "image").glob("**/site-packages")
        shutil.copytree(added, site_packages, dirs_exist_ok=True)
    return python
