"""Accounts: what a limit would earn and cost each customer, and the best limit at given prices.

With ``B0`` today's balance, ``L0`` today's limit and ``D = L0 / -ln(mpb)``, where ``mpb`` is the
marginal propensity to borrow at ``L0``, the balance at a limit ``L`` is::

    B(L)   = max(0, B0 + D (exp(-L0 / D) - exp(-L / D)))
    EAD(L) = B(L) + conversion (L - B(L))
    profit = margin (1 - p) B(L) - (p given_default + requirement cost) EAD(L)

``B`` is concave where it is positive, and its floor at 0 puts a kink into the profit.

At the prices (duals) of expected loss, limits and capital the book falls apart into customers. For
one customer the first-order condition solves to ``L = D ln(gain / price)``; permitted limits are
whole units and no small changes, so the best is one of at most four neighbors and corners.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from decisions import inputs
from decisions.inputs import Flags
from decisions.plan import Floats
from decisions.policy import LimitPolicy
from decisions.sections import BASIS_POINTS
from governance.errors import ContractError
from lab.optimizer.economics import Economics, Response
from lab.optimizer.envelope import LimitBounds

# A whole number of basis points of a limit is compared in floats; half a cent absorbs their error.
_HALF_A_CENT = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """The numbers that are the same for every account, from economics and policy."""

    given_default: float
    conversion: float
    requirement: float
    capital_cost: float
    unit: float
    minimum_change: float

    @classmethod
    def of(cls, economics: Economics, policy: LimitPolicy) -> Terms:
        """Read the terms off the two reviewed files."""
        return cls(
            given_default=economics.loss.given_default,
            conversion=economics.loss.conversion,
            requirement=economics.capital.requirement,
            capital_cost=economics.capital.requirement * economics.capital.cost,
            unit=float(policy.rounding_minor),
            minimum_change=policy.step.minimum_change / BASIS_POINTS,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Accounts:
    """Customers as the optimizer sees them, ``(n_rows,)`` each; money in minor units.

    Parameters
    ----------
    probability, margin : array of float
        Default probability over the horizon, and what a unit of balance earns.
    spread : array of float
        ``D``: how slowly the balance stops growing with the limit.
    ceiling : array of float
        ``B0 + D exp(-L0 / D)``: the balance that no limit would exceed.
    before, policy, lower, upper : array of float
        Whole numbers; floats hold them exactly, for the inputs end at 10^13.
    """

    probability: Floats
    margin: Floats
    spread: Floats
    ceiling: Floats
    before: Floats
    policy: Floats
    lower: Floats
    upper: Floats

    def __len__(self) -> int:
        return len(self.probability)

    def balance(self, limit: Floats) -> Floats:
        """Return the balance that the response expects at `limit`, never below 0."""
        found: Floats = np.maximum(self.ceiling - self.spread * np.exp(-limit / self.spread), 0.0)
        return found

    def take(self, where: Flags | slice) -> Accounts:
        """Return the accounts at `where`."""
        return Accounts(**{f.name: getattr(self, f.name)[where] for f in fields(self)})

    @classmethod
    def joined(cls, parts: Sequence[Accounts]) -> Accounts:
        """Return several pieces as one."""
        columns = {f.name: [getattr(part, f.name) for part in parts] for f in fields(cls)}
        return cls(
            **{name: np.concatenate([np.zeros(0), *arrays]) for name, arrays in columns.items()}
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Totals:
    """Sums over a book, in minor units; they add up over its parts."""

    profit: float = 0.0
    expected_loss: float = 0.0
    limits: float = 0.0
    capital: float = 0.0

    def __add__(self, other: Totals) -> Totals:
        return Totals(
            **{f.name: getattr(self, f.name) + getattr(other, f.name) for f in fields(self)}
        )

    @property
    def used(self) -> tuple[float, float, float]:
        """What counts against the budgets, in the order of `BUDGETS`."""
        return self.expected_loss, self.limits, self.capital


def totals(accounts: Accounts, limit: Floats, terms: Terms) -> Totals:
    """Return profit, expected loss, limits and capital of `accounts` at `limit`."""
    balance = accounts.balance(limit)
    exposure = balance + terms.conversion * (limit - balance)
    lost = accounts.probability * terms.given_default * exposure
    earned = accounts.margin * (1 - accounts.probability) * balance
    cost = terms.capital_cost * exposure
    return Totals(
        profit=float((earned - lost - cost).sum()),
        expected_loss=float(lost.sum()),
        limits=float(limit.sum()),
        capital=terms.requirement * float(exposure.sum()),
    )


def open_accounts(
    envelope: LimitBounds, batch: pa.RecordBatch, economics: Economics
) -> tuple[Accounts, Flags]:
    """Return the accounts, and which of them the response can be told for.

    It cannot be told for a row that goes to a person, nor for a customer who owes more than the
    limit: the curve is anchored at a balance within it. Such a row keeps the policy's decision; for
    the totals its balance is taken as it is.

    Raises
    ------
    ContractError
        If the declared column of revolving shares is missing or holds something else than 0-1.
    """
    rows, most = envelope.rows, float(inputs.MOST_MINOR)
    # An impossible limit goes to a person; it must not swamp the totals of the others.
    before = np.where(envelope.before <= most, envelope.before, 0).astype(np.float64)
    policy = np.where(envelope.policy <= most, envelope.policy, 0).astype(np.float64)
    is_known = envelope.is_decided & (before > 0) & (rows["balance_minor"] <= before)
    # A row without a usable probability counts with its limit alone; it is counted apart as review.
    probability = np.where(envelope.is_decided, rows["default_probability"], 0.0)
    owed = np.where(envelope.is_decided, rows["balance_minor"], 0).astype(np.float64)
    utilization = np.clip(np.nan_to_num(rows["utilization"]), 0.0, 1.0)
    propensity = propensity_to_borrow(economics.response, utilization, probability)
    spread = np.where(before > 0, before, 1.0) / -np.log(propensity)
    opened = Accounts(
        probability=probability,
        margin=_margin(economics, batch, envelope.is_decided),
        spread=spread,
        ceiling=owed + spread * np.exp(-before / spread),
        before=before,
        policy=policy,
        lower=np.where(is_known, envelope.lower, policy),
        upper=np.where(is_known, envelope.upper, policy),
    )
    return opened, is_known


def propensity_to_borrow(response: Response, utilization: Floats, probability: Floats) -> Floats:
    """Return the share of one more unit of limit that becomes balance, strictly within 0-1."""
    linear = response.base + response.per_utilization * utilization
    linear = linear + response.per_probability * probability
    found: Floats = np.clip(linear, response.least, response.most)
    return found


def _margin(economics: Economics, batch: pa.RecordBatch, is_decided: Flags) -> Floats:
    rule = economics.margin
    if rule.revolving_share_column is None:
        share = np.full(batch.num_rows, rule.revolving_share or 0.0)
    else:
        name = rule.revolving_share_column
        if name not in batch.schema.names:
            raise ContractError(f"The table lacks the column {name} of revolving shares.")
        share = batch.column(name).cast(pa.float64()).fill_null(np.nan).to_numpy()
        share = np.where(is_decided, share, 0.0)
        if not ((share >= 0) & (share <= 1)).all():
            raise ContractError(f"The column {name} holds a revolving share outside 0 to 1.")
    margin: Floats = rule.interest * share + rule.other
    return margin


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


def is_too_small(limit: Floats, before: Floats, terms: Terms) -> Flags:
    """Tell which changes the policy would not make for being too small."""
    small: Flags = np.abs(limit - before) < before * terms.minimum_change - _HALF_A_CENT
    return small


def _permitted_around(accounts: Accounts, inner: Floats, terms: Terms) -> tuple[Floats, ...]:
    """Return the permitted limits next to `inner`, below and above, and the limit as it is."""
    before, unit = accounts.before, terms.unit
    small = before * terms.minimum_change
    is_small = is_too_small(inner, before, terms)
    edge_up = np.ceil((before + small - _HALF_A_CENT) / unit) * unit
    edge_down = np.floor((before - small + _HALF_A_CENT) / unit) * unit
    down = np.where(is_small, edge_down, np.floor(inner / unit) * unit)
    up = np.where(is_small, edge_up, np.ceil(inner / unit) * unit)
    found = []
    for rival in (down, up, before):
        # A neighbor in the gap of small changes is no change at all.
        is_gap = is_too_small(rival, before, terms)
        found.append(np.clip(np.where(is_gap, before, rival), accounts.lower, accounts.upper))
    return tuple(found)
