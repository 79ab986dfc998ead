"""Laws of the envelope: whatever the optimizer may recommend obeys the policy as a decision does.

A recommendation lies between two limits. Each of the laws of bounds leaves a customer one stretch
of limits, so it holds for all recommendations if it holds for both ends.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TypeAlias

import numpy as np
import pyarrow as pa

from lab.optimizer.envelope import Envelope, find_envelope
from limits.checking.lawbook import Case
from limits.checking.laws import LAWS, Law, Verdict, nobody
from limits.checking.laws_of_risk import RISK_LAWS
from limits.inputs import MOST_MINOR
from limits.reasons import Text
from limits.sections import BASIS_POINTS, REFERENCE, Dial
from limits.stages.climate import Regime
from limits.stages.plan import Floats, Integers, Plan

Find: TypeAlias = Callable[[Plan, pa.RecordBatch], Envelope]

_BOUNDS = frozenset(
    {
        *("review_moves_nothing", "never_above_cap", "never_above_ceiling", "never_unaffordable"),
        *("payments_within_income", "no_more_debt", "raise_step", "cut_step", "worth_it"),
        *("raise_pause", "cut_pause", "floors", "consent_first", "assessment_first"),
        *("frozen_gives_nothing", "held_out_stays", "warned_gets_nothing"),
        *("weak_business_gets_nothing", "within_revenue"),
    }
)
BOUNDS: tuple[Law, ...] = tuple(law for law in (*LAWS, *RISK_LAWS) if law.name in _BOUNDS)


def laws_of(find: Find) -> tuple[Law, ...]:
    """Return the laws by which `find`, the way to an envelope, is judged."""
    return (
        Law(
            "recommended_within_bounds",
            Text("A recommendation obeys every bound of a decision", "优化建议不突破任何额度规则"),
            lambda case: _bounded(case, find),
        ),
        Law(
            "recommended_within_envelope",
            Text(
                "A recommendation stays within its band's envelope", "优化建议不超出本等级许可范围"
            ),
            lambda case: _spanned(case, find),
        ),
        Law(
            "recommended_not_below_floor",
            Text("Repeated cuts end at the floor", "多次降额不低于初始额度保底线"),
            lambda case: _floored(case, find),
        ),
        Law(
            "riskier_is_recommended_no_more",
            Text("More risk never opens a higher recommendation", "风险越高建议额度不增"),
            lambda case: _ordered(case, find),
        ),
    )


def _found(case: Case, find: Find) -> Envelope:
    moment = case.moment
    plan = Plan.of(case.policy, as_of=moment.as_of, freeze=moment.freeze, climate=moment.climate)
    return find(plan, case.batch)


def _bounded(case: Case, find: Find) -> Verdict:
    """Hold every law of bounds against both ends, between which the decision must lie."""
    if case.policy.envelope is None:
        return nobody(case), nobody(case)
    envelope = _found(case, find)
    breaks = (envelope.lower > case.after) | (case.after > envelope.upper)
    for limit in (envelope.lower, envelope.upper):
        ruled = recommended(case, limit)
        for law in BOUNDS:
            breaks |= law.check(ruled)[1]
    return np.ones(len(case.before), np.bool_), breaks


def recommended(case: Case, limit: Integers) -> Case:
    """Return the case as if `limit` had been decided, without a temporary uplift."""
    none = np.zeros(len(limit), np.int64)
    answers = {"limit_after_minor": limit, "temporary_uplift_minor": none}
    return replace(case, decided={**case.decided, **answers})


def _spanned(case: Case, find: Find) -> Verdict:
    """Beyond the decision itself no limit lies outside the span of the decided band."""
    if case.policy.envelope is None:
        return nobody(case), nobody(case)
    envelope, decided = _found(case, find), ~case.is_reviewed
    least, most = _spans(case)
    before = case.before.astype(np.float64)
    slack = 1 + 1e-6 * before
    too_low = envelope.lower < np.minimum(case.after, before * least) - slack
    too_high = envelope.upper > np.maximum(case.after, before * most) + slack
    return decided, decided & (too_low | too_high)


def _spans(case: Case) -> tuple[Floats, Floats]:
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


def _floored(case: Case, find: Find) -> Verdict:
    """Below the floor, or where the limit once granted is unknown, only the policy itself cuts."""
    envelope = case.policy.envelope
    if envelope is None or not envelope.floor_of_reference:
        return nobody(case), nobody(case)
    reference = case[REFERENCE].astype(np.float64)
    is_known = (reference > 0) & (reference <= MOST_MINOR)
    floor = np.where(is_known, reference * (envelope.floor_of_reference / BASIS_POINTS), np.inf)
    floor = np.minimum(floor, np.minimum(case.before, case.after))
    decided = ~case.is_reviewed
    return decided, decided & (_found(case, find).lower < floor - 1)


def _ordered(case: Case, find: Find) -> Verdict:
    if case.policy.envelope is None or not case.has("other_probability"):
        return nobody(case), nobody(case)
    again = case.given(default_probability=case.batch.column("other_probability"))
    here, there = _found(case, find), _found(again, find)
    mine, other = case["default_probability"], again["default_probability"]
    compared = ~case.is_reviewed & ~again.is_reviewed & (mine != other)
    is_riskier = mine > other
    breaks = nobody(case)
    for one, two in ((here.lower, there.lower), (here.upper, there.upper)):
        breaks |= np.where(is_riskier, one > two, two > one)
    return compared, compared & breaks


ENVELOPE_LAWS: tuple[Law, ...] = laws_of(find_envelope)
