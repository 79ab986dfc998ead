"""The stages of the engine: a limit on its way through risk, preconditions, bounds and season."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from decisions.inputs import Flags, Rows, segments_among, vocabulary
from decisions.plan import NO_CAP, Floats, Freeze, Integers, Plan
from decisions.policy import LimitPolicy
from decisions.reasons import Reason
from decisions.sections import BASIS_POINTS
from governance.errors import ContractError


@dataclass(slots=True)
class Trail:
    """The decisions of one batch while they are being made, ``(n_rows,)`` each.

    Parameters
    ----------
    before, after : array of int
        Permanent limit, in minor units.
    band : array of int
        Position of the risk band.
    is_warned : array of bool
        A sign of distress was seen, whether or not it moved the limit.
    is_barred : array of bool
        No new credit of any kind, permanent or temporary, for this customer now.
    room : array of int
        The highest limit that the bounds leave, for permanent and temporary together.
    uplift : array of int
        Temporary limit on top of the permanent one.
    """

    rows: Rows
    before: Integers
    after: Integers
    reasons: npt.NDArray[np.uint32]
    is_usable: Flags
    band: Integers
    is_warned: Flags
    is_barred: Flags
    room: Integers
    uplift: Integers = field(default_factory=lambda: np.zeros(0, np.int64))

    @classmethod
    def start(cls, rows: Rows, is_usable: Flags) -> Trail:
        """Begin with the limits as they are."""
        before = np.maximum(rows["current_limit_minor"], 0)
        n = len(before)
        return cls(
            rows=rows,
            before=before,
            after=before.copy(),
            reasons=np.zeros(n, np.uint32),
            is_usable=is_usable,
            band=np.zeros(n, np.int64),
            is_warned=np.zeros(n, np.bool_),
            is_barred=np.zeros(n, np.bool_),
            room=np.full(n, np.iinfo(np.int64).max),
            uplift=np.zeros(n, np.int64),
        )

    def move(self, to: Integers, where: Flags, reason: Reason) -> None:
        """Set the limit to `to` at `where`, and note `reason` wherever that changed something."""
        changed = where & (self.after != to)
        if changed.any():
            np.copyto(self.after, to, where=changed)
            self.note(changed, reason)

    def note(self, where: Flags, reason: Reason) -> None:
        """Add `reason` at `where`."""
        if where.any():
            self.reasons |= where.astype(np.uint32) * np.uint32(reason)

    def bar(self, where: Flags, reason: Reason) -> None:
        """Take back raises at `where`, and give nothing temporary either."""
        self.is_barred |= where
        self.move(self.before, where & (self.after > self.before), reason)

    def warn(self, where: Flags, cut_to: Integers, reason: Reason) -> None:
        """Lower the limits at `where` to `cut_to` at most, and give nothing new."""
        self.is_warned |= where
        self.is_barred |= where
        self.move(np.minimum(self.after, cut_to), where, reason)

    def bound(self, room: Integers, reason: Reason) -> None:
        """Let no raise end above `room`; a limit that was already above it is not cut by that."""
        self.room = np.minimum(self.room, room)
        highest = np.maximum(room, self.before)
        self.move(highest, self.after > highest, reason)


Stage: TypeAlias = "Callable[[Plan, Trail], None]"


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


def hold_out(plan: Plan, trail: Trail) -> None:
    """Leave the comparison group as it is."""
    if plan.policy.experiment is None:
        return
    held = trail.rows["arm"] == vocabulary(plan.policy, "arm").index("hold_out")
    trail.is_barred |= held
    trail.move(trail.before, held, Reason.HOLD_OUT)


def obey_freeze(plan: Plan, trail: Trail) -> None:
    """Raise nobody while raises are frozen."""
    if plan.freeze is Freeze.RAISES:
        trail.bar(np.ones(len(trail.before), np.bool_), Reason.RAISES_FROZEN)


def require_conditions(plan: Plan, trail: Trail) -> None:
    """Raise nobody without consent on file and a recent assessment."""
    conditions = plan.policy.raise_conditions
    if conditions is None:
        return
    if conditions.consent == "required":
        trail.bar(~trail.rows["has_consent"], Reason.CONSENT_MISSING)
    if conditions.assessment_months is not None:
        age = trail.rows["months_since_assessment"]
        trail.bar(age > conditions.assessment_months, Reason.ASSESSMENT_STALE)


def cool_down(plan: Plan, trail: Trail) -> None:
    """Let time pass between changes of a limit."""
    rule = plan.policy.cool_down
    since_raise, since_cut = trail.rows["months_since_raise"], trail.rows["months_since_cut"]
    # An unknown history is not a long one: a raise needs to know that enough time has passed.
    trail.bar((since_raise < 0) | (since_cut < 0), Reason.HISTORY_UNKNOWN)
    trail.bar(since_cut < rule.raise_months, Reason.COOL_DOWN)
    # A temporary uplift may follow a raise; only a second raise has to wait.
    is_soon = since_raise < rule.raise_months
    trail.move(trail.before, is_soon & (trail.after > trail.before), Reason.COOL_DOWN)
    just_cut = (since_cut >= 0) & (since_cut < rule.cut_months)
    trail.move(trail.before, just_cut & (trail.after < trail.before), Reason.COOL_DOWN)


def ask_a_person(plan: Plan, trail: Trail) -> None:
    """Leave alone, and hand to a person, what a machine may not decide.

    That is a row with an input missing, and a customer who refuses decisions by a machine alone.
    """
    refused = np.zeros(len(trail.before), np.bool_)
    if plan.policy.automation is not None:
        refused = trail.rows["refuses_automation"] & trail.is_usable
    asked = refused | ~trail.is_usable
    trail.after = np.where(asked, trail.before, trail.after)
    trail.uplift = np.where(asked, 0, trail.uplift)
    why = np.where(refused, np.uint32(Reason.AUTOMATION_REFUSED), np.uint32(Reason.INPUT_MISSING))
    trail.reasons = np.where(asked, why, trail.reasons).astype(np.uint32)
    trail.is_usable = ~asked


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


def grant_uplift(plan: Plan, trail: Trail) -> None:
    """Grant the season's uplift to good customers, within every bound that a raise has.

    It is never added to the permanent limit. Whoever was warned, cut, held out or barred from a
    raise gets none, and it ends on the season's one expiry day.
    """
    if plan.season is None:
        return
    granted = plan.in_season[trail.band] & ~trail.is_barred & ~trail.is_warned
    granted &= trail.after >= trail.before
    unit = plan.policy.rounding_minor
    wished = trail.after + trail.after * plan.uplift // BASIS_POINTS
    # The sum is rounded, not the uplift: two limits that end at the same bound must end alike.
    total = np.minimum(wished, trail.room) // unit * unit
    trail.uplift = np.where(granted, np.maximum(total - trail.after, 0), 0)
    trail.note(trail.uplift > 0, Reason.SEASONAL_UPLIFT)
