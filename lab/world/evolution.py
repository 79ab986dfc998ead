"""One month of every account: `advance` takes a policy's limits and returns what follows.

The luck of an account in a month does not depend on its limit. So the same world under two policies
differs by what the limits cause, account by account, which is what a closed-loop test is for.

Amounts are whole units of the currency, held in ``float32`` below 2**24, where sums of whole
numbers are exact. At the border they are ``int64`` minor units.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from governance.errors import ContractError
from lab.world import anchors, book, chain, climate, draws
from lab.world.anchors import DEEPEST, LATE, States
from lab.world.book import INCOME_SPREAD, Book
from lab.world.climate import Climate
from lab.world.draws import Reals, Use
from lab.world.settings import CATEGORIES, WorldSettings

MINOR = 100
LARGEST_LIMIT = 10_000_000

Integers = NDArray[np.int64]
Small = NDArray[np.int8]
Flags = NDArray[np.bool_]

# By next state (-2, -1, 0, 2, 3, 4+): the least share of the bill that is paid, how much of the
# account's own habit is added, and how much of its usual purchases it still makes.
_LEAST_PAID = np.array([1.0, 1.0, 0.03, 0.0, 0.0, 0.0], dtype=np.float32)
_HABIT = np.array([0.0, 0.0, 1.0, 0.45, 0.15, 0.0], dtype=np.float32)
_ACTIVITY = np.array([0.0, 1.0, 1.0, 0.25, 0.0, 0.0], dtype=np.float32)
_MOST_REVOLVED = np.float32(0.95)
_PURCHASE_SPREAD, _PAYMENT_SPREAD, _BASKET_SPREAD = 0.45, 0.50, 0.50


@dataclass(frozen=True, slots=True, kw_only=True)
class Flows:
    """What happened in a month, in whole units; every array has shape ``(n,)``."""

    purchases: Reals
    payment: Reals
    interest: Reals
    fee: Reals
    charged_off: Reals
    income: Reals


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """Where every account stands at the end of a month.

    Parameters
    ----------
    month : int
        How many months were lived; ``advance`` lives this one next.
    borrowed : ndarray of float32
        Debt that a limit above the reference caused, in whole units.
    is_active : ndarray of bool
        Not charged off.
    flows : Flows or None
        What happened in the last month; None before the first.
    """

    book: Book
    month: int
    cell: NDArray[np.int16]
    limit: Reals
    balance: Reals
    borrowed: Reals
    months_deepest: Small
    is_active: Flags
    flows: Flows | None = None

    @property
    def status(self) -> Small:
        """Repayment status in UCI's codes: -2, -1, 0, 2, 3, 4 (four and more)."""
        return anchors.CODES.take(chain.state_of(self.cell))

    @property
    def limit_minor(self) -> Integers:
        """The limit in force, in minor units."""
        return self.limit.astype(np.int64) * MINOR

    @property
    def balance_minor(self) -> Integers:
        """What is owed, in minor units."""
        return self.balance.astype(np.int64) * MINOR

    @property
    def utilization(self) -> Reals:
        """Balance over limit; 0 where there is no limit."""
        return np.where(self.limit > 0, self.balance / np.maximum(self.limit, 1), 0).astype(
            np.float32
        )

    @property
    def months_delinquent(self) -> Small:
        """Months behind, 0 if not late."""
        return np.maximum(self.status, 0).astype(np.int8)


def start(settings: WorldSettings, first: int = 0, last: int | None = None) -> State:
    """Return accounts `first` to `last` - 1 (default: all) before the first month."""
    return opened(book.enroll(settings, first, settings.accounts if last is None else last))


def opened(accounts: Book) -> State:
    """Return the accounts of a book before the first month, each at its reference limit."""
    n = len(accounts)
    return State(
        book=accounts,
        month=0,
        cell=book.opening_cells(accounts),
        limit=accounts.reference_limit.astype(np.float32),
        balance=book.opening_balances(accounts),
        borrowed=np.zeros(n, dtype=np.float32),
        months_deepest=np.zeros(n, dtype=np.int8),
        is_active=np.ones(n, dtype=np.bool_),
    )


def advance(state: State, month: int, limits: Integers) -> State:
    """Live one month under the limits given and return where everybody stands after it.

    A limit moves risk (``risk_per_log_limit``) and, slowly, debt (the account's own propensity to
    borrow). Nobody is lent more than the limit leaves: purchases fit into it, and only interest,
    fees or a cut bring a balance above it.

    Parameters
    ----------
    month : int
        The month to live; it must be ``state.month``, so that a policy cannot slip by one.
    limits : ndarray of int64, shape (n_accounts,)
        Limit in force during the month, in minor units, whole units of the currency.

    Raises
    ------
    ContractError
        If the month is another one, or the limits are not of this shape, negative, broken or above
        1e9 minor units.
    """
    limit = _checked(state, month, limits)
    accounts = state.book
    weather = _weather(accounts.settings, month)
    shift = accounts.frailty + weather.risk[month].take(accounts.segment)
    shift += limit_effect(accounts, limit)
    luck = draws.uniforms(draws.bits(accounts.key, Use.STATUS, month))
    cell = chain.move(chain.fit(accounts.settings.delinquency), state.cell, shift, luck)
    following = chain.state_of(cell)
    flows, borrowed = _flows(state, limit, following, weather)
    deepest = np.where(following == DEEPEST, state.months_deepest + 1, 0).astype(np.int8)
    closes = deepest >= accounts.settings.delinquency.charge_off_months
    balance = state.balance - flows.payment + flows.purchases + flows.interest + flows.fee
    lost = balance * (closes & state.is_active)
    return State(
        book=accounts,
        month=month + 1,
        cell=np.where(state.is_active, cell, state.cell),
        limit=limit,
        balance=balance - lost,
        borrowed=borrowed,
        months_deepest=deepest,
        is_active=state.is_active & ~closes,
        flows=replace(flows, charged_off=lost),
    )


def limit_effect(accounts: Book, limit: Reals) -> Reals:
    """Return what the limit adds to the logit of being late: the log of limit over reference."""
    # With hardly any limit there is nothing to borrow: the effect ends at a tenth of the reference.
    ratio = np.maximum(limit / accounts.reference_limit.astype(np.float32), np.float32(0.1))
    effect = np.float32(accounts.settings.response.risk_per_log_limit) * np.log(ratio)
    # Five digits hide how processors round a logarithm; a raise of 0.01 % still counts.
    return np.round(effect, 5).astype(np.float32)


def basket(state: State, purchases: Reals, month: int) -> tuple[Reals, ...]:
    """Split the purchases of a month into categories, in whole units that add up exactly."""
    accounts = state.book
    weights = _weather(accounts.settings, month).basket[month]
    luck = draws.quantiles(draws.bits(accounts.key, Use.BASKET, month))
    noise = draws.lognormal_table(_BASKET_SPREAD)
    mixed = [
        np.ascontiguousarray(weights[:, place]).take(accounts.profile)
        for place in range(len(CATEGORIES))
    ]
    for place, drawn in enumerate(luck):
        mixed[place] *= noise.take(drawn)
    scale = purchases / sum(mixed[1:], start=mixed[0])
    parts = [np.floor(part * scale) for part in mixed[:-1]]
    # The last category takes what rounding left, so that no unit is lost.
    return (*parts, purchases - sum(parts[1:], start=parts[0]))


def _checked(state: State, month: int, limits: Integers) -> Reals:
    if month != state.month:
        raise ContractError(
            f"The world stands before month {state.month}; month {month} was asked for. "
            "Advance month by month."
        )
    if limits.shape != state.limit.shape or limits.dtype != np.int64:
        raise ContractError(
            f"Limits of shape {limits.shape} and type {limits.dtype} were given; one int64 per "
            f"account is needed, shape {state.limit.shape}, in minor units."
        )
    if len(limits) and (limits.min() < 0 or limits.max() > LARGEST_LIMIT * MINOR):
        raise ContractError(
            f"A limit is negative or above {LARGEST_LIMIT * MINOR} minor units. Cap the policy."
        )
    whole = limits // MINOR
    if not np.array_equal(whole * MINOR, limits):
        raise ContractError("A limit has a fraction of the currency's unit. Round the policy.")
    return whole.astype(np.float32)


def _weather(settings: WorldSettings, month: int) -> Climate:
    return climate.forecast(settings, months=max(month + 1, settings.months))


def _flows(state: State, limit: Reals, following: States, weather: Climate) -> tuple[Flows, Reals]:
    """Return the month's flows, zero for closed accounts, and the debt that limits caused."""
    accounts, month = state.book, state.month
    prices, active = accounts.settings.prices, state.is_active
    luck = draws.quantiles(draws.bits(accounts.key, Use.FLOWS, month))
    share = _payment_share(accounts, following, luck[0])
    payment = np.floor(state.balance * share)
    wanted = accounts.purchases * weather.spending[month].take(accounts.profile)
    wanted *= draws.lognormal_table(_PURCHASE_SPREAD).take(luck[1])
    wanted *= _ACTIVITY.take(following)
    gap = accounts.borrowing * (limit - accounts.reference_limit.astype(np.float32))
    gap -= state.borrowed
    extra = np.float32(accounts.settings.response.monthly_speed) * gap + share * state.borrowed
    extra *= _ACTIVITY.take(following)
    room = np.maximum(limit - state.balance + payment, 0)
    plain = np.minimum(wanted, room)
    purchases = np.floor(np.clip(wanted + extra, 0, room)) * active
    late, revolving = following >= LATE, following >= LATE - 1
    carried = (state.balance - payment) * np.float32(prices.monthly_rate)
    flows = Flows(
        purchases=purchases,
        payment=payment * active,
        interest=np.floor(carried) * (revolving & active),
        fee=np.float32(prices.late_fee) * (late & active & (state.balance > 0)),
        charged_off=np.zeros_like(payment),
        income=_income(accounts, weather, month, luck[2]),
    )
    borrowed = state.borrowed * (1 - share) + (purchases - plain)
    return flows, borrowed * active


def _payment_share(accounts: Book, following: States, luck: NDArray[np.uint16]) -> Reals:
    """Return the share of the bill that is paid: all, the account's habit, or hardly any."""
    habit = accounts.payment_share * draws.lognormal_table(_PAYMENT_SPREAD).take(luck)
    np.minimum(habit, _MOST_REVOLVED, out=habit)
    habit *= _HABIT.take(following)
    share: Reals = np.maximum(habit, _LEAST_PAID.take(following))
    return share


def _income(accounts: Book, weather: Climate, month: int, luck: NDArray[np.uint16]) -> Reals:
    noise = _income_table().take(accounts.source * np.int32(draws.QUANTILES) + luck)
    level = weather.income[month].take(accounts.segment)
    income: Reals = np.floor(accounts.income * level * noise)
    return income


@lru_cache(maxsize=1)
def _income_table() -> Reals:
    """Return the log-normal quantiles of every source of income, one after the other."""
    return np.concatenate([draws.lognormal_table(spread) for spread in INCOME_SPREAD])
