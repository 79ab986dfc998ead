"""A raw table (Parquet or CSV) as a stream of record batches of exactly the contract's columns.

Everything that a file can be instead of what the contract says ends here, in words that repeat
nothing of the file's content: a CSV without a header has a customer where the names should be.
"""

from __future__ import annotations

import csv
import hashlib
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from governance.contract import ColumnContract
from governance.errors import ContractError, UsageError

BATCH_ROWS = 65_536

_CSV_BLOCK_BYTES = 4 << 20


def digest(source: Path) -> bytes:
    """Return the SHA-256 of the file's bytes.

    Raises
    ------
    UsageError
        If there is no such file.
    """
    if not source.is_file():
        raise UsageError(f"There is no raw table at {source}.")
    with source.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()


def batches(source: Path, contract: ColumnContract) -> Iterator[pa.RecordBatch]:
    """Stream the raw table in contract order and with the contract's types.

    Raises
    ------
    UsageError
        If there is no such file.
    ContractError
        If the file is empty, truncated, not a table, or its columns differ from the contract.
    """
    if not source.is_file():
        raise UsageError(f"There is no raw table at {source}.")
    if source.stat().st_size == 0:
        raise ContractError(f"The raw table {source.name} is empty (0 bytes). Export it again.")
    stream = _csv_batches if source.suffix.lower() == ".csv" else _parquet_batches
    names = [column.name for column in contract.columns]
    schema = pa.schema([(c.name, pa.type_for_alias(c.type)) for c in contract.columns])
    for batch in stream(source, contract):
        yield batch.select(names).cast(schema)


def _parquet_batches(source: Path, contract: ColumnContract) -> Iterator[pa.RecordBatch]:
    try:
        with pq.ParquetFile(source, pre_buffer=False) as file:
            _check_names(file.schema_arrow.names, contract, source)
            _check_types(file.schema_arrow, contract)
            yield from file.iter_batches(batch_size=BATCH_ROWS)
    except (OSError, pa.ArrowException):
        raise ContractError(
            f"The raw table {source.name} cannot be read as Parquet: it is truncated, damaged or "
            "something else. Export it again."
        ) from None


def _csv_batches(source: Path, contract: ColumnContract) -> Iterator[pa.RecordBatch]:
    names = _csv_names(source)
    _check_names(names, contract, source)
    declared = {column.name: pa.type_for_alias(column.type) for column in contract.columns}
    types = {name: declared[name] for name in names}
    try:
        with pa_csv.open_csv(
            source,
            read_options=pa_csv.ReadOptions(block_size=_CSV_BLOCK_BYTES),
            parse_options=pa_csv.ParseOptions(newlines_in_values=True),
            convert_options=pa_csv.ConvertOptions(
                column_types=types, null_values=[""], strings_can_be_null=True
            ),
        ) as reader:
            yield from reader
    except (OSError, pa.ArrowException) as error:
        raise ContractError(_csv_problem(str(error), types, source=source)) from None


def _csv_names(source: Path) -> list[str]:
    try:
        with source.open(encoding="utf-8-sig", newline="") as file:
            return next(csv.reader(file), [])
    except (UnicodeDecodeError, csv.Error):
        raise ContractError(
            f"The header of {source.name} is not CSV in UTF-8. Export it again."
        ) from None


def _csv_problem(text: str, types: Mapping[str, pa.DataType], *, source: Path) -> str:
    """Say what Arrow said about a CSV file, without the value that it quotes."""
    wrong_value = re.search(r"CSV column #(\d+):(?: Row #(\d+):)?", text)
    if wrong_value:
        name, declared = list(types.items())[int(wrong_value[1])]
        line = f" (line {wrong_value[2]})" if wrong_value[2] else ""
        return (
            f"The column {name} of {source.name}{line} holds a value that is not {declared}. "
            "Correct the export or the contract."
        )
    wrong_width = re.search(r"Expected (\d+) columns, got (\d+)", text)
    if wrong_width:
        return (
            f"A line of {source.name} has {wrong_width[2]} fields; the header has "
            f"{wrong_width[1]}. Export it again."
        )
    return f"The raw table {source.name} cannot be read as CSV in UTF-8. Export it again."


def _check_names(found: Sequence[str], contract: ColumnContract, source: Path) -> None:
    declared = [column.name for column in contract.columns]
    missing = [name for name in declared if name not in found]
    extra = [str(place) for place, name in enumerate(found, 1) if name not in declared]
    twice = [name for name, times in Counter(found).items() if times > 1 and name in declared]
    problems = []
    if missing:
        problems.append(f"the declared columns {', '.join(missing)} are missing")
    if extra:
        # The names of unknown columns are withheld: without a header they are somebody's data.
        problems.append(f"the columns at position {', '.join(extra)} are not declared")
    if twice:
        problems.append(f"the columns {', '.join(twice)} come twice")
    if problems:
        raise ContractError(
            f"{source.name} differs from the contract {contract.id}: {'; '.join(problems)}. "
            "Classify every column in the contract, or correct the export."
        )


def _check_types(schema: pa.Schema, contract: ColumnContract) -> None:
    for column in contract.columns:
        found = schema.field(column.name).type
        plain = found.value_type if pa.types.is_dictionary(found) else found
        if pa.types.is_large_string(plain) or pa.types.is_string_view(plain):
            plain = pa.string()
        if plain != pa.type_for_alias(column.type):
            raise ContractError(
                f"The column {column.name} is {found}; the contract {contract.id} declares "
                f"{column.type}. Correct the export or the contract."
            )
