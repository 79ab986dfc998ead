"""The published data set from elsewhere: a user's own UCI file, or OpenML, checked by content.

The data set is on many sites under many header names. Whatever it came from, it must have the
canonical content digest: a copy with swapped codes has the same shape and the same names, and turns
women into men.
"""

from __future__ import annotations

import csv
import re
import warnings
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from urllib.error import URLError

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv

from governance.errors import ContractError, EnvironmentFault, IntegrityError, UsageError
from training import source

OPENML_ID = 42477

PUBLISHED = (
    *("LIMIT_BAL", "SEX", "EDUCATION", "MARRIAGE", "AGE"),
    *("PAY_0", "PAY_2", "PAY_3", "PAY_4", "PAY_5", "PAY_6"),
    *(f"BILL_AMT{month}" for month in range(1, 7)),
    *(f"PAY_AMT{month}" for month in range(1, 7)),
    "default",
)
"""The names that the canonical digest is over, in order."""

_ALIASES = {
    # UCI numbers its columns, OpenML as well; the label is Y there and y here.
    **{f"x{number}": name for number, name in enumerate(PUBLISHED[:-1], 1)},
    "y": "default",
    # One widespread copy counts the newest month as 1, as the other columns do.
    "pay_1": "PAY_0",
    "default_payment_next_month": "default",
    "default_next_month": "default",
    **{name.lower(): name for name in PUBLISHED},
}
_ROW_NUMBERS = frozenset({"id", ""})
_REFUSED = (
    "Common reasons: other codes (SEX is 1 = male and 2 = female; some copies write 0 and 1), "
    "rows in another order, removed or added rows."
)


class Source(StrEnum):
    """Where the published rows come from."""

    UCI = "uci"
    CSV = "csv"
    OPENML = "openml"


def load(kind: Source, file: Path | None = None) -> pa.Table:
    """Return the 30,000 published customers, as `training.source.load` does.

    Parameters
    ----------
    kind : Source
        The bundled copy, a file, or OpenML (a file that was downloaded there, or a download).
    file : Path or None
        CSV or ARFF.

    Raises
    ------
    UsageError
        If a file is missing, or given for the bundled copy.
    EnvironmentFault
        If OpenML cannot be reached.
    ContractError
        If the file is not a table of these columns.
    IntegrityError
        If its content is not the published content.
    """
    match kind, file:
        case Source.UCI, None:
            return source.load()
        case Source.UCI, _:
            raise UsageError("The bundled copy takes no --input; give --source csv with a file.")
        case Source.CSV, None:
            raise UsageError("--source csv needs --input FILE: your own copy of the UCI file.")
        case _, None:
            rows = download()
        case _, Path() as path:
            rows = read(path)
    return _checked(rows)


def read(path: Path) -> pa.Table:
    """Read a CSV or ARFF file and give its columns their published names and order.

    Raises
    ------
    UsageError
        If there is no such file.
    ContractError
        If it cannot be read, or a column is missing, unknown or not whole numbers.
    """
    if not path.is_file():
        raise UsageError(f"There is no file {path}.")
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise ContractError(
            f"{path.name} is not text in UTF-8. Save the spreadsheet as CSV first."
        ) from None
    lines = text.splitlines()
    header, first = _arff_header(lines) if path.suffix.lower() == ".arff" else _header(lines)
    if not header or first >= len(lines):
        raise ContractError(f"{path.name} holds no rows.")
    body = pa.py_buffer("\n".join(lines[first:]).encode() + b"\n")
    try:
        rows = pa_csv.read_csv(
            pa.BufferReader(body),
            read_options=pa_csv.ReadOptions(column_names=header),
            parse_options=pa_csv.ParseOptions(quote_char="'" if "'" in lines[first] else '"'),
        )
    except pa.ArrowException:
        raise ContractError(f"{path.name} cannot be read as a table. Export it again.") from None
    return _named(rows, path.name)


def download() -> pa.Table:
    """Download the data set from OpenML, through scikit-learn.

    Raises
    ------
    EnvironmentFault
        If OpenML cannot be reached or answers something else.
    """
    from sklearn.datasets import fetch_openml

    try:
        # The loader announces every retry as a warning; what is told is the end of it.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = fetch_openml(
                data_id=OPENML_ID, as_frame=False, parser="liac-arff", n_retries=1, delay=0.1
            )
    except (URLError, TimeoutError, ConnectionError, ValueError, OSError) as error:
        raise EnvironmentFault(
            f"OpenML cannot be reached ({type(error).__name__}). Nothing else is used instead: "
            f"download data set {OPENML_ID} elsewhere and give it with --input FILE, or take the "
            "bundled copy (--source uci), which is the same content."
        ) from None
    columns = [pa.array(column, pa.float64()) for column in found.data.T]
    label = pa.array([float(value) for value in found.target])
    names = [f"x{number}" for number in range(1, len(columns) + 1)]
    return _named(pa.table([*columns, label], names=[*names, "y"]), "OpenML's answer")


def _header(lines: Sequence[str]) -> tuple[list[str], int]:
    """Return the column names of a CSV file and the number of lines before its rows.

    UCI's spreadsheet has two header lines, X1 to X23 and then the names; the last one counts.
    """
    found: list[str] = []
    for number, cells in enumerate(csv.reader(lines[:3])):
        if 2 * sum(_is_number(cell) for cell in cells) > len(cells):
            return found, number
        found = cells
    return found, min(len(lines), 3)


def _arff_header(lines: Sequence[str]) -> tuple[list[str], int]:
    names = []
    for number, line in enumerate(lines):
        attribute = re.match(r"@attribute\s+(?:'([^']*)'|\"([^\"]*)\"|(\S+))", line, re.IGNORECASE)
        if attribute:
            names.append(next(filter(None, attribute.groups()), ""))
        if line.strip().lower() == "@data":
            return names, number + 1
    return names, len(lines)


def _named(rows: pa.Table, where: str) -> pa.Table:
    """Return exactly the published columns as whole numbers, in order of the row numbers."""
    plain = [
        re.sub(r"[^a-z0-9]+", "_", name.strip().lower()).strip("_") for name in rows.column_names
    ]
    numbers = [place for place, name in enumerate(plain) if name in _ROW_NUMBERS]
    given = {_ALIASES.get(name, ""): place for place, name in enumerate(plain)}
    missing = [name for name in PUBLISHED if name not in given]
    extra = len(plain) - len(numbers) - len(PUBLISHED)
    if missing or extra:
        lacks = f"lacks {', '.join(missing)}" if missing else f"has {extra} columns too many"
        raise ContractError(f"{where} {lacks}. It must be the UCI file with its 24 columns.")
    try:
        whole = [pc.cast(rows.column(given[name]), pa.int64()) for name in PUBLISHED]
        table = pa.table(whole, names=list(PUBLISHED))
        if numbers:
            order = pc.sort_indices(pc.cast(rows.column(numbers[0]), pa.int64()))
            table = table.take(order)
    except pa.ArrowException:
        raise ContractError(f"{where} holds something else than whole numbers.") from None
    return table


def _checked(table: pa.Table) -> pa.Table:
    found = source.content_digest(table)
    if found != source.CONTENT_DIGEST:
        raise IntegrityError(
            f"The file has the content digest {found[:12]}…; the published data have "
            f"{source.CONTENT_DIGEST[:12]}…. {_REFUSED} It was not used."
        )
    return source.named(table)


def _is_number(cell: str) -> bool:
    return re.fullmatch(r"\s*-?\d+(\.\d*)?\s*", cell) is not None
