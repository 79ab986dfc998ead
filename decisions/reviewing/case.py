"""A case: one decision that a person looks at, what the person decided, how it turned out."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Any

from decisions.reasons import explain
from governance.errors import ContractError, UsageError

SHORTEST_REASON = 10


class Trigger(StrEnum):
    """Why a person is asked."""

    INPUT_MISSING = "input_missing"
    AUTOMATION_REFUSED = "automation_refused"
    OBJECTION = "objection"


class State(StrEnum):
    """How far a case has come."""

    OPEN = "open"
    DECIDED = "decided"
    KNOWN = "outcome_known"


class Decision(StrEnum):
    """What a person may do with a limit."""

    KEEP = "keep"
    RAISE = "raise"
    CUT = "cut"


class Turned(StrEnum):
    """How it turned out: ``BAD`` is a default, or a cut that was not needed."""

    GOOD = "good"
    BAD = "bad"


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """What is sealed about a case; money in minor units.

    Parameters
    ----------
    pseudonym : str
        Decision pseudonym, hexadecimal; it never leaves the sealed record.
    machine_minor : int
        What the limit is if nobody overrides the machine.
    lowest_minor, highest_minor : int
        What the policy lets a person decide.
    """

    pseudonym: str
    before_minor: int
    machine_minor: int
    lowest_minor: int
    highest_minor: int
    reasons: int
    currency: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What a person decided, and why."""

    reviewer: str
    decision: Decision
    amount_minor: int
    reason: str
    on: date


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One case, named by its number at home and by its key in the ledger."""

    number: int
    key: str
    vintage: str
    trigger: Trigger
    queued_on: date
    subject: Subject
    verdict: Verdict | None = None
    turned: Turned | None = None
    turned_on: date | None = None

    @property
    def state(self) -> State:
        """How far it has come."""
        if self.verdict is None:
            return State.OPEN
        return State.DECIDED if self.turned is None else State.KNOWN

    @property
    def is_override(self) -> bool | None:
        """Whether the person decided otherwise than the machine; None while nobody did."""
        if self.verdict is None:
            return None
        return self.verdict.amount_minor != self.subject.machine_minor

    def verdict_of(
        self, decision: Decision, amount_minor: int | None, *, reviewer: str, reason: str, on: date
    ) -> Verdict:
        """Return a verdict that the policy allows.

        Parameters
        ----------
        amount_minor : int or None
            The new limit; ``KEEP`` takes none.

        Raises
        ------
        UsageError
            If nobody signs, the reason is no sentence, the day is before the case, or decision and
            amount do not belong together.
        ContractError
            If the amount is outside the policy's bounds.
        """
        if not reviewer.strip() or len(reason.strip()) < SHORTEST_REASON:
            raise UsageError("A review needs a reviewer's name and a reason, in a sentence.")
        if on < self.queued_on:
            raise UsageError(f"Case {self.number} was queued on {self.queued_on}, after that day.")
        held = self.subject
        if (decision is Decision.KEEP) != (amount_minor is None):
            raise UsageError("raise and cut need an amount, the new limit; keep takes none.")
        amount = held.before_minor if amount_minor is None else amount_minor
        moves = {
            Decision.RAISE: amount > held.before_minor,
            Decision.CUT: amount < held.before_minor,
        }
        if not moves.get(decision, True):
            raise UsageError(f"That amount is no {decision} of the limit of case {self.number}.")
        if decision is not Decision.KEEP and not held.lowest_minor <= amount <= held.highest_minor:
            raise ContractError(
                f"The amount for case {self.number} is outside what the policy allows a person; "
                f"`limitline review show {self.number}` says what it allows."
            )
        return Verdict(
            reviewer=reviewer, decision=decision, amount_minor=amount, reason=reason, on=on
        )

    def as_row(self) -> dict[str, Any]:
        """Return what a list may show: no amount, no name."""
        return {
            "case": self.number,
            "vintage": self.vintage,
            "trigger": self.trigger.value,
            "queued_on": self.queued_on.isoformat(),
            "state": self.state.value,
            "decision": self.verdict.decision.value if self.verdict else None,
            "is_override": self.is_override,
            "turned": self.turned.value if self.turned else None,
        }

    def as_document(self, language: str = "en") -> dict[str, Any]:
        """Return what a reviewer needs; no pseudonym."""
        held = self.subject
        return {
            **self.as_row(),
            "limit_before_minor": held.before_minor,
            "limit_of_machine_minor": held.machine_minor,
            "lowest_minor": held.lowest_minor,
            "highest_minor": held.highest_minor,
            "currency": held.currency,
            "reasons": explain(held.reasons, language),
        }
