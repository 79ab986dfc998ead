"""Filings: what firms have published by a day, as the ratios that a limit policy reads."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from lab.world import statements
from lab.world.book import Book

COLUMNS = ("altman_z", "debt_service_coverage", "monthly_revenue_minor")

Integers = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Filings:
    """Ratios by account and statement, ``(n_accounts, n_statements)``; nan for consumers.

    Parameters
    ----------
    published : ndarray of datetime64[D], shape (n_statements,)
        From which day on each statement is known, ascending.
    """

    published: NDArray[np.datetime64]
    ratios: dict[str, Floats]
    accounts: int

    @classmethod
    def empty(cls, accounts: int) -> Filings:
        """Return filings of accounts that have published nothing."""
        nothing = np.zeros((accounts, 0))
        return cls(
            published=np.zeros(0, "datetime64[D]"),
            ratios=dict.fromkeys(COLUMNS, nothing),
            accounts=accounts,
        )

    @classmethod
    def of(cls, accounts: Book) -> Filings:
        """Compute the ratios of every statement of a world; limits do not move statements."""
        table = statements.statements(accounts)
        if not table.num_rows:
            return cls.empty(len(accounts))
        days = table["published_on"].to_numpy().astype("datetime64[D]")
        published = np.unique(days)
        row = np.searchsorted(accounts.account, table["account"].to_numpy())
        column = np.searchsorted(published, days)
        ratios = {}
        for name, values in _ratios(table).items():
            wide = np.full((len(accounts), len(published)), np.nan)
            wide[row, column] = values
            ratios[name] = wide
        return cls(published=published, ratios=ratios, accounts=len(accounts))

    def columns(self, rows: Integers, on: date) -> dict[str, pa.Array]:
        """Return the newest ratios that were public on the day `on`; null where there is none."""
        known = int(np.searchsorted(self.published, np.datetime64(on, "D"), side="right"))
        found = {}
        for name in COLUMNS:
            values = self.ratios[name][rows, known - 1] if known else np.full(len(rows), np.nan)
            empty = np.isnan(values)
            if name.endswith("_minor"):
                values = np.where(empty, 0, values).astype(np.int64)
            found[name] = pa.array(values, mask=empty)
        return found


def _ratios(table: pa.Table) -> dict[str, Floats]:
    """Return Altman's Z'' for private firms, coverage of the debt service, revenue of a month.

    References
    ----------
    Altman, E. I. (2005), Emerging Markets Review 6, 311-323: the four-variable Z''.
    """
    amount = {name: table[f"{name}_minor"].to_numpy().astype(float) for name in statements.AMOUNTS}
    assets = np.maximum(amount["total_assets"], 1.0)
    # The model was made for yearly accounts; a quarter's earnings count four times.
    z = 6.56 * amount["working_capital"] + 3.26 * amount["retained_earnings"]
    z = (z + 6.72 * 4 * amount["ebit"]) / assets
    z += 1.05 * amount["equity"] / np.maximum(amount["liabilities"], 1.0)
    return {
        "altman_z": z,
        "debt_service_coverage": amount["cash_flow"] / np.maximum(amount["debt_service"], 1.0),
        "monthly_revenue_minor": np.floor(amount["revenue"] / 3),
    }
