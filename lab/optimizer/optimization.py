"""The optimization of a book: survey, prices from a sample, corrections, recommendations.

The answer is a recommendation for people to review, with what it rests on; it decides nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO

import numpy as np

from governance.outcome import Outcome
from lab.optimizer.accounts import Totals, totals
from lab.optimizer.closed_form import Duals, best_limits, value
from lab.optimizer.economics import BUDGETS
from lab.optimizer.prices import (
    Amounts,
    Shortfall,
    exceeds,
    find_duals,
    shortfalls,
    total_of,
)
from lab.optimizer.survey import SAMPLE_ROWS, Book, Sample, Status, Statuses, Survey, survey
from limits.stages.plan import Integers

_CORRECTIONS = 4
_MARGIN = 1e-6
# A book whose used budget is this close to what is allowed needs no further correction.
_NEAR = 1e-5

NOT_EVIDENCED = (
    "How customers answer to another limit: the declared response is assumed, not observed.",
    "More than one period: what gains once may lose in a closed loop; require that report too.",
    "The temporary uplift of a season, which is left out of the totals.",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Optimization:
    """What was found for a book; money in minor units.

    Parameters
    ----------
    outcome : Outcome
        ``PASS`` if every budget is met; ``INCONCLUSIVE`` if the envelope cannot meet one, or nobody
        had a choice. Then every recommendation is the policy's decision.
    allowed : tuple of float
        The budgets, in the order of `lab.optimizer.economics.BUDGETS`; infinite if none.
    bound : float
        No limits within envelope and budgets earn more, by weak duality.
    passes : int
        How often the spooled book was read to correct the prices of the sample.
    """

    outcome: Outcome
    duals: Duals
    allowed: Amounts
    shortfalls: tuple[Shortfall, ...]
    before: Totals
    policy: Totals
    recommended: Totals
    bound: float
    passes: int
    found: Survey

    @property
    def gap(self) -> float:
        """Share of profit by which the recommendation may at most miss the best."""
        return (self.bound - self.recommended.profit) / max(abs(self.bound), 1.0)

    def recommendations(self) -> Iterator[tuple[Integers, Integers, Statuses]]:
        """Stream the policy's limit, the recommended limit and the `Status`, in input order."""
        for status, policy, accounts in self.found.spooled():
            recommended = policy.copy()
            if self.outcome is Outcome.PASS:
                chosen = best_limits(accounts, self.found.terms, self.duals)
                recommended[status == Status.OPTIMIZED] = chosen.astype(np.int64)
            yield policy, recommended, status


def optimize(book: Book, spool: IO[bytes], *, sample_rows: int = SAMPLE_ROWS) -> Optimization:
    """Find the most profitable limits within the policy's envelope and the declared budgets.

    The same book gives the same answer to the cent. Up to `sample_rows` customers with a choice are
    solved as a whole; of more, a sample gives the prices, which passes over the book correct.

    Parameters
    ----------
    spool : binary file
        Open for reading and writing, and kept open for as long as recommendations are streamed.

    Raises
    ------
    ContractError
        As `lab.optimizer.survey.survey`.
    """
    found, sample = survey(book, spool, sample_rows)
    allowed = book.economics.budgets.amounts(found.policy.used)
    missing = shortfalls(found.least.used, allowed)
    if missing or not found.counts[Status.OPTIMIZED]:
        return _kept(found, allowed, missing)
    duals, passes = _priced(found, sample, allowed)
    chosen, worth = _streamed(found, duals)
    return Optimization(
        outcome=Outcome.PASS,
        duals=duals,
        allowed=allowed,
        shortfalls=(),
        before=found.before,
        policy=found.policy,
        recommended=found.fixed + chosen,
        bound=found.fixed.profit + worth + _worth_of_budgets(found, duals, allowed),
        passes=passes,
        found=found,
    )


def _kept(found: Survey, allowed: Amounts, missing: tuple[Shortfall, ...]) -> Optimization:
    return Optimization(
        outcome=Outcome.INCONCLUSIVE,
        duals=Duals(),
        allowed=allowed,
        shortfalls=missing,
        before=found.before,
        policy=found.policy,
        recommended=found.policy,
        bound=found.policy.profit,
        passes=0,
        found=found,
    )


def _priced(found: Survey, sample: Sample, allowed: Amounts) -> tuple[Duals, int]:
    """Return duals at which the whole book meets `allowed`, and how many passes that took."""
    accounts = sample.whole()
    left = _less(allowed, found.fixed.used)
    if sample.stride == 1:
        return find_duals(total_of(accounts, found.terms), left), 0
    of_policy = totals(accounts, accounts.policy, found.terms).used
    least = totals(accounts, accounts.lower, found.terms).used
    share = tuple(
        part / whole if whole else 0.0
        for part, whole in zip(of_policy, found.policy_open.used, strict=True)
    )
    total, duals = total_of(accounts, found.terms), Duals()
    for passes in range(1, _CORRECTIONS + 1):
        wanted = [
            max(most * part * (1 - _MARGIN), low)
            for most, part, low in zip(left, share, least, strict=True)
        ]
        duals = find_duals(total, (wanted[0], wanted[1], wanted[2]), duals)
        whole = _streamed(found, duals)[0].used
        if _is_met(duals, whole, left):
            return duals, passes
        # The sample knows the shape of the curve; only its level is corrected.
        inside = total(duals).used
        share = tuple(a / b if b else 0.0 for a, b in zip(inside, whole, strict=True))
    exact = find_duals(lambda prices: _streamed(found, prices)[0], left, duals)
    return exact, _CORRECTIONS


def _is_met(duals: Duals, used: Amounts, allowed: Amounts) -> bool:
    return all(
        not exceeds(total, most) and (dual == 0 or total >= most * (1 - _NEAR))
        for dual, total, most in zip(duals, used, allowed, strict=True)
    )


def _streamed(found: Survey, duals: Duals) -> tuple[Totals, float]:
    """Return the totals of those with a choice at `duals`, and the sum of their priced values."""
    total, worth = Totals(), 0.0
    for _, _, accounts in found.spooled():
        limit = best_limits(accounts, found.terms, duals)
        total += totals(accounts, limit, found.terms)
        worth += float(value(accounts, limit, found.terms, duals).sum())
    return total, worth


def _worth_of_budgets(found: Survey, duals: Duals, allowed: Amounts) -> float:
    left = _less(allowed, found.fixed.used)
    return sum(dual * most for dual, most in zip(duals, left, strict=True) if dual > 0)


def _less(allowed: Amounts, used: Amounts) -> Amounts:
    return allowed[0] - used[0], allowed[1] - used[1], allowed[2] - used[2]


def describe(found: Optimization, book: Book) -> dict[str, object]:
    """Return the result as a document: outcome, budgets, money, counts and what is assumed."""
    economics, policy = book.economics, book.plan.policy
    budgets = [
        {
            "budget": name,
            "allowed_minor": None if np.isinf(most) else round(most),
            "policy_minor": round(of_policy),
            "recommended_minor": round(used),
            "dual": repr(float(dual)),
        }
        for name, most, of_policy, used, dual in zip(
            BUDGETS,
            found.allowed,
            found.policy.used,
            found.recommended.used,
            found.duals,
            strict=True,
        )
    ]
    return {
        "schema": "optimization/1",
        "outcome": found.outcome.value,
        "reasons": reasons(found),
        "identity": {
            "policy": policy.stamp,
            "economics": economics.stamp,
            "reach": book.reach.under(policy).value,
            "currency": policy.currency,
            "horizon_months": economics.horizon_months,
        },
        "customers": found.found.customers,
        "without_reference": found.found.without_reference,
        "counts": {s.name.lower(): int(found.found.counts[s]) for s in Status},
        "expected_profit_minor": {
            "before": round(found.before.profit),
            "policy": round(found.policy.profit),
            "recommended": round(found.recommended.profit),
            "upper_bound": round(found.bound),
        },
        "budgets": budgets,
        "assumed": list(economics.assumed),
        "not_evidenced": list(NOT_EVIDENCED),
    }


def reasons(found: Optimization) -> list[str]:
    """Say why the outcome is inconclusive; empty if it is not."""
    said = [
        f"The budget {item.budget} allows {item.allowed:,.0f} minor units; the lowest limits that "
        f"the policy permits still take {item.least:,.0f}. Every limit stays as the policy decides."
        for item in found.shortfalls
    ]
    if not said and found.outcome is Outcome.INCONCLUSIVE:
        said.append("No customer has a choice that the policy and past changes leave open.")
    return said
