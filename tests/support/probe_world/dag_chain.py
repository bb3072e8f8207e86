"""The chain that brings DAGs to Airflow: a repository, the example workflow, git-sync.

Git and the workflow's script are real; of git-sync it is the worktrees and the link.
"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import yaml

from harness.paths import REPO
from harness.shell import run

WORKFLOW = REPO / "docs" / "examples" / "sync-dags-workflow.yaml"
DAG_ID = "diagnostic"
DAG = f"""
from __future__ import annotations

import logging

from airflow.decorators import dag, task

from _common import dag_build_info, dag_loaded_event, dag_version_banner, make_tags

STEPS = {{steps}}


@dag(
    dag_id="{DAG_ID}",
    schedule=None,
    doc_md=dag_version_banner(),
    tags=make_tags("diagnostic", build=dag_build_info()["champollion_sha_short"]),
)
def diagnostic():
    @task
    def compute():
        import worker_code

        dag_loaded_event(logging.getLogger("airflow.task"), "{DAG_ID}")
        return worker_code.compute(STEPS)

    compute()


diagnostic()
"""
GIT = {
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_CONFIG_SYSTEM": "/dev/null",
    "GIT_AUTHOR_NAME": "ana",
    "GIT_AUTHOR_EMAIL": "ana@example.org",
    "GIT_COMMITTER_NAME": "ana",
    "GIT_COMMITTER_EMAIL": "ana@example.org",
}


def git(folder: Path, *arguments: str) -> str:
    return run("git", "-C", folder, *arguments, env=GIT).strip()


class Sources:
    """The repository of DAGs and worker code, the one that git-sync pulls, and the first hop."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.source, self.target = folder / "source", folder / "dags.git"
        (self.source / "dags").mkdir(parents=True)
        git(folder, "init", "--quiet", "--initial-branch=main", "source")
        git(folder, "init", "--quiet", "--bare", "--initial-branch=main", "dags.git")
        (folder / "bin").mkdir()
        xbr = folder / "bin" / "xbr"
        xbr.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m xcom_rollout.cli "$@"\n')
        xbr.chmod(0o755)
        workflow = yaml.safe_load(WORKFLOW.read_text())
        (self.script,) = (
            step["run"]
            for step in workflow["jobs"]["sync"]["steps"]
            if "xbr stamp" in step.get("run", "")
        )
        self._xbr(["vendor", str(self.source / "dags" / "_common.py")])

    def merge(self, steps: int) -> str:
        """Commit a change of the DAG and of the code that it calls; its SHA."""
        (self.source / "dags" / "diagnostic.py").write_text(DAG.format(steps=steps))
        code = f"def compute(steps):\n    assert steps == {steps}\n    return steps\n"
        (self.source / "worker_code.py").write_text(code)
        git(self.source, "add", "--all")
        git(self.source, "commit", "--quiet", "--message", f"{steps} steps")
        return git(self.source, "rev-parse", "HEAD")

    def sync(self) -> None:
        """Run the workflow: its script, where its checkouts would be."""
        work = self.folder / "runner"
        work.mkdir()
        git(work, "clone", "--quiet", str(self.source), "source")
        git(work, "clone", "--quiet", str(self.target), "target")
        path = f"{self.folder / 'bin'}{os.pathsep}{os.environ['PATH']}"
        env = {**GIT, **self._pythonpath(), "PATH": path, "SOURCE": "acme/champollion"}
        run("bash", "-c", self.script, cwd=work, env=env)
        shutil.rmtree(work)

    def build(self, sha: str, image: Path) -> None:
        """Make an image: the worker code of a commit."""
        image.mkdir(parents=True)
        (image / "worker_code.py").write_text(git(self.source, "show", f"{sha}:worker_code.py"))

    def _xbr(self, arguments: list[str]) -> None:
        run(self.folder / "bin" / "xbr", *arguments, env=self._pythonpath())

    @staticmethod
    def _pythonpath() -> dict[str, str]:
        return {"PYTHONPATH": str(REPO / "operator")}


class Volume:
    """What git-sync keeps: a repository, a worktree for each commit, a link to the newest."""

    def __init__(self, folder: Path, remote: Path) -> None:
        self.folder = folder
        git(folder.parent, "clone", "--quiet", "--bare", str(remote), str(folder / ".git"))
        self.pull()

    @property
    def dags(self) -> Path:
        return self.folder / "repo" / "dags"

    def pull(self) -> None:
        """Fetch, check out, move the link in one step, remove the previous tree."""
        repository, link = self.folder / ".git", self.folder / "repo"
        git(repository, "fetch", "--quiet", "origin", "+main:refs/synced")
        sha = git(repository, "rev-parse", "refs/synced")
        before = link.resolve() if link.is_symlink() else None
        tree = self.folder / ".worktrees" / sha
        if tree == before:
            return
        git(repository, "worktree", "add", "--quiet", "--detach", str(tree), sha)
        turned = self.folder / "repo.new"
        turned.symlink_to(Path(".worktrees") / sha)
        turned.replace(link)
        if before is not None:
            git(repository, "worktree", "remove", "--force", str(before))
