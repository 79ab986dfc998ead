"""Quarterly statements of firms: they balance to the unit, and they know something about risk.

A firm's frailty and the economy press on its margin; losses eat retained earnings, and with them
the ratios that a lender looks at. Nothing flows back: statements are symptoms of risk and not its
cause, so that the true default probability stays exact. Nothing here is anchored on real firms.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lab.world import population
from lab.world.anchors import Floats, Integers
from lab.world.population import AccountTraits, Flags, Use
from lab.world.simulation import MINOR

PUBLISHED_AFTER_DAYS = 45

_QUARTER = 3
_MARGIN, _MARGIN_PER_LOGIT, _MARGIN_NOISE = 0.085, -0.050, 0.030
_TAX, _PAID_OUT, _LOAN_RATE, _REPAID, _WEAR = 0.25, 0.30, 0.0125, 0.05, 0.01
YEAR = 4
"""Quarters whose flows are added up, as far as they are published."""

FLOWS = ("revenue", "ebit", "interest_paid", "cash_flow", "debt_service")
STOCKS = ("working_capital", "retained_earnings", "equity", "liabilities", "total_assets")
AMOUNTS = (*FLOWS, *STOCKS)
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


def statements(traits: AccountTraits) -> pa.Table:
    """Return the quarterly statements of the accepted firms, account by account.

    Amounts are ``int64`` minor units; flows are of the quarter, stocks of its last day. A statement
    may be used from ``published_on`` on.
    """
    firms = traits.take((traits.segment == population.FIRM) & ~traits.is_refused)
    economy, recorded = traits.economy, range(traits.settings.months)
    ends = [month for month in recorded if economy.months[month].astype(int) % 3 == 2]
    sheet = _opening(firms)
    quarters = []
    for month in ends:
        pressure = firms.frailty + economy.risk[month, population.FIRM]
        turnover = float(economy.income[max(0, month - 2) : month + 1, population.FIRM].mean())
        sheet, amounts = _quarter(firms, sheet, turnover, (month, pressure))
        quarters.append(amounts)
    return _table(firms, [economy.months[month] for month in ends], quarters)


def _opening(firms: AccountTraits) -> _Sheet:
    size, gearing, kept, _ = firms.normals(Use.STATEMENT).T
    yearly = firms.income * 12
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
    firms: AccountTraits, before: _Sheet, turnover: float, pressed: tuple[int, Floats]
) -> tuple[_Sheet, dict[str, Integers]]:
    """Return the sheet after a quarter and what its statement says."""
    month, pressure = pressed
    sales, margin, liquid, owed = firms.normals(Use.STATEMENT, month).T
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
    firms: AccountTraits, months: list[np.datetime64], quarters: list[dict[str, Integers]]
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


def published(statements: pa.Table, account: Integers, as_of: date) -> dict[str, pa.Array]:
    """Return what these accounts had published by a day, as columns; empty where nothing was.

    A statement counts from the day it was published, not from the end of its quarter. Flows are
    sums over the newest published quarters, at most four; ``statement_quarters`` says how many.
    Stocks are those of the newest statement. Who has no published statement has empty figures,
    never zeros.
    """
    rows = statements.filter(pc.less_equal(statements["published_on"], as_of))
    owner = rows["account"].to_numpy()
    place = pc.index_in(rows["account"], value_set=pa.array(account)).fill_null(-1).to_numpy()
    # Statements come account by account in order of time: the last one of an account is the newest.
    age = np.searchsorted(owner, owner, side="right") - 1 - np.arange(len(owner))
    kept = (place >= 0) & (age < YEAR)
    at = (place[kept], age[kept])
    has_any = np.zeros((len(account), YEAR), dtype=np.bool_)
    has_any[at] = True
    wide = {name: np.zeros((len(account), YEAR), dtype=np.int64) for name in AMOUNTS}
    for name in AMOUNTS:
        wide[name][at] = rows[f"{name}_minor"].to_numpy()[kept]
    newest = np.full(len(account), -1, dtype=np.int64)
    newest[place[kept & (age == 0)]] = np.flatnonzero(kept & (age == 0))
    chosen, unknown = pa.array(newest, mask=newest < 0), ~has_any[:, 0]
    return {
        "statement_period_end": rows["period_end"].take(chosen),
        "statement_published_on": rows["published_on"].take(chosen),
        "statement_quarters": pa.array(has_any.sum(axis=1)),
        "revenue_newest_minor": pa.array(wide["revenue"][:, 0], mask=unknown),
        "revenue_before_minor": pa.array(wide["revenue"][:, 1], mask=~has_any[:, 1]),
        **{f"{n}_minor": pa.array(wide[n].sum(axis=1), mask=unknown) for n in FLOWS},
        **{f"{n}_minor": pa.array(wide[n][:, 0], mask=unknown) for n in STOCKS},
    }


def ratios(figures: dict[str, pa.Array]) -> dict[str, pa.Array]:
    """Return Altman's Z'' for private firms, coverage of the debt service, revenue of a month.

    References
    ----------
    Altman, E. I. (2005), Emerging Markets Review 6, 311-323: the four-variable Z''.
    """
    amount = {n: figures[f"{n}_minor"].fill_null(0).to_numpy().astype(float) for n in AMOUNTS}
    quarters = np.maximum(figures["statement_quarters"].to_numpy(), 1)
    unknown: Flags = figures["revenue_minor"].is_null().to_numpy(zero_copy_only=False)
    assets = np.maximum(amount["total_assets"], 1.0)
    # The model was made for yearly accounts; fewer quarters are brought to a year.
    z = 6.56 * amount["working_capital"] + 3.26 * amount["retained_earnings"]
    z = (z + 6.72 * amount["ebit"] * YEAR / quarters) / assets
    z += 1.05 * amount["equity"] / np.maximum(amount["liabilities"], 1.0)
    monthly = np.floor(amount["revenue"] / (3 * quarters)).astype(np.int64)
    coverage = amount["cash_flow"] / np.maximum(amount["debt_service"], 1.0)
    return {
        "altman_z": pa.array(z, mask=unknown),
        "debt_service_coverage": pa.array(coverage, mask=unknown),
        "monthly_revenue_minor": pa.array(monthly, mask=unknown),
    }
