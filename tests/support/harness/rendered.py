"""What Helm renders from the Airflow chart of the tests, without a cluster."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

import yaml

from harness import tools
from harness.shell import run
from harness.stack import AIRFLOW_2, AIRFLOW_3, CHART, STACK, Instance, merge

Objects = dict[tuple[str, str], dict[str, Any]]
"""By kind, and name without the release's."""
KEYLESS: dict[Instance, dict[str, Any]] = {
    AIRFLOW_2: {"webserverSecretKey": None, "fernetKey": None},
    AIRFLOW_3: {"jwtSecret": None, "apiSecretKey": None, "fernetKey": None},
}
"""Values of each Airflow that leave its keys to the chart."""


def render(changes: dict[str, Any] | None = None, instance: Instance = AIRFLOW_2) -> Objects:
    """The objects of the chart with the stack's values and `changes`, by kind and name.

    The name is without the release's.
    """
    values: dict[str, Any] = {}
    for file in instance.values:
        merge(values, yaml.safe_load((STACK / file).read_text()))
    merge(values, changes or {})
    return parsed(instance.release, helm_template(instance.release, json.dumps(values)))


@cache
def parsed(release: str, manifest: str) -> Objects:
    """The objects of a manifest; tests read them only."""
    return {
        (item["kind"], item["metadata"]["name"].removeprefix(f"{release}-")): item
        for item in yaml.safe_load_all(manifest)
        if item
    }


@cache
def helm_template(release: str, values: str) -> str:
    """What Helm renders; many tests look at the same."""
    return run(
        *(tools.tool("helm"), "template", release, CHART, "--namespace", release, "-f", "-"),
        stdin=values,
    )
