"""The one reader of anybody's table: what is asked for is found, the rest is carried as written.

A CSV is text: leading zeros, twenty digits, ``1e5``, ``NA`` and spaces stay what they are, and an
empty cell is null. A Parquet file keeps its types, but for the many ways to hold text, which become
one. Nothing is guessed here: what a column means is said by who reads it, with
`governance.column_types`.

No message repeats what the file holds. That includes the first line of a CSV, which is a person
where the header was forgotten: a column is called by its name only if the caller asked for it.
"""

from __future__ import annotations

import csv
import io
import os
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TextIO

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq

from governance import csv_text
from governance.column_types import plain
from governance.errors import ContractError, EnvironmentFault

BATCH_ROWS = 65_536
BLOCK_CHARACTERS = 4 << 20

_PARQUET = b"PAR1"
_PACKED = {
    b"PK\x03\x04": "an Excel workbook or a zip archive",
    b"\xd0\xcf\x11\xe0": "an old Excel workbook",
    b"\x1f\x8b": "packed with gzip",
    b"\xfd7zXZ": "packed with xz",
    b"\x28\xb5\x2f\xfd": "packed with zstandard",
}
_SEPARATORS = {";": "semicolons", "\t": "tabs", "|": "bars"}
_LONGEST_LINE = 1 << 20

# Unicode and old programs end lines with these; a CSV does not.
_LINE_ENDS = re.compile("[\v\f\x1c-\x1e\x85\u2028\u2029]")
_WHOLE = r"^[ \t]*-?\d+[ \t]*$"

# Digits without a letter are no column's name.
_DATA = re.compile(r"\W*\d[\d\W]*")


@dataclass(frozen=True, kw_only=True)
class PlainFile:
    """A Parquet or CSV file of anybody's, checked when it is read.

    Parameters
    ----------
    path : Path
        ``.csv`` is CSV with commas; every other ending is Parquet.
    what : str
        What messages call it.
    encoding : str
        Of a CSV; empty means that it is told from the file.
    """

    path: Path
    what: str = "table"
    encoding: str = ""

    @property
    def called(self) -> str:
        """What messages call this file."""
        return f"The {self.what} {self.path.name}"

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The columns in order; one without a name in a CSV is called by its position.

        Raises
        ------
        ContractError
            If the file is not what its ending says.
        EnvironmentFault
            If the place does not let it be read.
        """
        with self._faults():
            self._require_format()
            if self._is_csv:
                with self._text() as text:
                    names = self._header(text)
            else:
                with pq.ParquetFile(self.path, pre_buffer=False) as file:
                    names = list(file.schema_arrow.names)
        return tuple(names)

    def require_header(self) -> None:
        """Refuse a CSV whose names cannot be shown: a number or a day among them is a value.

        Raises
        ------
        ContractError
            If it holds one, or two columns have one name; otherwise as `names`.
        """
        if self._is_csv and any(_DATA.fullmatch(name) for name in self.names):
            raise ContractError(
                f"{self.called} has no header: where a column's name should be, its first line has "
                "a number or a day. Write a header with names."
            )
        self._refuse_repeated(self.names)

    def require(self, names: Sequence[str]) -> None:
        """Refuse a file without one of the columns that are read.

        Raises
        ------
        ContractError
            Naming those, and none of the file's own; if two columns have one name; otherwise as
            `names`.
        """
        self._refuse_repeated(names)
        missing = [name for name in names if name not in self.names]
        if not missing:
            return
        alike = {n.strip().casefold() for n in self.names} & {n.casefold() for n in missing}
        said = f"{'s' * (len(missing) > 1)} {', '.join(missing)} among its {len(self.names)}. "
        raise ContractError(
            f"{self.called} lacks the column{said}"
            + (
                "Mind case and spaces: one differs in nothing else."
                if alike
                else "Has it a header?"
            )
        )

    def batches(
        self,
        columns: Sequence[str] | None = None,
        *,
        types: Mapping[str, pa.DataType] | None = None,
    ) -> Iterator[pa.RecordBatch]:
        """Stream the file as written: text from a CSV, its own types from Parquet.

        Parameters
        ----------
        columns : sequence of str, optional
            Read these alone, in this order; each must be there.
        types : mapping of str to pyarrow.DataType, optional
            What columns of a CSV must be, where it is known beforehand; only an empty cell is null.

        Raises
        ------
        ContractError
            As `names` and `require`; if a record has too few or too many cells, a quotation mark
            is never closed, a page is damaged, text is not text, or a value has not its type.
        """
        wanted = list(self.names if columns is None else columns)
        self.require(columns or ())
        with self._faults(types or {}):
            if self._is_csv:
                yield from self._with_whole_numbers(
                    self._csv_batches(wanted, types or {}), types or {}
                )
            else:
                yield from self._parquet_batches(wanted)

    def read(self, columns: Sequence[str] | None = None) -> pa.Table:
        """Return the whole file.

        Raises
        ------
        ContractError
            As `batches`, or if it holds no rows.
        """
        batches = [batch for batch in self.batches(columns) if batch.num_rows]
        if not batches:
            raise ContractError(f"{self.called} holds no rows.")
        return pa.Table.from_batches(batches)

    @cached_property
    def _is_csv(self) -> bool:
        return self.path.suffix.lower() == ".csv"

    @cached_property
    def _codec(self) -> str:
        return csv_text.named(self.encoding) if self.encoding else csv_text.detect(self.path)

    def _text(self) -> TextIO:
        return self.path.open(encoding=self._codec, newline="")

    def _require_format(self) -> None:
        """Refuse what is no file, and a file that is not what its ending says."""
        if not self.path.is_file():
            kind = ", but a folder" if self.path.is_dir() else ""
            raise ContractError(f"There is no {self.what} at {self.path}{kind}.")
        with self.path.open("rb") as file:
            start = file.read(8)
            file.seek(max(0, file.seek(0, io.SEEK_END) - 4))
            is_parquet = start.startswith(_PARQUET) and file.read() == _PARQUET
        if not start:
            raise ContractError(f"{self.called} is empty (0 bytes). Export it again.")
        packed = "".join(said for magic, said in _PACKED.items() if start.startswith(magic))
        if self._is_csv and (is_parquet or packed):
            found = "Parquet; let its name end so" if is_parquet else packed
            raise ContractError(f"{self.called} is no CSV. It is {found}.")
        if not self._is_csv and not is_parquet:
            found = packed or "cut off, or something else: a CSV must be called .csv"
            raise ContractError(f"{self.called} cannot be read as Parquet. It is {found}.")

    def _header(self, text: TextIO) -> list[str]:
        """Take the first record from `text` and return its cells."""
        lines = iter(lambda: text.readline(_LONGEST_LINE), "")
        cells = next((cells for cells in csv.reader(lines) if cells), [])
        csv_text.refuse_zeros("".join(cells), self.called)
        if not any(cells):
            raise ContractError(f"{self.called} has no header: its first line names no column.")
        if any(_LINE_ENDS.search(cell) for cell in cells):
            raise ContractError(
                f"{self.called} has no header in a line of its own: its lines end, or its names "
                "are cut, by a character that ends no line of a CSV. Export it with line feeds."
            )
        said = [name for mark, name in _SEPARATORS.items() if mark in cells[0]]
        if len(cells) == 1 and said:
            raise ContractError(
                f"{self.called} is separated by {said[0]}. Export it with commas, and with points "
                "in its numbers."
            )
        return [cell if cell.strip() else f"column {place}" for place, cell in enumerate(cells, 1)]

    def _refuse_repeated(self, known: Collection[str]) -> None:
        """Refuse two columns of one name, and say it if it is `known`."""
        places: dict[str, list[str]] = {}
        for place, name in enumerate(self.names, 1):
            places.setdefault(name, []).append(str(place))
        said = [
            f"{name} at " * (name in known) + f"positions {', '.join(found)}"
            for name, found in places.items()
            if len(found) > 1
        ]
        if said:
            raise ContractError(
                f"{self.called} has columns of the same name: {'; '.join(said)}. Rename them."
            )

    def _csv_batches(
        self, wanted: list[str], types: Mapping[str, pa.DataType]
    ) -> Iterator[pa.RecordBatch]:
        """Parse the text; the empty record behind it is missing if a quotation mark is open."""
        names = list(self.names)
        with self._text() as text:
            self._header(text)
            with (
                csv_text.records(text, len(names), self.called) as records,
                self._parser(records, [*wanted, *({names[-1]} - set(wanted))], types) as reader,
            ):
                held: pa.RecordBatch | None = None
                for batch in reader:
                    if held is not None and batch.num_rows:
                        yield held.select(wanted)
                    held = batch if batch.num_rows else held
        if held is None or any(not column.null_count for column in held.slice(held.num_rows - 1)):
            raise ContractError(
                f"{self.called} has a quotation mark that is never closed. Export it again."
            )
        if held.num_rows > 1:
            yield held.slice(0, held.num_rows - 1).select(wanted)

    def _parser(
        self, records: csv_text.Records, wanted: list[str], types: Mapping[str, pa.DataType]
    ) -> pyarrow.csv.CSVStreamingReader:
        names = list(self.names)
        kinds = {name: types.get(name, pa.string()) for name in names}
        return pyarrow.csv.open_csv(
            pa.PythonFile(records, mode="r"),
            read_options=pyarrow.csv.ReadOptions(
                block_size=BLOCK_CHARACTERS, column_names=names, use_threads=False
            ),
            parse_options=pyarrow.csv.ParseOptions(
                # In a file of one column an empty line is a missing value.
                newlines_in_values=True,
                ignore_empty_lines=len(names) > 1,
            ),
            convert_options=pyarrow.csv.ConvertOptions(
                # Arrow would read 0x10 as sixteen.
                column_types={n: pa.string() if _is_whole(k) else k for n, k in kinds.items()},
                include_columns=wanted,
                null_values=[""],
                strings_can_be_null=True,
            ),
        )

    def _with_whole_numbers(
        self, batches: Iterator[pa.RecordBatch], types: Mapping[str, pa.DataType]
    ) -> Iterator[pa.RecordBatch]:
        """Read the whole numbers of a CSV."""
        passed = 0
        for batch in batches:
            columns = {name: batch[name] for name in batch.schema.names}
            for name in columns.keys() & types.keys():
                if _is_whole(types[name]):
                    strange = pc.index(
                        pc.match_substring_regex(columns[name], _WHOLE), False
                    ).as_py()
                    if strange >= 0:
                        raise self._no_value(name, types[name], f" (row {passed + strange + 1})")
                    try:
                        columns[name] = pc.utf8_trim_whitespace(columns[name]).cast(types[name])
                    except pa.ArrowInvalid:
                        raise self._no_value(name, types[name]) from None
            passed += batch.num_rows
            yield pa.RecordBatch.from_pydict(columns)

    def _parquet_batches(self, wanted: list[str]) -> Iterator[pa.RecordBatch]:
        with pq.ParquetFile(self.path, pre_buffer=False) as file:
            for batch in file.iter_batches(batch_size=BATCH_ROWS, columns=wanted):
                # Whether bytes that a file calls text are text is looked at by nobody else.
                batch.validate(full=True)
                columns = {name: plain(batch[name]) for name in wanted}
                yield pa.RecordBatch.from_pydict(columns)

    @contextmanager
    def _faults(self, types: Mapping[str, pa.DataType] | None = None) -> Iterator[None]:
        """Say in words what a library says with the values that it stumbled over."""
        try:
            yield
        except UnicodeError:
            raise ContractError(
                f"{self.called} is not text throughout, or not in the encoding that was declared. "
                "Say it with --encoding, or export the file in UTF-8."
            ) from None
        except (pa.ArrowException, OSError, csv.Error, MemoryError) as error:
            # A fault of the place has a number; a damaged page has none.
            if isinstance(error, OSError) and error.errno:
                raise EnvironmentFault(
                    f"{self.called} cannot be read here: {os.strerror(error.errno)}."
                ) from None
            raise ContractError(self._problem(str(error), types or {})) from None

    def _no_value(self, name: str, kind: pa.DataType, row: str = "") -> ContractError:
        said = "text" if pa.types.is_string(kind) else kind
        return ContractError(
            f"The column {name} of {self.path.name}{row} holds a value that is not {said}. Correct "
            "the export or the contract."
        )

    def _problem(self, text: str, types: Mapping[str, pa.DataType]) -> str:
        """Say what Arrow said about the file, without the value that it quotes."""
        if wrong := re.search(r"CSV column #(\d+):(?: Row #(\d+):)?", text):
            name = self.names[int(wrong[1])]
            row = f" (row {wrong[2]})" if wrong[2] else ""
            return str(self._no_value(name, types.get(name, pa.string()), row))
        if wide := re.search(r"(?:Row #(\d+): )?Expected (\d+) columns, got (\d+)", text):
            row = f"Row {wide[1]}" if wide[1] else "A row"
            return (
                f"{row} of {self.path.name} has {wide[3]} cells; the header has {wide[2]}. "
                "Export it again."
            )
        if "straddl" in text:
            return (
                f"{self.called} has a record of more than {BLOCK_CHARACTERS >> 20} MiB: is a "
                "quotation mark never closed? Export it again."
            )
        kind = "CSV" if self._is_csv else "Parquet"
        return f"{self.called} cannot be read as {kind}: it is cut off, damaged or something else."


def _is_whole(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind))
