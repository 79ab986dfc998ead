"""Accounts: what a limit would earn and cost for each customer, under the declared response.

With ``B0`` today's balance, ``L0`` today's limit and ``D = L0 / -ln(mpb)``, where ``mpb`` is the
marginal propensity to borrow at ``L0``, the balance at a limit ``L`` is::

    B(L)   = max(0, B0 + D (exp(-L0 / D) - exp(-L / D)))
    EAD(L) = B(L) + conversion (L - B(L))
    profit = margin (1 - p) B(L) - (p given_default + requirement cost) EAD(L)

``B`` is concave where it is positive, and its floor at 0 puts a kink into the profit.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
import pyarrow as pa

from governance.errors import ContractError
from lab.optimizer.economics import Economics, Response
from lab.optimizer.envelope import Envelope
from limits import inputs
from limits.inputs import Flags
from limits.policy import LimitPolicy
from limits.sections import BASIS_POINTS
from limits.stages.plan import Floats


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

    def stacked(self) -> Floats:
        """Return all fields as one array, ``(n_fields, n_rows)``."""
        return np.stack([getattr(self, f.name) for f in fields(self)])

    @classmethod
    def unstacked(cls, values: Floats) -> Accounts:
        """Undo `stacked`."""
        return cls(**{f.name: row for f, row in zip(fields(cls), values, strict=True)})


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
    envelope: Envelope, batch: pa.RecordBatch, economics: Economics
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
