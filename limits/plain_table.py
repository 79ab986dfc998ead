"""Bring your own: decide a plain table of anybody's with a policy of theirs."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from governance import durable
from governance.errors import ContractError
from limits import engine
from limits.engine import Freeze
from limits.features import INPUT_TYPES
from limits.policy import LimitPolicy
from limits.scoring import DEFAULT_PROBABILITY

_NEEDED = {DEFAULT_PROBABILITY: pa.float64(), **INPUT_TYPES}


def decide(
    source: Path, output: Path, *, policy: Path, as_of: date, freeze: Freeze
) -> dict[str, Any]:
    """Decide every row of a Parquet or CSV file and write the decisions beside its columns.

    Parameters
    ----------
    source : Path
        Needs ``default_probability`` (0-1) and the columns of `limits.features.INPUT_TYPES`; money
        in minor units. Other columns are carried along.
    output : Path
        A new Parquet file; it is replaced as a whole.

    Returns
    -------
    dict
        The same document as a decision of the book gives.

    Raises
    ------
    ContractError
        If the file cannot be read, lacks a column, or holds one of the wrong type.
    """
    rules = LimitPolicy.load(policy)
    actions = dict.fromkeys([action.value for action in engine.Action], 0)
    totals = {"customers": 0, "limits_before_minor": 0, "limits_after_minor": 0}
    writer: pq.ParquetWriter | None = None
    with durable.replacing(output) as temporary:
        for batch in _batches(source):
            decided = engine.decide(rules, batch, as_of=as_of, freeze=freeze)
            joined = pa.Table.from_batches([batch])
            for name in decided.schema.names:
                joined = joined.append_column(name, decided[name])
            if writer is None:
                writer = pq.ParquetWriter(temporary, joined.schema, compression="zstd")
            writer.write_table(joined)
            totals["customers"] += batch.num_rows
            for item in decided["action"].value_counts().to_pylist():
                actions[item["values"]] += item["counts"]
            for name in ("limit_before_minor", "limit_after_minor"):
                key = name.replace("limit_", "limits_")
                totals[key] += sum(decided[name].to_pylist())
        if writer is None:
            raise ContractError(f"The table {source.name} holds no rows.")
        writer.close()
    identity = {
        "as_of": as_of.isoformat(),
        "policy": rules.stamp,
        "policy_digest": rules.digest,
        "currency": rules.currency,
        "freeze": freeze.value,
    }
    counts = {**totals, "actions": actions}
    return {"schema": "decisions/1", "identity": identity, "counts": counts, "path": str(output)}


def _batches(source: Path) -> Iterator[pa.RecordBatch]:
    """Stream the file with the engine's columns in the engine's types."""
    if not source.is_file():
        raise ContractError(f"There is no table at {source}.")
    try:
        yield from _checked(source)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, pa.ArrowTypeError):
        # Arrow quotes the value that it could not read; the message must not.
        raise ContractError(
            f"The table {source.name} cannot be read as Parquet or CSV with the columns that the "
            "engine needs, or a column has another type. See `python -m limits decide --help`."
        ) from None


def _checked(source: Path) -> Iterator[pa.RecordBatch]:
    for batch in _raw(source):
        missing = [name for name in _NEEDED if name not in batch.schema.names]
        if missing:
            raise ContractError(f"The table {source.name} lacks the columns {', '.join(missing)}.")
        taken = [name for name in engine.OUTPUT_SCHEMA.names if name in batch.schema.names]
        if taken:
            raise ContractError(
                f"The table {source.name} already has the columns {', '.join(taken)}, which a "
                "decision adds. Rename or drop them."
            )
        columns = {
            name: batch[name].cast(_NEEDED[name]) if name in _NEEDED else batch[name]
            for name in batch.schema.names
        }
        if batch.num_rows:
            yield pa.RecordBatch.from_pydict(columns)


def _raw(source: Path) -> Iterator[pa.RecordBatch]:
    if source.suffix.lower() == ".csv":
        types = pyarrow.csv.ConvertOptions(column_types=_NEEDED)
        with pyarrow.csv.open_csv(source, convert_options=types) as reader:
            yield from reader
        return
    with pq.ParquetFile(source, pre_buffer=False) as file:
        yield from file.iter_batches()
