"""The optimization of a book: envelopes, prices of the budgets, recommendations.

Every total of the book falls as the price (dual) of a budget rises, so prices are found by
bisection. The answer is a recommendation for people to review, with what it rests on; it decides
nothing.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from decisions.inputs import Flags
from decisions.plan import Integers, Plan
from decisions.policy import LimitPolicy
from governance.outcome import Outcome
from lab.optimizer.accounts import (
    Accounts,
    Duals,
    Terms,
    Totals,
    best_limits,
    open_accounts,
    totals,
    value,
)
from lab.optimizer.economics import BUDGETS, Economics
from lab.optimizer.envelope import LimitBounds, find_envelope
from lab.optimizer.support import Support

NOT_EVIDENCED = (
    "How customers answer to another limit: the declared response is assumed, not observed.",
    "More than one period: what gains once may lose in a closed loop; require that report too.",
    "The temporary uplift of a season, which is left out of the totals.",
)
SAMPLE_ROWS = 50_000

# Sums of millions of floats differ in the last digits by their order; no budget is finer.
_ROUNDING = 1e-9
_CLOSE = 1e-6
_ROUNDS, _HALVINGS = 40, 60

Amounts = tuple[float, float, float]
Statuses = NDArray[np.uint8]


class Status(IntEnum):
    """Why a customer has the recommendation that they have."""

    OPTIMIZED = 0
    NO_CHOICE = 1
    REVIEW = 2
    RESPONSE_UNKNOWN = 3
    OUTSIDE_SUPPORT = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class SurveyedBook:
    """What the policy leaves open in a book, in input order.

    Parameters
    ----------
    accounts : Accounts
        Everybody; lower and upper bound are equal where there is no choice.
    policy : ndarray of int64
        The policy's decisions.
    without_reference : int
        Customers whose limit once granted is missing, though the policy declares a floor of it.
    """

    terms: Terms
    accounts: Accounts
    status: Statuses
    policy: Integers
    without_reference: int

    @property
    def is_open(self) -> Flags:
        """Who has a choice."""
        open_: Flags = self.status == Status.OPTIMIZED
        return open_


@dataclass(frozen=True, slots=True, kw_only=True)
class Optimization:
    """What was found for a book; money in minor units.

    Parameters
    ----------
    outcome : Outcome
        ``PASS`` if every budget is met; ``INCONCLUSIVE`` if the envelope cannot meet one, or nobody
        had a choice. Then every recommendation is the policy's decision.
    recommended : ndarray of int64
        Recommended limits in input order.
    allowed, least : tuple of float
        The budgets, in the order of `BUDGETS` and infinite if none, and what the lowest permitted
        limits of everybody take of them.
    totals : dict of str to Totals
        ``before``, ``policy`` and ``recommended``.
    bound : float
        No limits within envelope and budgets earn more, by weak duality.
    """

    outcome: Outcome
    recommended: Integers
    duals: Duals
    allowed: Amounts
    least: Amounts
    totals: dict[str, Totals]
    bound: float
    book: SurveyedBook

    @property
    def reasons(self) -> list[str]:
        """Why the outcome is inconclusive; empty if it is not."""
        if self.outcome is Outcome.PASS:
            return []
        return [
            f"The budget {name} allows {most:,.0f} minor units; the lowest limits that the policy "
            f"permits still take {least:,.0f}. Every limit stays as the policy decides."
            for name, least, most in zip(BUDGETS, self.least, self.allowed, strict=True)
            if exceeds(least, most)
        ] or ["No customer has a choice that the policy and past changes leave open."]


def optimize(
    plan: Plan,
    economics: Economics,
    batches: Iterable[pa.RecordBatch],
    *,
    support: Support | None,
) -> Optimization:
    """Find the most profitable limits within the policy's envelope and the declared budgets.

    The same book gives the same answer to the cent.

    Parameters
    ----------
    support : Support or None
        The observed range of changes. None only where a caller answers for going without it.

    Raises
    ------
    ContractError
        As `decisions.engine.decide`, or if a column that the economics declare is missing.
    """
    book = survey(plan, economics, batches, support)
    everybody, terms = book.accounts, book.terms
    chosen, held = everybody.take(book.is_open), everybody.take(~book.is_open)
    fixed = totals(held, held.policy, terms)
    by_policy = totals(everybody, everybody.policy, terms)
    found = {"before": totals(everybody, everybody.before, terms), "policy": by_policy}
    allowed = economics.budgets.amounts(by_policy.used)
    least = (fixed + totals(chosen, chosen.lower, terms)).used
    recommended, duals, bound = book.policy.copy(), Duals(), by_policy.profit
    # All totals are smallest at the same limits: if none of them fails alone, all can be met.
    is_met = not any(map(exceeds, least, allowed)) and len(chosen) > 0
    if is_met:
        left = _less(allowed, fixed.used)
        duals = find_duals(total_of(chosen, terms), left, _of_sample(chosen, terms, left))
        best = best_limits(chosen, terms, duals)
        recommended[book.is_open] = best.astype(np.int64)
        priced = sum(dual * most for dual, most in zip(duals, left, strict=True) if dual > 0)
        bound = fixed.profit + float(value(chosen, best, terms, duals).sum()) + priced
    found["recommended"] = totals(everybody, recommended.astype(np.float64), terms)
    return Optimization(
        outcome=Outcome.PASS if is_met else Outcome.INCONCLUSIVE,
        recommended=recommended,
        duals=duals,
        allowed=allowed,
        least=least,
        totals=found,
        bound=bound,
        book=book,
    )


def survey(
    plan: Plan,
    economics: Economics,
    batches: Iterable[pa.RecordBatch],
    support: Support | None,
) -> SurveyedBook:
    """Ask policy, response and past changes what they leave open for everybody."""
    terms = Terms.of(economics, plan.policy)
    parts: list[Accounts] = []
    statuses: list[Statuses] = []
    policy, without_reference = [np.zeros(0, np.int64)], 0
    for batch in batches:
        envelope = find_envelope(plan, batch)
        accounts, is_known = open_accounts(envelope, batch, economics)
        is_outside = np.zeros(len(accounts), np.bool_)
        if support is not None:
            accounts, is_outside = support.narrow(accounts, envelope.cell, terms)
        parts.append(accounts)
        statuses.append(_status(envelope, accounts, is_known, is_outside))
        policy.append(envelope.policy)
        without_reference += int(envelope.has_no_reference.sum())
    return SurveyedBook(
        terms=terms,
        accounts=Accounts.joined(parts),
        status=np.concatenate([np.zeros(0, np.uint8), *statuses]),
        policy=np.concatenate(policy),
        without_reference=without_reference,
    )


def _status(
    envelope: LimitBounds, accounts: Accounts, is_known: Flags, is_outside: Flags
) -> Statuses:
    # The bounds of the policy itself are asked, so that nobody without a choice is called
    # outside the support, and a choice that the support took away is.
    had_choice = is_known & (envelope.lower < envelope.upper)
    status = np.full(len(accounts), Status.OPTIMIZED, np.uint8)
    taken_away = had_choice & (is_outside | (accounts.lower == accounts.upper))
    status[taken_away] = Status.OUTSIDE_SUPPORT
    status[envelope.is_decided & ~is_known] = Status.RESPONSE_UNKNOWN
    status[envelope.lower == envelope.upper] = Status.NO_CHOICE
    status[~envelope.is_decided] = Status.REVIEW
    return status


def exceeds(total: float, allowed: float) -> bool:
    """Tell whether `total` is above `allowed` by more than the rounding of sums."""
    return total > allowed + _ROUNDING * max(abs(allowed), 1.0)


def total_of(accounts: Accounts, terms: Terms) -> Callable[[Duals], Totals]:
    """Return the totals of `accounts` as a function of the duals."""
    return lambda duals: totals(accounts, best_limits(accounts, terms, duals), terms)


def _of_sample(accounts: Accounts, terms: Terms, allowed: Amounts) -> Duals:
    """Return the duals of every so-many-th account, near which those of a large book lie."""
    stride = math.ceil(len(accounts) / SAMPLE_ROWS)
    if stride == 1:
        return Duals()
    sample = accounts.take(slice(0, None, stride))
    part = len(sample) / len(accounts)
    least = totals(sample, sample.lower, terms).used
    wanted = [max(most * part, low) for most, low in zip(allowed, least, strict=True)]
    return find_duals(total_of(sample, terms), (wanted[0], wanted[1], wanted[2]), Duals())


def find_duals(
    total: Callable[[Duals], Totals], allowed: Amounts, begin: Duals | None = None
) -> Duals:
    """Return duals at which `total` keeps within `allowed`, each 0 or as low as its budget lets.

    The duals are moved in turn, each by bisection, until none moves; a last round only raises, so
    that the answer meets every budget. The caller has made sure that the budgets can be met.
    """
    duals = begin or Duals()
    for _ in range(_ROUNDS):
        for place in range(len(BUDGETS)):
            duals = _moved(total, duals, place, allowed[place], floor=0.0)
        used = total(duals).used
        if all(map(_is_settled, duals, used, allowed)):
            break
    for place in range(len(BUDGETS)):
        duals = _moved(total, duals, place, allowed[place], floor=duals[place])
    return duals


def _is_settled(dual: float, used: float, allowed: float) -> bool:
    """Tell whether a budget is met, and used up if it has a price."""
    return not exceeds(used, allowed) and (dual == 0 or used >= allowed * (1 - 10 * _CLOSE))


def _moved(
    total: Callable[[Duals], Totals], duals: Duals, place: int, allowed: float, *, floor: float
) -> Duals:
    """Move one dual to the lowest value from `floor` at which its budget is met."""

    def at(dual: float) -> Duals:
        return Duals(*(dual if other == place else duals[other] for other in range(len(duals))))

    def is_over(dual: float) -> bool:
        return exceeds(total(at(dual)).used[place], allowed)

    if math.isinf(allowed) or not is_over(floor):
        return at(floor)
    low, high = floor, max(duals[place], floor * 1.1, 1e-3)
    # Near the earlier value the bracket is narrow, and only few halvings are left.
    if duals[place] > floor and not is_over(nearby := duals[place] * 0.95):
        high = nearby
    elif duals[place] > floor:
        low, high = nearby, duals[place] * 1.05
    while is_over(high):
        low, high = high, high * 4
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if is_over(middle) else (low, middle)
        if high - low <= _CLOSE * _CLOSE * high:
            break
    return at(high)


def _less(allowed: Amounts, used: Amounts) -> Amounts:
    return allowed[0] - used[0], allowed[1] - used[1], allowed[2] - used[2]


def describe(found: Optimization, policy: LimitPolicy, economics: Economics) -> dict[str, Any]:
    """Return the result as a document: outcome, budgets, money, counts and what is assumed."""
    by_policy, recommended = (found.totals[name].used for name in ("policy", "recommended"))
    budgets = [
        {
            "budget": name,
            "allowed_minor": None if math.isinf(most) else round(most),
            "policy_minor": round(before),
            "recommended_minor": round(after),
            "dual": repr(float(dual)),
        }
        for name, most, before, after, dual in zip(
            BUDGETS, found.allowed, by_policy, recommended, found.duals, strict=True
        )
    ]
    counts = np.bincount(found.book.status, minlength=len(Status))
    profits = {name: round(total.profit) for name, total in found.totals.items()}
    return {
        "schema": "optimization/2",
        "outcome": found.outcome.value,
        "reasons": found.reasons,
        "identity": {
            "policy": policy.stamp,
            "economics": economics.stamp,
            "currency": policy.currency,
            "horizon_months": economics.horizon_months,
        },
        "customers": len(found.recommended),
        "without_reference": found.book.without_reference,
        "counts": {status.name.lower(): int(counts[status]) for status in Status},
        "expected_profit_minor": {**profits, "upper_bound": round(found.bound)},
        "budgets": budgets,
        "assumed": list(economics.assumed),
        "not_evidenced": list(NOT_EVIDENCED),
    }
