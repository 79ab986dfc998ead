"""Quarterly statements of firms: they balance to the unit, and they know something about risk.

A firm's frailty and the economy press on its margin; losses eat retained earnings, and with them
the ratios that a lender looks at. Nothing flows back: statements are symptoms of risk and not its
cause, so that the true default probability stays exact. Nothing here is anchored on real firms.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from lab.world import climate, draws
from lab.world.book import Book
from lab.world.draws import Use
from lab.world.evolution import MINOR

PUBLISHED_AFTER_DAYS = 45

_QUARTER = 3
_MARGIN, _MARGIN_PER_LOGIT, _MARGIN_NOISE = 0.085, -0.050, 0.030
_TAX, _PAID_OUT, _LOAN_RATE, _REPAID, _WEAR = 0.25, 0.30, 0.0125, 0.05, 0.01
_FIRM = 1

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Draws = tuple[Floats, ...]

AMOUNTS = (
    "revenue",
    "ebit",
    "interest_paid",
    "cash_flow",
    "debt_service",
    "working_capital",
    "retained_earnings",
    "equity",
    "liabilities",
    "total_assets",
)
SCHEMA = pa.schema(
    [
        ("account", pa.int64()),
        ("period_end", pa.date32()),
        ("published_on", pa.date32()),
        *((f"{name}_minor", pa.int64()) for name in AMOUNTS),
    ]
)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sheet:
    """A balance sheet in whole units: assets are liabilities plus equity, always."""

    paid_in: Integers
    retained: Integers
    liabilities: Integers

    @property
    def equity(self) -> Integers:
        return self.paid_in + self.retained

    @property
    def assets(self) -> Integers:
        return self.equity + self.liabilities


def statements(accounts: Book) -> pa.Table:
    """Return the quarterly statements of the accepted firms, account by account.

    Amounts are ``int64`` minor units; flows are of the quarter, stocks of its last day. A statement
    may be used from ``published_on`` on.
    """
    firms = accounts.take((accounts.segment == _FIRM) & ~accounts.is_refused)
    weather = climate.forecast(accounts.settings)
    ends = [place for place, month in enumerate(weather.months) if month.astype(int) % 3 == 2]
    sheet = _opening(firms)
    quarters = []
    for month in ends:
        pressure = firms.frailty + weather.risk[month, _FIRM]
        turnover = float(weather.income[max(0, month - 2) : month + 1, _FIRM].mean())
        sheet, amounts = _quarter(firms, sheet, turnover, (month, pressure))
        quarters.append(amounts)
    return _table(firms, [weather.months[month] for month in ends], quarters)


def _luck(firms: Book, month: int | None) -> Draws:
    parts = draws.quantiles(draws.bits(firms.key, Use.STATEMENT, month))
    return tuple(draws.normal_table().take(part).astype(np.float64) for part in parts)


def _opening(firms: Book) -> _Sheet:
    size, gearing, kept, _ = _luck(firms, None)
    yearly = firms.income.astype(np.float64) * 12
    assets = yearly * np.clip(0.9 + 0.25 * size, 0.3, 2.0)
    # The frail start with more debt and less of what earlier years left.
    debt = np.clip(0.50 + 0.12 * gearing + 0.10 * firms.frailty, 0.10, 0.90)
    equity = np.floor(assets * (1 - debt))
    retained = np.floor(equity * np.clip(0.45 + 0.15 * kept - 0.20 * firms.frailty, -0.3, 0.9))
    return _Sheet(
        paid_in=(equity - retained).astype(np.int64),
        retained=retained.astype(np.int64),
        liabilities=np.floor(assets * debt).astype(np.int64),
    )


def _quarter(
    firms: Book, before: _Sheet, turnover: float, pressed: tuple[int, NDArray[np.float32]]
) -> tuple[_Sheet, dict[str, Integers]]:
    """Return the sheet after a quarter and what its statement says."""
    month, pressure = pressed
    sales, margin, liquid, owed = _luck(firms, month)
    revenue = np.floor(firms.income * _QUARTER * turnover * (1 + 0.10 * np.clip(sales, -3, 3)))
    ebit = np.floor(revenue * (_MARGIN + _MARGIN_PER_LOGIT * pressure + _MARGIN_NOISE * margin))
    interest = np.floor(before.liabilities * 0.5 * _LOAN_RATE)
    taxed = np.floor(np.maximum(ebit - interest, 0) * _TAX)
    earned = ebit - interest - taxed
    kept = earned - np.floor(np.maximum(earned, 0) * _PAID_OUT)
    growth = np.floor(before.liabilities * np.clip(0.01 + 0.03 * owed, -0.10, 0.10))
    # A loss that the owners do not cover is borrowed.
    borrowed = growth + np.maximum(-kept, 0)
    sheet = _Sheet(
        paid_in=before.paid_in,
        retained=before.retained + kept.astype(np.int64),
        liabilities=before.liabilities + borrowed.astype(np.int64),
    )
    wear = np.floor(sheet.assets * _WEAR)
    ratio = 0.20 + 0.08 * liquid - 0.10 * pressure
    amounts = {
        "revenue": revenue,
        "ebit": ebit,
        "interest_paid": interest,
        "cash_flow": ebit + wear - taxed,
        "debt_service": interest + np.floor(before.liabilities * 0.5 * _REPAID),
        "working_capital": np.floor(sheet.assets * np.clip(ratio, -0.5, 0.7)),
        "retained_earnings": sheet.retained,
        "equity": sheet.equity,
        "liabilities": sheet.liabilities,
        "total_assets": sheet.assets,
    }
    return sheet, {name: values.astype(np.int64) for name, values in amounts.items()}


def _table(
    firms: Book, months: list[np.datetime64], quarters: list[dict[str, Integers]]
) -> pa.Table:
    if not quarters:
        return SCHEMA.empty_table()
    ends = np.array([(month + 1).astype("datetime64[D]") - 1 for month in months])
    columns: dict[str, pa.Array] = {
        "account": pa.array(np.repeat(firms.account, len(quarters))),
        "period_end": pa.array(np.tile(ends, len(firms))),
        "published_on": pa.array(np.tile(ends + PUBLISHED_AFTER_DAYS, len(firms))),
    }
    for name in AMOUNTS:
        wide = np.stack([quarter[name] for quarter in quarters], axis=1)
        columns[f"{name}_minor"] = pa.array(wide.ravel() * MINOR)
    return pa.table(columns, schema=SCHEMA)
