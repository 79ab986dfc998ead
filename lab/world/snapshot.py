"""One row per account as of a day: the shape in which the release gate takes a simulated book.

Columns `_m0` to `_m5` are the last six months, the newest first. The outcome and the day on which
it became known are null where it was not known yet on the day of the study, so that nobody trains
on the future by accident. An account whose limit never changed counts from its opening.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet
from numpy.typing import NDArray

from governance import durable
from governance.errors import UsageError
from lab.world import outcomes, panel, persons
from lab.world.panel import Chunk
from lab.world.settings import WorldSettings

HISTORY = 6
SERIES = ("status", "balance_minor", "payment_minor", "purchases_minor", "income_minor")
OUTCOME = "is_90_days_late"
KNOWN_ON = "outcome_known_on"

_FIXED = ("segment", "sex", "education", "marriage", "age", "income_source")
_KNOWN = ("stated_income_minor", "reference_limit_minor")
_LATE_90 = 3

Integers = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
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


def write(settings: WorldSettings, out: Path, moment: Moment) -> int:
    """Write the snapshot of a whole world to `out`, block by block; return the number of rows.

    It holds identities and belongs below ``raw/``.

    Raises
    ------
    UsageError
        If the world does not ask about accounts on that day and horizon, or the day has fewer than
        six months before it.
    """
    rows = 0
    durable.make_folder(out.parent)
    with durable.replacing(out) as temporary:
        tables = _tables(settings, moment)
        first = next(tables)
        with pyarrow.parquet.ParquetWriter(temporary, first.schema, compression="zstd") as file:
            for table in (first, *tables):
                file.write_table(table)
                rows += table.num_rows
    return rows


def take(chunk: Chunk, people: pa.Table, settings: WorldSettings, moment: Moment) -> pa.Table:
    """Return the snapshot of a chunk: accounts open and less than 90 days late on the day.

    Parameters
    ----------
    people : pyarrow.Table
        Identities of exactly the chunk's accounts, in their order.
    """
    month = month_of(settings, moment)
    account = chunk.accounts["account"].to_numpy()
    series = _series(chunk.panel, account, month)
    seen = ~np.isnan(series["status"]).any(axis=1) & (series["status"][:, 0] < _LATE_90)
    columns: dict[str, pa.Array] = {
        name: people[name].filter(seen) for name in people.column_names if name != "account"
    }
    for name in (*_FIXED, *_KNOWN):
        columns[name] = chunk.accounts[name].filter(seen)
    opened = chunk.accounts["opened_on"].to_numpy().astype("datetime64[M]").astype(np.int64)
    newest = int(np.datetime64(moment.as_of, "M").astype(np.int64))
    columns["as_of"] = pa.array([moment.as_of] * int(seen.sum()), pa.date32())
    columns["tenure_months"] = pa.array((newest - opened)[seen])
    for action in ("raise", "cut"):
        since = _months_since(chunk.events, action, account[seen], newest)
        since = np.where(since < 0, newest - opened[seen], since)
        columns[f"months_since_{action}"] = pa.array(since)
    columns["limit_minor"] = _whole(series["limit_minor"][seen, 0])
    for name in SERIES:
        for age in range(HISTORY):
            short = name.removesuffix("_minor")
            columns[f"{short}_m{age}"] = _whole(series[name][seen, age])
    columns |= outcome_columns(chunk.labels, account[seen], moment)
    return pa.table(columns)


def outcome_columns(labels: pa.Table, account: Integers, moment: Moment) -> dict[str, pa.Array]:
    """Return what was known of the outcomes of these accounts, and since which day."""
    is_meant = pc.and_(
        pc.equal(labels["as_of"], moment.as_of),
        pc.equal(labels["horizon_months"], moment.horizon_months),
    )
    is_known = pc.less_equal(labels["observed_at"], moment.known_on)
    found = labels.filter(pc.and_(is_meant, is_known))
    place = pc.index_in(pa.array(account), value_set=found["account"].combine_chunks())
    return {OUTCOME: found["y"].take(place), KNOWN_ON: found["observed_at"].take(place)}


def _tables(settings: WorldSettings, moment: Moment) -> Iterator[pa.Table]:
    month_of(settings, moment)
    # Blocks of identities and chunks of accounts have the same edges here.
    for people, chunk in zip(
        persons.people(settings), panel.chunks(settings, at_once=persons.BLOCK), strict=True
    ):
        yield take(chunk, people, settings, moment)


def month_of(settings: WorldSettings, moment: Moment) -> int:
    """Return the number of the newest month seen.

    Raises
    ------
    UsageError
        If the world does not ask about accounts on that day and horizon, or the day has fewer than
        six months before it.
    """
    asked = outcomes.asked_months(settings.labels, settings.months)
    start = np.datetime64(settings.starts_on, "M")
    days = outcomes.month_end(start + np.array(asked, dtype=np.int64)).tolist()
    usable = {day: month for day, month in zip(days, asked, strict=True) if month >= HISTORY - 1}
    if moment.as_of not in usable or moment.horizon_months not in settings.labels.horizons:
        shown = ", ".join(str(day) for day in usable) or "no day"
        raise UsageError(
            f"{moment.as_of} with a horizon of {moment.horizon_months} months was asked for; the "
            f"world {settings.id} asks on {shown}, with horizons {settings.labels.horizons}."
        )
    return usable[moment.as_of]


def _series(rows: pa.Table, account: Integers, month: int) -> dict[str, NDArray[np.float64]]:
    """Return each series as ``(n_accounts, 6)``, the newest month first, nan where not open."""
    first = rows["month"].to_numpy().astype("datetime64[M]")
    start = first.min() if len(first) else np.datetime64(0, "M")
    age = month - (first - start).astype(np.int64)
    kept = (age >= 0) & (age < HISTORY)
    place = np.searchsorted(account, rows["account"].to_numpy()[kept])
    series = {}
    for name in (*SERIES, "limit_minor"):
        wide = np.full((len(account), HISTORY), np.nan)
        wide[place, age[kept]] = rows[name].to_numpy()[kept]
        series[name] = wide
    return series


def _whole(values: NDArray[np.float64]) -> pa.Array:
    """Return whole numbers; what a planted fault emptied stays empty."""
    empty = np.isnan(values)
    return pa.array(np.where(empty, 0, values).astype(np.int64), mask=empty)


def _months_since(events: pa.Table, action: str, account: Integers, newest: int) -> Integers:
    """Return the months since the last raise or cut of each account; -1 where there was none."""
    rows = events.filter(pc.equal(events["action"], action))
    when = rows["effective_on"].to_numpy().astype("datetime64[M]").astype(np.int64)
    is_past = when <= newest
    last = np.full(len(account), -1, dtype=np.int64)
    place = pc.index_in(rows["account"], value_set=pa.array(account)).fill_null(-1).to_numpy()
    hit = is_past & (place >= 0)
    # Events come in order of time, so the last one written is the newest.
    last[place[hit]] = when[hit]
    return np.where(last < 0, -1, newest - last)
