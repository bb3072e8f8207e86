"""`xbr attest`: record a rehearsal of the kill-switch."""

from datetime import timedelta

import click

from xcom_rollout.api.durations import format_duration
from xcom_rollout.api.names import ANNOTATION_ATTESTATION
from xcom_rollout.api.parse import SpecInvalidError, parse_spec
from xcom_rollout.cli.options import Duration, Target, common_options
from xcom_rollout.cli.output import print_json
from xcom_rollout.cli.session import open_session
from xcom_rollout.stored.rollouts import Raw


@click.command()
@click.argument("name")
@click.option("--evidence", required=True, help="Evidence of the rehearsal: a text or a URL.")
@click.option(
    "--valid-for",
    type=Duration(),
    help="How long it is valid, such as 720h. Default and maximum: spec.rehearsal.maxAge.",
)
@common_options
def command(name: str, evidence: str, valid_for: timedelta | None, target: Target) -> None:
    """Record that the kill-switch of the rollout NAME has been rehearsed.

    The user, the time and the evidence are recorded and shown in the status.
    """
    if not evidence.strip():
        raise click.UsageError("--evidence is empty: give the evidence of the rehearsal")
    session = open_session(target)
    person = session.person()
    record: dict[str, str] = {}

    def attestation(raw: Raw) -> dict[str, str]:
        record.update(
            by=person.name,
            at=f"{person.now:%Y-%m-%dT%H:%M:%SZ}",
            evidence=evidence.strip(),
            expiresAt=f"{person.now + validity(raw, valid_for):%Y-%m-%dT%H:%M:%SZ}",
        )
        return record

    session.change(name, ANNOTATION_ATTESTATION, attestation)
    if target.as_json:
        print_json({"name": name, "namespace": session.namespace, "attestation": record})
    else:
        click.echo(
            f"The rehearsal of {session.namespace}/{name} is attested by {record['by']} at "
            f"{record['at']}, valid until {record['expiresAt']}: {record['evidence']}"
        )


def validity(raw: Raw, asked: timedelta | None) -> timedelta:
    """Return how long an attestation is valid.

    Raises:
        click.UsageError: longer than the rollout allows, or the rollout's spec is invalid.
    """
    try:
        most = parse_spec(raw.get("spec")).rehearsal_max_age()
    except SpecInvalidError as error:
        raise click.UsageError(f"the spec of the rollout is invalid: {error}") from error
    if asked is None:
        return most
    if asked > most:
        raise click.UsageError(
            f"--valid-for {format_duration(asked)} is longer than spec.rehearsal.maxAge of the "
            f"rollout: use at most {format_duration(most)}"
        )
    return asked
