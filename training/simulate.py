"""The raw demo table: real behavior of real customers under simulated identities.

The published rows hold no names, so there would be nothing to protect. Every row gets a simulated
identity; behavior, limits and outcomes stay as published.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet

from governance import durable
from governance.errors import UsageError
from training import identities, source

_FRONT = ("sex", "education", "marriage", "age", "limit_bal", "reference_limit")


@dataclass(frozen=True, slots=True, kw_only=True)
class RawTable:
    """Receipt of a raw table that was written.

    Parameters
    ----------
    rows : int
        Number of customers.
    content_digest : str
        SHA-256 of the published rows it was made from, before identities.
    """

    path: Path
    rows: int
    seed: int
    content_digest: str


def simulate(out: Path, *, customers: int = source.ROWS, seed: int = 0) -> RawTable:
    """Write the raw demo table to `out`, whole or not at all.

    A customer keeps the same identity however many are asked for: identities belong to the
    published rows, and a smaller table is a seeded sample of the full one in its order.

    Parameters
    ----------
    out : Path
        Parquet file; an existing one is replaced. It holds raw rows and belongs below ``raw/``.
    customers : int
        Between 1 and 30,000.

    Raises
    ------
    UsageError
        If more customers are asked for than there are.
    """
    if not 1 <= customers <= source.ROWS:
        raise UsageError(
            f"{customers} customers were asked for; the bundled data have 1 to {source.ROWS}."
        )
    table = raw_table(seed=seed)
    if customers < source.ROWS:
        drawn = np.random.default_rng([seed, 2]).choice(source.ROWS, size=customers, replace=False)
        table = table.take(np.sort(drawn))
    durable.make_folder(out.parent)
    with durable.replacing(out) as temporary:
        pyarrow.parquet.write_table(table, temporary, compression="zstd")
    return RawTable(path=out, rows=table.num_rows, seed=seed, content_digest=source.CONTENT_DIGEST)


def raw_table(*, seed: int) -> pa.Table:
    """Return all 30,000 published rows, each behind a simulated identity."""
    rows = source.load()
    made = identities.make_identities(
        sex=rows["sex"].to_numpy(),
        age=rows["age"].to_numpy(),
        observed_on=source.OBSERVED_ON,
        seed=seed,
    )
    # The published file holds one limit per customer. It is both the limit under decision, which
    # later decisions change, and the frozen reference that utilization is measured against.
    rows = rows.append_column("reference_limit", rows["limit_bal"])
    ordered = (*_FRONT, *source.BEHAVIOR, source.LABEL)
    for name in ordered:
        made = made.append_column(name, rows[name])
    return made
