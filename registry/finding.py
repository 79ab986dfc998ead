"""Findings and heartbeats: what monitoring reports, kept as signed entries of the ledger.

`limits` reads both before it decides: a severe finding that is open, or a monitor that has been
silent for too long, freezes raises.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any

from governance import canonical
from governance.errors import UsageError
from governance.evidence import Finding
from governance.settings import Settings
from registry.attestation import document
from registry.record import Record, append, subject_of
from registry.signing import Role, Signer
from registry.statement import Kind

OPENED = "opened"
CLOSED = "closed"


def open_finding(
    settings: Settings, finding: Finding, *, version: int, signer: Signer | None = None
) -> int:
    """Record a finding about a version and return its place in the ledger.

    A finding whose id is known and open is not recorded twice, so a watch may run again.

    Raises
    ------
    UsageError
        If a finding with this id was closed: what comes back is a new finding with a new id.
    """
    record = Record.load(settings)
    for entry in reversed(tuple(record.of(Kind.FINDING))):
        said = entry.statement.predicate
        if said["finding"]["id"] == finding.id:
            if said["event"] == CLOSED:
                raise UsageError(
                    f"The finding {finding.id} was closed. Open a new one under a new id."
                )
            return entry.seq
    predicate = {"event": OPENED, "finding": document(finding), "note": ""}
    return _append(settings, version, predicate, signer)


def close_finding(
    settings: Settings, finding_id: str, *, on: date, note: str, signer: Signer | None = None
) -> int:
    """Close a finding on a day, with a note on what was done about it.

    Raises
    ------
    UsageError
        If no open finding has this id, or the note is empty.
    """
    if not note.strip():
        raise UsageError("Closing a finding needs a note on what was done about it.")
    record = Record.load(settings)
    for entry in reversed(tuple(record.of(Kind.FINDING))):
        said = entry.statement.predicate
        if said["finding"]["id"] == finding_id:
            if said["event"] == CLOSED:
                return entry.seq
            closed = Finding.model_validate({**said["finding"], "closed_on": on})
            version = int(entry.statement.subject_name.rpartition("@")[2])
            predicate = {"event": CLOSED, "finding": document(closed), "note": note}
            return _append(settings, version, predicate, signer)
    raise UsageError(f"There is no finding {finding_id}.")


def open_findings(settings: Settings, on: date) -> tuple[Finding, ...]:
    """Return the findings that are open on the day `on`, by id."""
    return tuple(finding for finding in Record.load(settings).findings() if finding.is_open(on))


def record_heartbeat(
    settings: Settings,
    monitor: str,
    *,
    on: date,
    facts: Mapping[str, str],
    signer: Signer | None = None,
) -> int:
    """Record that a monitor ran on a day, with digests of what it produced; the same only once."""
    predicate = {"monitor": monitor, "on": on.isoformat(), "facts": dict(facts)}
    for entry in reversed(tuple(Record.load(settings).of(Kind.HEARTBEAT))):
        if entry.statement.predicate == predicate:
            return entry.seq
    subject = (f"monitor:{monitor}", canonical.digest(predicate))
    keys = signer or Signer.open(settings.keyring, Role.VALIDATOR)
    return append(settings, Kind.HEARTBEAT, subject=subject, predicate=predicate, signer=keys)


def last_heartbeat(settings: Settings, monitor: str | None = None) -> date | None:
    """Return the last day on which a monitor (or any) ran, or None if it never did."""
    days = [
        date.fromisoformat(entry.statement.predicate["on"])
        for entry in Record.load(settings).of(Kind.HEARTBEAT)
        if monitor in (None, entry.statement.predicate["monitor"])
    ]
    return max(days, default=None)


def _append(
    settings: Settings, version: int, predicate: Mapping[str, Any], signer: Signer | None
) -> int:
    digest = Record.load(settings).manifest(version).statement.sha256
    keys = signer or Signer.open(settings.keyring, Role.VALIDATOR)
    subject = (subject_of(version), digest)
    return append(settings, Kind.FINDING, subject=subject, predicate=predicate, signer=keys)
