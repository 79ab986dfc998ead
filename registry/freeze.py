"""Freeze: one approver stops raises at once; only two different approvers let them go on.

Stopping is the safe direction, so one signature is enough; going on is not, so it takes one of each
approver role, by different people with different keys, both after the freeze. The state is computed
from the signed statements alone: a role that a statement claims for itself says nothing, only the
key that signed it does.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from governance import canonical
from governance.errors import GateClosed, UsageError
from governance.settings import Settings
from registry import offline, rules
from registry.ledger import Entry
from registry.offline import Person
from registry.record import Record, append
from registry.signing import Role, Signer
from registry.statement import Kind

SUBJECT = "raises"
FROZEN = "frozen"
RELEASED = "released"
SHORTEST_REASON = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Freeze:
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


def freeze(settings: Settings, *, role: Role | str, reason: str, on: date) -> Freeze:
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
    digest = _append(settings, {**said, "key_id": signer.key_id}, signer)
    return _by_digest(settings, digest)


def unfreeze(
    settings: Settings, *, role: Role | str, reason: str, on: date, freeze_id: str = ""
) -> Freeze:
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
        _append(settings, {**said, "key_id": signer.key_id}, signer)
    return _by_digest(settings, chosen.digest)


def freezes(record: Record) -> tuple[Freeze, ...]:
    """Return every freeze that was ever signed, oldest first, with its releases."""
    return tuple(_read(one, record.on) for one in rules.freezes(record.history))


def _read(one: rules.Lasting, on: date | None) -> Freeze:
    """Return a freeze as it is known on a day."""
    entry = Entry.of(one.begun).statement
    agreed = [(person, date.fromisoformat(day)) for person, day in one.agreed]
    ended = date.fromisoformat(one.ended_on) if one.ended_on else None
    return Freeze(
        digest=entry.sha256,
        by=entry.person,
        frozen_on=date.fromisoformat(entry.predicate["on"]),
        reason=entry.predicate["reason"],
        releases=tuple(said for said in agreed if on is None or said[1] <= on),
        lifted_on=ended if ended and (on is None or ended <= on) else None,
    )


def in_force(record: Record, on: date) -> tuple[Freeze, ...]:
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


def _chosen(record: Record, freeze_id: str) -> Freeze:
    unlifted = [found for found in freezes(record) if found.lifted_on is None]
    fitting = [found for found in unlifted if freeze_id in ("", found.id)]
    if len(fitting) == 1:
        return fitting[0]
    known = ", ".join(found.id for found in unlifted) or "none"
    raise UsageError(f"Name the one freeze to release; not yet lifted: {known}.")


def _append(settings: Settings, predicate: Mapping[str, Any], signer: Signer) -> str:
    digest = canonical.digest(predicate)
    subject = (SUBJECT, digest)
    append(settings, Kind.FREEZE, subject=subject, predicate=predicate, signer=signer)
    return digest


def _by_digest(settings: Settings, digest: str) -> Freeze:
    return next(found for found in freezes(Record.load(settings)) if found.digest == digest)
