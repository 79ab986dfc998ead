"""Explanation: one decision in words, with what moved the limit and at which stage."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any

import pyarrow as pa

from decisions import engine
from decisions.policy import LimitPolicy
from decisions.reasons import LOWERING, TEXTS, Origin, Reason, Text
from decisions.stages.climate import PLAIN, Climate, Freeze
from decisions.stages.plan import Plan
from governance.errors import UsageError

MOST_REASONS = 4
NO_MODEL = Text(
    "A plain table brings a default probability and no model; whoever made it can say more.",
    "普通数据表只提供违约概率而不含模型,具体原因须由模型提供方说明。",
)

# What a customer asks about comes first; what merely bounded a change comes last.
_ORDER = (
    Reason.AUTOMATION_REFUSED,
    Reason.INPUT_MISSING,
    Reason.EARLY_WARNING,
    Reason.PROBABILITY_JUMP,
    Reason.PAYMENT_STRESS,
    Reason.BUSINESS_SOUNDNESS,
    Reason.HIGH_RISK,
    Reason.AFFORDABILITY,
    Reason.OVER_INDEBTED,
    Reason.DEBT_COVERAGE,
    Reason.BUSINESS_REVENUE,
    Reason.MACRO_REGIME,
    Reason.WHOLE_BOOK,
    Reason.RAISES_FROZEN,
    Reason.CONSENT_MISSING,
    Reason.ASSESSMENT_STALE,
    Reason.HISTORY_UNKNOWN,
    Reason.COOL_DOWN,
    Reason.POLICY_CAP,
    Reason.AGGREGATE_CEILING,
    Reason.HOLD_OUT,
    Reason.EXPLORATION,
    Reason.LOW_RISK,
    Reason.SEASONAL_UPLIFT,
    Reason.STEP_BOUND,
    Reason.BALANCE_FLOOR,
    Reason.MINIMUM_LIMIT,
    Reason.SMALL_CHANGE,
    Reason.BAND_KEPT,
)


def principal_reasons(mask: int, action: str) -> list[Reason]:
    """Return the reasons that a customer is told, the principal one first, four at most.

    A cut is explained by what lowered the limit alone: that it might also have been raised, or was
    bounded in size, is no reason for it. The market's customary number is four.

    References
    ----------
    Regulation B, 12 CFR 1002.9(b)(2): specific, principal reasons of an adverse action.

    Examples
    --------
    >>> principal_reasons(Reason.LOW_RISK | Reason.EARLY_WARNING | Reason.STEP_BOUND, "cut")
    [<Reason.EARLY_WARNING: 4>]
    """
    held: list[Reason] = [reason for reason in _ORDER if mask & reason]
    if action == "cut":
        held = [reason for reason in held if reason in LOWERING]
    elif action == "hold":
        # What would have raised the limit did not; the customer asks what stood against it.
        against: list[Reason] = [reason for reason in held if reason is not Reason.LOW_RISK]
        held = against or held
    elif action == "raise":
        held.sort(key=lambda reason: reason not in (Reason.LOW_RISK, Reason.EXPLORATION))
    return held[:MOST_REASONS]


def origins(mask: int) -> dict[Origin, list[Reason]]:
    """Split the reasons of a cut into model, policy cap and portfolio action."""
    split: dict[Origin, list[Reason]] = {origin: [] for origin in Origin}
    for reason in principal_reasons(mask, "cut"):
        split[LOWERING[reason]].append(reason)
    return split


def explain(
    policy: LimitPolicy,
    row: pa.RecordBatch,
    *,
    as_of: date,
    freeze: Freeze = Freeze.NOTHING,
    climate: Climate = PLAIN,
) -> dict[str, Any]:
    """Decide one customer and say why.

    Parameters
    ----------
    row : pyarrow.RecordBatch
        One row with the inputs of `policy`.

    Returns
    -------
    dict
        ``explanation/1``: limits, action, principal reasons in both languages, for a cut their
        origin, and every stage that moved the limit. It holds no input and no score.

    Raises
    ------
    UsageError
        If there is not exactly one row.
    ContractError
        As `decisions.engine.decide`.
    """
    if row.num_rows != 1:
        raise UsageError(f"One decision is explained at a time; {row.num_rows} rows were given.")
    decided = engine.decide(policy, row, as_of=as_of, freeze=freeze, climate=climate).to_pylist()[0]
    plan = Plan.of(policy, as_of=as_of, freeze=freeze, climate=climate)
    limits = {name: int(after[0]) for name, after in engine.trace(plan, row).items()}
    expiry = decided["uplift_expires_on"]
    return {
        "schema": "explanation/1",
        "policy": policy.stamp,
        "as_of": as_of.isoformat(),
        "currency": policy.currency,
        "action": decided["action"],
        "limit_before_minor": decided["limit_before_minor"],
        "limit_after_minor": decided["limit_after_minor"],
        "temporary_uplift_minor": decided["temporary_uplift_minor"],
        "uplift_expires_on": expiry.isoformat() if expiry else None,
        "reasons": reasons_told(decided),
        "stages": _moves(decided["limit_before_minor"], limits),
        "model_reasons": {
            "outcome": "INCONCLUSIVE",
            "reason": NO_MODEL.en,
            "reason_zh": NO_MODEL.zh,
            "reasons": [],
        },
    }


def reasons_told(decided: Mapping[str, Any]) -> list[dict[str, str | None]]:
    """Return the principal reasons of one decision as text, with the origin if it is a cut."""
    action = str(decided["action"])
    told: list[dict[str, str | None]] = []
    for reason in principal_reasons(int(decided["reasons"]), action):
        origin = LOWERING[reason].value if action == "cut" else None
        text = TEXTS[reason]
        told.append({"code": str(reason.name), "en": text.en, "zh": text.zh, "origin": origin})
    return told


def logged(decided: Mapping[str, Any]) -> dict[str, Any]:
    """Explain a decision of the log from what was logged; nothing is decided again.

    Returns
    -------
    dict
        ``explanation/1`` without the stages, which only a replay can show.
    """
    expiry = decided["uplift_expires_on"]
    return {
        "schema": "explanation/1",
        "policy": decided["policy_stamp"],
        "model": decided["model_stamp"],
        "action": decided["action"],
        "limit_before_minor": decided["limit_before_minor"],
        "limit_after_minor": decided["limit_after_minor"],
        "temporary_uplift_minor": decided["temporary_uplift_minor"],
        "uplift_expires_on": expiry.isoformat() if expiry else None,
        "reasons": reasons_told(decided),
        "stages": None,
    }


def _moves(before: int, limits: Mapping[str, int]) -> list[dict[str, Any]]:
    moves, last = [], before
    for stage, after in limits.items():
        if after != last:
            moves.append({"stage": stage, "from_minor": last, "to_minor": after})
        last = after
    return moves
