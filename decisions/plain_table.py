"""Bring your own: decide a plain table of anybody's with a policy of theirs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from decisions import engine, inputs
from decisions.engine import Freeze
from decisions.plan import PLAIN, Climate, Moment
from decisions.policy import LimitPolicy
from decisions.scoring import DEFAULT_PROBABILITY
from governance import column_types, durable
from governance.errors import ContractError, UsageError
from governance.table import PlainFile
from privacy.feature_table import PSEUDONYM

CURRENCY = "currency"

NOT_EVIDENCED = (
    "That anybody approved this policy, or that it was checked and weighed: no gate was asked.",
    "Whether raises are stopped: no ledger was read, and --freeze alone says it.",
    "What was decided before, beyond what the table says: there is no decision log.",
)


class Customers:
    """Remembers who passed, and refuses the whole run if somebody passed twice.

    Two limits for one customer in one run would each be allowed and together be too much: the
    aggregate ceiling knows the limits held elsewhere, not the one granted a row above.
    """

    def __init__(self, column: str = PSEUDONYM) -> None:
        self._column = column
        self._seen: list[pa.Array] = []
        self._segments: list[pa.Array] = []

    def seen(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Remember the customers of `batch` and return it unchanged."""
        self._seen.append(batch.column(self._column))
        if "segment" in batch.schema.names:
            self._segments.append(batch.column("segment"))
        return batch

    def checked(self, tables: Iterable[pa.Table]) -> Iterator[pa.Table]:
        """Pass `tables` on and check once the last has passed.

        Raises
        ------
        ContractError
            If a customer was seen more than once, or is missing.
        """
        yield from tables
        self.require_unique()

    def require_unique(self) -> None:
        """Refuse a customer who was seen more than once.

        Raises
        ------
        ContractError
            Naming how many customers, and whether they are in different segments.
        """
        if not self._seen:
            return
        seen = pa.chunked_array(self._seen)
        if seen.null_count:
            raise ContractError(f"{seen.null_count} row(s) have no customer in {self._column}.")
        counted = seen.value_counts()
        repeated = counted.filter(pc.greater(counted.field("counts"), 1)).field("values")
        if not len(repeated):
            return
        is_split = bool(self._segments) and self._is_split(seen, repeated)
        raise repeated_customers(len(repeated), is_split=is_split)

    def _is_split(self, seen: pa.ChunkedArray, repeated: pa.Array) -> bool:
        rows = pa.table({"customer": seen, "segment": pa.chunked_array(self._segments)})
        rows = rows.filter(pc.is_in(rows["customer"], value_set=repeated))
        by_customer = rows.group_by("customer").aggregate([("segment", "count_distinct")])
        return bool(np.max(by_customer["segment_count_distinct"].to_numpy()) > 1)


def repeated_customers(customers: int, *, is_split: bool) -> ContractError:
    """Return the error that says how many customers came twice, and names none."""
    said = "in two segments" if is_split else "more than once"
    return ContractError(
        f"{customers} customer(s) appear {said} in this table. A run decides each customer once; "
        "decide a second product in a run of its own, with the first as other_exposure_minor."
    )


@dataclass(slots=True)
class DecisionCounts:
    """Rows, actions and money of decisions that pass; money in minor units."""

    customers: int = 0
    actions: dict[str, int] = field(
        default_factory=lambda: {action.value: 0 for action in engine.Action}
    )
    money: dict[str, int] = field(
        default_factory=lambda: {"limits_before": 0, "limits_after": 0, "temporary_uplifts": 0}
    )

    def add(self, decided: pa.Table | pa.RecordBatch) -> None:
        """Count one more batch."""
        self.customers += decided.num_rows
        for item in decided["action"].value_counts().to_pylist():
            self.actions[item["values"]] += item["counts"]
        columns = ("limit_before_minor", "limit_after_minor", "temporary_uplift_minor")
        for name, column in zip(self.money, columns, strict=True):
            self.money[name] += sum(decided[column].to_pylist())

    def as_document(self) -> dict[str, Any]:
        """Return the counts as JSON."""
        money = {f"{name}_minor": amount for name, amount in self.money.items()}
        return {"customers": self.customers, "actions": dict(self.actions), **money}


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A Parquet or CSV file with the inputs that a policy reads.

    Parameters
    ----------
    path : Path
        Needs ``default_probability`` (0-1) and the columns of `decisions.inputs.needed`; money in
        minor units. Other columns are carried along. A column ``currency`` must hold the policy's.
    customer : str or None
        The column that says whose row it is; with it, a customer who appears twice is refused.
    encoding : str
        Of a CSV; empty means that it is told from the file.
    """

    path: Path
    policy: LimitPolicy
    customer: str | None = None
    encoding: str = ""

    @property
    def name(self) -> str:
        """What messages call the table."""
        return self.path.name

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Stream the file with the engine's columns in the engine's types, all others as written.

        Raises
        ------
        ContractError
            If the file cannot be read, lacks a column or holds one of the wrong type, mixes
            currencies, or holds a customer twice.
        """
        customers = Customers("customer")
        file = PlainFile(path=self.path, encoding=self.encoding)
        file.require([*self._types(), *([self.customer] if self.customer else [])])
        for batch in file.batches():
            checked = self.checked(batch)
            if self.customer:
                whose = column_types.ids(checked[self.customer], name=self.customer)
                rows = {"customer": whose, "segment": checked["segment"]}
                customers.seen(pa.RecordBatch.from_pydict(rows))
            if checked.num_rows:
                yield checked
        customers.require_unique()

    def row(self, position: int) -> pa.RecordBatch:
        """Return one row, counted from 0.

        Raises
        ------
        UsageError
            If there is no such row.
        ContractError
            As `batches`.
        """
        passed = 0
        for batch in self.batches():
            if passed <= position < passed + batch.num_rows:
                return batch.slice(position - passed, 1)
            passed += batch.num_rows
        raise UsageError(f"The table {self.path.name} has the rows 0 to {passed - 1}.")

    def checked(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Return `batch` with the engine's columns in the engine's types.

        Raises
        ------
        ContractError
            If it lacks a column, already holds a decision, or mixes currencies.
        """
        types = self._types()
        asked = [*types, *([self.customer] if self.customer else [])]
        missing = [name for name in asked if name not in batch.schema.names]
        if missing:
            raise ContractError(
                f"The table {self.path.name} lacks the columns {', '.join(missing)}."
            )
        taken = [name for name in engine.OUTPUT_SCHEMA.names if name in batch.schema.names]
        if taken:
            raise ContractError(
                f"The table {self.path.name} already has the columns {', '.join(taken)}, which a "
                "decision adds. Rename or drop them."
            )
        if CURRENCY in batch.schema.names:
            self._require_currency(batch.column(CURRENCY))
        columns = {
            name: column_types.read_as(batch[name], types[name], name=name)
            if name in types
            else batch[name]
            for name in batch.schema.names
        }
        return pa.RecordBatch.from_pydict(columns)

    def _require_currency(self, found: pa.Array) -> None:
        same = pc.equal(column_types.texts(found, name=CURRENCY), self.policy.currency)
        if not pc.all(pc.fill_null(same, False), min_count=0).as_py():
            raise ContractError(
                f"The table {self.path.name} holds rows in another currency than "
                f"{self.policy.currency}, or in none. One run decides one currency."
            )

    def _types(self) -> dict[str, pa.DataType]:
        return {DEFAULT_PROBABILITY: pa.float64(), **inputs.needed(self.policy)}


def decide(
    source: Source, output: Path, *, as_of: date, freeze: Freeze, climate: Climate = PLAIN
) -> dict[str, Any]:
    """Decide every row of a plain table and write the decisions beside its columns.

    Parameters
    ----------
    output : Path
        A Parquet file other than the table; one that is there is replaced as a whole.

    Returns
    -------
    dict
        The same document as a decision of the book gives.

    Raises
    ------
    UsageError
        If `output` is the table itself.
    ContractError
        As `Source.batches` and `decisions.engine.decide`.
    """
    refuse_to_replace(source.path, output)
    rules = source.policy
    counts = DecisionCounts()
    writer: pq.ParquetWriter | None = None
    with durable.replacing(output) as temporary:
        for batch in source.batches():
            decided = engine.decide(rules, batch, as_of=as_of, freeze=freeze, climate=climate)
            joined = pa.Table.from_batches([batch])
            for name in decided.schema.names:
                joined = joined.append_column(name, decided[name])
            if writer is None:
                writer = pq.ParquetWriter(temporary, joined.schema, compression="zstd")
            writer.write_table(joined)
            counts.add(decided)
        if writer is None:
            raise ContractError(f"The table {source.path.name} holds no rows.")
        writer.close()
    moment = Moment(as_of=as_of, freeze=freeze, climate=climate)
    return document(source, moment, counts.as_document(), output)


def refuse_to_replace(table: Path, output: Path) -> None:
    """Refuse to write what was computed over the table that it was computed from.

    Raises
    ------
    UsageError
        If both paths are one file.
    """
    if table.exists() and output.exists() and table.samefile(output):
        raise UsageError(
            f"--output {output} is the table itself, which would be lost. Name another file."
        )


def document(
    source: Source, moment: Moment, counts: Mapping[str, Any], output: Path
) -> dict[str, Any]:
    """Return what a run over a plain table says about itself."""
    policy = source.policy
    identity = {
        "as_of": moment.as_of.isoformat(),
        "policy": policy.stamp,
        "policy_digest": policy.digest,
        "currency": policy.currency,
        "freeze": moment.freeze.value,
        **moment.climate.as_document(),
    }
    return {
        "schema": "decisions/1",
        "identity": identity,
        "counts": dict(counts),
        "path": str(output),
        # Without a column that names the customer, nobody can tell whether one appears twice.
        "are_customers_unique": True if source.customer else None,
        "not_evidenced": list(NOT_EVIDENCED),
    }
