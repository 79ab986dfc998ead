"""Why a limit is what it is: one bit per reason, and who is behind it.

A decision keeps its reasons as a 32-bit mask, so the whole trail of a decision is four bytes. The
order of the bits is part of the decision log's format and never changes; new reasons are appended.
Their words stand in `decisions.reason_texts`.
"""

from __future__ import annotations

from enum import IntFlag, StrEnum


class Reason(IntFlag):
    """What a stage of the engine did to a limit."""

    LOW_RISK = 1 << 0
    HIGH_RISK = 1 << 1
    EARLY_WARNING = 1 << 2
    RAISES_FROZEN = 1 << 3
    COOL_DOWN = 1 << 4
    HISTORY_UNKNOWN = 1 << 5
    STEP_BOUND = 1 << 6
    POLICY_CAP = 1 << 7
    SMALL_CHANGE = 1 << 8
    BALANCE_FLOOR = 1 << 9
    MINIMUM_LIMIT = 1 << 10
    INPUT_MISSING = 1 << 11
    HOLD_OUT = 1 << 12
    BAND_KEPT = 1 << 13
    MACRO_REGIME = 1 << 14
    PROBABILITY_JUMP = 1 << 15
    PAYMENT_STRESS = 1 << 16
    BUSINESS_SOUNDNESS = 1 << 17
    DEBT_COVERAGE = 1 << 18
    BUSINESS_REVENUE = 1 << 19
    AFFORDABILITY = 1 << 20
    OVER_INDEBTED = 1 << 21
    CONSENT_MISSING = 1 << 22
    ASSESSMENT_STALE = 1 << 23
    AGGREGATE_CEILING = 1 << 24
    AUTOMATION_REFUSED = 1 << 25
    EXPLORATION = 1 << 26
    SEASONAL_UPLIFT = 1 << 27
    WHOLE_BOOK = 1 << 28


class Origin(StrEnum):
    """Who is behind a reason: what is known of the customer, a bound, or the lender's own will."""

    MODEL = "model"
    POLICY_CAP = "policy_cap"
    PORTFOLIO_ACTION = "portfolio_action"


# A decrease is explained by what lowered the limit, not by what merely bounded the lowering.
LOWERING: dict[Reason, Origin] = {
    Reason.HIGH_RISK: Origin.MODEL,
    Reason.PROBABILITY_JUMP: Origin.MODEL,
    Reason.EARLY_WARNING: Origin.MODEL,
    Reason.PAYMENT_STRESS: Origin.MODEL,
    Reason.BUSINESS_SOUNDNESS: Origin.MODEL,
    Reason.AFFORDABILITY: Origin.POLICY_CAP,
    Reason.MACRO_REGIME: Origin.PORTFOLIO_ACTION,
    Reason.WHOLE_BOOK: Origin.PORTFOLIO_ACTION,
}

MOST_REASONS = 4
"""The market's customary number of principal reasons."""
