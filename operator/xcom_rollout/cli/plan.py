"""`xbr plan`: what the operator would do next, and why."""

from collections.abc import Callable
from dataclasses import fields, is_dataclass
from datetime import timedelta
from enum import Enum
from typing import TYPE_CHECKING, Any, TypeVar

import click
import yaml

from xcom_rollout.api import names
from xcom_rollout.api.parse import SpecInvalidError, parse_spec
from xcom_rollout.cli.options import (
    EXIT_DONE,
    EXIT_STALLED,
    EXIT_USAGE,
    Target,
    common_options,
)
from xcom_rollout.cli.output import echo_lines, lasting, print_json, table, utc_now, wrapped
from xcom_rollout.cli.session import Session, open_session
from xcom_rollout.clients.errors import KubeError
from xcom_rollout.clients.kube import KubeApi
from xcom_rollout.decide.actions import Report
from xcom_rollout.decide.core import decide
from xcom_rollout.decide.decision import Decision, Progress
from xcom_rollout.decide.ledger import Ledger
from xcom_rollout.decide.observed import Observed, Release, Rollout
from xcom_rollout.stored.rollouts import Raw, read_rollout, rollout_path

if TYPE_CHECKING:
    from xcom_rollout.wiring import Clients

T = TypeVar("T")


class InvalidSpec(click.ClickException):
    exit_code = EXIT_USAGE


@click.command()
@click.argument("name", required=False)
@click.option(
    "-f", "--filename", type=click.File("r"), help="YAML or JSON file; - reads the standard input."
)
@common_options
@click.pass_context
def command(ctx: click.Context, name: str | None, filename: Any, target: Target) -> None:
    """Show what the operator would do next for a rollout, and why. Nothing is changed.

    Give the NAME of a rollout in the cluster, or -f FILE with one that may not exist yet: it is
    validated, also by the API server, and compared with the cluster as it is now.

    Exits with 1 when the rollout would be held, with 2 when its spec is invalid.
    """
    if (name is None) == (filename is None):
        raise click.UsageError("give either the NAME of a rollout or -f FILE")
    if filename is None:
        session = open_session(target)
        raw, source = session.get(str(name)), "the cluster"
    else:
        declared = read_declared(filename.read(), filename.name)
        _check_spec(declared)
        session = open_session(target, declared["metadata"].get("namespace"))
        raw, source = _as_applied(session, declared), filename.name
    decision = look(session, raw)
    if target.as_json:
        print_json(as_data(raw, decision))
    else:
        echo_lines(render(raw, decision, source))
    held = decision.current.finding.progress is Progress.HELD
    ctx.exit(EXIT_STALLED if held else EXIT_DONE)


def read_declared(text: str, source: str) -> Raw:
    """Return the one rollout in the YAML documents of `text`.

    Raises:
        InvalidSpec: it is not valid YAML, or contains none or several.
    """
    try:
        documents = [document for document in yaml.safe_load_all(text) if document is not None]
    except yaml.YAMLError as error:
        raise InvalidSpec(f"{source} is not valid YAML: {error}") from error
    found = [
        document
        for document in documents
        if isinstance(document, dict) and document.get("kind") == names.KIND
    ]
    if len(found) != 1:
        raise InvalidSpec(
            f"{source} contains {len(found)} objects of kind {names.KIND}: give exactly one"
        )
    rollout = found[0]
    if rollout.get("apiVersion") != names.API_VERSION:
        raise InvalidSpec(
            f"apiVersion: {rollout.get('apiVersion')!r}: this xbr supports {names.API_VERSION}"
        )
    metadata = rollout.get("metadata")
    if not isinstance(metadata, dict) or not metadata.get("name"):
        raise InvalidSpec("metadata.name is required: add it")
    return rollout


def look(session: Session, raw: Raw) -> Decision:
    """Return what would be decided about the rollout now.

    Raises:
        InvalidSpec: the spec is not valid.
        Unreachable: the cluster around the rollout cannot be observed.
    """
    return decide(observed(session, raw), utc_now())


def observed(session: Session, raw: Raw) -> Observed:
    """Return what the operator would see of the rollout now, with the rights of the user.

    Raises:
        InvalidSpec: the spec is not valid.
        Unreachable: the cluster around the rollout cannot be observed.
    """
    from xcom_rollout.observe import observe

    return _asked(session, raw, observe)


def released(session: Session, raw: Raw) -> Release | None:
    """Return the current Helm release of the rollout; None where there is none.

    Raises:
        InvalidSpec, Unreachable: as `observed`.
    """
    from xcom_rollout.deliver import delivery_for

    return _asked(session, raw, lambda clients, rollout: delivery_for(clients, rollout).current())


def _asked(session: Session, raw: Raw, ask: Callable[["Clients", Rollout], T]) -> T:
    _check_spec(raw)
    what = f"observe the rollout {raw['metadata']['name']}"
    return session.look(what, lambda clients: ask(clients, read_rollout(raw)))


def render(raw: Raw, decision: Decision, source: str) -> list[str]:
    """Return the decision as lines of text."""
    metadata = raw["metadata"]
    current = decision.current.finding
    lines = [
        f"{metadata['name']} in namespace {metadata['namespace']}, from {source}: "
        f"{decision.phase}. Nothing is changed.",
        "",
    ]
    lines += table(
        [
            (found.step, str(found.finding.progress), found.finding.reason, found.finding.message)
            for found in decision.findings
        ]
    )
    lines.append("")
    if decision.action is not None:
        what = decision.action.describe()
    elif current.progress is Progress.HELD:
        what = "nothing, until somebody acts"
    elif current.progress is Progress.WAITING:
        what = "wait"
    else:
        what = "nothing: every step is done"
    for title, text in (
        ("Next", what),
        ("Why", f"{decision.current.step}: {current.message}"),
        ("Then", f"look again {_after(decision.requeue_after)}"),
    ):
        first, *rest = wrapped(text, 90)
        lines.append(f"{title:<5} {first}")
        lines += [f"      {line}" for line in rest]
    return lines


def as_data(raw: Raw, decision: Decision) -> dict[str, Any]:
    """Return the decision as plain JSON data."""
    action = decision.action
    return {
        "name": raw["metadata"]["name"],
        "namespace": raw["metadata"]["namespace"],
        "phase": decision.phase,
        "findings": [
            {
                "step": found.step,
                "condition": found.condition,
                "progress": str(found.finding.progress),
                "reason": found.finding.reason,
                "message": found.finding.message,
            }
            for found in decision.findings
        ],
        "current": decision.current.step,
        "action": None
        if action is None
        else {
            "type": type(action).__name__,
            "description": action.describe(),
            "arguments": plain(action),
        },
        "requeueAfterSeconds": decision.requeue_after.total_seconds(),
    }


def plain(value: object) -> Any:
    """Return a value made of dataclasses as plain JSON data; long ones only by their name."""
    if isinstance(value, Ledger):
        return "the ledger"
    if isinstance(value, Report):
        return f"the report {value.name}"
    if is_dataclass(value):
        return {field.name: plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, (tuple, list)):
        return [plain(item) for item in value]
    if isinstance(value, (set, frozenset)):
        return sorted(plain(item) for item in value)
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    return str(value)


def _check_spec(raw: Raw) -> None:
    try:
        parse_spec(raw.get("spec"))
    except SpecInvalidError as error:
        problems = "\n".join(f"  {problem}" for problem in error.problems)
        raise InvalidSpec(f"the spec is invalid:\n{problems}") from error


def _as_applied(session: Session, declared: Raw) -> Raw:
    """Return the rollout as it would be after an apply; the API server checks it without storing
    it."""
    name = declared["metadata"]["name"]
    body = {**declared, "metadata": {**declared["metadata"], "namespace": session.namespace}}
    body.pop("status", None)
    path = rollout_path(session.namespace, name)
    with session.asking(f"validate the rollout {name}"):
        try:
            return KubeApi(session.kube, manager="xbr-plan").as_applied(path, body)
        except KubeError as error:
            if error.status in (400, 422):
                raise InvalidSpec(f"the API server rejects it: {error.said}") from error
            raise


def _after(delay: timedelta) -> str:
    return "at once" if delay <= timedelta(0) else f"after {lasting(delay)}, or at a change"
