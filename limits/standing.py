"""What stops raises today: a freeze by a person, a severe finding, or a silent monitor.

A lender that does not look, or that knows of something severe, may still protect its customers and
itself; it may not raise limits. Cuts are neither stopped nor caused by this.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from governance.evidence import Severity
from governance.settings import Settings
from limits.engine import Freeze
from limits.policy import LimitPolicy
from registry.finding import last_heartbeat, open_findings
from registry.freeze import in_force
from registry.record import INTENT, Record


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """Whether raises are stopped, and why.

    Parameters
    ----------
    freezes : tuple of str
        The freezes that a person signed; only two people lift them, and no option of a command.
    """

    freeze: Freeze
    reasons: tuple[str, ...]
    freezes: tuple[str, ...] = ()


def standing(settings: Settings, policy: LimitPolicy, on: date) -> Standing:
    """Read from the ledger what stops raises on the day `on`.

    Raises
    ------
    IntegrityError
        If the ledger is not what was signed.
    """
    signed = in_force(Record.load(settings), on)
    reasons = [
        f"raises are frozen by the {found.by.role} since {found.frozen_on} ({found.id})"
        for found in signed
    ]
    severe = [f for f in open_findings(settings, on) if f.severity is Severity.SEVERE]
    reasons += [f"severe finding {finding.id} is open" for finding in severe]
    supervision = policy.supervision
    if supervision is not None:
        seen = _last_sign_of_life(settings)
        silent_days = None if seen is None else (on - seen).days
        if silent_days is not None and silent_days > supervision.max_silence_days:
            reasons.append(
                f"monitoring has been silent for {silent_days} days; "
                f"{supervision.max_silence_days} are allowed"
            )
    return Standing(
        freeze=Freeze.RAISES if reasons else Freeze.NOTHING,
        reasons=tuple(reasons),
        freezes=tuple(found.id for found in signed),
    )


def _last_sign_of_life(settings: Settings) -> date | None:
    """Return the day of the last heartbeat or promotion, whichever is later.

    A champion that was just promoted was just looked at, so its first decision needs no heartbeat.
    """
    promoted = [
        date.fromisoformat(entry.statement.predicate["on"])
        for entry in Record.load(settings).events(INTENT)
    ]
    beat = last_heartbeat(settings)
    return max([*promoted, *([beat] if beat else [])], default=None)
