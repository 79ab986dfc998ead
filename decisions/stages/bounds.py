"""Stages that bound a wish: affordability, step, caps, ceiling, rounding, floors."""

from __future__ import annotations

import numpy as np

from decisions.inputs import Flags, Rows, segments_among
from decisions.policy import LimitPolicy
from decisions.reasons import Reason
from decisions.sections import BASIS_POINTS
from decisions.stages.plan import NO_CAP, Integers, Plan
from decisions.stages.trail import Trail
from governance.errors import ContractError

_UNBOUNDED = np.iinfo(np.int64).max


def afford(plan: Plan, trail: Trail) -> None:
    """Let no payment grow beyond what the relied-on income carries."""
    rule = plan.policy.affordability
    if rule is None:
        return
    is_person = natural_persons(plan.policy, trail.rows)
    room = np.where(is_person, affordable_minor(plan.policy, trail.rows), _UNBOUNDED)
    trail.bound(room, Reason.AFFORDABILITY)
    if rule.applies_to == "all":
        trail.move(np.minimum(trail.after, room), trail.after > room, Reason.AFFORDABILITY)


def affordable_minor(policy: LimitPolicy, rows: Rows) -> Integers:
    """Return the limit whose payments, with the other debts, the income just carries."""
    rule = policy.affordability
    if rule is None:
        return np.full(len(rows["default_probability"]), _UNBOUNDED)
    relied_on = rows["income_minor"] * rule.income_haircut // BASIS_POINTS
    free = relied_on * rule.max_debt_service // BASIS_POINTS - rows["debt_service_minor"]
    most: Integers = np.maximum(free, 0) * BASIS_POINTS // rule.minimum_payment_rate
    return most


def guard_indebted(plan: Plan, trail: Trail) -> None:
    """Give nothing new to who owes much already."""
    rule = plan.policy.over_indebtedness
    if rule is None:
        return
    yearly = trail.rows["income_minor"] * rule.income_haircut // BASIS_POINTS * 12
    most = yearly * rule.max_debt_to_income // BASIS_POINTS
    owes_much = natural_persons(plan.policy, trail.rows) & (trail.rows["total_debt_minor"] > most)
    trail.bar(owes_much, Reason.OVER_INDEBTED)


def natural_persons(policy: LimitPolicy, rows: Rows) -> Flags:
    """Find the rows whose debtor is a person: everybody but firms that are legal persons."""
    legal = policy.business.legal_persons if policy.business else ()
    found: Flags = ~segments_among(policy, legal)[rows["segment"]]
    return found


def bound_step(plan: Plan, trail: Trail) -> None:
    """Bound the size of one change."""
    step = plan.policy.step
    highest = trail.before * (BASIS_POINTS + step.max_raise) // BASIS_POINTS
    lowest = -(-trail.before * (BASIS_POINTS - step.max_cut) // BASIS_POINTS)
    target = np.clip(trail.after, lowest, highest)
    trail.move(target, target != trail.after, Reason.STEP_BOUND)


def bound_cap(plan: Plan, trail: Trail) -> None:
    """Apply the cap of segment and product on the day.

    Raises
    ------
    ContractError
        If some row's segment and product have no cap.
    """
    cap = caps_of(plan, trail.rows)
    is_uncapped = (cap == NO_CAP) & trail.is_usable
    if is_uncapped.any():
        raise ContractError(
            f"The limit policy {plan.policy.id} has no cap on this day for a segment or product "
            "that the table holds."
        )
    trail.bound(cap, Reason.POLICY_CAP)


def caps_of(plan: Plan, rows: Rows) -> Integers:
    """Return the cap of each row, or `NO_CAP`."""
    segment = rows["segment"]
    product = rows["product"] if "product" in rows else np.full(len(segment), -1)
    found: Integers = plan.caps[segment, product]
    return found


def bound_aggregate(plan: Plan, trail: Trail) -> None:
    """Keep the sum of a customer's limits with all lenders under the ceiling."""
    if plan.ceiling_minor is not None:
        room = np.maximum(plan.ceiling_minor - trail.rows["other_exposure_minor"], 0)
        trail.bound(room, Reason.AGGREGATE_CEILING)


def round_and_floor(plan: Plan, trail: Trail) -> None:
    """Round to the unit, keep balance and minimum limit, and drop changes too small to make.

    What changes is a multiple of the unit: a raise is rounded down, a cut and the floors under it
    are rounded up, so that rounding never enlarges a change.
    """
    policy, before = plan.policy, trail.before
    unit = policy.rounding_minor
    raised, cut = trail.after > before, trail.after < before
    trail.after = np.where(raised, np.maximum(trail.after // unit * unit, before), trail.after)
    trail.after = np.where(cut, np.minimum(_rounded_up(trail.after, unit), before), trail.after)
    owed = _rounded_up(trail.rows["balance_minor"], unit)
    lowest = -(-policy.minimum_limit_minor // unit) * unit
    for floor, reason in ((owed, Reason.BALANCE_FLOOR), (lowest, Reason.MINIMUM_LIMIT)):
        target = np.minimum(before, np.maximum(floor, trail.after))
        trail.move(target, trail.after < before, reason)
    small = np.abs(trail.after - before) * BASIS_POINTS < before * policy.step.minimum_change
    trail.move(before, small, Reason.SMALL_CHANGE)


def _rounded_up(amount: Integers, unit: int) -> Integers:
    """Return the smallest multiple of `unit` that is not below `amount`."""
    rounded: Integers = -(-amount // unit) * unit
    return rounded
