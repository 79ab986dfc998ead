"""What a lender has on file of each account as of a day: six months of behavior and its limit.

The columns are those of the world's contracts: `_m0` to `_m5` are the last six months, the newest
first. Sex, age, education and marriage are not among them, nor is anything that only the simulator
knows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa

from lab.world.anchors import Floats, Integers
from lab.world.population import INCOME_SOURCES, SEGMENTS
from lab.world.records import words
from lab.world.simulation import MINOR, WorldState

HISTORY = 6
"""Months of behavior on file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitHistory:
    """The permanent limit of every account and how it moved; ``(n_accounts,)`` each.

    Parameters
    ----------
    limit : ndarray of int64
        In minor units; a temporary uplift is not in it.
    since_raise, since_cut : ndarray of int64
        Months since the limit last moved; since the account was opened if it never did.
    band : ndarray of int64
        Band of the last decision, -1 before the first.
    probability : ndarray of float64
        Default probability of the last decision, nan before the first.
    bands : tuple of str
        Names of the policy's bands.
    """

    limit: Integers
    since_raise: Integers
    since_cut: Integers
    band: Integers
    probability: Floats
    bands: tuple[str, ...] = ()

    @classmethod
    def begin(cls, state: WorldState, bands: tuple[str, ...] = ()) -> LimitHistory:
        """Return the history of accounts that have not lived a month yet."""
        tenure = state.traits.tenure_months
        return cls(
            limit=state.limit_minor,
            since_raise=tenure,
            since_cut=tenure,
            band=np.full(len(tenure), -1),
            probability=np.full(len(tenure), np.nan),
            bands=bands,
        )

    def moved(self, limit: Integers) -> LimitHistory:
        """Return the history after the permanent limits were set."""
        return replace(
            self,
            limit=limit,
            since_raise=np.where(limit > self.limit, 0, self.since_raise),
            since_cut=np.where(limit < self.limit, 0, self.since_cut),
        )

    def month_later(self) -> LimitHistory:
        """Return the history after one more month without a change."""
        return replace(self, since_raise=self.since_raise + 1, since_cut=self.since_cut + 1)

    def judged(self, rows: Integers, band: Integers, probability: Floats) -> LimitHistory:
        """Return the history after the accounts `rows` were put into bands."""
        bands, chances = self.band.copy(), self.probability.copy()
        bands[rows], chances[rows] = band, probability
        return replace(self, band=bands, probability=chances)


def history_of(states: Sequence[WorldState]) -> LimitHistory:
    """Return the history of limits that were in force month by month, none of them temporary.

    A change counts from the month that it ruled first: at the end of that month it is 0 months old.
    """
    history = LimitHistory.begin(states[0])
    # Tenure runs up to the newest month on file.
    history = replace(history, since_raise=history.since_raise - 1, since_cut=history.since_cut - 1)
    for state in states[1:]:
        history = history.month_later().moved(state.limit_minor)
    return history


def on_file(states: Sequence[WorldState], history: LimitHistory, rows: Integers) -> pa.Table:
    """Return what is on file of the accounts `rows` at the end of the last of `states`.

    Parameters
    ----------
    states : sequence of WorldState
        At least `HISTORY` months of the same accounts, the newest last.
    """
    newest, traits = states[-1], states[-1].traits
    columns = {
        "account": traits.account[rows],
        "segment": words(SEGMENTS, traits.segment[rows]),
        "income_source": words(INCOME_SOURCES, traits.source[rows]),
        "stated_income_minor": traits.income[rows].astype(np.int64) * MINOR,
        "reference_limit_minor": traits.reference_limit[rows] * MINOR,
        "tenure_months": traits.tenure_months[rows] + newest.month - 1,
        "months_since_raise": history.since_raise[rows],
        "months_since_cut": history.since_cut[rows],
        "limit_minor": history.limit[rows],
    }
    seen = states[: -HISTORY - 1 : -1]
    for age, state in enumerate(seen):
        columns[f"status_m{age}"] = state.status[rows].astype(np.int64)
        columns[f"balance_m{age}"] = state.balance[rows].astype(np.int64) * MINOR
        for name in ("payment", "purchases", "income"):
            amount = getattr(state.flows, name)[rows]
            columns[f"{name}_m{age}"] = amount.astype(np.int64) * MINOR
    return pa.table(columns)
