"""Raw tables cut from a world, one row a customer, in the shapes that the release gate takes.

The outcome and the day on which it became known are null where it was not known yet on the day of
the study, so that nobody trains on the future by accident. Where a study looks on several days,
each account is seen on one of them, drawn by its own luck: the table then has vintages, and no
customer twice.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet

from governance import durable
from governance.errors import UsageError
from lab.world import account_file, anchors, population, records, simulation, statements
from lab.world.account_file import HISTORY
from lab.world.anchors import CODES, SERIOUS, Floats, Integers
from lab.world.population import AccountTraits, Flags, Use
from lab.world.records import ACCOUNTS_AT_ONCE, OPENING
from lab.world.settings import WorldSettings
from lab.world.simulation import MINOR, WorldState

OUTCOME, KNOWN_ON = "is_90_days_late", "outcome_known_on"
SOLE_TRADER, LEGAL_PERSON = "sole_trader", "small_firm"
SOLE_TRADER_SHARE = 0.40


class Shape(StrEnum):
    """Whose rows a table holds; each has a packaged contract, ``world_<shape>``."""

    CONSUMER = "consumer"
    BUSINESS = "business"
    APPLICANT = "applicant"


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyDay:
    """When a study looks.

    Parameters
    ----------
    as_of : date
        Last day of the newest month that is seen; accounts were asked about on it.
    horizon_months : int
        Horizon of the outcome.
    known_on : date
        Outcomes observed after this day are null.
    """

    as_of: date
    horizon_months: int
    known_on: date


def application_day(settings: WorldSettings) -> date:
    """Return the day of all applications: the last one before the world's first month."""
    return settings.starts_on - timedelta(days=1)


def write(
    settings: WorldSettings,
    out: Path,
    shape: Shape,
    *,
    days: Sequence[StudyDay],
    done: Callable[[int], None] = lambda _: None,
) -> int:
    """Write one table of a whole world to `out`, block by block; return the number of rows.

    It holds identities and belongs below ``raw/``.

    Parameters
    ----------
    done : callable
        Called with the number of accounts after every block.

    Raises
    ------
    UsageError
        If a day is given twice or none at all, or the world knows nothing of one of them.
    """
    if not days or len({day.as_of for day in days}) != len(days):
        raise UsageError("A table needs at least one day, and every day once.")
    for day in days:
        month_of(settings, shape, day)
    people, rows = population.people(settings), 0
    writer: pyarrow.parquet.ParquetWriter | None = None
    durable.make_folder(out.parent)
    with durable.replacing(out) as temporary:
        for first in range(0, settings.accounts, ACCOUNTS_AT_ONCE):
            block = people.slice(first, ACCOUNTS_AT_ONCE)
            states = simulation.live(settings, first, first + block.num_rows)
            table = take(states, block, shape, days)
            if writer is None:
                writer = pyarrow.parquet.ParquetWriter(temporary, table.schema)
            writer.write_table(table)
            rows += table.num_rows
            done(block.num_rows)
        if writer is not None:
            writer.close()
    return rows


def month_of(settings: WorldSettings, shape: Shape, day: StudyDay) -> int:
    """Return the number of the newest month seen.

    Raises
    ------
    UsageError
        Naming the days and horizons on which the world asks about accounts, if this is no such one.
    """
    start = np.datetime64(settings.starts_on, "M")
    usable = {
        records.month_end(start + month).item(): month
        for month in records.asked_months(settings.labels, settings.months)
        if (month == OPENING) == (shape is Shape.APPLICANT) and (month < 0 or month >= HISTORY - 1)
    }
    if day.as_of not in usable or day.horizon_months not in settings.labels.horizons:
        shown = ", ".join(map(str, usable)) or "no day"
        raise UsageError(
            f"{day.as_of} with a horizon of {day.horizon_months} months was asked for; the world "
            f"{settings.id} asks about each {shape} on {shown}, with horizons "
            f"{settings.labels.horizons}."
        )
    return usable[day.as_of]


def take(
    states: Sequence[WorldState], people: pa.Table, shape: Shape, days: Sequence[StudyDay]
) -> pa.Table:
    """Return the rows of lived accounts, day after day, each account on one of the days.

    Parameters
    ----------
    people : pyarrow.Table
        Identities of exactly these accounts, in their order.
    """
    traits = states[0].traits
    mine = traits.luck(Use.VINTAGE)[:, 0] * len(days)
    tables = []
    for number, day in enumerate(days):
        month = month_of(traits.settings, shape, day)
        kept = (mine.astype(np.int64) == number) & _is_seen(states[month - OPENING], shape)
        rows = np.flatnonzero(kept)
        columns = {name: people[name].take(rows) for name in people.column_names[1:]}
        columns |= _TAKERS[shape](states[: month - OPENING + 1], rows, day)
        columns |= _outcome(states, month, rows, day)
        tables.append(pa.table(columns))
    return pa.concat_tables(tables)


def _is_seen(state: WorldState, shape: Shape) -> Flags:
    """Tell whose outcome is asked: of the seriously late it has happened already."""
    is_asked: Flags = state.is_active & (state.place < SERIOUS)
    if shape is Shape.APPLICANT:
        return is_asked
    wanted = population.CONSUMER if shape is Shape.CONSUMER else population.FIRM
    is_asked &= ~state.traits.is_refused & (state.traits.segment == wanted)
    return is_asked


def _outcome(
    states: Sequence[WorldState], month: int, rows: Integers, day: StudyDay
) -> dict[str, pa.Array]:
    """Return what was known of the outcomes of these accounts, and since which day."""
    unknown = np.ones(len(rows), dtype=np.bool_)
    y, known_on = np.zeros(len(rows), dtype=np.int64), records.month_end(np.datetime64(0, "M"))
    if month + day.horizon_months < len(states) - 1:
        found = records.measure_outcomes(states, month, day.horizon_months)
        y, known_on = found.y[rows], found.known_on
        if known_on <= np.datetime64(day.known_on, "D"):
            unknown = states[0].traits.is_refused[rows]
    days = np.full(len(rows), known_on)
    return {OUTCOME: pa.array(y, mask=unknown), KNOWN_ON: pa.array(days, mask=unknown)}


def _consumers(states: Sequence[WorldState], rows: Integers, day: StudyDay) -> dict[str, pa.Array]:
    """Return what is on file, with the protected attributes that the gate takes out again."""
    table = account_file.on_file(states, account_file.history_of(states), rows)
    columns = dict(zip(table.column_names[1:], table.columns[1:], strict=True))
    own = {name: values[states[0].traits.row[rows]] for name, values in records.protected().items()}
    as_of = {"as_of": pa.array([day.as_of] * len(rows), pa.date32())}
    return {"segment": columns.pop("segment"), **own, **as_of, **columns}


def _firms(states: Sequence[WorldState], rows: Integers, day: StudyDay) -> dict[str, pa.Array]:
    """Return the same of firms with their published figures.

    A sole trader declares takings and costs and has no balance sheet.
    """
    traits = states[0].traits
    columns = _consumers(states, rows, day)
    is_trader = sole_traders(traits)[rows]
    columns["segment"] = records.words((LEGAL_PERSON, SOLE_TRADER), is_trader.astype(np.int8))
    figures = statements.published(statements.statements(traits), traits.account[rows], day.as_of)
    for name in (f"{stock}_minor" for stock in statements.STOCKS):
        unknown = figures[name].is_null().to_numpy(zero_copy_only=False) | is_trader
        figures[name] = pa.array(figures[name].fill_null(0).to_numpy(), mask=unknown)
    return columns | figures


def sole_traders(traits: AccountTraits) -> Flags:
    """Tell which of these accounts belong to sole traders, wherever the account is looked at."""
    drawn: Flags = traits.luck(Use.VINTAGE)[:, 1] < SOLE_TRADER_SHARE
    return drawn


def _applicants(states: Sequence[WorldState], rows: Integers, day: StudyDay) -> dict[str, pa.Array]:
    """Return what a lender knew on the day of the application, of the refused too.

    What a credit register told about an applicant is the real row's repayment status before the
    world starts.
    """
    traits = states[0].traits
    known = records.applications(traits).take(rows)
    names = ("segment", *records.protected(), "income_source")
    columns = {name: known[name] for name in names}
    columns["as_of"] = pa.array([day.as_of] * len(rows), pa.date32())
    columns["stated_income_minor"] = known["stated_income_minor"]
    columns["limit_asked_minor"] = known["reference_limit_minor"]
    columns["register_balance_minor"] = _minor(states[0].balance[rows])
    status = CODES[anchors.load().status[traits.row[rows]]].astype(np.int64)
    for age in range(status.shape[1]):
        columns[f"register_status_m{age}"] = pa.array(status[:, -1 - age])
    return columns | {name: known[name] for name in ("is_refused", "is_accepted_anyway")}


def _minor(amounts: Floats) -> pa.Array:
    return pa.array(amounts.astype(np.int64) * MINOR)


_TAKERS: dict[Shape, Callable[[Sequence[WorldState], Integers, StudyDay], dict[str, pa.Array]]] = {
    Shape.CONSUMER: _consumers,
    Shape.BUSINESS: _firms,
    Shape.APPLICANT: _applicants,
}
