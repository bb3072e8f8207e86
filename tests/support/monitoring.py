"""Prometheus and statsd_exporter on loopback: from a metric that is sent to an alert that fires."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2

from harness.debian import install
from harness.ports import free_port
from harness.shell import HarnessError
from harness.tools import tool
from harness.waiting import NotYetError, wait_for


def program(name: str) -> Path:
    """`prometheus` or `promtool`; Debian's package is installed if it is missing."""
    if shutil.which(name) is None:
        install(["prometheus"])
    found = shutil.which(name)
    if found is None:
        raise HarnessError(f"{name} is not on PATH")
    return Path(found)


@dataclass(frozen=True)
class Monitoring:
    """What is sent to `statsd_port` (UDP) is scraped every second, and the rules evaluated."""

    statsd_port: int
    endpoint: str

    def ask(self, path: str, **params: str) -> Any:
        """The `data` of an answer of Prometheus' HTTP API.

        Raises:
            NotYetError: it does not answer yet.
        """
        try:
            answer = httpx2.get(f"{self.endpoint}/api/v1/{path}", params=params, timeout=5)
        except httpx2.TransportError as problem:
            raise NotYetError(str(problem)) from problem
        if answer.status_code == httpx2.codes.SERVICE_UNAVAILABLE:
            raise NotYetError(answer.text)
        answer.raise_for_status()
        return answer.json()["data"]

    def values(self, expression: str) -> list[str]:
        """What a query finds now, without its labels."""
        found = self.ask("query", query=expression)["result"]
        return [series["value"][1] for series in found]

    def firing(self) -> dict[str, dict[str, str]]:
        """The annotations of each alert that fires, by its name."""
        return {
            alert["labels"]["alertname"]: alert["annotations"]
            for alert in self.ask("alerts")["alerts"]
            if alert["state"] == "firing"
        }


@contextmanager
def monitoring(folder: Path, rules: Path) -> Iterator[Monitoring]:
    """Start both with a rule file; stop them at the end."""
    folder.mkdir(parents=True)
    statsd, exporter, server = free_port(), free_port(), free_port()
    settings = {
        "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
        "rule_files": [str(rules)],
        "scrape_configs": [
            {"job_name": "airflow", "static_configs": [{"targets": [f"127.0.0.1:{exporter}"]}]}
        ],
    }
    # JSON is YAML.
    (folder / "prometheus.yml").write_text(json.dumps(settings))
    with (
        _running(
            folder / "statsd_exporter.log",
            tool("statsd_exporter"),
            f"--statsd.listen-udp=127.0.0.1:{statsd}",
            "--statsd.listen-tcp=",
            f"--web.listen-address=127.0.0.1:{exporter}",
        ),
        _running(
            folder / "prometheus.log",
            program("prometheus"),
            f"--config.file={folder / 'prometheus.yml'}",
            f"--storage.tsdb.path={folder / 'data'}",
            f"--web.listen-address=127.0.0.1:{server}",
        ),
    ):
        started = Monitoring(statsd, f"http://127.0.0.1:{server}")
        wait_for("Prometheus scrapes", lambda: _scrapes(started), 60)
        yield started


def _scrapes(server: Monitoring) -> bool:
    return server.values("up") == ["1"]


@contextmanager
def _running(log: Path, *command: str | Path) -> Iterator[None]:
    words: Sequence[str | Path] = command
    with log.open("wb") as file:
        process = subprocess.Popen(words, stdout=file, stderr=file)
    try:
        yield
        if process.poll() is not None:
            raise HarnessError(f"{words[0]} ended: {log.read_text()[-2000:]}")
    finally:
        process.terminate()
        process.wait(30)
