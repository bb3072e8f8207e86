"""Which build of the DAGs a release has, as the probe reports it in pods and from the database."""

from __future__ import annotations

from dataclasses import dataclass

from standin.kube import Json

FOLDER = "/opt/airflow/dags"
DAG_ID = "pipeline"


@dataclass
class Builds:
    """What a test changes while the rollout looks; the chains that bring builds are its own.

    Attributes:
        stamps: the commit of the DAG folder, by component; the others read no DAGs.
        parsed: the commit that Airflow has parsed.
    """

    stamps: dict[str, str]
    parsed: str

    def answer(self, component: str, arguments: list[str]) -> Json:
        """What the probe's `provenance` answers in a pod of this component."""
        sha = self.stamps.get(component)
        stamp = {
            "folder": FOLDER,
            "resolved": FOLDER if sha else "",
            "sha": sha,
            "syncedAt": None,
            "problem": "" if sha else "there is no such folder",
            "empty": sha is None,
        }
        parsed = [{"dagId": DAG_ID, "builds": [self.parsed]}]
        found: Json = {
            "stamps": [stamp],
            "environment": {},
            "builds": parsed if "--tags" in arguments else None,
        }
        return {"command": "provenance", "verdict": "pass", "provenance": found}
