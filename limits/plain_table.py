"""Bring your own: decide a plain table of anybody's with a policy of theirs."""

from __future__ import annotations

import csv
import re
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq

from governance import durable
from governance.errors import ContractError, UsageError
from limits import engine, inputs
from limits.engine import Freeze
from limits.policy import LimitPolicy
from limits.scoring import DEFAULT_PROBABILITY
from limits.stages.climate import PLAIN, Climate
from limits.uniqueness import Customers

CURRENCY = "currency"

NOT_EVIDENCED = (
    "That anybody approved this policy, or that it was checked and weighed: no gate was asked.",
    "Whether raises are stopped: no ledger was read, and --freeze alone says it.",
    "What was decided before, beyond what the table says: there is no decision log.",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """The day, the freeze and the climate of a run."""

    as_of: date
    freeze: Freeze = Freeze.NOTHING
    climate: Climate = PLAIN


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A Parquet or CSV file with the inputs that a policy reads.

    Parameters
    ----------
    path : Path
        Needs ``default_probability`` (0-1) and the columns of `limits.inputs.needed`; money in
        minor units. Other columns are carried along. A column ``currency`` must hold the policy's.
    customer : str or None
        The column that says whose row it is; with it, a customer who appears twice is refused.
    """

    path: Path
    policy: LimitPolicy
    customer: str | None = None

    @property
    def name(self) -> str:
        """What messages call the table."""
        return self.path.name

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Stream the file with the engine's columns in the engine's types.

        Raises
        ------
        ContractError
            If the file cannot be read, lacks a column or holds one of the wrong type, mixes
            currencies, or holds a customer twice.
        """
        customers = Customers(self.customer) if self.customer else None
        hint = f" This policy reads {self._asked()}."
        with reading(self.path, hint=hint, columns=self._types()):
            for batch in self._raw():
                checked = self.checked(batch)
                if customers is not None:
                    customers.seen(checked)
                if checked.num_rows:
                    yield checked
        if customers is not None:
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
            name: self._typed(name, batch[name], types[name]) if name in types else batch[name]
            for name in batch.schema.names
        }
        return pa.RecordBatch.from_pydict(columns)

    def _typed(self, name: str, column: pa.Array, wanted: pa.DataType) -> pa.Array:
        """Return `column` as the engine reads it; a flag or a day is no number, whatever fits."""
        is_number = not (pa.types.is_string(wanted) or pa.types.is_boolean(wanted))
        has_none = pa.types.is_boolean(column.type) or pa.types.is_temporal(column.type)
        try:
            if not (is_number and has_none):
                return column.cast(wanted)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
            # Arrow quotes the value that it could not read; the message must not.
            pass
        raise ContractError(
            f"The column {name} of {self.path.name} must be {wanted}. It is {column.type}, or "
            "holds what cannot be read as that. Money is whole minor units."
        )

    def _require_currency(self, found: pa.Array) -> None:
        same = pc.equal(found.cast(pa.string()), self.policy.currency)
        if not pc.all(pc.fill_null(same, False), min_count=0).as_py():
            raise ContractError(
                f"The table {self.path.name} holds rows in another currency than "
                f"{self.policy.currency}, or in none. One run decides one currency."
            )

    def _asked(self) -> str:
        """Return the columns that are read with their types, in words."""
        return ", ".join(f"{name} ({kind})" for name, kind in self._types().items())

    def _types(self) -> dict[str, pa.DataType]:
        return {DEFAULT_PROBABILITY: pa.float64(), **inputs.needed(self.policy)}

    def _raw(self) -> Iterator[pa.RecordBatch]:
        if is_csv(self.path):
            types = pyarrow.csv.ConvertOptions(column_types=self._types(), strings_can_be_null=True)
            with pyarrow.csv.open_csv(self.path, convert_options=types) as reader:
                yield from reader
            return
        with pq.ParquetFile(self.path, pre_buffer=False) as file:
            yield from file.iter_batches()


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
        As `Source.batches` and `limits.engine.decide`.
    """
    refuse_to_replace(source.path, output)
    rules = source.policy
    actions = dict.fromkeys([action.value for action in engine.Action], 0)
    totals = {"customers": 0, "limits_before_minor": 0, "limits_after_minor": 0}
    totals["temporary_uplifts_minor"] = 0
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
            totals["customers"] += batch.num_rows
            for item in decided["action"].value_counts().to_pylist():
                actions[item["values"]] += item["counts"]
            for name in ("limit_before", "limit_after", "temporary_uplift"):
                key = name.replace("limit_", "limits_").replace("_uplift", "_uplifts") + "_minor"
                totals[key] += sum(decided[f"{name}_minor"].to_pylist())
        if writer is None:
            raise ContractError(f"The table {source.path.name} holds no rows.")
        writer.close()
    return document(
        source,
        Moment(as_of=as_of, freeze=freeze, climate=climate),
        {**totals, "actions": actions},
        output,
    )


def is_csv(path: Path) -> bool:
    """Tell by its ending whether a file is CSV; every other one is Parquet."""
    return path.suffix.lower() == ".csv"


@contextmanager
def reading(
    path: Path, *, what: str = "table", hint: str = "", columns: Collection[str] = ()
) -> Iterator[None]:
    """Let what is wrong with the plain file `path` leave the block in words.

    Parameters
    ----------
    what : str
        What messages call the file.
    hint : str
        What is said beside it when the file cannot be read.
    columns : collection of str
        Columns that may be named when one of their values cannot be read. Another name is not
        repeated: the first line of a file without a header is a customer.

    Raises
    ------
    ContractError
        If there is no such file, or it cannot be read; a value of it is never repeated.
    """
    if not path.is_file():
        raise ContractError(f"There is no {what} at {path}.")
    try:
        yield
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, pa.ArrowTypeError, OSError) as error:
        # A fault of the place has a number; a damaged page, which Arrow calls the same, has none.
        if isinstance(error, OSError) and error.errno:
            raise
        raise ContractError(
            f"The {what} {path.name} cannot be read as Parquet or CSV: it is cut off, or "
            f"{_misread(path, error, columns)} has another type.{hint}"
        ) from None


def _misread(path: Path, error: Exception, columns: Collection[str]) -> str:
    """Return which column Arrow could not read, in words; it counts those of a CSV from 0."""
    counted = re.search(r"In CSV column #(\d+)", str(error))
    if counted is not None:
        with path.open(encoding="utf-8", errors="replace", newline="") as lines:
            names = next(csv.reader([lines.readline(1 << 16)]), [])
        place = int(counted[1])
        if place < len(names) and names[place] in columns:
            return f"a value of the column {names[place]}"
    return "a column"


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
