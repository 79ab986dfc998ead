"""A diary: what a lender has on file of each account at the start of a month.

It keeps six months of behavior and the history of the limit, and writes them as one row per open
account, once in the columns of the world's snapshot and once in those of the UCI data, so that a
feature spec for either computes. Sex, age, education and marriage are not among them, nor is
anything that the oracle knows.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from lab.backtest.filings import Filings
from lab.world.book import ARMS, INCOME_SOURCES, SEGMENT_NAMES
from lab.world.evolution import MINOR, State
from lab.world.snapshot import HISTORY

# UCI numbers repayment status 0, 2, 3, ... and amounts 1, 2, 3, ...; both begin with the newest.
UCI_STATUS = ("pay_0", "pay_2", "pay_3", "pay_4", "pay_5", "pay_6")
REVOLVING_SHARE = "revolving_share"

Integers = NDArray[np.int64]
Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

_SERIES = ("balance", "payment", "purchases", "income")
_NONE = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class Diary:
    """Six months of every account, ``(n_accounts, 6)``, the newest first; money in minor units.

    Parameters
    ----------
    limit : ndarray of int64, shape (n_accounts,)
        The permanent limit; a temporary uplift is not in it.
    since_raise, since_cut : ndarray of int64, shape (n_accounts,)
        Months since the limit last moved; since the account was opened if it never did.
    band : ndarray of int64, shape (n_accounts,)
        Band of the last decision, -1 before the first.
    probability : ndarray of float64, shape (n_accounts,)
        Default probability of the last decision, nan before the first.
    bands : tuple of str
        Names of the policy's bands.
    """

    status: Integers
    amounts: dict[str, Integers]
    limit: Integers
    tenure: Integers
    since_raise: Integers
    since_cut: Integers
    band: Integers
    probability: Floats
    bands: tuple[str, ...] = ()

    @classmethod
    def begin(cls, state: State, bands: tuple[str, ...] = ()) -> Diary:
        """Open the diary of accounts that have not lived a month yet."""
        n, tenure = len(state.book), state.book.tenure_months.astype(np.int64)
        return cls(
            status=np.zeros((n, HISTORY), np.int64),
            amounts={name: np.zeros((n, HISTORY), np.int64) for name in _SERIES},
            limit=state.limit_minor,
            # Tenure runs up to the newest month on file, and none is on file yet.
            tenure=tenure - 1,
            since_raise=tenure,
            since_cut=tenure,
            band=np.full(n, _NONE, np.int64),
            probability=np.full(n, np.nan),
            bands=bands,
        )

    def noted(self, state: State) -> Diary:
        """Return the diary after one more month."""
        flows = state.flows
        if flows is None:
            return self
        newest = {
            "balance": state.balance_minor,
            "payment": flows.payment.astype(np.int64) * MINOR,
            "purchases": flows.purchases.astype(np.int64) * MINOR,
            "income": flows.income.astype(np.int64) * MINOR,
        }
        return replace(
            self,
            status=_pushed(self.status, state.status.astype(np.int64)),
            amounts={name: _pushed(self.amounts[name], values) for name, values in newest.items()},
            tenure=self.tenure + 1,
            since_raise=self.since_raise + 1,
            since_cut=self.since_cut + 1,
        )

    def moved(self, limit: Integers) -> Diary:
        """Return the diary after the permanent limits were set."""
        return replace(
            self,
            limit=limit,
            since_raise=np.where(limit > self.limit, 0, self.since_raise),
            since_cut=np.where(limit < self.limit, 0, self.since_cut),
        )

    def judged(self, rows: Integers, band: Integers, probability: Floats) -> Diary:
        """Return the diary after the accounts `rows` were put into bands."""
        bands, chances = self.band.copy(), self.probability.copy()
        bands[rows], chances[rows] = band, probability
        return replace(self, band=bands, probability=chances)


def table(
    diary: Diary, state: State, rows: Integers, *, on: date, filings: Filings | None = None
) -> pa.Table:
    """Return what is on file of the accounts `rows`, one row each.

    Parameters
    ----------
    on : date
        The day; a firm's statement counts from the day on which it was published.
    filings : Filings, optional
        Statements of the firms; left out, their columns are empty.
    """
    accounts = state.book
    columns: dict[str, pa.Array] = {
        "account": pa.array(accounts.account[rows]),
        "segment": _words(SEGMENT_NAMES, accounts.segment[rows]),
        "income_source": _words(INCOME_SOURCES, accounts.source[rows]),
        "stated_income_minor": pa.array(accounts.income[rows].astype(np.int64) * MINOR),
        "reference_limit_minor": pa.array(accounts.reference_limit[rows] * MINOR),
        "tenure_months": pa.array(diary.tenure[rows]),
        "limit_minor": pa.array(diary.limit[rows]),
        "months_since_raise": pa.array(diary.since_raise[rows]),
        "months_since_cut": pa.array(diary.since_cut[rows]),
        "previous_band": _words(diary.bands, diary.band[rows]),
        "previous_probability": pa.array(diary.probability[rows], from_pandas=True),
        "arm": _words(ARMS, accounts.arm[rows]),
        "assignment": pa.array((accounts.key[rows] >> np.uint64(32)).astype(np.uint32)),
        REVOLVING_SHARE: pa.array((diary.status[rows] >= 0).mean(axis=1)),
    }
    for age in range(HISTORY):
        columns[f"status_m{age}"] = pa.array(diary.status[rows, age])
        for name in _SERIES:
            columns[f"{name}_m{age}"] = pa.array(diary.amounts[name][rows, age])
    known = filings if filings is not None else Filings.empty(len(accounts))
    return pa.table(columns | _uci(diary, state, rows) | known.columns(rows, on))


def _uci(diary: Diary, state: State, rows: Integers) -> dict[str, pa.Array]:
    """Return the columns of the UCI data, whose amounts are whole units."""
    balance, payment = diary.amounts["balance"], diary.amounts["payment"]
    columns = {
        "limit_bal": pa.array(diary.limit[rows] // MINOR),
        "reference_limit": pa.array(state.book.reference_limit[rows]),
    }
    for age, name in enumerate(UCI_STATUS):
        columns[name] = pa.array(diary.status[rows, age])
        columns[f"bill_amt{age + 1}"] = pa.array(balance[rows, age] // MINOR)
        columns[f"pay_amt{age + 1}"] = pa.array(payment[rows, age] // MINOR)
    return columns


def _pushed(series: Integers, newest: Integers) -> Integers:
    return np.concatenate([newest[:, None], series[:, :-1]], axis=1)


def _words(words: tuple[str, ...], places: NDArray[np.integer]) -> pa.Array:
    """Return the word at each place; a place of -1 has none."""
    kept = places.astype(np.int64)
    return pa.array(words, pa.string()).take(pa.array(kept, mask=kept < 0))
