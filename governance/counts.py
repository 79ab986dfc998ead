"""Counts: the only form in which facts about people leave the place where the rows live.

A table of counts is a sum, so it merges: days into weeks, segments into a book, one machine's part
with another's. Drift, misjudgment and fairness are computed from it exactly as from the rows.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.compute as pc

from governance import canonical
from governance.errors import ContractError


@dataclass(frozen=True)
class Counts:
    """A mergeable table of counts.

    Parameters
    ----------
    table : pyarrow.Table
        Key columns and additive ``int64`` columns, one row per distinct key. A null in an additive
        column means that disclosure control withheld the cell: every sum over it is unknown too.
    additive : tuple of str
        Names of the additive columns; the first is ``n``, the number of rows.
    told : str
        What whoever counted did to the groups, in a sentence; no part of the counts.
    """

    table: pa.Table
    additive: tuple[str, ...] = ("n",)
    told: str = ""
    keys: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        missing = [name for name in self.additive if name not in self.table.column_names]
        if missing:
            raise ContractError(f"Counts need the columns {', '.join(missing)}; they are missing.")
        keys = tuple(name for name in self.table.column_names if name not in self.additive)
        lowered = [name.lower() for name in self.table.column_names]
        if len(set(lowered)) != len(lowered):
            # SQL engines fold case: of SEX and sex, one would silently answer for both.
            raise ContractError("Two count columns differ only by upper and lower case.")
        object.__setattr__(self, "keys", keys)
        object.__setattr__(self, "table", _merged(self.table, keys, self.additive))

    @classmethod
    def from_rows(
        cls, rows: Iterable[Mapping[str, object]], additive: tuple[str, ...] = ("n",)
    ) -> Counts:
        """Build counts from mappings; mainly for tests and small hand-made tables."""
        return cls(pa.Table.from_pylist([dict(row) for row in rows]), additive)

    def __add__(self, other: Counts) -> Counts:
        """Merge two tables of the same shape; withheld stays withheld."""
        if (set(self.keys), self.additive) != (set(other.keys), other.additive):
            raise ContractError(
                f"Counts over {sorted(self.keys)} and over {sorted(other.keys)} cannot be added."
            )
        columns = [*self.keys, *self.additive]
        return Counts(
            pa.concat_tables([self.table.select(columns), other.table.select(columns)]),
            self.additive,
        )

    def by(self, *keys: str) -> Counts:
        """Sum out every key but `keys`."""
        return Counts(self.table.select([*keys, *self.additive]), self.additive)

    def where(self, **wanted: object) -> Counts:
        """Keep the cells whose keys equal `wanted`; a list or tuple means any of its values."""
        mask = pa.scalar(value=True)
        for name, value in wanted.items():
            values = list(value) if isinstance(value, list | tuple) else [value]
            column = self.table[name]
            hit = pc.is_in(column, value_set=pa.array(values, type=column.type))
            mask = pc.and_(mask, hit)
        kept = self.table if not wanted else self.table.filter(mask)
        return Counts(kept, self.additive)

    def total(self, column: str = "n") -> int | None:
        """Sum one additive column; ``None`` if any cell in it was withheld."""
        if self.table.num_rows == 0:
            return 0
        return pc.sum(self.table[column], skip_nulls=False).as_py()  # type: ignore[no-any-return]

    def values(self, key: str) -> list[object]:
        """Return the distinct values of one key, sorted, nulls last."""
        distinct = pc.unique(self.table[key]).to_pylist()
        return sorted(distinct, key=lambda value: (value is None, str(value)))

    @property
    def digest(self) -> str:
        """SHA-256 over the cells in canonical order."""
        columns = [*sorted(self.keys), *self.additive]
        rows = sorted(
            canonical.dumps([row[name] for name in columns]) for row in self.table.to_pylist()
        )
        return hashlib.sha256(canonical.dumps(columns) + b"\n".join(rows)).hexdigest()


def _refuse_overflow(column: pa.ChunkedArray, name: str) -> None:
    """Refuse numbers of which some sum could leave 64 bits, where Arrow would go on below zero."""
    wide = pc.abs(pc.cast(column, pa.decimal128(38)))
    if (pc.sum(wide).as_py() or 0) >= 2**63:
        raise ContractError(
            f"The sums of the column {name} do not fit 64 bits. Are these amounts of money?"
        )


def _merged(table: pa.Table, keys: tuple[str, ...], additive: tuple[str, ...]) -> pa.Table:
    """Sum rows with equal keys, so that every later reader may rely on one row per key."""
    for name in additive:
        column = pc.cast(table[name], pa.int64())
        table = table.set_column(table.column_names.index(name), name, column)
        _refuse_overflow(column, name)
    if table.num_rows == 0:
        return table.select([*keys, *additive])
    withheld = pc.ScalarAggregateOptions(skip_nulls=False)
    sums = [(name, "sum", withheld) for name in additive]
    merged = table.group_by(list(keys), use_threads=False).aggregate(sums)
    return (
        merged.rename_columns([*keys, *additive]) if keys else merged.rename_columns(list(additive))
    )
