"""Approval: a named role signs that exactly these digests may go live, until a day."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

from governance import gate
from governance.errors import GateClosed, UsageError
from governance.evidence import Decision
from governance.measurement import describe_scope
from governance.settings import Settings
from registry.attempts import earlier_closed, judged_by, measured_in_words
from registry.judgement import attached_to, closed, signed_appetite
from registry.offline import APPROVERS
from registry.record import (
    Record,
    append,
    bindings,
    read_decision,
    read_evidence,
    subject_of,
)
from registry.rules import APPROVAL_MAX_DAYS
from registry.signing import Role, Signer
from registry.statement import Kind

VALID_DAYS = 90
"""How long an approval holds if nobody says otherwise; `APPROVAL_MAX_DAYS` is the longest term."""


def approve(
    settings: Settings, version: int, *, role: str, on: date, valid_days: int = VALID_DAYS
) -> dict[str, Any]:
    """Approve a version as `role`; return what was signed and what it stands on, told in words.

    The same approval is signed once.

    The approval is bound to the digests of model, policy, lineage, evidence (the validator's and
    each attached one), appetite and gate decision: if any of them changes, it approves nothing.

    Raises
    ------
    GateClosed
        If the gate is not open for exactly these digests on this day, or `role` may not approve.
    Inconclusive
        If the gate is closed because a measure cannot tell.
    """
    if role not in APPROVERS:
        raise GateClosed(
            f"The role {role} may not approve; allowed: {', '.join(sorted(APPROVERS))}."
        )
    expires_on = _end(on, valid_days)
    record = Record.load(settings)
    binds = bindings(record, version)
    require_open(record, version, on)
    signer = Signer.open(settings.keyring, Role(role))
    for entry in record.approvals(version):
        said = entry.statement.predicate
        is_same = entry.statement.person.key_id == signer.key_id
        if is_same and record.history.counts(
            record.history.entries[entry.seq], binds, on.isoformat()
        ):
            return {**said, "seq": entry.seq, "is_new": False, "rests_on": _told(record, version)}
    predicate = {
        "role": role,
        "binds": binds,
        # What was refused before is part of what is signed: nobody approves without being told.
        "closed_before": record.history.closed(subject_of(version)),
        "approved_on": on.isoformat(),
        "expires_on": expires_on.isoformat(),
    }
    subject = (subject_of(version), binds["model"])
    seq = append(settings, Kind.APPROVAL, subject=subject, predicate=predicate, signer=signer)
    return {**predicate, "seq": seq, "is_new": True, "rests_on": _told(record, version)}


def _end(on: date, valid_days: int) -> date:
    """Return the last day of an approval."""
    if not 1 <= valid_days <= APPROVAL_MAX_DAYS:
        raise UsageError(
            f"An approval holds for 1 to {APPROVAL_MAX_DAYS} days; asked was {valid_days}."
        )
    if (date.max - on).days < valid_days:
        raise UsageError(f"An approval of {on} for {valid_days} days would end after {date.max}.")
    return on + timedelta(days=valid_days)


def _told(record: Record, version: int) -> list[str]:
    """Say what an approver puts a name under: thresholds, waivers, and what was refused before."""
    entry = record.decision(version)
    if entry is None:
        return []
    decision, appetite = read_decision(entry)
    lines = [f"risk appetite {appetite.id} {appetite.version}, digest {appetite.digest}"]
    others = judged_by(record, version)
    if len(others) > 1:
        lines.append(f"judged by more than one risk appetite: {', then '.join(others)}")
    lines += [
        f"waived until {one.expires_on}, {one.owner}: {one.measure} ({describe_scope(one.scope)})"
        for one in decision.waived
    ]
    lines += measured_in_words(record, version)
    return [*lines, *(f"refused before: {one.in_words}" for one in earlier_closed(record, version))]


def require_open(record: Record, version: int, on: date) -> Decision:
    """Return the recorded gate decision if it was open and still is on the day `on`.

    A decision that was open once closes when a waiver under it expires or a threshold comes into
    force, so the same evidence is judged again.

    Raises
    ------
    GateClosed, Inconclusive
        With every refusal.
    """
    bindings(record, version)
    entry, measured = record.decision(version), record.evidence(version)
    if entry is None or measured is None:
        raise GateClosed(f"Version {version} was not judged. Run `limitline gate` first.")
    decision, appetite = read_decision(entry)
    if on < decision.decided_on:
        raise GateClosed(f"The gate decided on {decision.decided_on}; {on} is before that day.")
    held = signed_appetite(record, version, on)
    if held.digest != appetite.digest:
        raise GateClosed(
            f"Version {version} was judged by the risk appetite {appetite.id} {appetite.version}; "
            f"{held.id} {held.version} holds since. Run the gate again."
        )
    attached, waivers = attached_to(record, version), record.signed_waivers(version)
    today = gate.judge(read_evidence(measured), appetite, waivers, on, attached=attached)
    for judged in (decision, today):
        if not judged.is_open:
            raise closed(version, judged)
    return decision
