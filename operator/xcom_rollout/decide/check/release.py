"""The Helm release: its state, who delivers to it, and which backend it has."""

from collections.abc import Iterable
from typing import Final

from xcom_rollout.decide.check.fleet import held
from xcom_rollout.decide.check.installed import Installed, Part
from xcom_rollout.decide.check.row import Row, change, later, supported, unknown
from xcom_rollout.decide.decision import Progress
from xcom_rollout.decide.observed import Release
from xcom_rollout.decide.release_steps import layout_unknown, no_helm_operation, release_deployed
from xcom_rollout.decide.rollout_table import already_flipped, baseline_known
from xcom_rollout.decide.settings import ABSENT, place_of
from xcom_rollout.decide.situation import Situation, some

_MIB: Final = 1024 * 1024
"""Most bytes of data that Kubernetes accepts in a Secret."""
_ROOM: Final = 16 * 1024
"""Bytes by which the record of the next revision may be larger: the options, the description."""


def release_rows(s: Situation, installed: Installed) -> Iterable[Row]:
    """Report the state of the Helm release, and what a delivery to it encounters."""
    release = s.observed.release
    if release is None:
        yield unknown("Helm release", Part.RELEASE)
        return
    for finding in (no_helm_operation(s), release_deployed(s)):
        if finding.progress is not Progress.DONE:
            yield held("Helm release", finding)
            break
    else:
        yield supported(
            "Helm release",
            f"{installed.release} is deployed at revision {release.revision}; its records are in "
            "Secrets",
        )
    yield _chart_row(s, release)
    yield from _record_rows(installed)


def _chart_row(s: Situation, release: Release) -> Row:
    subject, chart = "chart", f"{release.chart_name} {release.chart_version}"
    if release.layout_problem:
        return held(subject, layout_unknown(s))
    if not release.values_path:
        return supported(
            subject, f"{chart}, which renders airflow.cfg from config.<section>.<option>"
        )
    path = ".".join(release.values_path)
    return supported(
        subject, f"{chart}, which has Airflow's chart as a dependency: its values are below {path}"
    )


def _record_rows(installed: Installed) -> Iterable[Row]:
    record = installed.record
    if record.size > _MIB - _ROOM:
        yield change(
            "size of the record",
            f"Helm's record of the release has {record.size} bytes, and a Secret holds at most "
            f"{_MIB}: the next upgrade may exceed that",
            "remove large files from the chart and its values, such as DAGs in extraConfigMaps",
            reason="NotArmed",
        )
    if record.dependencies:
        yield later(
            "chart dependencies",
            f"{some(record.dependencies)}: Helm's record does not contain these"
            + (f", and {record.dependencies_problem}" if record.dependencies_problem else "")
            + ". The operator's pod pulls the whole chart from its repository, or these from "
            "where Chart.yaml names them, once, before the first delivery",
            "package the chart with its dependencies and set spec.delivery.helm.chart.repository "
            "to its repository",
            reason="NotArmed",
        )
    if record.hooks:
        yield supported(
            "hooks",
            f"{some(record.hooks)}: a delivery skips them, because it does not change the schema",
        )
    if record.plain_jobs:
        yield supported(
            "Jobs",
            f"{some(record.plain_jobs)} (useHelmHooks: false): a delivery creates one again that "
            "its TTL has removed, and it runs during the delivery",
        )


def owner_row(installed: Installed) -> Row:
    subject = "delivery"
    if installed.owner:
        return change(subject, installed.owner, reason="NotArmed")
    if missing := installed.lacks(Part.RELEASE, Part.WORKLOADS):
        return unknown(subject, missing)
    return supported(subject, "by Helm; neither Argo CD nor Flux manages the release")


def backend_rows(s: Situation, installed: Installed) -> Iterable[Row]:
    """Say which backend Airflow has, where that is written, and what a flip writes."""
    subject, release = "XCom backend", s.observed.release
    if release is None:
        yield unknown(subject, Part.RELEASE)
    elif not release.layout_problem:
        yield _backend_row(s, installed, release)
        yield _writes_row(release)
    if missing := installed.lacks(Part.WORKLOADS, Part.CONFIG_MAPS, Part.ENVIRONMENT):
        yield unknown(f"{subject}: environment", missing)
    if installed.by_environment:
        yield change(
            f"{subject}: environment",
            f"{some(installed.by_environment, most=2)}: overrides airflow.cfg, to which the "
            "operator delivers",
            "remove it there (env, extraEnv, secret or extraEnvFrom in the chart's values) and "
            f"set it in {_place(release, 'core.xcom_backend')}",
            reason="ProofFailed",
        )


def _backend_row(s: Situation, installed: Installed, release: Release) -> Row:
    subject, settings = "XCom backend", release.settings
    if not settings.reads_offloaded:
        finding = baseline_known(s)
        if finding.progress is Progress.HELD:
            return held(subject, finding)
        return supported(subject, f"{settings.describe()}; {_written(release)}")
    if missing := installed.lacks(Part.DISCOVERY, Part.ROLLOUTS):
        return unknown(subject, missing)
    rivals = [rival.name for rival in s.observed.rivals]
    if not rivals:
        return held(subject, already_flipped(s))
    return later(
        subject,
        f"{settings.describe()}; xbr check cannot tell whether the rollout {some(rivals)} "
        "delivered it",
        f"see: kubectl xbr status {rivals[0]} -n {installed.namespace}",
        reason="AlreadyFlipped",
    )


def _writes_row(release: Release) -> Row:
    places = [_place(release, option) for option in release.settings.by_option]
    return supported("what a flip writes", f"to the values of the release: {', '.join(places)}")


def _written(release: Release) -> str:
    place = release.backend_place
    _, stood = release.settings.as_written.get(place, (None, None))
    if stood is None:
        return f"{place} sets it"
    if stood == ABSENT:
        by_default = release.settings.backend
        default = f", the chart's default is {by_default}" if by_default else ""
        return f"{place} is not set{default}"
    return f"{place} is {stood}, from which the chart renders this value"


def _place(release: Release | None, option: str) -> str:
    return place_of(option, release.values_path if release else ())


def key_row(installed: Installed) -> Row | None:
    """Report keys that an upgrade would change under running tasks; None where there are none."""
    subject, keys = "Airflow 3 keys", installed.record.unset_keys
    release = installed.observed.release
    if release is None or not keys:
        return None
    places = ", ".join(".".join((*release.values_path, key)) for key in keys)
    remedy = (
        f"set {places} (or the name of your own Secret) to the present value, and upgrade the "
        "release once yourself"
    )
    if installed.record.looks_up:
        found = "the chart may keep the present key, because it looks up a Secret in the cluster"
        return later(subject, f"{places}: not set; {found}", remedy, reason="NotArmed")
    found = "the chart generates a new key at each upgrade, and every running task fails"
    return change(subject, f"{places}: not set, {found}", remedy, reason="NotArmed")


def rule_rows(installed: Installed) -> Iterable[Row]:
    """Report for which kinds of the release the operator's chart grants no right."""
    if missing := installed.lacks(Part.RELEASE, Part.DISCOVERY):
        yield unknown("operator's permissions", missing)
    rules = installed.record.extra_rules
    if rules:
        yield later(
            "operator's permissions",
            f"the release contains {some([rule.objects for rule in rules])}, for which the "
            "operator's chart grants no permission by default",
            "; ".join(rule.remedy for rule in rules),
            reason="NotArmed",
        )


def rollout_rows(s: Situation, installed: Installed) -> Iterable[Row]:
    """Report whether the resource is installed, and whether this release already has a rollout."""
    subject = "rollout"
    if missing := installed.lacks(Part.DISCOVERY, Part.ROLLOUTS):
        yield unknown(subject, missing)
    elif not installed.crd_installed:
        yield later(
            subject,
            "the resource XComBackendRollout is not installed in the cluster",
            "install the operator's chart, or: kubectl xbr crd | kubectl apply --server-side -f -",
        )
    rivals = [rival.name for rival in s.observed.rivals]
    if rivals:
        yield supported(
            subject,
            f"{some(rivals)} already names this release; a second rollout would be refused "
            "(ReleaseOwnedByAnother)",
            f"see: kubectl xbr status {rivals[0]} -n {installed.namespace}",
        )
