"""Raw tables cut from a world in the shapes that the release gate takes.

A table holds every customer at most once. Where a study looks on several days, each account is
seen on one of them, drawn by its own luck: the table then has vintages, and no customer twice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from enum import StrEnum
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet
from numpy.typing import NDArray

from governance import durable
from governance.errors import UsageError
from lab.world import applicants, business, draws, panel, persons, snapshot
from lab.world.draws import Use
from lab.world.panel import Chunk
from lab.world.settings import Segment, WorldSettings
from lab.world.snapshot import Moment


class Shape(StrEnum):
    """Whose rows a table holds; each has a packaged contract, ``world_<shape>``."""

    CONSUMER = "consumer"
    BUSINESS = "business"
    APPLICANT = "applicant"


def write(
    settings: WorldSettings,
    out: Path,
    shape: Shape,
    *,
    moments: Sequence[Moment],
    done: Callable[[int], None] = lambda _: None,
) -> int:
    """Write one table of a whole world to `out`, block by block; return the number of rows.

    It holds identities and belongs below ``raw/``.

    Parameters
    ----------
    done : callable
        Told the number of accounts after every block.

    Raises
    ------
    UsageError
        If a day is given twice or none at all, or the world knows nothing of one of them.
    """
    days = [moment.as_of for moment in moments]
    if not days or len(set(days)) != len(days):
        raise UsageError("A table needs at least one day, and every day once.")
    for moment in moments:
        check(settings, shape, moment)
    rows: int = 0
    durable.make_folder(out.parent)
    with durable.replacing(out) as temporary:
        blocks = _blocks(settings)
        first_people, first_chunk = next(blocks)
        first = take(first_chunk, first_people, settings, shape, moments=moments)
        with pyarrow.parquet.ParquetWriter(temporary, first.schema, compression="zstd") as file:
            file.write_table(first)
            rows += first.num_rows
            done(first_people.num_rows)
            for people, chunk in blocks:
                table = take(chunk, people, settings, shape, moments=moments)
                file.write_table(table)
                rows += table.num_rows
                done(people.num_rows)
    return rows


def check(settings: WorldSettings, shape: Shape, moment: Moment) -> None:
    """Refuse a day or horizon on which the world does not ask about accounts.

    Raises
    ------
    UsageError
        Naming the days and horizons that there are.
    """
    if shape is not Shape.APPLICANT:
        snapshot.month_of(settings, moment)
    elif moment.as_of != applicants.day(settings):
        raise UsageError(
            f"Applicants of the world {settings.id} are seen on {applicants.day(settings)}."
        )


def take(
    chunk: Chunk,
    people: pa.Table,
    settings: WorldSettings,
    shape: Shape,
    *,
    moments: Sequence[Moment],
) -> pa.Table:
    """Return the rows of a chunk, day after day, each account on one of the days."""
    tables = []
    for number, moment in enumerate(moments):
        table = _TAKERS[shape](chunk, people, settings, moment)
        mine = _drawn(people, settings, len(moments)) == number
        ids = people["customer_id"].filter(pa.array(mine)).combine_chunks()
        tables.append(table.filter(pc.is_in(table["customer_id"], value_set=ids)))
    return pa.concat_tables(tables)


def _consumers(chunk: Chunk, people: pa.Table, settings: WorldSettings, moment: Moment) -> pa.Table:
    everybody = snapshot.take(chunk, people, settings, moment)
    return everybody.filter(pc.equal(everybody["segment"], Segment.CONSUMER.value))


_TAKERS = {
    Shape.CONSUMER: _consumers,
    Shape.BUSINESS: business.take,
    Shape.APPLICANT: applicants.take,
}


def _drawn(people: pa.Table, settings: WorldSettings, days: int) -> NDArray[np.int64]:
    luck = draws.bits(draws.keys(people["account"].to_numpy(), settings.seed), Use.VINTAGE)
    drawn: NDArray[np.int64] = (draws.uniforms(luck)[0] * days).astype(np.int64)
    return drawn


def _blocks(settings: WorldSettings) -> Iterator[tuple[pa.Table, Chunk]]:
    # Blocks of identities and chunks of accounts have the same edges here.
    chunks = panel.chunks(settings, at_once=persons.BLOCK)
    yield from zip(persons.people(settings), chunks, strict=True)
