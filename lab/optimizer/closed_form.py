"""The closed form: the best limit of each account at given prices of the budgets.

At the prices (duals) of expected loss, limits and capital the book falls apart into customers. For
one customer the first-order condition solves to ``L = D ln(gain / price)``; permitted limits are
whole units and no small changes, so the best is one of at most four neighbors and corners.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from lab.optimizer.accounts import Accounts, Terms
from limits.stages.plan import Floats

# A whole number of basis points of a limit is compared in floats; half a cent absorbs their error.
_HALF_A_CENT = 0.5


class Duals(NamedTuple):
    """What one more unit of each budget is worth, from 0; the order is that of the budgets."""

    expected_loss: float = 0.0
    limits: float = 0.0
    capital: float = 0.0


def value(accounts: Accounts, limit: Floats, terms: Terms, duals: Duals) -> Floats:
    """Return profit less the priced budgets for each account at `limit`, ``(n_rows,)``."""
    gain, price = _slopes(accounts, terms, duals)
    priced: Floats = gain * accounts.balance(limit) - price * limit
    return priced


def best_limits(accounts: Accounts, terms: Terms, duals: Duals) -> Floats:
    """Return the permitted limit of highest `value` for each account, ``(n_rows,)``.

    It never rises when a dual rises, for each budget takes more at a higher limit.
    """
    gain, price = _slopes(accounts, terms, duals)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        inner = accounts.spread * np.log(gain / price)
    inner = np.where(gain > 0, inner, accounts.lower)
    inner = np.clip(inner, accounts.lower, accounts.upper)
    # The balance is floored at 0, so the value may fall before it rises: the corner is a rival.
    best, highest = accounts.lower, gain * accounts.balance(accounts.lower) - price * accounts.lower
    for rival in _permitted_around(accounts, inner, terms):
        worth = gain * accounts.balance(rival) - price * rival
        is_better = worth > highest
        best = np.where(is_better, rival, best)
        highest = np.where(is_better, worth, highest)
    return best


def _slopes(accounts: Accounts, terms: Terms, duals: Duals) -> tuple[Floats, Floats]:
    """Return what a unit of balance adds and what a unit of limit takes."""
    risk = accounts.probability * terms.given_default * (1 + duals.expected_loss)
    cost = risk + terms.capital_cost + duals.capital * terms.requirement
    gain = accounts.margin * (1 - accounts.probability) - cost * (1 - terms.conversion)
    return gain, cost * terms.conversion + duals.limits


def _permitted_around(accounts: Accounts, inner: Floats, terms: Terms) -> tuple[Floats, ...]:
    """Return the permitted limits next to `inner`, below and above, and the limit as it is."""
    before, unit = accounts.before, terms.unit
    small = before * terms.minimum_change
    is_small = np.abs(inner - before) < small - _HALF_A_CENT
    edge_up = np.ceil((before + small - _HALF_A_CENT) / unit) * unit
    edge_down = np.floor((before - small + _HALF_A_CENT) / unit) * unit
    down = np.where(is_small, edge_down, np.floor(inner / unit) * unit)
    up = np.where(is_small, edge_up, np.ceil(inner / unit) * unit)
    found = []
    for rival in (down, up, before):
        # A neighbor in the gap of small changes is no change at all.
        is_gap = np.abs(rival - before) < small - _HALF_A_CENT
        found.append(np.clip(np.where(is_gap, before, rival), accounts.lower, accounts.upper))
    return tuple(found)
