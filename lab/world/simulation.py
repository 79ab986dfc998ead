"""One month of every account: `advance` takes a policy's limits and returns what follows.

The luck of an account in a month does not depend on its limit. So the same world under two policies
differs by what the limits cause, account by account, which is what a closed-loop test is for.

Amounts are whole units of the currency, held in floats. At the border they are ``int64`` minor
units.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from governance.errors import ContractError
from lab.world import anchors, chain, population
from lab.world.anchors import DEEPEST, LATE, Floats, Integers, States
from lab.world.population import (
    INCOME_SPREAD,
    LIMIT_STEP,
    SMALLEST_LIMIT,
    SME_SCALE,
    AccountTraits,
    Flags,
    Small,
    Use,
    lognormal,
)
from lab.world.settings import WorldSettings

MINOR = 100
LARGEST_LIMIT = 10_000_000

# By next state (-2, -1, 0, 2, 3, 4+): the least share of the bill that is paid, how much of the
# account's own habit is added, and how much of its usual purchases it still makes.
_LEAST_PAID = np.array([1.0, 1.0, 0.03, 0.0, 0.0, 0.0])
_HABIT = np.array([0.0, 0.0, 1.0, 0.45, 0.15, 0.0])
_ACTIVITY = np.array([0.0, 1.0, 1.0, 0.25, 0.0, 0.0])
_MOST_REVOLVED = 0.95
_PURCHASE_SPREAD, _PAYMENT_SPREAD = 0.45, 0.50

# The rule that set limits while the history was written, an ordinary rule of thumb on purpose.
REVIEW_MONTHS = 3
RAISE, CUT, RAISE_FROM_USE = 1.15, 0.70, 0.60
HIGHEST_MULTIPLE = 3
MULTIPLIERS = np.array([0.9, 1.0, 1.1, 1.2])
_HOLD_OUT, _EXPLORE = 1, 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Flows:
    """What happened in a month, in whole units; every array has shape ``(n,)``."""

    purchases: Floats
    payment: Floats
    interest: Floats
    fee: Floats
    charged_off: Floats
    income: Floats


@dataclass(frozen=True, slots=True, kw_only=True)
class WorldState:
    """Where every account stands at the end of a month.

    Parameters
    ----------
    month : int
        How many months were lived; ``advance`` lives this one next.
    borrowed : ndarray of float64
        Debt that a limit above the reference caused, in whole units.
    is_active : ndarray of bool
        Not charged off.
    flows : Flows
        What happened in the last month; nothing before the first.
    """

    traits: AccountTraits
    month: int
    cell: chain.Cells
    limit: Floats
    balance: Floats
    borrowed: Floats
    months_deepest: Small
    is_active: Flags
    flows: Flows

    @property
    def place(self) -> States:
        """Index of the present state in `anchors.CODES`."""
        return chain.state_of(self.cell)

    @property
    def status(self) -> Small:
        """Repayment status in UCI's codes: -2, -1, 0, 2, 3, 4 (four and more)."""
        return anchors.CODES[self.place]

    @property
    def limit_minor(self) -> Integers:
        """The limit in force, in minor units."""
        return self.limit.astype(np.int64) * MINOR

    @property
    def utilization(self) -> Floats:
        """Balance over limit; 0 where there is no limit."""
        return np.where(self.limit > 0, self.balance / np.maximum(self.limit, 1), 0.0)


Policy = Callable[[WorldState], Integers]


def opened(traits: AccountTraits) -> WorldState:
    """Return accounts before the first month, each at its reference limit and August bill."""
    n, real = len(traits), anchors.load()
    nothing = np.zeros(n)
    scale = np.where(traits.segment == population.FIRM, SME_SCALE, 1)
    return WorldState(
        traits=traits,
        month=0,
        cell=chain.opening_cells(real.status[traits.row]),
        limit=traits.reference_limit.astype(np.float64),
        balance=np.minimum(real.balance[traits.row] * scale, traits.reference_limit) * 1.0,
        borrowed=nothing,
        months_deepest=np.zeros(n, dtype=np.int8),
        is_active=np.ones(n, dtype=np.bool_),
        flows=Flows(
            purchases=nothing,
            payment=nothing,
            interest=nothing,
            fee=nothing,
            charged_off=nothing,
            income=nothing,
        ),
    )


def advance(state: WorldState, limits: Integers) -> WorldState:
    """Live one month under the limits given and return where everybody stands after it.

    A limit moves risk (``risk_per_log_limit``) and, slowly, debt (the account's own propensity to
    borrow). Nobody is lent more than the limit leaves: purchases fit into it, and only interest,
    fees or a cut bring a balance above it.

    Parameters
    ----------
    limits : ndarray of int64, shape (n_accounts,)
        Limit in force during the month, in minor units, whole units of the currency.

    Raises
    ------
    ContractError
        If the limits are not of this shape, negative, broken or above 1e9 minor units.
    """
    limit, traits = _checked(state, limits), state.traits
    delinquency, month = traits.settings.delinquency, state.month
    shift = traits.frailty + traits.economy.risk[month][traits.segment]
    shift = shift + limit_effect(traits, limit)
    drawn = traits.luck(Use.STATUS, month)
    cell = chain.move(chain.fit(delinquency), state.cell, shift, drawn[:, :2])
    following = chain.state_of(cell)
    deepest = np.where(following == DEEPEST, state.months_deepest + 1, 0).astype(np.int8)
    closes = state.is_active & (deepest >= delinquency.charge_off_months)
    flows, borrowed = _flows(state, limit, following, closes)
    added = flows.purchases + flows.interest + flows.fee - flows.payment
    return WorldState(
        traits=traits,
        month=month + 1,
        cell=np.where(state.is_active, cell, state.cell),
        limit=limit,
        balance=state.balance + added - flows.charged_off,
        borrowed=borrowed,
        months_deepest=deepest,
        is_active=state.is_active & ~closes,
        flows=flows,
    )


def limit_effect(traits: AccountTraits, limit: Floats) -> Floats:
    """Return what the limit adds to the logit of being late: the log of limit over reference."""
    # With hardly any limit there is nothing to borrow: the effect ends at a tenth of the reference.
    ratio = np.maximum(limit / traits.reference_limit, 0.1)
    effect: Floats = traits.settings.response.risk_per_log_limit * np.log(ratio)
    return effect


def _checked(state: WorldState, limits: Integers) -> Floats:
    if limits.shape != state.limit.shape or limits.dtype != np.int64:
        raise ContractError(
            f"Limits of shape {limits.shape} and type {limits.dtype} were given; one int64 per "
            f"account is needed, shape {state.limit.shape}, in minor units."
        )
    if len(limits) and (limits.min() < 0 or limits.max() > LARGEST_LIMIT * MINOR):
        raise ContractError(
            f"A limit is negative or above {LARGEST_LIMIT * MINOR} minor units. Cap the policy."
        )
    if (limits % MINOR).any():
        raise ContractError("A limit has a fraction of the currency's unit. Round the policy.")
    return (limits // MINOR).astype(np.float64)


def _flows(
    state: WorldState, limit: Floats, following: States, closes: Flags
) -> tuple[Flows, Floats]:
    """Return the month's flows, zero for closed accounts, and the debt that limits caused."""
    traits, active, real = state.traits, state.is_active, anchors.load()
    normal = traits.normals(Use.FLOWS, state.month)
    habit = real.payment_share[traits.row] * lognormal(normal[:, 0], _PAYMENT_SPREAD)
    habit = np.minimum(habit, _MOST_REVOLVED) * _HABIT[following]
    share = np.maximum(habit, _LEAST_PAID[following])
    payment = np.floor(state.balance * share)
    wanted, extra = _wishes(state, limit, following, share)
    wanted = wanted * lognormal(normal[:, 1], _PURCHASE_SPREAD)
    room = np.maximum(limit - state.balance + payment, 0)
    purchases = np.floor(np.clip(wanted + extra, 0, room)) * active
    prices, revolving = traits.settings.prices, following >= LATE - 1
    interest = np.floor((state.balance - payment) * prices.monthly_rate) * (revolving & active)
    is_charged = (following >= LATE) & active & (state.balance > 0)
    fee = np.where(is_charged, float(prices.late_fee), 0.0)
    payment = payment * active
    owed = state.balance - payment + purchases + interest + fee
    level = traits.economy.income[state.month][traits.segment]
    noise = lognormal(normal[:, 2], INCOME_SPREAD[traits.source])
    flows = Flows(
        purchases=purchases,
        payment=payment,
        interest=interest,
        fee=fee,
        charged_off=owed * closes,
        income=np.floor(traits.income * level * noise),
    )
    borrowed = state.borrowed * (1 - share) + (purchases - np.minimum(wanted, room))
    return flows, borrowed * active


def _wishes(
    state: WorldState, limit: Floats, following: States, share: Floats
) -> tuple[Floats, Floats]:
    """Return the purchases usual in this month, and what a higher limit adds to them."""
    traits = state.traits
    scale = np.where(traits.segment == population.FIRM, SME_SCALE, 1)
    usual = anchors.load().purchases[traits.row] * scale
    usual = usual * traits.economy.spending[state.month][traits.profile]
    gap = traits.borrowing * (limit - traits.reference_limit) - state.borrowed
    extra = traits.settings.response.monthly_speed * gap + share * state.borrowed
    activity = _ACTIVITY[following]
    return usual * activity, extra * activity


def incumbent_limits(state: WorldState) -> Integers:
    """Return the limits of the coming month in minor units under the incumbent rule of thumb.

    Every third month it raises by 15 % who uses 60 % or more and was not late in four months, and
    cuts by 30 % who is late. Beside it run a hold-out, whose limits never move, and an experiment,
    whose limits move by chance alone and so show what a limit causes. Refused customers keep the
    limit they asked for: nobody sees it.
    """
    if state.month == 0 or state.month % REVIEW_MONTHS:
        return state.limit_minor
    traits, now = state.traits, state.limit
    is_good = (chain.months_late_of(state.cell) == 0) & (state.utilization >= RAISE_FROM_USE)
    ruled = now * np.where(state.place >= LATE, CUT, np.where(is_good, RAISE, 1.0))
    lot = traits.luck(Use.EXPERIMENT, state.month)[:, 0] * len(MULTIPLIERS)
    drawn = traits.reference_limit * MULTIPLIERS[lot.astype(np.int64)]
    asked = np.where(traits.arm == _EXPLORE, drawn, ruled)
    stays = (traits.arm == _HOLD_OUT) | traits.is_refused | ~state.is_active
    highest = np.minimum(traits.reference_limit * HIGHEST_MULTIPLE, LARGEST_LIMIT)
    rounded = np.floor(asked / LIMIT_STEP + 1e-6) * LIMIT_STEP
    bounded = np.clip(rounded, SMALLEST_LIMIT, np.maximum(highest, SMALLEST_LIMIT))
    return np.where(stays | (asked == now), now, bounded).astype(np.int64) * MINOR


def live(
    settings: WorldSettings,
    first: int = 0,
    last: int | None = None,
    *,
    policy: Policy = incumbent_limits,
) -> list[WorldState]:
    """Return the states of accounts `first` to `last` - 1, from before the first month to the last.

    What becomes of an account does not depend on who else is lived with it.
    """
    states = [opened(population.enroll(settings, first, last))]
    for _ in range(settings.months):
        states.append(advance(states[-1], policy(states[-1])))
    return states


def default_probability(state: WorldState, horizon: int) -> Floats:
    """Return the true P(90 days late within `horizon` months) of each account, ``(n_accounts,)``.

    It holds for the limit in force; a limit that changes later changes it. It is meant for accounts
    that are open and less than 90 days late; for others it is the chance to be so again.

    Raises
    ------
    ContractError
        If the horizon ends more than three years after the recorded months.
    """
    traits, result = state.traits, np.empty(len(state.traits))
    shift = traits.frailty + limit_effect(traits, state.limit)
    risk = traits.economy.risk[state.month : state.month + horizon]
    if len(risk) < horizon:
        raise ContractError(f"The economy is not declared for {horizon} months from here.")
    tables = chain.fit(traits.settings.delinquency)
    for segment in range(len(population.SEGMENTS)):
        mine = traits.segment == segment
        result[mine] = chain.serious_within(tables, state.cell[mine], shift[mine], risk[:, segment])
    return result
