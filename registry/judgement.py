"""Judgement: the signed risk appetite, the gate's decision by nothing else, and approvals of it.

An approval says that exactly these digests may go live, until a day.
"""

from __future__ import annotations

import importlib.resources
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from governance import gate as pure_gate
from governance.appetite import RiskAppetite
from governance.errors import GateClosed, Inconclusive, IntegrityError, LimitlineError, UsageError
from governance.evidence import Decision, Evidence
from governance.measurement import describe_scope
from governance.outcome import Outcome
from governance.settings import Settings
from registry.attempts import earlier_closed, judged_by, measured_in_words
from registry.attestation import document, how_to_measure
from registry.ledger import Entry
from registry.offline import APPROVERS
from registry.record import (
    Record,
    append,
    bindings,
    read,
    read_decision,
    read_evidence,
    subject_of,
)
from registry.rules import APPROVAL_MAX_DAYS
from registry.signing import Kind, Role, Signer

PACKAGED_APPETITE = "uci_demo"


def adopt(settings: Settings, appetite: RiskAppetite, *, role: str, on: date) -> dict[str, Any]:
    """Sign, as `role`, that a risk appetite judges from a day on; it does once both approvers have.

    Evidence that is recorded after that is judged by it, and by nothing else. The same appetite is
    signed once while it waits or holds.

    Raises
    ------
    GateClosed
        If the role is no approver's.
    IntegrityError
        If an appetite of the same id and version was signed with other thresholds.
    """
    if role not in APPROVERS:
        raise GateClosed(
            f"The role {role} may not sign a risk appetite; allowed: "
            f"{', '.join(sorted(APPROVERS))}."
        )
    signer = Signer.open(settings.keyring, Role(role))
    history = Record.load(settings).history
    held, waiting = history.appetite(on.isoformat()), history.agreed.get(appetite.digest, [])
    is_held = held is not None and held.digest == appetite.digest
    is_new = not is_held and all(one["person"].key_id != signer.key_id for one in waiting)
    if is_new:
        said = {"appetite": document(appetite), "digest": appetite.digest, "role": role}
        predicate = {**said, "on": on.isoformat()}
        subject = (f"appetite:{appetite.id}", appetite.digest)
        append(settings, Kind.APPETITE, subject=subject, predicate=predicate, signer=signer)
        held = Record.load(settings).appetite(on)
    return {
        "id": appetite.id,
        "version": appetite.version,
        "digest": appetite.digest,
        "role": role,
        "holds": held is not None and held.digest == appetite.digest,
        "is_new": is_new,
    }


def signed_appetite(record: Record, version: int, on: date) -> RiskAppetite:
    """Return the risk appetite that judges a version on a day: what both approvers had signed.

    Raises
    ------
    GateClosed
        If nothing was signed, or only after evidence on the version was recorded, or the evidence
        was measured after the day.
    """
    held = record.appetite(on)
    if held is None:
        raise GateClosed(
            f"No risk appetite is signed by both approvers for {on}, so nothing can be judged. Run "
            "`limitline appetite` with --as risk_approver and --as business_approver."
        )
    measured = [evidence_of(record, version), *record.attached(version).values()]
    newest = max(entry.statement.effective_on for entry in measured)
    if newest > on.isoformat():
        raise GateClosed(f"Version {version} was measured on {newest}; {on} is before that day.")
    older = [entry.statement.kind.value for entry in measured if entry.seq < held.seq]
    if older:
        raise GateClosed(
            f"The {' and '.join(sorted(set(older)))} of version {version} was recorded before its "
            "risk appetite was signed. Measure again; thresholds come before figures."
        )
    return read(RiskAppetite, held.appetite, where=f"Ledger entry {held.seq}")


def gate(
    settings: Settings, version: int, *, on: date, appetite: RiskAppetite | None = None
) -> Decision:
    """Judge the newest evidence of a version, record the decision and return it, open or closed.

    Judged together: the validator's evidence and the newest policy evidence of each kind, by the
    risk appetite that both approvers signed before.

    The same evidence, appetite, waivers and day give the same decision to the byte; it is not
    recorded twice in a row.

    Parameters
    ----------
    appetite : RiskAppetite, optional
        Held against the signed one; it never replaces it.

    Raises
    ------
    GateClosed
        If the version has no evidence, or no appetite was signed before it.
    IntegrityError
        If the evidence is not signed by the validator or speaks about other bytes, or `appetite`
        is another one than was signed.
    """
    record = Record.load(settings)
    manifest, entry = record.manifest(version), evidence_of(record, version)
    evidence = read_evidence(entry)
    attached, held = attached_to(record, version), signed_appetite(record, version, on)
    if appetite is not None and appetite.digest != held.digest:
        raise IntegrityError(
            f"The appetite given is {appetite.id} {appetite.version} ({appetite.digest[:12]}); "
            f"both approvers signed {held.id} {held.version} ({held.digest[:12]}), which judges."
        )
    waivers = record.signed_waivers(version)
    decision = pure_gate.judge(evidence, held, waivers, on, attached=attached)
    newest = record.decision(version)
    if newest is None or read_decision(newest)[0].digest != decision.digest:
        predicate = {
            "decision": document(decision),
            "digest": decision.digest,
            "appetite": document(held),
        }
        subject = (subject_of(version), manifest.statement.sha256)
        signer = Signer.open(settings.keyring, Role.LEDGER)
        append(settings, Kind.DECISION, subject=subject, predicate=predicate, signer=signer)
    return decision


def evidence_of(record: Record, version: int) -> Entry:
    """Return the newest evidence of a version."""
    entry = record.evidence(version)
    if entry is None:
        raise GateClosed(
            f"Version {version} has no validation evidence, so nothing can open the gate. "
            f"Run `limitline validate --version {version}`."
        )
    return entry


def attached_to(record: Record, version: int) -> tuple[Evidence, ...]:
    """Return the newest policy evidence of each kind."""
    return tuple(read_evidence(entry) for entry in record.attached(version).values())


def unmeasured(version: int, decision: Decision) -> list[str]:
    """Return what the gate missed, each with the command that measures it if one is known."""
    lines = [line for line in decision.refusals if line.endswith(pure_gate.NOT_MEASURED)]
    hints = [how_to_measure(line.partition(" ")[0], version) for line in lines]
    return [f"{line} {hint}".strip() for line, hint in zip(lines, hints, strict=True)]


def closed(version: int, decision: Decision) -> LimitlineError:
    """Return the error that a closed gate raises: breached is 12, cannot tell is 14."""
    gravest = min(
        decision.refusals, key=lambda line: ("not waivable" not in line, "BREACH" not in line)
    )
    others = len(decision.refusals) - 1
    more = f" And {others} more; `limitline gate` lists them." if others else ""
    hint = how_to_measure(gravest.partition(" ")[0], version)
    said = f"{gravest} {hint}" if hint and gravest.endswith(pure_gate.NOT_MEASURED) else gravest
    text = f"The gate is closed for version {version} on {decision.decided_on}: {said}{more}"
    return Inconclusive(text) if decision.outcome is Outcome.INCONCLUSIVE else GateClosed(text)


def read_appetite(path: Path | None) -> RiskAppetite:
    """Read a risk appetite file; none given means the packaged demo appetite."""
    if path is not None:
        return RiskAppetite.load(path)
    packaged = importlib.resources.files("governance") / "appetite" / f"{PACKAGED_APPETITE}.toml"
    return RiskAppetite.parse(packaged.read_text(encoding="utf-8"))


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
    today = pure_gate.judge(read_evidence(measured), appetite, waivers, on, attached=attached)
    for judged in (decision, today):
        if not judged.is_open:
            raise closed(version, judged)
    return decision
