"""Findings, heartbeats and freezes: what stops raises, kept as signed entries of the ledger.

A severe finding that is open, a monitor that has been silent for too long or an approver's freeze
stops raises. Beginning takes one signature, for stopping is the safe direction; ending takes two,
by different people in different roles with different keys, each with a reason.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from governance import canonical
from governance.errors import GateClosed, UsageError
from governance.evidence import Finding
from governance.settings import Settings
from registry import offline, rules
from registry.attestation import document
from registry.ledger import Entry
from registry.offline import Person
from registry.record import CLOSED, OPENED, Record, append, read, subject_of, version_of
from registry.signing import Kind, Role, Signer


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
    return _append_finding(settings, version, predicate, signer)


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
            _append_finding(settings, version_of(opened), predicate, signer)
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


def _append_finding(
    settings: Settings, version: int, predicate: Mapping[str, Any], signer: Signer | None
) -> int:
    digest = Record.load(settings).manifest(version).statement.sha256
    keys = signer or Signer.open(settings.keyring, Role.VALIDATOR)
    subject = (subject_of(version), digest)
    return append(settings, Kind.FINDING, subject=subject, predicate=predicate, signer=keys)


SUBJECT = "raises"
FROZEN = "frozen"
RELEASED = "released"
SHORTEST_REASON = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class RaiseFreeze:
    """One stop of all raises, and who has agreed to end it.

    Parameters
    ----------
    digest : str
        SHA-256 of what was signed; a release names it.
    releases : tuple of (Person, date)
        Who agreed to end it, and from which day; each person counts once.
    lifted_on : date or None
        The first day on which two different approvers had agreed.
    """

    digest: str
    by: Person
    frozen_on: date
    reason: str
    releases: tuple[tuple[Person, date], ...]
    lifted_on: date | None

    @property
    def id(self) -> str:
        """What people call it."""
        return f"freeze-{self.digest[:12]}"

    def is_in_force(self, on: date) -> bool:
        """Tell whether this freeze stops raises on the day `on`."""
        return self.frozen_on <= on and (self.lifted_on is None or on < self.lifted_on)

    def as_document(self) -> dict[str, Any]:
        """Return what status and verbs say about it."""
        return {
            "id": self.id,
            "by": self.by.name,
            "role": self.by.role,
            "frozen_on": self.frozen_on.isoformat(),
            "reason": self.reason,
            "released_by": [
                {"role": person.role, "by": person.name, "on": day.isoformat()}
                for person, day in self.releases
            ],
            "lifted_on": self.lifted_on.isoformat() if self.lifted_on else None,
        }


def freeze(settings: Settings, *, role: Role | str, reason: str, on: date) -> RaiseFreeze:
    """Stop all raises from the day `on`, by the signature of one approver.

    The same person with the same reason on the same day freezes once while it holds.

    Raises
    ------
    UsageError
        If the role is no approver's or the reason is not a sentence.
    """
    signer = _approver(settings, role, reason)
    record = Record.load(settings)
    for found in freezes(record):
        same = (found.by.key_id, found.reason, found.frozen_on) == (signer.key_id, reason, on)
        if same and found.lifted_on is None:
            return found
    # The number keeps a second freeze, in the same words on the same day, from being the first.
    number = 1 + len(freezes(record))
    said = {"event": FROZEN, "number": number, "on": on.isoformat(), "reason": reason}
    digest = _append_freeze(settings, {**said, "key_id": signer.key_id}, signer)
    return _by_digest(settings, digest)


def unfreeze(
    settings: Settings, *, role: Role | str, reason: str, on: date, freeze_id: str = ""
) -> RaiseFreeze:
    """Agree that raises go on; they do when an approver of the other role has agreed too.

    Parameters
    ----------
    freeze_id : str
        Which freeze; may be left out while there is only one.

    Raises
    ------
    UsageError
        If nothing such is frozen, the role is no approver's or the reason is not a sentence.
    GateClosed
        If the day lies before the freeze.
    """
    signer = _approver(settings, role, reason)
    chosen = _chosen(Record.load(settings), freeze_id)
    if on < chosen.frozen_on:
        raise GateClosed(
            f"{chosen.id} holds from {chosen.frozen_on}; it cannot be released for {on}, before it."
        )
    if all(person.key_id != signer.key_id for person, _ in chosen.releases):
        said = {"event": RELEASED, "freeze": chosen.digest, "on": on.isoformat(), "reason": reason}
        _append_freeze(settings, {**said, "key_id": signer.key_id}, signer)
    return _by_digest(settings, chosen.digest)


def freezes(record: Record) -> tuple[RaiseFreeze, ...]:
    """Return every freeze that was ever signed, oldest first, with its releases."""
    return tuple(_read_freeze(one, record.on) for one in rules.freezes(record.history))


def _read_freeze(one: rules.Lasting, on: date | None) -> RaiseFreeze:
    """Return a freeze as it is known on a day."""
    entry = Entry.of(one.begun).statement
    agreed = [(person, date.fromisoformat(day)) for person, day in one.agreed]
    ended = date.fromisoformat(one.ended_on) if one.ended_on else None
    return RaiseFreeze(
        digest=entry.sha256,
        by=entry.person,
        frozen_on=date.fromisoformat(entry.predicate["on"]),
        reason=entry.predicate["reason"],
        releases=tuple(said for said in agreed if on is None or said[1] <= on),
        lifted_on=ended if ended and (on is None or ended <= on) else None,
    )


def in_force(record: Record, on: date) -> tuple[RaiseFreeze, ...]:
    """Return the freezes that stop raises on the day `on`, oldest first."""
    return tuple(found for found in freezes(record) if found.is_in_force(on))


def _approver(settings: Settings, role: Role | str, reason: str) -> Signer:
    if str(role) not in offline.APPROVERS:
        raise UsageError(
            f"The role must be one of {', '.join(sorted(offline.APPROVERS))}; given: {role}."
        )
    if len(reason.strip()) < SHORTEST_REASON:
        raise UsageError("A freeze and its release need a reason, in a sentence.")
    return Signer.open(settings.keyring, role)


def _chosen(record: Record, freeze_id: str) -> RaiseFreeze:
    unlifted = [found for found in freezes(record) if found.lifted_on is None]
    fitting = [found for found in unlifted if freeze_id in ("", found.id)]
    if len(fitting) == 1:
        return fitting[0]
    known = ", ".join(found.id for found in unlifted) or "none"
    raise UsageError(f"Name the one freeze to release; not yet lifted: {known}.")


def _append_freeze(settings: Settings, predicate: Mapping[str, Any], signer: Signer) -> str:
    digest = canonical.digest(predicate)
    subject = (SUBJECT, digest)
    append(settings, Kind.FREEZE, subject=subject, predicate=predicate, signer=signer)
    return digest


def _by_digest(settings: Settings, digest: str) -> RaiseFreeze:
    return next(found for found in freezes(Record.load(settings)) if found.digest == digest)
