"""Metrics of the transport, sent through Airflow's own Stats (StatsD, OpenTelemetry)."""

from __future__ import annotations

import importlib
import logging
from typing import Any, Protocol

WRITE_DURATION = "xcom_blob.write.duration"
READ_DURATION = "xcom_blob.read.duration"
WRITE_ERRORS = "xcom_blob.write.errors"
READ_ERRORS = "xcom_blob.read.errors"
COHORT_COUNT = "xcom_blob.cohort_count"
COHORT_EXPECTED = "xcom_blob.cohort_expected"
COHORT_INCOMPLETE = "xcom_blob.cohort_incomplete"

# Where Stats lives: Airflow 2.x and 3.0, then later 3.x.
_HOMES = ("airflow.stats", "airflow.sdk.observability.stats", "airflow.observability.stats")


class Metrics(Protocol):
    """What is needed of Airflow's Stats; any object with these methods will do."""

    def incr(self, stat: str) -> Any:
        """Count one."""

    def gauge(self, stat: str, value: float) -> Any:
        """Set a value."""

    def timing(self, stat: str, dt: float) -> Any:
        """Record a duration, in milliseconds."""


class NoMetrics:
    """Outside Airflow there is nobody to send them to."""

    def incr(self, stat: str) -> None:
        """Count nothing."""

    def gauge(self, stat: str, value: float) -> None:
        """Set nothing."""

    def timing(self, stat: str, dt: float) -> None:
        """Record nothing."""


def airflow_metrics() -> Metrics:
    """Airflow's Stats, which itself sends nothing unless it is configured."""
    for home in _HOMES:
        try:
            stats: Metrics = importlib.import_module(home).Stats
        except (ImportError, AttributeError):
            continue
        return stats
    logging.getLogger(__name__).debug("Airflow's Stats is not here; no metrics are sent")
    return NoMetrics()
