"""Stages that turn a risk into a wish: band, matrix, regime, warnings, business, exploration."""

from __future__ import annotations

import numpy as np

from decisions.inputs import segments_among, vocabulary
from decisions.reasons import Reason
from decisions.sections import BASIS_POINTS
from decisions.stages.plan import Floats, Integers, Plan
from decisions.stages.trail import Trail

# Exploration draws from bits that neither the seal (bit 0) nor the arm (bits 16-31) uses.
_DRAW_SHIFT, _DRAW_MASK = 1, 0x7FFF


def choose_band(plan: Plan, trail: Trail) -> None:
    """Put each customer into a risk band; a small move leaves them in the previous one."""
    trail.band = _band(plan, trail, plan.edges)
    if plan.policy.bands.hysteresis:
        plain = np.searchsorted(plan.edges, trail.rows["default_probability"], side="left")
        trail.note(trail.band != plain, Reason.BAND_KEPT)


def _band(plan: Plan, trail: Trail, edges: Floats) -> Integers:
    risk = trail.rows["default_probability"]
    plain = np.searchsorted(edges, np.nan_to_num(risk), side="left")
    share = plan.policy.bands.hysteresis / BASIS_POINTS
    if not share:
        return plain
    previous = trail.rows["previous_band"]
    # Position -1 (no previous band) reads the last entry; it is masked out below.
    leaves_below = np.concatenate([[-1.0], edges * (1 - share)])[previous]
    leaves_above = np.concatenate([edges * (1 + share), [2.0]])[previous]
    stays = (previous >= 0) & (leaves_below < risk) & (risk <= leaves_above)
    return np.where(stays, previous, plain)


def apply_matrix(plan: Plan, trail: Trail) -> None:
    """Multiply the limit by the entry of band and utilization class, under the regime's dial."""
    column = np.searchsorted(plan.classes, trail.rows["utilization"], side="left")
    target = trail.before * plan.matrix[trail.band, column] // BASIS_POINTS
    trail.move(target, target > trail.before, Reason.LOW_RISK)
    trail.move(target, target < trail.before, Reason.HIGH_RISK)
    if plan.matrix is not plan.neutral_matrix and plan.climate.regime != "neutral":
        band = _band(plan, trail, plan.neutral_edges)
        neutral = trail.before * plan.neutral_matrix[band, column] // BASIS_POINTS
        trail.note(neutral != target, Reason.MACRO_REGIME)


def warn_early(plan: Plan, trail: Trail) -> None:
    """Cut on signs of distress: months behind, a jump of the risk, a limit drained and unpaid."""
    warning, rows = plan.policy.early_warning, trail.rows
    cut_to = trail.before * warning.cut_to // BASIS_POINTS
    trail.warn(rows["months_delinquent"] >= warning.months_delinquent, cut_to, Reason.EARLY_WARNING)
    if jump := warning.probability_jump:
        risk, previous = rows["default_probability"], rows["previous_probability"]
        has_jumped = (risk >= jump.ratio * previous) & (risk >= jump.minimum)
        trail.warn(has_jumped, cut_to, Reason.PROBABILITY_JUMP)
        # A jump that cannot be ruled out is no ground for a cut, and none for a raise either.
        trail.bar(np.isnan(previous), Reason.HISTORY_UNKNOWN)
    if stress := warning.stress:
        is_drained = rows["utilization"] >= stress.utilization
        is_unpaid = rows["payment_ratio"] <= stress.payment_ratio
        trail.warn(is_drained & is_unpaid, cut_to, Reason.PAYMENT_STRESS)


def judge_business(plan: Plan, trail: Trail) -> None:
    """Judge firms by their accounts and traders by what comes in."""
    firm, rows = plan.policy.business, trail.rows
    if firm is None:
        return
    if firm.legal_persons:
        is_legal = segments_among(plan.policy, firm.legal_persons)[rows["segment"]]
        cut_to = trail.before * firm.distress_cut_to // BASIS_POINTS
        is_distressed = is_legal & (rows["altman_z"] < firm.altman_distress)
        trail.warn(is_distressed, cut_to, Reason.BUSINESS_SOUNDNESS)
        is_grey = is_legal & (rows["altman_z"] < firm.altman_safe)
        trail.bar(is_grey, Reason.BUSINESS_SOUNDNESS)
    is_firm = segments_among(plan.policy, (*firm.legal_persons, *firm.sole_traders))[
        rows["segment"]
    ]
    is_short = rows["debt_service_coverage"] < firm.minimum_debt_service_coverage
    trail.bar(is_firm & is_short, Reason.DEBT_COVERAGE)
    most = rows["monthly_revenue_minor"] * firm.revenue_multiple // BASIS_POINTS
    trail.bound(np.where(is_firm, most, np.iinfo(np.int64).max), Reason.BUSINESS_REVENUE)


def explore(plan: Plan, trail: Trail) -> None:
    """Give the exploring arm a drawn multiple of what the rules give."""
    trial = plan.policy.experiment
    if trial is None:
        return
    is_open = plan.in_trial[trail.band]
    drawn = (trail.rows["assignment"] >> _DRAW_SHIFT & _DRAW_MASK) % len(trial.multipliers)
    target = trail.after * np.asarray(trial.multipliers)[drawn] // BASIS_POINTS
    explores = trail.rows["arm"] == vocabulary(plan.policy, "arm").index("explore")
    trail.move(target, explores & is_open & ~trail.is_barred, Reason.EXPLORATION)
