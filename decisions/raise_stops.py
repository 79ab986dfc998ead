"""What stops raises today: a person's freeze, a severe finding, silence, a leave that ran out.

A lender that does not look, that knows of something severe, or whose approvals and waivers for the
champion have expired, may still protect its customers and itself; it may not raise limits. Cuts are
neither stopped nor caused by this.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from decisions.engine import Freeze
from decisions.policy import LimitPolicy
from governance.evidence import Severity
from governance.gate import waiver_problem
from governance.measurement import describe_scope
from governance.settings import Settings
from registry.findings import in_force, open_findings
from registry.offline import APPROVERS
from registry.record import APPLIED, Record, read_decision, waiver_key
from registry.signing import Kind


@dataclass(frozen=True, slots=True, kw_only=True)
class RaiseStops:
    """Whether raises are stopped, and why.

    Parameters
    ----------
    freezes : tuple of str
        The freezes that a person signed; only two people lift them, and no option of a command.
    """

    freeze: Freeze
    reasons: tuple[str, ...]
    freezes: tuple[str, ...] = ()


def find_stops(settings: Settings, policy: LimitPolicy, on: date) -> RaiseStops:
    """Read from the ledger what stops raises on the day `on`.

    Raises
    ------
    IntegrityError
        If the ledger is not what was signed.
    """
    record = Record.load(settings)
    signed = in_force(record, on)
    reasons = [
        f"raises are frozen by the {found.by.role} since {found.frozen_on} ({found.id})"
        for found in signed
    ]
    severe = [f for f in open_findings(settings, on) if f.severity is Severity.SEVERE]
    reasons += [f"severe finding {finding.id} is open" for finding in severe]
    supervision = policy.supervision
    if supervision is not None:
        seen = _last_sign_of_life(record, on)
        silent_days = None if seen is None else (on - seen).days
        if silent_days is not None and silent_days > supervision.max_silence_days:
            reasons.append(
                f"monitoring has been silent for {silent_days} days; "
                f"{supervision.max_silence_days} are allowed"
            )
    reasons += expired(record, on)
    return RaiseStops(
        freeze=Freeze.RAISES if reasons else Freeze.NOTHING,
        reasons=tuple(reasons),
        freezes=tuple(found.id for found in signed),
    )


def expired(record: Record, on: date) -> list[str]:
    """Say which approvals and waivers that the champion rests on have run out by the day `on`.

    An approval of each approver role, for exactly what was promoted, must not have ended, and a
    breach that was waived must still be answered for. What was given again since counts; what was
    given after `on` counts too, so that deciding a past month again is not refused for the order
    of the paper.
    """
    promotion = Record(record.history, on).promotion()
    if promotion is None:
        return []
    version, binds = (promotion.statement.predicate[name] for name in ("version", "binds"))
    ends = dict.fromkeys(sorted(APPROVERS), "")
    for given in record.approvals(version):
        said, role = given.statement.predicate, given.statement.person.role
        if said["binds"] == binds:
            ends[role] = max(ends[role], said["expires_on"])
    found = [
        f"the approval of version {version} by the {role} ended on {end}"
        for role, end in ends.items()
        if end < on.isoformat()
    ]
    (entry, *_) = (
        entry
        for entry in record.of(Kind.DECISION, version)
        if entry.statement.predicate["digest"] == binds["decision"]
    )
    decision, appetite = read_decision(entry)
    judged = {measurement.key: measurement for measurement in decision.judged}
    signed = record.signed_waivers(version)
    for waived in decision.waived:
        place = waiver_key(waived)
        threshold = appetite.threshold_for(judged[place], decision.decided_on)
        lasts = [
            waiver.expires_on
            for waiver in signed
            if waiver_key(waiver) == place
            and threshold is not None
            and not waiver_problem(waiver, threshold, appetite, signed)
        ]
        if max(lasts, default=date.min) < on:
            name = f"the waiver of {waived.measure} ({describe_scope(waived.scope)})"
            found.append(f"{name} ended on {max(lasts)}" if lasts else f"{name} does not count")
    return found


def _last_sign_of_life(record: Record, on: date) -> date | None:
    """Return the day of the last heartbeat or promotion up to `on`, whichever is later.

    A champion that was just promoted was just looked at, so its first decision needs no heartbeat.
    A beat from the future says nothing about whether anybody looks today.
    """
    signs = (*record.events(APPLIED), *record.of(Kind.HEARTBEAT))
    days = (date.fromisoformat(entry.statement.predicate["on"]) for entry in signs)
    return max((day for day in days if day <= on), default=None)
