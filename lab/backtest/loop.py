"""The loop: decide, live a month, note what happened, and decide again on what came of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date

import numpy as np
from numpy.typing import NDArray

from lab.backtest import strategy as strategies
from lab.backtest.diary import Diary
from lab.backtest.filings import Filings
from lab.backtest.learner import accepted
from lab.backtest.strategy import Files, Moved, Review, Strategy
from lab.backtest.trial import WARM_UP, Trial
from lab.optimizer.economics import Economics
from lab.world import anchors, chain, evolution
from lab.world.book import SEGMENT_NAMES
from lab.world.evolution import MINOR, State
from lab.world.settings import WorldSettings

Integers = NDArray[np.int64]
Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class Begun:
    """Accounts at the start of a trial, six months lived; the same for every strategy."""

    state: State
    seen: Diary
    filings: Filings
    left_out: int


@dataclass(slots=True, kw_only=True)
class Ledger:
    """What every account earned and cost over the trial, ``(n_accounts,)``, in whole units."""

    interest: Floats
    fees: Floats
    other: Floats
    losses: Floats
    funding: Floats
    raises: Integers
    cuts: Integers

    @classmethod
    def empty(cls, n: int) -> Ledger:
        """Open the ledger of `n` accounts."""
        amounts = [np.zeros(n) for _ in range(5)]
        counts = [np.zeros(n, np.int64) for _ in range(2)]
        return cls(
            interest=amounts[0],
            fees=amounts[1],
            other=amounts[2],
            losses=amounts[3],
            funding=amounts[4],
            raises=counts[0],
            cuts=counts[1],
        )

    @property
    def profit(self) -> Floats:
        """Interest, fees and other margin, less losses and the cost of funds and capital."""
        earned: Floats = self.interest + self.fees + self.other - self.losses - self.funding
        return earned


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One strategy lived in one world; money per account in whole units of the currency.

    Parameters
    ----------
    is_bad : ndarray of bool, shape (n_accounts,)
        Was 90 days late in some month of the trial.
    limit : ndarray of float64, shape (n_accounts,)
        Permanent limit at the end, 0 where the account was written off.
    by_month : dict of str to ndarray of float64, shape (n_months,)
        ``profit``, ``losses``, ``limits`` (permanent, open accounts) and ``balances``.
    kept_policy : int
        Reviews in which the optimizer could recommend nothing.
    """

    strategy: Strategy
    seed: int
    ledger: Ledger
    is_bad: Flags
    limit: Floats
    by_month: dict[str, Floats]
    end: State
    kept_policy: int = 0


def begin(settings: WorldSettings, files: Files) -> Begun:
    """Live the months before the trial, every limit as granted."""
    everybody = accepted(settings)
    covered = np.isin(np.array(SEGMENT_NAMES)[everybody.book.segment], files.segments)
    state = evolution.opened(everybody.book.take(covered))
    seen = Diary.begin(state, files.policy.bands.names)
    for month in range(WARM_UP):
        state = evolution.advance(state, month, state.limit_minor)
        seen = seen.noted(state)
    return Begun(
        state=state,
        seen=seen,
        filings=Filings.of(state.book),
        left_out=int((~covered).sum()),
    )


def run(
    begun: Begun,
    trial: Trial,
    strategy: Strategy,
    files: Files,
    done: Callable[[], None] = lambda: None,
) -> Run:
    """Live a trial under one strategy.

    Parameters
    ----------
    done : callable
        Called after every month.
    """
    state, moved = begun.state, Moved(seen=begun.seen, uplift=np.zeros_like(begun.seen.limit))
    ledger, kept_policy = Ledger.empty(len(state.book)), 0
    is_bad = np.zeros(len(state.book), np.bool_)
    course = {name: np.zeros(trial.months) for name in ("profit", "losses", "limits", "balances")}
    for month in range(trial.months):
        if trial.is_review(month):
            before, moved = moved, _reviewed(begun, trial, strategy, files, (month, state, moved))
            kept_policy += moved.is_kept
            ledger.raises += moved.seen.limit > before.seen.limit
            ledger.cuts += moved.seen.limit < before.seen.limit
        earlier = ledger.profit.sum()
        opened, state = state, evolution.advance(state, state.month, _in_force(trial, month, moved))
        _book(ledger, opened, state, files.economics)
        moved = Moved(seen=moved.seen.noted(state), uplift=moved.uplift, expires=moved.expires)
        is_bad |= opened.is_active & (chain.state_of(state.cell) >= anchors.SERIOUS)
        course["profit"][month] = ledger.profit.sum() - earlier
        course["losses"][month] = _lost(state).sum()
        course["limits"][month] = _open_limits(moved.seen, state).sum()
        course["balances"][month] = state.balance.sum(dtype=np.float64)
        done()
    return Run(
        strategy=strategy,
        seed=state.book.settings.seed,
        ledger=ledger,
        is_bad=is_bad,
        limit=_open_limits(moved.seen, state),
        by_month=course,
        end=state,
        kept_policy=kept_policy,
    )


def _reviewed(
    begun: Begun,
    trial: Trial,
    strategy: Strategy,
    files: Files,
    now: tuple[int, State, Moved],
) -> Moved:
    month, state, moved = now
    rows = np.flatnonzero(state.is_active)
    if not len(rows):
        return moved
    review = Review(
        files=files,
        trial=trial,
        month=month,
        state=state,
        seen=moved.seen,
        filings=begun.filings,
        rows=rows,
    )
    return _continued(moved, strategies.decide(strategy, review), trial.day(month))


def _continued(before: Moved, after: Moved, on: date) -> Moved:
    """Let an uplift that was granted earlier run to its last day, unless the limit was cut."""
    if after.expires is not None or before.expires is None or before.expires < np.datetime64(on):
        return after
    kept = np.where(after.seen.limit >= before.seen.limit, before.uplift, 0)
    return Moved(seen=after.seen, uplift=kept, expires=before.expires)


def _in_force(trial: Trial, month: int, moved: Moved) -> Integers:
    """Return permanent limits with the uplifts whose last day lies in this month or later."""
    if moved.expires is None:
        return moved.seen.limit
    runs = moved.expires >= np.datetime64(trial.day(month))
    return moved.seen.limit + (moved.uplift if runs else 0)


def _book(ledger: Ledger, before: State, after: State, economics: Economics) -> None:
    """Enter what a month brought.

    Funds and capital are paid on the exposure during the month: what is owed at its end, or was
    written off, and the declared share of what could still be drawn.
    """
    flows = after.flows
    if flows is None:
        return
    owed = after.balance.astype(np.float64) + flows.charged_off
    unused = np.maximum(after.limit.astype(np.float64) - owed, 0.0) * before.is_active
    exposure = owed + economics.loss.conversion * unused
    capital = economics.capital
    # Rates of the economics file are for its horizon; a month takes its part of them. Of the
    # interest that the world charges, the declared margin is what funding leaves.
    horizon = economics.horizon_months
    prices = after.book.settings.prices
    charged = prices.monthly_rate * horizon
    ledger.interest += flows.interest * (economics.margin.interest / charged if charged else 0.0)
    ledger.fees += flows.fee
    ledger.other += economics.margin.other * owed / horizon
    ledger.losses += flows.charged_off
    ledger.funding += capital.requirement * capital.cost * exposure / horizon


def _lost(state: State) -> Floats:
    return np.zeros(0) if state.flows is None else state.flows.charged_off.astype(np.float64)


def _open_limits(seen: Diary, state: State) -> Floats:
    limits: Floats = np.where(state.is_active, seen.limit / MINOR, 0.0)
    return limits
