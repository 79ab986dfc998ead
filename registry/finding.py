"""Findings and heartbeats: what monitoring reports, kept as signed entries of the ledger.

`limits` reads both before it decides: a severe finding that is open, or a monitor that has been
silent for too long, freezes raises. Opening takes one signature, for it is the safe direction;
closing takes two, by different people in different roles, each with a reason.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any

from governance import canonical
from governance.errors import GateClosed, UsageError
from governance.evidence import Finding
from governance.settings import Settings
from registry import offline, rules
from registry.attestation import document
from registry.ledger import Entry
from registry.record import CLOSED, OPENED, Record, append, read, subject_of, version_of
from registry.signing import Role, Signer
from registry.statement import Kind

SHORTEST_REASON = 10


def open_finding(
    settings: Settings, finding: Finding, *, version: int, signer: Signer | None = None
) -> int:
    """Record a finding about a version and return its place in the ledger.

    A finding whose id is known and open is not recorded twice, so a watch may run again, unless
    it is graver than that one or from an earlier day: whoever opened it mildly hides nothing.

    Raises
    ------
    UsageError
        If a finding with this id was closed: what comes back is a new finding with a new id.
    """
    record = Record.load(settings)
    for known in record.findings():
        if known.id == finding.id and not finding.outweighs(known):
            if known.closed_on is None:
                return _openings(record, finding.id)[0].seq
            raise UsageError(f"The finding {finding.id} was closed. Open a new one under a new id.")
    predicate = {"event": OPENED, "finding": document(finding), "note": ""}
    return _append(settings, version, predicate, signer)


def close_finding(
    settings: Settings, finding_id: str, *, on: date, note: str, role: Role | str = Role.VALIDATOR
) -> Finding:
    """Sign, as `role`, that a finding may be closed; it is once a second role signs the same.

    Parameters
    ----------
    note : str
        What was done about it, in a sentence.
    role : str
        ``validator``, ``risk_approver`` or ``business_approver``; each counts once.

    Returns
    -------
    Finding
        The finding as it is now: ``closed_on`` says whether two have signed.

    Raises
    ------
    UsageError
        If there is no such finding, the role may not, or the note is no sentence.
    GateClosed
        If the day lies before the finding.
    """
    if len(note.strip()) < SHORTEST_REASON:
        raise UsageError("Closing a finding needs a note on what was done about it, in a sentence.")
    allowed = sorted(offline.SIGNERS[f"{Kind.FINDING.value}/v1"])
    if str(role) not in allowed:
        raise UsageError(f"A finding is closed by {', '.join(allowed)}; given: {role}.")
    record = Record.load(settings)
    signer = Signer.open(settings.keyring, role)
    signed = [
        entry.statement.predicate["finding"]
        for entry in closings(record, finding_id)
        if entry.statement.person.key_id == signer.key_id
    ]
    for opened in _openings(record, finding_id):
        said = opened.statement.predicate["finding"]
        finding = read(Finding, said, where=f"Ledger entry {opened.seq}")
        if on < finding.opened_on:
            raise GateClosed(
                f"{finding_id} was opened on {finding.opened_on}; {on} is before that."
            )
        if all({**one, "closed_on": None} != said for one in signed):
            closed = finding.model_copy(update={"closed_on": on})
            predicate = {"event": CLOSED, "finding": document(closed), "note": note}
            _append(settings, version_of(opened), predicate, signer)
    found = [held for held in Record.load(settings).findings() if held.id == finding_id]
    return next((held for held in found if held.closed_on is None), found[-1])


def closings(record: Record, finding_id: str) -> tuple[Entry, ...]:
    """Return what was signed about closing a finding, oldest first."""
    return tuple(
        entry
        for entry in record.of(Kind.FINDING)
        if entry.statement.predicate["finding"]["id"] == finding_id
        and entry.statement.predicate["event"] == CLOSED
    )


def _openings(record: Record, finding_id: str) -> list[Entry]:
    """Return what opened findings under an id; two that differ in a word are two."""
    found = [Entry.of(one.begun) for one in rules.findings(record.history)]
    named = [one for one in found if one.statement.predicate["finding"]["id"] == finding_id]
    if not named:
        raise UsageError(f"There is no finding {finding_id}; `limitline finding list` lists them.")
    return named


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
