"""Laws of risk: the declared band, the declared answer, and nothing new on a sign of distress."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from decisions.checking.lawbook import Case
from decisions.checking.laws import Law, Verdict, nobody
from decisions.inputs import Flags
from decisions.reasons import Text
from decisions.sections import BASIS_POINTS
from decisions.stages.climate import Regime


def _band(case: Case) -> Verdict:
    """Without history and in the neutral regime the band follows from the edges alone."""
    decided = ~case.is_reviewed
    if case.moment.climate.regime is not Regime.NEUTRAL:
        return nobody(case), nobody(case)
    if case.has("previous_band"):
        decided = decided & np.asarray(case.batch.column("previous_band").is_null())
    risk, bands = case["default_probability"], case.policy.bands
    wrong = nobody(case)
    lows, highs = (-1.0, *bands.upper), (*bands.upper, 2.0)
    for name, low, high in zip(bands.names, lows, highs, strict=True):
        wrong |= (case.decided["band"] == name) & ~((low < risk) & (risk <= high))
    return decided, decided & wrong


def _multiplier(case: Case) -> npt.NDArray[np.float64]:
    """Look the matrix up by the band that was decided, class by class."""
    utilization = case["utilization"]
    uppers = (*case.policy.utilization.upper, np.inf)
    found = np.full(len(utilization), np.nan)
    for band, row in case.policy.matrix.items():
        low = -np.inf
        for upper, points in zip(uppers, row, strict=True):
            here = (case.decided["band"] == band) & (low < utilization) & (utilization <= upper)
            found[here] = points / BASIS_POINTS
            low = upper
    return found


def _obeyed(case: Case) -> Verdict:
    """In the neutral regime and outside the trial no raise exceeds the matrix."""
    given = case.after > case.before
    if case.moment.climate.regime is not Regime.NEUTRAL:
        return nobody(case), nobody(case)
    if case.has("arm"):
        given = given & (case["arm"] != "explore")
    most = case.before * _multiplier(case)
    return given, given & (case.after > most + 1e-6 * most)


def _signs(case: Case) -> Flags:
    """Find every sign of distress that the policy watches for."""
    warning = case.policy.early_warning
    signs = case["months_delinquent"] >= warning.months_delinquent
    if jump := warning.probability_jump:
        risk = case["default_probability"]
        signs |= (risk >= jump.ratio * case["previous_probability"]) & (risk >= jump.minimum)
    if stress := warning.stress:
        unpaid = case["payment_ratio"] <= stress.payment_ratio
        signs |= (case["utilization"] >= stress.utilization) & unpaid
    return signs & ~case.is_broken


def _warned(case: Case) -> Verdict:
    signs = _signs(case)
    return signs, signs & case.gives


def _answered(case: Case) -> Verdict:
    """High risk and distress lower a limit, as far as step, floors and pauses let them."""
    policy, firm = case.policy, case.policy.business
    if case.moment.climate.regime is not Regime.NEUTRAL:
        return nobody(case), nobody(case)
    share = np.nan_to_num(_multiplier(case), nan=1.0)
    signs = _signs(case)
    share = np.where(signs, np.minimum(share, policy.early_warning.cut_to / BASIS_POINTS), share)
    if firm is not None and firm.legal_persons:
        weak = case.belongs_to(firm.legal_persons) & (case["altman_z"] < firm.altman_distress)
        share = np.where(weak, np.minimum(share, firm.distress_cut_to / BASIS_POINTS), share)
    share = np.maximum(share, 1 - policy.step.max_cut / BASIS_POINTS)
    since = case["months_since_cut"]
    is_due = (share < 1) & ~case.is_reviewed
    is_due &= (since < 0) | (since >= policy.cool_down.cut_months)
    if case.has("arm"):
        is_due &= case["arm"] != "hold_out"
    unit = policy.rounding_minor
    wanted = np.ceil(case.before * share / unit) * unit + unit
    floor = np.maximum(case["balance_minor"], policy.minimum_limit_minor)
    wanted = np.maximum(wanted, np.ceil(floor / unit) * unit)
    is_worth = (case.before - wanted) * BASIS_POINTS > case.before * policy.step.minimum_change
    return is_due, is_due & is_worth & (case.after > wanted)


def _weak_business(case: Case) -> Verdict:
    firm = case.policy.business
    if firm is None:
        return nobody(case), nobody(case)
    is_firm = case.belongs_to((*firm.legal_persons, *firm.sole_traders))
    is_weak = is_firm & (case["debt_service_coverage"] < firm.minimum_debt_service_coverage)
    if firm.legal_persons:
        is_grey = case["altman_z"] < max(firm.altman_safe, firm.altman_distress)
        is_weak |= case.belongs_to(firm.legal_persons) & is_grey
    return is_weak, is_weak & case.gives


def _revenue(case: Case) -> Verdict:
    firm = case.policy.business
    if firm is None:
        return nobody(case), nobody(case)
    given = case.gives & case.belongs_to((*firm.legal_persons, *firm.sole_traders))
    most = case["monthly_revenue_minor"] * (firm.revenue_multiple / BASIS_POINTS)
    return given, given & (case.total > most + 1)


RISK_LAWS: tuple[Law, ...] = (
    Law("band_is_declared", Text("The band is the declared one", "风险等级与规则一致"), _band),
    Law(
        "matrix_is_obeyed",
        Text("No raise exceeds the matrix", "提额不超过矩阵倍数"),
        _obeyed,
    ),
    Law("warned_gets_nothing", Text("A warning gives nothing new", "预警客户不提额"), _warned),
    Law(
        "risk_is_answered",
        Text("High risk and distress lower the limit", "高风险与预警客户按规则降额"),
        _answered,
    ),
    Law(
        "weak_business_gets_nothing",
        Text("A weak business gets nothing new", "经营偏弱企业不提额"),
        _weak_business,
    ),
    Law(
        "within_revenue",
        Text("A business limit stays within revenue", "企业额度不超营收倍数"),
        _revenue,
    ),
)
