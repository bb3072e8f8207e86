"""`xbr provenance`: which build the pods of a release have loaded, against a commit."""

import os
import sys
import tempfile
import time
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import click

from xcom_probe.build import build
from xcom_rollout.api.v1alpha1 import IMAGE_LABEL, IMAGE_VARIABLE
from xcom_rollout.cli.options import (
    EXIT_DONE,
    EXIT_GOING_ON,
    EXIT_STALLED,
    EXIT_UNREACHABLE,
    Target,
    common_options,
)
from xcom_rollout.cli.output import echo_lines, lasting, print_json, table, wrapped
from xcom_rollout.cli.session import Session, Unreachable, open_session
from xcom_rollout.clients.errors import ExternalError, Forbidden
from xcom_rollout.clients.kube import KubeApi
from xcom_rollout.clients.memo import Memo
from xcom_rollout.decide.build_verdict import COMMIT, Verdict, short, verdict
from xcom_rollout.decide.executors import proven_components
from xcom_rollout.decide.ledger import BuildSource, Component, Freshness
from xcom_rollout.observe.written import written_for_scheduler
from xcom_rollout.probe.builds import BuildReport, Names, look
from xcom_rollout.release.catalog import config_maps
from xcom_rollout.release.objects import list_workloads

_EXIT: Final = {
    Freshness.FRESH: EXIT_DONE,
    Freshness.STALE: EXIT_STALLED,
    Freshness.MIXED: EXIT_STALLED,
    Freshness.UNKNOWN: EXIT_UNREACHABLE,
}


def _commit(ctx: click.Context, option: click.Parameter, value: str | None) -> str | None:
    del ctx, option
    if value is not None and not COMMIT.fullmatch(value):
        raise click.BadParameter(
            f"{value!r} is not a commit: use 7 to 64 lower-case hexadecimal digits (git rev-parse "
            "HEAD)"
        )
    return value


@click.command()
@click.option("--release", required=True, help="The Airflow release.")
@click.option("--expect", metavar="SHA", callback=_commit, help="The expected commit.")
@click.option(
    "--image-label",
    "labels",
    multiple=True,
    default=(IMAGE_LABEL,),
    show_default=True,
    metavar="NAME",
    help="Annotation or label of the pods that contains the image's commit; repeatable.",
)
@click.option(
    "--image-env",
    "variables",
    multiple=True,
    default=(IMAGE_VARIABLE,),
    show_default=True,
    metavar="NAME",
    help="Environment variable of the containers that contains it; repeatable.",
)
@click.option(
    "--dag", "dags", multiple=True, metavar="DAG_ID", help="Check the tag of this DAG; repeatable."
)
@click.option(
    "--without",
    multiple=True,
    type=click.Choice([str(source) for source in BuildSource]),
    help="What this release does not have, and is not checked; repeatable.",
)
@click.option("--wait", is_flag=True, help="Repeat until the release is fresh.")
@click.option(
    "--timeout",
    type=click.IntRange(min=1),
    default=900,
    show_default=True,
    metavar="SECONDS",
    help="The longest time to wait.",
)
@click.option(
    "--interval",
    type=click.FloatRange(min=0.1),
    default=10.0,
    show_default=True,
    metavar="SECONDS",
    help="Seconds between two checks.",
)
@common_options
def command(
    target: Target,
    release: str,
    expect: str | None,
    labels: tuple[str, ...],
    variables: tuple[str, ...],
    dags: tuple[str, ...],
    without: tuple[str, ...],
    wait: bool,
    timeout: int,
    interval: float,
) -> None:
    """Report which build the pods of an Airflow release have loaded. Nothing is changed.

    Reads the stamp of the DAGs and the commit of the image in every running pod, and the tags
    build=... of the DAGs that Airflow has parsed in the database.

    \b
    Exit codes:
      0  fresh: everything was seen and is the commit of --expect
      1  stale or mixed: something is from another commit
      2  invalid usage
      3  with --wait: still stale or mixed after --timeout
      4  unknown: something could not be seen, or the cluster could not be reached
    """
    if wait and expect is None:
        raise click.UsageError("--wait requires --expect: the commit to wait for")
    sources = tuple(source for source in BuildSource if str(source) not in without)
    if not sources:
        raise click.UsageError("--without leaves nothing to check")
    session = open_session(target)
    probe = _probe()
    deadline = time.monotonic() + timeout
    while True:
        report, trouble = _look(session, probe, release, Names(labels, variables), dags)
        found = verdict(report.readings, expect, sources) if report else None
        done = not wait or (found is not None and found.kind is Freshness.FRESH)
        if done or time.monotonic() + interval >= deadline:
            break
        said = found.reason if found else trouble
        click.echo(f"not yet: {said}", err=True)
        time.sleep(interval)
    if report is None or found is None:
        raise Unreachable(trouble)
    if target.as_json:
        print_json(as_data(report, found, expect, sources))
    else:
        echo_lines(render(report, found, expect))
    late = wait and found.kind in (Freshness.STALE, Freshness.MIXED)
    if late:
        click.echo(f"unchanged after {lasting(timedelta(seconds=timeout))}", err=True)
    sys.exit(EXIT_GOING_ON if late else _EXIT[found.kind])


def render(report: BuildReport, found: Verdict, expect: str | None) -> list[str]:
    """Return the report as lines of text."""
    rows = [
        (
            pod.name,
            pod.component,
            _builds(pod.readings, BuildSource.STAMP),
            _builds(pod.readings, BuildSource.IMAGE),
            pod.note or pod.digest.rpartition("@")[2][:19] or "-",
        )
        for pod in report.pods
    ]
    if report.template:
        rows.append(("(next task)", "worker", "-", _builds(report.template, BuildSource.IMAGE), ""))
    tagged: dict[str, int] = {}
    for seen in report.tags:
        build = short(seen.build) if seen.build else "unknown"
        tagged[build] = tagged.get(build, 0) + 1
    tags = ", ".join(f"{count} of {build}" for build, count in sorted(tagged.items()))
    first, *rest = wrapped(f"{found.kind}: {found.reason}", 98)
    return [
        *table([("POD", "COMPONENT", "DAGS", "IMAGE", "DIGEST OR NOTE"), *rows], indent=0),
        "",
        f"parsed DAGs  {tags or 'none seen'}",
        f"expected     {expect or 'nothing (--expect SHA)'}",
        "",
        first,
        *(f"  {line}" for line in rest),
    ]


def as_data(
    report: BuildReport, found: Verdict, expect: str | None, sources: tuple[BuildSource, ...]
) -> dict[str, Any]:
    """Return the same as plain JSON data."""
    return {
        "verdict": str(found.kind),
        "reason": found.reason,
        "expected": expect,
        "judged": [str(source) for source in sources],
        "pods": [
            {
                "name": pod.name,
                "component": pod.component,
                "image": pod.image,
                "digest": pod.digest,
                "note": pod.note,
                "readings": _data(pod.readings),
            }
            for pod in report.pods
        ],
        "taskTemplate": _data(report.template),
        "tags": _data(report.tags),
        "other": _data(found.other),
        "unknown": _data(found.unknown),
    }


def _data(readings: Any) -> list[dict[str, Any]]:
    return [
        {"source": str(seen.source), "where": seen.where, "build": seen.build, "why": seen.why}
        for seen in readings
    ]


def _builds(readings: Any, source: BuildSource) -> str:
    builds = {
        short(seen.build) if seen.build else "unknown" for seen in readings if seen.source is source
    }
    return "/".join(sorted(builds)) or "-"


def _probe() -> bytes:
    named = os.environ.get("XBR_PROBE")
    if named:
        return Path(named).read_bytes()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "xcom_probe.pyz"
        build(path)
        return path.read_bytes()


def tasks_have_pods(api: KubeApi, namespace: str, release: str) -> bool:
    """Whether the scheduler's configured executor creates task pods in addition to workers.

    Raises:
        KubeError: the cluster could not be asked.
    """
    workloads = list_workloads(api, namespace, release)
    written = written_for_scheduler(workloads, config_maps(api, Memo(), namespace))
    return Component.TASK_POD in proven_components(written.executor)


def _look(
    session: Session, probe: bytes, release: str, names: Names, dags: tuple[str, ...]
) -> tuple[BuildReport | None, str]:
    """Return the report; where the cluster cannot be asked, None and the reason."""
    api, namespace = KubeApi(session.kube), session.namespace
    try:
        own = tasks_have_pods(api, namespace, release)
        report = look(api, probe, namespace, release, names, dags, task_pods=own)
    except Forbidden as problem:
        raise Unreachable(f"your permissions are not sufficient: {problem.message}") from problem
    except ExternalError as problem:
        return None, problem.message
    if not report.pods:
        return None, (
            f"no pod of the release {release!r} runs in the namespace {session.namespace!r}; "
            "pods are found by the labels of Airflow's chart"
        )
    return report, ""
