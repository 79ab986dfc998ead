"""Prices: the dual of each budget, found by bisection because every total falls as a dual rises."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from lab.optimizer.accounts import Accounts, Terms, Totals, totals
from lab.optimizer.closed_form import Duals, best_limits
from lab.optimizer.economics import BUDGETS

# Sums of millions of floats differ in the last digits by their order; no budget is finer.
ROUNDING = 1e-9
_CLOSE = 1e-5
_ROUNDS = 40
_HALVINGS = 60

Amounts = tuple[float, float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shortfall:
    """A budget that cannot be met: what is allowed, and the least that the envelope takes."""

    budget: str
    allowed: float
    least: float


def shortfalls(least: Amounts, allowed: Amounts) -> tuple[Shortfall, ...]:
    """Name the budgets that even the lowest permitted limits exceed.

    All totals are smallest at the same limits, so these are exactly the budgets that fail: if there
    is none, all can be met together.
    """
    return tuple(
        Shortfall(budget=name, allowed=most, least=total)
        for name, total, most in zip(BUDGETS, least, allowed, strict=True)
        if exceeds(total, most)
    )


def exceeds(total: float, allowed: float) -> bool:
    """Tell whether `total` is above `allowed` by more than the rounding of sums."""
    return total > allowed + ROUNDING * max(abs(allowed), 1.0)


def total_of(accounts: Accounts, terms: Terms) -> Callable[[Duals], Totals]:
    """Return the totals of `accounts` as a function of the duals."""

    def total(duals: Duals) -> Totals:
        return totals(accounts, best_limits(accounts, terms, duals), terms)

    return total


def find_duals(
    total: Callable[[Duals], Totals], allowed: Amounts, begin: Duals | None = None
) -> Duals:
    """Return duals at which `total` keeps within `allowed`, each 0 or as low as its budget lets.

    The duals are moved in turn, each by bisection, until none moves; a last round only raises, so
    that the answer meets every budget. The caller has made sure that the budgets can be met.
    """
    duals = begin or Duals()
    for _ in range(_ROUNDS):
        earlier = duals
        for place in range(len(BUDGETS)):
            duals = _moved(total, duals, place, allowed[place], floor=0.0)
        used = total(duals).used
        if duals == earlier or _is_settled(duals, used, allowed):
            break
    for place in range(len(BUDGETS)):
        duals = _moved(total, duals, place, allowed[place], floor=duals[place])
    return duals


def _is_settled(duals: Duals, used: Amounts, allowed: Amounts) -> bool:
    """Tell whether every budget is met, and used up wherever it has a price."""
    for dual, total, most in zip(duals, used, allowed, strict=True):
        if exceeds(total, most) or (dual > 0 and total < most * (1 - _CLOSE)):
            return False
    return True


def _moved(
    total: Callable[[Duals], Totals], duals: Duals, place: int, allowed: float, *, floor: float
) -> Duals:
    """Move one dual to the lowest value from `floor` at which its budget is met."""
    if math.isinf(allowed):
        return duals

    def used(dual: float) -> float:
        return total(_with(duals, place, dual)).used[place]

    above = used(floor)
    if not exceeds(above, allowed):
        return _with(duals, place, floor)
    low, high = floor, max(duals[place], floor * 1.1, 1e-3)
    if high > low and duals[place] > floor and exceeds(used(high), allowed):
        low, high = high, high * 1.05
        above = used(low)
    while exceeds(reached := used(high), allowed):
        low, high, above = high, high * 4, reached
    for turn in range(_HALVINGS):
        if high - low <= 1e-10 * high or reached >= allowed * (1 - _CLOSE / 10):
            break
        # Every other point is where a straight line would meet the budget, which is mostly nearer.
        part = 0.5 if turn % 2 else min(max((above - allowed) / (above - reached), 0.02), 0.98)
        middle = low + part * (high - low)
        at_middle = used(middle)
        if exceeds(at_middle, allowed):
            low, above = middle, at_middle
        else:
            high, reached = middle, at_middle
    return _with(duals, place, high)


def _with(duals: Duals, place: int, dual: float) -> Duals:
    moved = list(duals)
    moved[place] = dual
    return Duals(*moved)
