"""Laws of the engine, each written anew from the policy and sharing no code with the stages.

A law returns whom it concerns and who breaks it, ``(n_rows,)`` each.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pyarrow as pa

from decisions import inputs, policy_check
from decisions.plan import Freeze, Regime
from decisions.policy_cases import Case
from decisions.sections import BASIS_POINTS

Broken = tuple[np.ndarray, np.ndarray]
LAWS: dict[str, Callable[[Case], Broken]] = {law.name: law.check for law in policy_check.LAWS}


def law(check: Callable[[Case], Broken]) -> Callable[[Case], Broken]:
    LAWS[check.__name__] = check
    return check


def everybody(case: Case) -> np.ndarray:
    return np.ones(len(case.before), np.bool_)


def nobody(case: Case) -> np.ndarray:
    return np.zeros(len(case.before), np.bool_)


def silent(case: Case) -> Broken:
    return nobody(case), nobody(case)


def is_broken(case: Case) -> np.ndarray:
    """Some needed value is missing or impossible."""
    broken = nobody(case)
    no_segment = np.asarray(case.batch.column("segment").is_null())
    for name in ("default_probability", *inputs.needed(case.policy)):
        column = case.batch.column(name)
        is_null = np.asarray(column.is_null().to_numpy(zero_copy_only=False))
        bad = is_null & (name not in inputs.MAY_BE_NULL)
        if pa.types.is_floating(column.type) or pa.types.is_integer(column.type):
            values = column.fill_null(0).to_numpy(zero_copy_only=False).astype(np.float64)
            highest = float(inputs.MOST_MINOR) if name.endswith("_minor") else np.inf
            highest = 1.0 if name.endswith("_probability") else highest
            lowest = -np.inf if name in inputs.MAY_BE_NEGATIVE else 0.0
            bad |= ~is_null & (~np.isfinite(values) | (values < lowest) | (values > highest))
        only = inputs.concerns(case.policy, name)
        if only is not None:
            bad &= case.belongs_to(tuple(only)) | no_segment
        broken |= bad
    return broken


def is_person(case: Case) -> np.ndarray:
    firm = case.policy.business
    return ~case.belongs_to(firm.legal_persons if firm else ())


def refuses(case: Case) -> np.ndarray:
    has = case.has("refuses_automation")
    return case["refuses_automation"].astype(np.bool_) if has else nobody(case)


@law
def sound_row_decided(case: Case) -> Broken:
    is_sound = ~is_broken(case) & ~refuses(case)
    return is_sound, is_sound & case.is_reviewed


@law
def broken_row_reviewed(case: Case) -> Broken:
    return is_broken(case), is_broken(case) & ~case.is_reviewed


@law
def refusal_reviewed(case: Case) -> Broken:
    return refuses(case), refuses(case) & ~case.is_reviewed


@law
def review_moves_nothing(case: Case) -> Broken:
    return case.is_reviewed, case.is_reviewed & ((case.after != case.before) | (case.uplift != 0))


@law
def action_is_true(case: Case) -> Broken:
    words = np.array(["cut", "hold", "raise"], dtype=object)
    said = words[np.sign(case.after - case.before) + 1]
    return everybody(case), ~case.is_reviewed & (said != case.decided["action"])


@law
def never_above_cap(case: Case) -> Broken:
    cap = np.full(len(case.before), np.iinfo(np.int64).max)
    for row in case.policy.caps:
        if row.holds_on(case.moment.as_of):
            here = case.belongs_to((row.segment,))
            if row.product is not None:
                here &= case["product"] == row.product
            cap = np.where(here, np.minimum(cap, row.cap_minor), cap)
    return case.gives, case.gives & (case.total > cap)


@law
def never_above_ceiling(case: Case) -> Broken:
    held = [row for row in case.policy.ceilings if row.holds_on(case.moment.as_of)]
    if not held:
        return silent(case)
    together = case.total + np.minimum(case["other_exposure_minor"], 10**14)
    return case.gives, case.gives & (together > held[0].ceiling_minor)


@law
def never_unaffordable(case: Case) -> Broken:
    rule = case.policy.affordability
    if rule is None:
        return silent(case)
    payments = case.total * (rule.minimum_payment_rate / BASIS_POINTS) + case["debt_service_minor"]
    share = rule.income_haircut / BASIS_POINTS * (rule.max_debt_service / BASIS_POINTS)
    given = case.gives & is_person(case) & ~is_broken(case)
    return given, given & (payments > case["income_minor"] * share + 1)


@law
def no_more_debt(case: Case) -> Broken:
    rule = case.policy.over_indebtedness
    if rule is None:
        return silent(case)
    share = rule.income_haircut / BASIS_POINTS * (rule.max_debt_to_income / BASIS_POINTS)
    owes = is_person(case) & (case["total_debt_minor"] > case["income_minor"] * 12 * share + 1)
    return owes, owes & case.gives


@law
def raise_step(case: Case) -> Broken:
    raised = case.after > case.before
    grown = case.before.astype(np.float64) * (1 + case.policy.step.max_raise / BASIS_POINTS)
    return raised, raised & (case.after > grown + 1e-6 * grown)


@law
def cut_step(case: Case) -> Broken:
    cut = case.after < case.before
    left = case.before.astype(np.float64) * (1 - case.policy.step.max_cut / BASIS_POINTS)
    return cut, cut & ((case.after < left - 1e-6 * left) | (case.after < 0))


@law
def worth_it(case: Case) -> Broken:
    moved = case.after != case.before
    size = np.abs(case.after - case.before) * BASIS_POINTS
    return moved, moved & (size < case.before * case.policy.step.minimum_change)


@law
def raise_pause(case: Case) -> Broken:
    raised = case.after > case.before
    since = np.minimum(case["months_since_raise"], case["months_since_cut"])
    return raised, raised & (since < case.policy.cool_down.raise_months)


@law
def cut_pause(case: Case) -> Broken:
    cut, since = case.after < case.before, case["months_since_cut"]
    return cut, cut & (since >= 0) & (since < case.policy.cool_down.cut_months)


@law
def floors(case: Case) -> Broken:
    cut = case.after < case.before
    floor = np.maximum(case["balance_minor"], case.policy.minimum_limit_minor)
    return cut, cut & (case.after < np.minimum(case.before, floor))


@law
def consent_first(case: Case) -> Broken:
    lacks = ~case["has_consent"].astype(np.bool_) if case.has("has_consent") else nobody(case)
    return lacks, lacks & case.gives


@law
def assessment_first(case: Case) -> Broken:
    rule = case.policy.raise_conditions
    if rule is None or rule.assessment_months is None:
        return silent(case)
    is_stale = case["months_since_assessment"] > rule.assessment_months
    return is_stale, is_stale & case.gives


@law
def frozen_gives_nothing(case: Case) -> Broken:
    if case.moment.freeze is not Freeze.RAISES:
        return silent(case)
    return everybody(case), case.gives


@law
def freeze_cuts_nobody(case: Case) -> Broken:
    if case.moment.freeze is not Freeze.NOTHING:
        return silent(case)
    frozen, wanted = case.under(freeze=Freeze.RAISES), np.minimum(case.after, case.before)
    return ~case.is_reviewed, ~case.is_reviewed & (frozen.after != wanted)


@law
def held_out_stays(case: Case) -> Broken:
    held = case["arm"] == "hold_out" if case.has("arm") else nobody(case)
    return held, held & ((case.after != case.before) | (case.uplift > 0))


@law
def uplift_expires(case: Case) -> Broken:
    given = case.uplift > 0
    running = [s for s in case.policy.seasons if s.starts_on <= case.moment.as_of <= s.ends_on]
    expiry = case.decided["uplift_expires_on"].astype("datetime64[D]")
    wrong = given == np.isnat(expiry)
    if not running:
        return given, given | wrong
    return given, wrong | (given & (expiry != np.datetime64(running[0].expires_on)))


@law
def uplift_bounded(case: Case) -> Broken:
    given = case.uplift != 0
    share = max([season.uplift for season in case.policy.seasons], default=0)
    too_large = case.uplift * BASIS_POINTS > case.after * share
    return given, given & (too_large | (case.uplift < 0) | (case.after < case.before))


@law
def uplift_stays_apart(case: Case) -> Broken:
    ordinary = case.policy.model_copy(update={"seasons": ()})
    apart = Case.of(ordinary, case.moment, case.batch, case.decide)
    return case.uplift > 0, case.after != apart.after


@law
def band_is_declared(case: Case) -> Broken:
    """Without history and in the neutral regime the band follows from the edges alone."""
    if case.moment.climate.regime is not Regime.NEUTRAL:
        return silent(case)
    decided = ~case.is_reviewed
    if case.has("previous_band"):
        decided = decided & np.asarray(case.batch.column("previous_band").is_null())
    risk, bands, wrong = case["default_probability"], case.policy.bands, nobody(case)
    for name, low, high in zip(bands.names, (-1, *bands.upper), (*bands.upper, 2), strict=True):
        wrong |= (case.decided["band"] == name) & ~((low < risk) & (risk <= high))
    return decided, decided & wrong


def multiplier(case: Case) -> np.ndarray:
    """Look the matrix up by the band that was decided, class by class."""
    utilization, found = case["utilization"], np.full(len(case.before), np.nan)
    for band, row in case.policy.matrix.items():
        low = -np.inf
        for upper, points in zip((*case.policy.utilization.upper, np.inf), row, strict=True):
            here = (case.decided["band"] == band) & (low < utilization) & (utilization <= upper)
            found[here] = points / BASIS_POINTS
            low = upper
    return found


@law
def matrix_is_obeyed(case: Case) -> Broken:
    """In the neutral regime and outside the trial no raise exceeds the matrix."""
    if case.moment.climate.regime is not Regime.NEUTRAL:
        return silent(case)
    given, most = case.after > case.before, case.before * multiplier(case)
    if case.has("arm"):
        given = given & (case["arm"] != "explore")
    return given, given & (case.after > most + 1e-6 * most)


@law
def risk_is_answered(case: Case) -> Broken:
    """High risk and distress lower a limit, as far as step, floors and pauses let them."""
    policy, firm = case.policy, case.policy.business
    if case.moment.climate.regime is not Regime.NEUTRAL:
        return silent(case)
    share = np.nan_to_num(multiplier(case), nan=1.0)
    signs = LAWS["warned_gets_nothing"](case)[0]
    share = np.where(signs, np.minimum(share, policy.early_warning.cut_to / BASIS_POINTS), share)
    if firm is not None and firm.legal_persons:
        weak = case.belongs_to(firm.legal_persons) & (case["altman_z"] < firm.altman_distress)
        share = np.where(weak, np.minimum(share, firm.distress_cut_to / BASIS_POINTS), share)
    share = np.maximum(share, 1 - policy.step.max_cut / BASIS_POINTS)
    since, unit = case["months_since_cut"], policy.rounding_minor
    is_due = (share < 1) & ~case.is_reviewed
    is_due &= (since < 0) | (since >= policy.cool_down.cut_months)
    if case.has("arm"):
        is_due &= case["arm"] != "hold_out"
    floor = np.maximum(case["balance_minor"], policy.minimum_limit_minor)
    wanted = np.ceil(case.before * share / unit) * unit + unit
    wanted = np.maximum(wanted, np.ceil(floor / unit) * unit)
    is_worth = (case.before - wanted) * BASIS_POINTS > case.before * policy.step.minimum_change
    return is_due, is_due & is_worth & (case.after > wanted)


@law
def weak_business_gets_nothing(case: Case) -> Broken:
    firm = case.policy.business
    if firm is None:
        return silent(case)
    is_firm = case.belongs_to((*firm.legal_persons, *firm.sole_traders))
    is_weak = is_firm & (case["debt_service_coverage"] < firm.minimum_debt_service_coverage)
    if firm.legal_persons:
        is_grey = case["altman_z"] < max(firm.altman_safe, firm.altman_distress)
        is_weak |= case.belongs_to(firm.legal_persons) & is_grey
    return is_weak, is_weak & case.gives


@law
def within_revenue(case: Case) -> Broken:
    firm = case.policy.business
    if firm is None:
        return silent(case)
    given = case.gives & case.belongs_to((*firm.legal_persons, *firm.sole_traders))
    most = case["monthly_revenue_minor"] * (firm.revenue_multiple / BASIS_POINTS)
    return given, given & (case.total > most + 1)


def ordered(case: Case, name: str, *, larger_gets_less: bool) -> Broken:
    """Compare the customer with one who has the next customer's `name` and nothing else of it."""
    if not case.has(name):
        return silent(case)
    turned = np.roll(np.arange(len(case.before)), 1)
    again = case.given(**{name: case.batch.column(name).take(pa.array(turned))})
    here, there = case[name], again[name]
    compared = ~case.is_reviewed & ~again.is_reviewed & (here != there)
    gets_more = np.where(
        (here > there) == larger_gets_less,
        (case.after > again.after) | (case.total > again.total),
        (again.after > case.after) | (again.total > case.total),
    )
    return compared, compared & gets_more


@law
def later_gets_no_more(case: Case) -> Broken:
    return ordered(case, "months_delinquent", larger_gets_less=True)


@law
def poorer_gets_no_more(case: Case) -> Broken:
    return ordered(case, "income_minor", larger_gets_less=False)


@law
def elsewhere_gets_no_more(case: Case) -> Broken:
    return ordered(case, "other_exposure_minor", larger_gets_less=True)


@law
def sounder_gets_no_less(case: Case) -> Broken:
    return ordered(case, "altman_z", larger_gets_less=False)


@law
def affordability_cuts_nobody(case: Case) -> Broken:
    rule = case.policy.affordability
    if rule is None or rule.applies_to == "all":
        return silent(case)
    rich = case.given(income_minor=np.full(len(case.before), 10**13))
    compared = ~case.is_reviewed & ~rich.is_reviewed
    kept, kept_rich = (np.minimum(each.after, each.before) for each in (case, rich))
    return compared, compared & (kept < kept_rich)


@law
def company_does_not_matter(case: Case) -> Broken:
    turned = np.arange(len(case.before))[::-1]
    again = case.of_rows(case.batch.take(pa.array(turned)))
    differs = (again.after[turned] != case.after) | (again.uplift[turned] != case.uplift)
    return everybody(case), differs
