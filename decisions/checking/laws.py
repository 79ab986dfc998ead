"""The laws that no policy and no engine may break, whatever the input.

Each law is a sentence in two languages and a function from a decided batch to two flags per row:
whether the law has something to say about the row, and whether the row breaks it. The laws read the
policy and the inputs themselves and share no code with the stages that they judge. Bounds and
conditions are here, risk and warnings in `decisions.checking.laws_of_risk`, comparisons of two
customers in `decisions.checking.laws_of_pairs`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, TypeAlias

import numpy as np

from decisions.checking.lawbook import Case
from decisions.inputs import Flags
from decisions.reasons import Text
from decisions.sections import BASIS_POINTS
from decisions.stages.climate import Freeze
from decisions.stages.plan import Integers

Verdict: TypeAlias = "tuple[Flags, Flags]"


class Law(NamedTuple):
    """A named law, in words, with its check."""

    name: str
    text: Text
    check: Callable[[Case], Verdict]


def _everybody(case: Case) -> Flags:
    return np.ones(len(case.before), np.bool_)


def nobody(case: Case) -> Flags:
    """Return no row: the law has nothing to say here."""
    return np.zeros(len(case.before), np.bool_)


def _sound(case: Case) -> Verdict:
    refuses = case["refuses_automation"] if case.has("refuses_automation") else nobody(case)
    is_sound = ~case.is_broken & ~refuses.astype(np.bool_)
    return is_sound, is_sound & case.is_reviewed


def _broken(case: Case) -> Verdict:
    return case.is_broken, case.is_broken & ~case.is_reviewed


def _refused(case: Case) -> Verdict:
    if not case.has("refuses_automation"):
        return nobody(case), nobody(case)
    refuses = case["refuses_automation"].astype(np.bool_)
    return refuses, refuses & ~case.is_reviewed


def _reviewed(case: Case) -> Verdict:
    moved = (case.after != case.before) | (case.uplift != 0)
    return case.is_reviewed, case.is_reviewed & moved


def _action(case: Case) -> Verdict:
    words = np.array(["cut", "hold", "raise"], dtype=object)
    said = words[np.sign(case.after - case.before) + 1]
    return _everybody(case), ~case.is_reviewed & (said != case.decided["action"])


def _cap_of(case: Case) -> Integers:
    """Look the cap up row by row of the policy, not in the engine's table."""
    cap = np.full(len(case.before), np.iinfo(np.int64).max)
    for row in case.policy.caps:
        if row.holds_on(case.moment.as_of):
            here = case.belongs_to((row.segment,))
            if row.product is not None:
                here &= case["product"] == row.product
            cap = np.where(here, np.minimum(cap, row.cap_minor), cap)
    return cap


def _cap(case: Case) -> Verdict:
    return case.gives, case.gives & (case.total > _cap_of(case))


def _ceiling(case: Case) -> Verdict:
    held = [row for row in case.policy.ceilings if row.holds_on(case.moment.as_of)]
    if not held:
        return nobody(case), nobody(case)
    together = case.total + np.minimum(case["other_exposure_minor"], 10**14)
    return case.gives, case.gives & (together > held[0].ceiling_minor)


def _is_person(case: Case) -> Flags:
    firm = case.policy.business
    return ~case.belongs_to(firm.legal_persons if firm else ())


def _affordable(case: Case) -> Verdict:
    rule = case.policy.affordability
    if rule is None:
        return nobody(case), nobody(case)
    payments = case.total * (rule.minimum_payment_rate / BASIS_POINTS) + case["debt_service_minor"]
    share = rule.income_haircut / BASIS_POINTS * (rule.max_debt_service / BASIS_POINTS)
    given = case.gives & _is_person(case) & ~case.is_broken
    # One minor unit of tolerance: this law reckons in fractions, the engine in integers.
    return given, given & (payments > case["income_minor"] * share + 1)


def _payments(case: Case) -> Verdict:
    rule = case.policy.affordability
    if rule is None:
        return nobody(case), nobody(case)
    payments = case.total * (rule.minimum_payment_rate / BASIS_POINTS) + case["debt_service_minor"]
    given = case.gives & _is_person(case) & ~case.is_broken
    return given, given & (payments > case["income_minor"] + 1)


def _indebted(case: Case) -> Verdict:
    rule = case.policy.over_indebtedness
    if rule is None:
        return nobody(case), nobody(case)
    share = rule.income_haircut / BASIS_POINTS * (rule.max_debt_to_income / BASIS_POINTS)
    owes = _is_person(case) & (case["total_debt_minor"] > case["income_minor"] * 12 * share + 1)
    return owes, owes & case.gives


def _raise_step(case: Case) -> Verdict:
    raised = case.after > case.before
    grown = case.before.astype(np.float64) * (1 + case.policy.step.max_raise / BASIS_POINTS)
    return raised, raised & (case.after > grown + 1e-6 * grown)


def _cut_step(case: Case) -> Verdict:
    cut = case.after < case.before
    left = case.before.astype(np.float64) * (1 - case.policy.step.max_cut / BASIS_POINTS)
    return cut, cut & ((case.after < left - 1e-6 * left) | (case.after < 0))


def _worth(case: Case) -> Verdict:
    moved = case.after != case.before
    size = np.abs(case.after - case.before) * BASIS_POINTS
    return moved, moved & (size < case.before * case.policy.step.minimum_change)


def _raise_pause(case: Case) -> Verdict:
    raised = case.after > case.before
    since = np.minimum(case["months_since_raise"], case["months_since_cut"])
    return raised, raised & (since < case.policy.cool_down.raise_months)


def _cut_pause(case: Case) -> Verdict:
    cut = case.after < case.before
    since = case["months_since_cut"]
    return cut, cut & (since >= 0) & (since < case.policy.cool_down.cut_months)


def _floors(case: Case) -> Verdict:
    cut = case.after < case.before
    floor = np.maximum(case["balance_minor"], case.policy.minimum_limit_minor)
    return cut, cut & (case.after < np.minimum(case.before, floor))


def _consent(case: Case) -> Verdict:
    if not case.has("has_consent"):
        return nobody(case), nobody(case)
    lacks = ~case["has_consent"].astype(np.bool_)
    return lacks, lacks & case.gives


def _assessment(case: Case) -> Verdict:
    rule = case.policy.raise_conditions
    if rule is None or rule.assessment_months is None:
        return nobody(case), nobody(case)
    is_stale = case["months_since_assessment"] > rule.assessment_months
    return is_stale, is_stale & case.gives


def _frozen(case: Case) -> Verdict:
    if case.moment.freeze is not Freeze.RAISES:
        return nobody(case), nobody(case)
    return _everybody(case), case.gives


def _held_out(case: Case) -> Verdict:
    if not case.has("arm"):
        return nobody(case), nobody(case)
    held = case["arm"] == "hold_out"
    return held, held & ((case.after != case.before) | (case.uplift > 0))


def _uplift_days(case: Case) -> Verdict:
    given = case.uplift > 0
    running = [s for s in case.policy.seasons if s.starts_on <= case.moment.as_of <= s.ends_on]
    expiry = case.decided["uplift_expires_on"].astype("datetime64[D]")
    wrong = (given & np.isnat(expiry)) | (~given & ~np.isnat(expiry))
    if not running:
        return (given, given | wrong) if given.any() else (nobody(case), wrong)
    last = np.datetime64(running[0].expires_on)
    return given, wrong | (given & (expiry != last))


def _uplift_size(case: Case) -> Verdict:
    given = case.uplift != 0
    share = max([season.uplift for season in case.policy.seasons], default=0)
    too_large = case.uplift * BASIS_POINTS > case.after * share
    return given, given & (too_large | (case.uplift < 0) | (case.after < case.before))


LAWS: tuple[Law, ...] = (
    Law("sound_row_decided", Text("A complete row is decided", "信息完整的客户由系统决策"), _sound),
    Law(
        "broken_row_reviewed",
        Text("A missing or impossible input goes to a person", "缺失或异常数据转人工"),
        _broken,
    ),
    Law(
        "refusal_reviewed",
        Text("Who refuses automation is decided by a person", "拒绝自动化决策者转人工"),
        _refused,
    ),
    Law(
        "review_moves_nothing",
        Text("A limit under review stays as it is", "人工审核期间额度不变"),
        _reviewed,
    ),
    Law("action_is_true", Text("The action says what happened", "动作与额度变化一致"), _action),
    Law("never_above_cap", Text("Nothing is given above the cap", "授信不得超过上限"), _cap),
    Law(
        "never_above_ceiling",
        Text("Nothing is given above the aggregate ceiling", "授信不得超过总额上限"),
        _ceiling,
    ),
    Law(
        "never_unaffordable",
        Text("Nothing is given beyond what income carries", "授信不得超过负担能力"),
        _affordable,
    ),
    Law(
        "payments_within_income",
        Text("Payments never exceed the whole income", "还款不得超过全部收入"),
        _payments,
    ),
    Law("no_more_debt", Text("The over-indebted get nothing new", "过度负债不再增额"), _indebted),
    Law("raise_step", Text("One raise is bounded", "单次提额幅度有界"), _raise_step),
    Law("cut_step", Text("One cut is bounded", "单次降额幅度有界"), _cut_step),
    Law("worth_it", Text("No change too small to make", "不做过小调整"), _worth),
    Law("raise_pause", Text("Raises wait after a change", "提额须满冷静期"), _raise_pause),
    Law("cut_pause", Text("Cuts wait after a cut", "降额须满冷静期"), _cut_pause),
    Law("floors", Text("No cut below balance or minimum", "不低于已用及最低额度"), _floors),
    Law("consent_first", Text("Nothing new without consent", "未经授权不提额"), _consent),
    Law(
        "assessment_first",
        Text("Nothing new on a stale assessment", "评估过期不提额"),
        _assessment,
    ),
    Law("frozen_gives_nothing", Text("A freeze gives nothing", "冻结期不提额"), _frozen),
    Law("held_out_stays", Text("The comparison group stays", "对照组额度不变"), _held_out),
    Law(
        "uplift_expires",
        Text("An uplift belongs to a season and has its last day", "临时额度限于节庆且有到期日"),
        _uplift_days,
    ),
    Law("uplift_bounded", Text("An uplift is bounded", "临时额度幅度有界"), _uplift_size),
)
