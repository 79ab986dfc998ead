"""Stages that take a change back: hold-out, freeze, consent, assessment, history, cool-down."""

from __future__ import annotations

import numpy as np

from decisions.inputs import vocabulary
from decisions.reasons import Reason
from decisions.stages.climate import Freeze
from decisions.stages.plan import Plan
from decisions.stages.trail import Trail


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
