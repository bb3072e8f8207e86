"""A rollout's status as text for people. Pure."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from xcom_rollout.api.names import DOMAIN_CONDITIONS, Condition
from xcom_rollout.cli.options import EXIT_DONE, EXIT_GOING_ON, EXIT_STALLED
from xcom_rollout.cli.output import ago, lasting, read_time, table, width, wrapped

LATEST_HISTORY: Final = 6

Raw = Mapping[str, Any]


def condition(raw: Raw, kind: str) -> Mapping[str, Any]:
    """Return the condition of `kind`, or an empty mapping."""
    conditions = (raw.get("status") or {}).get("conditions") or ()
    return next((entry for entry in conditions if entry["type"] == kind), {})


def is_current(raw: Raw) -> bool:
    """Whether the operator has seen the current spec."""
    return bool(
        (raw.get("status") or {}).get("observedGeneration") == raw["metadata"]["generation"]
    )


def exit_code(raw: Raw) -> int:
    """Return 0 for ready, 1 for stalled, 3 for anything between."""
    if is_current(raw) and condition(raw, Condition.READY).get("status") == "True":
        return EXIT_DONE
    if is_current(raw) and condition(raw, Condition.STALLED).get("status") == "True":
        return EXIT_STALLED
    return EXIT_GOING_ON


def headline(raw: Raw) -> str:
    """Return the state of the rollout, in one line."""
    status = raw.get("status") or {}
    if not status:
        return (
            "the operator has not seen it yet; check that the operator runs and watches "
            "this namespace"
        )
    ready = condition(raw, Condition.READY)
    text = f"{status.get('phase', '')}: {ready.get('message', '')}"
    if not is_current(raw):
        return f"{text} (the operator has not seen the newest spec yet)"
    return text


def render(raw: Raw, now: datetime) -> list[str]:
    """Return the whole status as lines of text."""
    metadata, status = raw["metadata"], raw.get("status") or {}
    words = {0: "ready", 1: "stalled", 3: "in progress"}[exit_code(raw)]
    lines = [f"{metadata['name']} in namespace {metadata['namespace']}: {words}"]
    lines += [f"  {line}" for line in wrapped(headline(raw), width() - 2)]
    lines += _delivery(status)
    lines += _conditions(raw)
    lines += _proofs(status, now)
    lines += _audits(status, now)
    lines += _calibration(status, now)
    lines += _rehearsal(status, now)
    lines += _provenance(status, now)
    lines += _offloaded(status, now)
    lines += _kill(raw, now)
    lines += _history(status)
    return lines


def progress(raw: Raw) -> str:
    """Return what changes during a watch, in one line."""
    status = raw.get("status") or {}
    ready = condition(raw, Condition.READY)
    text = f"{status.get('phase', 'NotSeen'):<18} {ready.get('reason', ''):<22} "
    text += str(ready.get("message", "waiting for the operator"))
    kill = status.get("killSwitch")
    if kill and not kill.get("finishedAt"):
        text += f" [{kill_progress(kill)}]"
    return text


def kill_progress(kill: Mapping[str, Any]) -> str:
    """Return the progress of a kill, in one line."""
    parts = [_counts(kill)]
    if kill.get("writersStoppedAt"):
        parts.insert(0, f"writers stopped after {_to_writers_stopped(kill)} s")
    if found := kill.get("troubled"):
        first = found[0]
        more = f" and {len(found) - 1} more" if len(found) > 1 else ""
        parts.append(f"failing: {first['dagId']}/{first['runId']}{more}: {first['error']}")
    return "; ".join(parts)


def _delivery(status: Mapping[str, Any]) -> list[str]:
    delivery = status.get("delivery")
    if not delivery:
        return []
    return [f"  Helm revision {delivery.get('revision')} holds the {delivery.get('settings')}."]


def _conditions(raw: Raw) -> list[str]:
    rows = []
    for kind in (Condition.READY, Condition.RECONCILING, Condition.STALLED, *DOMAIN_CONDITIONS):
        entry = condition(raw, kind)
        if not entry:
            continue
        # Ready, Reconciling and Stalled share one message, which is in the headline.
        message = entry["message"] if kind in DOMAIN_CONDITIONS else ""
        rows.append((kind, entry["status"], entry["reason"], message))
    return ["", "Conditions", *table(rows)] if rows else []


def _proofs(status: Mapping[str, Any], now: datetime) -> list[str]:
    proofs = status.get("proofs") or ()
    longest = max((len(proof["component"]) for proof in proofs), default=0)
    lines = []
    for proof in proofs:
        made = (
            f"attempt {proof['attempt']}, {ago(proof['observedAt'], now)}, digest "
            f"{proof['digest'][:12]}, Job {proof['job']}"
        )
        lines += table([(proof["component"].ljust(longest), proof["verdict"], made)])
        if proof.get("message"):
            lines += [f"      {line}" for line in wrapped(proof["message"], width() - 6)]
        for check in proof.get("failed") or ():
            seen = f"{check['name']}: observed {check['observed']}, expected {check['expected']}"
            lines += [f"    ✗ {line}" for line in wrapped(seen, width() - 6)[:1]]
            lines += [f"      {line}" for line in wrapped(seen, width() - 6)[1:]]
            lines += [f"      → {line}" for line in wrapped(check["remedy"], width() - 8)]
        for warning in proof.get("warnings") or ():
            lines += [f"    ! {line}" for line in wrapped(warning, width() - 6)]
    return ["", "Proofs", *lines] if lines else []


def _audits(status: Mapping[str, Any], now: datetime) -> list[str]:
    audits = status.get("audits") or ()
    longest = max((len(audit["kind"]) for audit in audits), default=0)
    lines = []
    for audit in audits:
        counts = audit.get("counts") or {}
        said = ", ".join(
            f"{counts[word]} {word}"
            for word in ("fails", "drifts", "unseen", "accepted")
            if counts.get(word)
        )
        made = f"{said or 'nothing found'}; attempt {audit['attempt']}, "
        made += f"{ago(audit['observedAt'], now)}, Job {audit['job']}"
        lines += table([(audit["kind"].ljust(longest), audit["verdict"], made)])
        if audit.get("message"):
            lines += [f"      {line}" for line in wrapped(audit["message"], width() - 6)]
        shown = audit.get("findings") or ()
        for finding in shown:
            first, *rest = wrapped(finding, width() - 6)
            lines += [f"    ✗ {first}", *(f"      {line}" for line in rest)]
        if (more := counts.get("holding", 0) - len(shown)) > 0:
            lines.append(f"      and {more} more")
        if listed := audit.get("listRef"):
            lines.append(f"      all of them: ConfigMap {listed['name']}, {audit['kind']}.json")
    return ["", "Audits", *lines] if lines else []


def _calibration(status: Mapping[str, Any], now: datetime) -> list[str]:
    found = status.get("calibration")
    if not found:
        return []
    text = (
        f"{found['recommendedBytes']} bytes: {found['margin']} times the size below which "
        f"{found['quantile']} of the values stay inline, measured {ago(found['takenAt'], now)}"
    )
    if listed := found.get("listRef"):
        text += f"; the largest tasks: ConfigMap {listed['name']}, calibration.json"
    return ["", "Recommended threshold", *(f"  {line}" for line in wrapped(text, width() - 2))]


def _rehearsal(status: Mapping[str, Any], now: datetime) -> list[str]:
    rehearsal = status.get("rehearsal")
    if not rehearsal:
        return []
    if rehearsal.get("valid"):
        left = lasting(read_time(rehearsal["expiresAt"]) - now)
        text = (
            f"attested by {rehearsal['by']} {ago(rehearsal['at'], now)}, valid for {left} more: "
            f"{rehearsal['evidence']}"
        )
    elif rehearsal.get("required"):
        text = "required, but there is no valid attestation"
    else:
        text = "not required"
    return ["", "Rehearsal", *(f"  {line}" for line in wrapped(text, width() - 2))]


def _provenance(status: Mapping[str, Any], now: datetime) -> list[str]:
    seen = status.get("provenance")
    if not seen:
        return []
    text = (
        f"{seen['verdict']}: expected {seen['expectedBuild']}, {seen.get('pods', 0)} pods checked "
        f"{ago(seen['observedAt'], now)}"
    )
    lines = [f"  {line}" for line in wrapped(text, width() - 2)]
    for reading in seen.get("readings") or ():
        first, *rest = wrapped(reading, width() - 6)
        lines += [f"    ✗ {first}", *(f"      {line}" for line in rest)]
    if more := seen.get("leftOut"):
        lines.append(f"      and {more} more")
    return ["", "Build", *lines]


def _offloaded(status: Mapping[str, Any], now: datetime) -> list[str]:
    runs = status.get("offloadedRuns")
    if not runs:
        return []
    listed = runs.get("listRef")
    where = f"; listed in the ConfigMap {listed['name']}" if listed else ""
    return [
        "",
        "Runs in flight that hold offloaded values",
        f"  {runs['count']}, counted {ago(runs.get('takenAt'), now)}{where}",
    ]


def _kill(raw: Raw, now: datetime) -> list[str]:
    kill = (raw.get("status") or {}).get("killSwitch")
    if not kill:
        return []
    engaged = read_time(kill["engagedAt"])
    rows = [("engaged", f"{ago(kill['engagedAt'], now)} by {kill.get('by')}: {kill.get('reason')}")]
    if kill.get("strategy"):
        again = f", round {kill['round']}" if kill.get("round", 1) > 1 else ""
        rows.append(("strategy", f"{kill['strategy']}{again}"))
    if kill.get("writersStoppedAt"):
        seconds = _to_writers_stopped(kill)
        rows.append(
            (
                "writers",
                f"stopped {seconds} s after that: processes that start later offload nothing",
            )
        )
    elif not kill.get("finishedAt"):
        rows.append(("writers", "not stopped yet"))
    rows.append(("runs", _counts(kill)))
    if kill.get("finishedRuns"):
        rows.append(("past runs", f"offloaded values of finished runs: {kill['finishedRuns']}"))
    if kill.get("revertedAt"):
        after = lasting(read_time(kill["revertedAt"]) - engaged)
        rows.append(("reverted", f"{after} after the engagement"))
    if kill.get("secondsToQueued") is not None:
        rows.append(("queued", f"the last run {kill['secondsToQueued']:g} s after the engagement"))
    if kill.get("finishedAt"):
        rows.append(("finished", f"{lasting(read_time(kill['finishedAt']) - engaged)} in all"))
    elif (left := estimate(kill, now)) is not None:
        rows.append(("estimate", f"about {lasting(left)} to go until all runs are queued again"))
    lines = ["", f"Kill-switch, attempt {kill['attempt']}", *table(rows), *troubled(kill)]
    if listed := kill.get("listRef"):
        where = raw["metadata"]["namespace"]
        lines.append(f"  each run: kubectl get cm {listed['name']} -n {where} -o yaml")
    return lines


def troubled(kill: Mapping[str, Any], *, indent: int = 4) -> list[str]:
    """Return the runs whose last try failed: stage, error and next try of each."""
    lines = []
    for run in kill.get("troubled") or ():
        text = f"{run['dagId']}/{run['runId']} ({run['stage']}): {run['error']}"
        if tries := run.get("tries"):
            text += f"; {tries} tries failed" if tries > 1 else "; 1 try failed"
        if run.get("nextTry"):
            text += f", the next one at {read_time(run['nextTry']):%H:%M:%SZ}"
        first, *rest = wrapped(text, width() - indent - 2)
        lines += [f"{' ' * indent}✗ {first}", *(f"{' ' * indent}  {line}" for line in rest)]
    return lines


def estimate(kill: Mapping[str, Any], now: datetime) -> timedelta | None:
    """Return the remaining time of the clearing at its pace so far; None where it has no pace."""
    runs = kill.get("runs") or {}
    to_clear = runs.get("found", 0) - runs.get("healed", 0) - runs.get("draining", 0)
    cleared = runs.get("cleared", 0)
    if not kill.get("writersStoppedAt") or not cleared or cleared >= to_clear:
        return None
    so_far: timedelta = now - read_time(kill["writersStoppedAt"])
    return so_far / int(cleared) * int(to_clear - cleared)


def _to_writers_stopped(kill: Mapping[str, Any]) -> str:
    seconds = kill.get("secondsToWritersStopped")
    if seconds is None:
        since = read_time(kill["writersStoppedAt"]) - read_time(kill["engagedAt"])
        seconds = since.total_seconds()
    return f"{seconds:g}"


def _counts(kill: Mapping[str, Any]) -> str:
    """Return the number of runs by stage; stages that not every strategy has only if they have
    any."""
    runs = kill.get("runs") or {}
    always = ("found", "stopped", "cleared", "recovered")
    words = ("found", "draining", "stopped", "cleared", "recovered", "healed", "failed")
    shown = [word for word in words if word in always or runs.get(word)]
    return ", ".join(f"{runs.get(word, 0)} {word}" for word in shown)


def _history(status: Mapping[str, Any]) -> list[str]:
    entries = (status.get("history") or [])[-LATEST_HISTORY:]
    if not entries:
        return []
    rows = [(entry["at"], entry["event"], entry.get("message", "")) for entry in entries]
    return ["", "Lately", *table(rows)]
