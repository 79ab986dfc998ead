"""The loop: decide, live a month, note what happened, and decide again on what came of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date

import numpy as np
import pyarrow as pa

from lab.backtest import strategy as strategies
from lab.backtest.strategy import LimitReview, ReviewedFiles, ReviewedLimits, Strategy
from lab.backtest.trial import WARM_UP, Trial
from lab.optimizer.economics import Economics
from lab.world import population, simulation, statements
from lab.world.account_file import LimitHistory
from lab.world.anchors import SERIOUS, Floats, Integers
from lab.world.population import SEGMENTS, Flags
from lab.world.settings import WorldSettings
from lab.world.simulation import MINOR, WorldState

MONEY = ("interest", "fees", "other", "losses", "funding")


@dataclass(frozen=True, slots=True, kw_only=True)
class WarmedUp:
    """Accounts at the start of a trial, six months lived; the same for every strategy."""

    states: tuple[WorldState, ...]
    history: LimitHistory
    filings: pa.Table
    left_out: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LivedStrategy:
    """What a strategy brought, ``(n_accounts,)`` each; money in whole units of the currency.

    Parameters
    ----------
    money : dict of str to ndarray of float64
        What every account earned and cost over the trial, by `MONEY`.
    is_bad : ndarray of bool
        Was 90 days late in some month of the trial.
    limit : ndarray of float64
        Permanent limit at the end, 0 where the account was written off.
    kept_policy : int
        Reviews in which the optimizer could recommend nothing.
    """

    money: dict[str, Floats]
    raises: Integers
    cuts: Integers
    is_bad: Flags
    limit: Floats
    kept_policy: int = 0

    @property
    def profit(self) -> Floats:
        """Interest, fees and other margin, less losses and the cost of funds and capital."""
        money = self.money
        earned = money["interest"] + money["fees"] + money["other"]
        profit: Floats = earned - money["losses"] - money["funding"]
        return profit

    @classmethod
    def joined(cls, runs: Sequence[LivedStrategy]) -> LivedStrategy:
        """Lay the accounts of several worlds end to end."""
        return cls(
            money={name: np.concatenate([run.money[name] for run in runs]) for name in MONEY},
            raises=np.concatenate([run.raises for run in runs]),
            cuts=np.concatenate([run.cuts for run in runs]),
            is_bad=np.concatenate([run.is_bad for run in runs]),
            limit=np.concatenate([run.limit for run in runs]),
            kept_policy=sum(run.kept_policy for run in runs),
        )


def begin(settings: WorldSettings, files: ReviewedFiles) -> WarmedUp:
    """Live the months before the trial, every limit of the accepted as granted."""
    traits = population.enroll(settings)
    traits = traits.take(~traits.is_refused)
    covered = np.isin(np.array(SEGMENTS)[traits.segment], files.segments)
    states = [simulation.opened(traits.take(covered))]
    history = LimitHistory.begin(states[0], files.policy.bands.names)
    for _ in range(WARM_UP):
        states.append(simulation.advance(states[-1], states[-1].limit_minor))
        history = history.month_later()
    return WarmedUp(
        states=tuple(states[1:]),
        history=history,
        filings=statements.statements(states[0].traits),
        left_out=int((~covered).sum()),
    )


def run(begun: WarmedUp, trial: Trial, strategy: Strategy, files: ReviewedFiles) -> LivedStrategy:
    """Live a trial under one strategy."""
    n, states = len(begun.history.limit), list(begun.states)
    moved = ReviewedLimits(history=begun.history, uplift=np.zeros(n, np.int64))
    raises, cuts, kept_policy = np.zeros(n, np.int64), np.zeros(n, np.int64), 0
    money, is_bad = {name: np.zeros(n) for name in MONEY}, np.zeros(n, np.bool_)
    for month in range(trial.months):
        opened = states[-1]
        if month % trial.every == 0 and opened.is_active.any():
            before = moved
            review = LimitReview(
                files=files,
                trial=trial,
                month=month,
                states=states,
                history=before.history,
                filings=begun.filings,
                rows=np.flatnonzero(opened.is_active),
            )
            moved = _continued(before, strategies.decide(strategy, review), trial.day(month))
            kept_policy += moved.is_kept
            raises += moved.history.limit > before.history.limit
            cuts += moved.history.limit < before.history.limit
        states = [*states[1:], simulation.advance(opened, _in_force(trial.day(month), moved))]
        _book(money, opened, states[-1], files.economics)
        moved = replace(moved, history=moved.history.month_later())
        is_bad |= opened.is_active & (states[-1].place >= SERIOUS)
    return LivedStrategy(
        money=money,
        raises=raises,
        cuts=cuts,
        is_bad=is_bad,
        limit=np.where(states[-1].is_active, moved.history.limit / MINOR, 0.0),
        kept_policy=kept_policy,
    )


def _continued(before: ReviewedLimits, after: ReviewedLimits, on: date) -> ReviewedLimits:
    """Let an uplift that was granted earlier run to its last day, unless the limit was cut."""
    if after.expires is not None or before.expires is None or before.expires < np.datetime64(on):
        return after
    kept = np.where(after.history.limit >= before.history.limit, before.uplift, 0)
    return replace(after, uplift=kept, expires=before.expires)


def _in_force(day: date, moved: ReviewedLimits) -> Integers:
    """Return permanent limits with the uplifts whose last day lies in this month or later."""
    if moved.expires is None or moved.expires < np.datetime64(day):
        return moved.history.limit
    return moved.history.limit + moved.uplift


def _book(
    money: dict[str, Floats], before: WorldState, after: WorldState, economics: Economics
) -> None:
    """Enter what a month brought.

    Funds and capital are paid on the exposure during the month: what is owed at its end, or was
    written off, and the declared share of what could still be drawn.
    """
    flows, capital = after.flows, economics.capital
    owed = after.balance + flows.charged_off
    unused = np.maximum(after.limit - owed, 0.0) * before.is_active
    exposure = owed + economics.loss.conversion * unused
    # Rates of the economics file are for its horizon; a month takes its part of them. Of the
    # interest that the world charges, the declared margin is what funding leaves.
    horizon = economics.horizon_months
    charged = after.traits.settings.prices.monthly_rate * horizon
    money["interest"] += flows.interest * (economics.margin.interest / charged if charged else 0.0)
    money["fees"] += flows.fee
    money["other"] += economics.margin.other * owed / horizon
    money["losses"] += flows.charged_off
    money["funding"] += capital.requirement * capital.cost * exposure / horizon
