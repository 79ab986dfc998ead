"""One row per firm as of a day: behavior with the newest statements that were published by then.

A statement counts from the day it was published, not from the end of its quarter: six weeks lie
between the two, and a model that learned from unpublished figures would know what nobody knew. Who
has no published statement has empty figures, never zeros.

The world itself knows firms only. Which of them are sole traders is drawn here, by the luck of the
account; a sole trader declares takings and costs and has no balance sheet.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from lab.world import draws, snapshot
from lab.world.draws import Use
from lab.world.panel import Chunk
from lab.world.settings import Segment, WorldSettings
from lab.world.snapshot import Moment

SOLE_TRADER, LEGAL_PERSON = "sole_trader", "small_firm"
SOLE_TRADER_SHARE = 0.40
YEAR = 4
"""Quarters whose flows are added up, as far as they are published."""

FLOWS = ("revenue", "ebit", "interest_paid", "cash_flow", "debt_service")
STOCKS = ("working_capital", "retained_earnings", "equity", "liabilities", "total_assets")

Integers = NDArray[np.int64]
Flags = NDArray[np.bool_]


def take(chunk: Chunk, people: pa.Table, settings: WorldSettings, moment: Moment) -> pa.Table:
    """Return the firms of a chunk that were open and less than 90 days late on the day.

    Flows are sums over the newest published quarters, at most four; ``statement_quarters`` says how
    many, so that a reader can bring them to a year. Stocks are those of the newest statement.

    Parameters
    ----------
    people : pyarrow.Table
        Identities of exactly the chunk's accounts, in their order.
    """
    everybody = snapshot.take(chunk, people, settings, moment)
    firms = everybody.filter(pc.equal(everybody["segment"], Segment.SME.value))
    place = pc.index_in(firms["customer_id"], value_set=people["customer_id"].combine_chunks())
    account = people["account"].take(place).to_numpy()
    is_trader = sole_traders(account, settings)
    form = pa.array(np.where(is_trader, SOLE_TRADER, LEGAL_PERSON).tolist(), pa.string())
    firms = firms.set_column(firms.column_names.index("segment"), "segment", form)
    figures = _figures(chunk.statements, account, moment, is_trader)
    at = firms.column_names.index(snapshot.OUTCOME)
    for offset, (name, values) in enumerate(figures.items()):
        firms = firms.add_column(at + offset, name, values)
    return firms


def sole_traders(account: Integers, settings: WorldSettings) -> Flags:
    """Tell which of these accounts belong to sole traders, wherever the account is looked at."""
    luck = draws.bits(draws.keys(account, settings.seed), Use.LEGAL_FORM)
    drawn: Flags = draws.uniforms(luck)[0] < SOLE_TRADER_SHARE
    return drawn


def _figures(
    statements: pa.Table, account: Integers, moment: Moment, is_trader: Flags
) -> dict[str, pa.Array]:
    """Return the columns that come from statements, the day of publication included."""
    rows = statements.filter(pc.less_equal(statements["published_on"], moment.as_of))
    owner = rows["account"].to_numpy()
    place = pc.index_in(rows["account"], value_set=pa.array(account)).fill_null(-1).to_numpy()
    # Statements come account by account in order of time: the last one of an account is the newest.
    age = np.searchsorted(owner, owner, side="right") - 1 - np.arange(len(owner))
    kept = (place >= 0) & (age < YEAR)
    at = (place[kept], age[kept])
    has_any = np.zeros((len(account), YEAR), dtype=np.bool_)
    has_any[at] = True
    wide: dict[str, Integers] = {}
    for name in (*FLOWS, *STOCKS):
        wide[name] = np.zeros((len(account), YEAR), dtype=np.int64)
        wide[name][at] = rows[f"{name}_minor"].to_numpy()[kept]
    newest = np.full(len(account), -1, dtype=np.int64)
    newest[place[kept & (age == 0)]] = np.flatnonzero(kept & (age == 0))
    chosen = pa.array(newest, mask=newest < 0)
    unknown = ~has_any[:, 0]
    return {
        "statement_period_end": rows["period_end"].take(chosen),
        "statement_published_on": rows["published_on"].take(chosen),
        "statement_quarters": pa.array(has_any.sum(axis=1)),
        "revenue_newest_minor": pa.array(wide["revenue"][:, 0], mask=unknown),
        "revenue_before_minor": pa.array(wide["revenue"][:, 1], mask=~has_any[:, 1]),
        **{f"{n}_minor": pa.array(wide[n].sum(axis=1), mask=unknown) for n in FLOWS},
        **{f"{n}_minor": pa.array(wide[n][:, 0], mask=unknown | is_trader) for n in STOCKS},
    }
