"""Laws of the envelope: whatever the optimizer may recommend obeys the policy as a decision does.

A recommendation lies between two limits. Each of the laws of bounds leaves a customer one stretch
of limits, so it holds for all recommendations if it holds for both ends.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from decisions.inputs import MOST_MINOR
from decisions.plan import Integers, Plan, Regime
from decisions.policy_cases import Case
from decisions.sections import BASIS_POINTS, REFERENCE, Dial
from lab.optimizer.envelope import LimitBounds, find_envelope
from tests.decisions.engine_laws import LAWS

BOUNDS = (
    *("review_moves_nothing", "never_above_cap", "never_above_ceiling", "never_unaffordable"),
    *("payments_within_income", "no_more_debt", "raise_step", "cut_step", "worth_it"),
    *("raise_pause", "cut_pause", "floors", "consent_first", "assessment_first"),
    *("frozen_gives_nothing", "held_out_stays", "warned_gets_nothing"),
    *("weak_business_gets_nothing", "within_revenue"),
)


def breaks(case: Case) -> dict[str, np.ndarray]:
    """Return who breaks which law of the envelope, by its name."""
    envelope, decided = found(case), ~case.is_reviewed
    bounds = (envelope.lower > case.after) | (case.after > envelope.upper)
    for limit in (envelope.lower, envelope.upper):
        for name in BOUNDS:
            bounds |= LAWS[name](recommended(case, limit))[1]
    least, most = spans(case)
    before = case.before.astype(np.float64)
    slack = 1 + 1e-6 * before
    too_low = envelope.lower < np.minimum(case.after, before * least) - slack
    too_high = envelope.upper > np.maximum(case.after, before * most) + slack
    return {
        "bounds of a decision": bounds,
        "spans of the bands": decided & (too_low | too_high),
        "floor": decided & (envelope.lower < floor(case) - 1),
        "more risk, no more limit": disordered(case, envelope),
    }


def found(case: Case) -> LimitBounds:
    moment = case.moment
    plan = Plan.of(case.policy, as_of=moment.as_of, freeze=moment.freeze, climate=moment.climate)
    return find_envelope(plan, case.batch)


def recommended(case: Case, limit: Integers) -> Case:
    """Return the case as if `limit` had been decided, without a temporary uplift."""
    none = np.zeros(len(limit), np.int64)
    answers = {"limit_after_minor": limit, "temporary_uplift_minor": none}
    return replace(case, decided={**case.decided, **answers})


def spans(case: Case) -> tuple[np.ndarray, np.ndarray]:
    """Look up least and most by the band that was decided, turned by the dial of the regime."""
    envelope, regime = case.policy.envelope, case.moment.climate.regime
    least, most = np.ones(len(case.before)), np.ones(len(case.before))
    dials = dict(case.policy.macro) if case.policy.macro else {}
    dial = Dial() if regime is Regime.NEUTRAL else dials[regime.value]
    for band, span in envelope.bands.items() if envelope else ():
        here = case.decided["band"] == band
        is_open = dial.raise_bands is None or band in dial.raise_bands
        given = (span.most / BASIS_POINTS - 1) * (dial.raise_scale / BASIS_POINTS) * is_open
        taken = (1 - span.least / BASIS_POINTS) * (dial.cut_scale / BASIS_POINTS)
        least[here], most[here] = 1 - taken, 1 + given
    return least, most


def floor(case: Case) -> np.ndarray:
    """Below the floor, or where the limit once granted is unknown, only the policy itself cuts."""
    share = case.policy.envelope.floor_of_reference if case.policy.envelope else 0
    if not share:
        return np.zeros(len(case.before))
    reference = case[REFERENCE].astype(np.float64)
    is_known = (reference > 0) & (reference <= MOST_MINOR)
    wanted = np.where(is_known, reference * (share / BASIS_POINTS), np.inf)
    return np.minimum(wanted, np.minimum(case.before, case.after))


def disordered(case: Case, here: LimitBounds) -> np.ndarray:
    again = case.given(default_probability=case.batch.column("other_probability"))
    there = found(again)
    mine, other = case["default_probability"], again["default_probability"]
    compared = ~case.is_reviewed & ~again.is_reviewed & (mine != other)
    wrong = np.zeros(len(mine), np.bool_)
    for one, two in ((here.lower, there.lower), (here.upper, there.upper)):
        wrong |= np.where(mine > other, one > two, two > one)
    return compared & wrong
