"""The base paths that rows with offloaded values may refer to."""

from dataclasses import replace

from xcom_rollout.decide.actions import WriteLedger
from xcom_rollout.decide.decision import Finding
from xcom_rollout.decide.situation import Situation
from xcom_rollout.decide.table import act


def bases_of(s: Situation) -> tuple[str, ...]:
    """Return every base path that a row may hold: all that were delivered, and the current one."""
    bases = list(s.ledger.bases)
    if not bases and s.ledger.delivered is not None:
        bases.append(s.spec.backend.object_storage.path)  # a ledger of the previous version
    release = s.observed.release
    path = release.settings.path if release and release.settings.reads_offloaded else None
    if path and path not in bases:
        bases.append(path)
    return tuple(bases)


def base_arguments(s: Situation) -> tuple[str, ...]:
    """Return the arguments of the probe that name every base path."""
    return tuple(word for base in bases_of(s) for word in ("--base", base))


def offloading_noted(s: Situation) -> Finding | None:
    """Return what records, once, that somebody else has delivered a backend that offloads.

    It may be gone at the next look; the rows that it wrote remain.
    """
    if not s.release.settings.reads_offloaded:
        return None
    noted = replace(
        s.ledger,
        bases=bases_of(s),
        offloaded_by_others=s.ledger.offloaded_by_others or s.ledger.delivered is None,
    )
    if noted == s.ledger:
        return None
    return act(
        "RecordingBase",
        f"somebody delivered the {s.release.settings.describe()} in revision "
        f"{s.release.revision}: recording that values may be offloaded to its path",
        WriteLedger(noted, f"the base path {s.release.settings.path}"),
    )
