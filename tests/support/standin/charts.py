"""A real chart repository on loopback, with the Airflow chart of the end-to-end tests in it."""

from __future__ import annotations

import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler
from pathlib import Path
from types import TracebackType
from typing import Any

import yaml

from harness import tools
from harness.paths import REPO
from harness.shell import run
from standin.server import Server

CHART = REPO / "tests" / "e2e" / "charts" / "airflow"


class ChartRepository:
    """A context manager: `url` is what `spec.delivery.helm.chart.repository` takes."""

    def __init__(self, folder: Path) -> None:
        """Args: `folder` an empty one, for the packaged chart and the index."""
        self._folder = folder
        self._server = Server(("127.0.0.1", 0), partial(_Quiet, directory=str(folder)))
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.05,), daemon=True
        )
        metadata = yaml.safe_load((CHART / "Chart.yaml").read_text())
        self.name, self.version = str(metadata["name"]), str(metadata["version"])

    @property
    def archive(self) -> Path:
        return self._folder / f"{self.name}-{self.version}.tgz"

    def __enter__(self) -> ChartRepository:
        helm = tools.tool("helm")
        run(helm, "package", CHART, "--destination", self._folder)
        run(helm, "repo", "index", self._folder, "--url", self.url)
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  the name is inherited
        """Say nothing."""
