"""How the columns of two plain tables look, where nobody has declared what they are.

The rule, which is all there is:

* A column of Parquet that is no text keeps its type, and says what text in the other table is.
* A column of text in which some value begins with a zero and another digit holds codes, and so
  does one with whole numbers beyond 64 bits. Codes stay text, as written.
* Else it holds numbers, days, times or flags, if what is filled in is nearly all that (`NEARLY`),
  or at least half while the rest is a handful of words (`FEW_WORDS`), as where ``-`` or
  ``unknown`` stands for a value. Such words are markers and stay visible, in both tables.
* Else it stays text.

The first table decides, unless it has nothing in that column; the second is read in the same way,
so that what has become a word there is a marker.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from governance.column_types import Column, plain, texts
from governance.errors import ContractError

NEARLY = 0.9
FEW_WORDS = 8

# Names that no file of anybody's has: a structure of theirs is no column with markers.
VALUE, MARKER = "limitline.value", "limitline.marker"

_NUMBER, _DAY, _TIME, _FLAG = pa.float64(), pa.date32(), pa.timestamp("us", "UTC"), pa.bool_()
_PATTERNS = {
    _NUMBER: r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$",
    _DAY: r"^\d{4}-\d\d-\d\d$",
    _TIME: r"^\d{4}-\d\d-\d\d([ T]\d\d:\d\d(:\d\d(\.\d{1,6})?)?(Z|[+-]\d\d:\d\d)?)?$",
    _FLAG: r"^(?i:true|false)$",
}
_WHOLE = r"^[+-]?\d+$"
_CODE = r"^[+-]?0\d+([^-:\d]|$)"
# Numbers as people, spreadsheets and other countries write them: read as words they would hide a
# drift. Digits of any script; signs before or behind; brackets for a loss; units and currencies.
_SIGN = r"[+\-−–＋－]?"
_CURRENCY = (
    r"([A-Z]{0,3}\p{Sc}|(CNY|RMB|USD|EUR|GBP|JPY|HKD|TWD|NTD|KRW|INR|SGD|AUD|CAD|CHF|BRL|MXN))"
)
_DIGITS = (
    r"(\p{Nd}{1,3}([,，٬' \x{a0}\x{202f}\x{2009}]\p{Nd}{2,3})+([.,．]\p{Nd}+)?"
    r"|\p{Nd}{1,3}(\.\p{Nd}{3})+,\p{Nd}+|\p{Nd}{1,3}(\.\p{Nd}{3}){2,}|\p{Nd}*[.,．٫]?\p{Nd}+)"
)
_SPELLED = (
    rf"^=?[\"']?[(（]?{_SIGN}{_CURRENCY}?\s?{_SIGN}{_DIGITS}\s?([%％‰]|[十百千]?[万萬亿億]*[元圆块]?)?"
    rf"\s?{_CURRENCY}?[)）]?[\-−–－]?[\"']?$"
)


def is_marked(kind: pa.DataType) -> bool:
    """Tell whether a column is one of values with markers: a structure of `VALUE` and `MARKER`.

    In a row at most one of the two is filled; neither is where nothing stands in the file.
    """
    return bool(pa.types.is_struct(kind)) and [field.name for field in kind] == [VALUE, MARKER]


def comparable(reference: pa.Table, current: pa.Table) -> tuple[pa.Table, pa.Table]:
    """Return both tables with their columns of text read as what they look like.

    Every column is in the result, in its place and under its name. A column with markers in
    either table is `is_marked` in both.

    Raises
    ------
    ContractError
        If a column holds numbers with a comma, brackets, a unit, a currency or other digits.
    """
    for name in dict.fromkeys([*reference.column_names, *current.column_names]):
        held = [table for table in (reference, current) if name in table.column_names]
        read = _together(name, [plain(table[name]) for table in held])
        tables = iter(read)
        if name in reference.column_names:
            reference = _with(reference, name, next(tables))
        if name in current.column_names:
            current = _with(current, name, next(tables))
    return reference, current


def _together(name: str, columns: list[pa.ChunkedArray]) -> list[pa.ChunkedArray]:
    """Read one column of one or both tables."""
    written = [
        texts(column, name=name) if pa.types.is_string(column.type) else column
        for column in columns
    ]
    filled = [column for column in written if column.null_count < len(column)]
    kind = _kind(name, filled)
    if kind is None:
        # What is text in one table is compared as text in both.
        is_text = any(pa.types.is_string(column.type) for column in filled)
        read = [_as_text(column, name) if is_text else column for column in written]
    else:
        split = [_split(column, kind) for column in written]
        is_clean = all(marker.null_count == len(marker) for _, marker in split)
        read = [value if is_clean else _marked(value, marker) for value, marker in split]
    return [_typed_like(column, read) for column in read]


def _kind(name: str, filled: list[pa.ChunkedArray]) -> pa.DataType | None:
    """Return the type of what columns that are not empty hold; None leaves them as they are."""
    typed = [column.type for column in filled if not pa.types.is_string(column.type)]
    written = [column for column in filled if pa.types.is_string(column.type)]
    if not written:
        return None
    if typed:
        return _like(typed[0])
    if any(_are_codes(column) for column in written):
        return None
    return _look(name, written[0].drop_null())


def _like(kind: pa.DataType) -> pa.DataType | None:
    if pa.types.is_timestamp(kind):
        return _TIME
    if pa.types.is_date(kind):
        return _DAY
    if pa.types.is_boolean(kind):
        return _FLAG
    is_number = pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)
    return _NUMBER if is_number else None


def _are_codes(column: Column) -> bool:
    if pc.any(pc.match_substring_regex(column, _CODE)).as_py():
        return True
    long = column.filter(pc.match_substring_regex(column, r"^[+-]?\d{19,}$"))
    return any(abs(int(text)) >= 2**63 for text in pc.unique(long.drop_null()).to_pylist())


def _look(name: str, text: pa.ChunkedArray) -> pa.DataType | None:
    is_number = pc.match_substring_regex(text, _PATTERNS[_NUMBER])
    is_spelled = pc.and_not(pc.match_substring_regex(text, _SPELLED), is_number)
    spelled = pc.sum(is_spelled).as_py()
    if spelled and _is_mostly(text, pc.or_(is_spelled, is_number)):
        raise ContractError(
            f"The column {name} holds {spelled} numbers with a comma, brackets, a unit, a currency "
            "or other digits, which would be compared as words. Export plain numbers: -1234.5."
        )
    found = {k: pc.match_substring_regex(text, pattern) for k, pattern in _PATTERNS.items()}
    if pc.sum(found[_DAY]).as_py() < pc.sum(found[_TIME]).as_py():
        del found[_DAY]  # Days among times are midnights.
    return next((kind for kind, hits in found.items() if _is_mostly(text, hits)), None)


def _is_mostly(text: pa.ChunkedArray, hits: pa.ChunkedArray) -> bool:
    found = pc.sum(hits).as_py()
    if found >= NEARLY * len(text):
        return True
    others = text.filter(pc.invert(hits))
    return bool(found >= len(text) / 2 and pc.count_distinct(others).as_py() <= FEW_WORDS)


def _split(column: pa.ChunkedArray, kind: pa.DataType) -> tuple[Column, Column]:
    """Return the values and the markers of a column; either is null where the other is not."""
    if not pa.types.is_string(column.type):
        return column, pa.nulls(len(column), pa.string())
    cells = column.combine_chunks().dictionary_encode()
    read = _VALUES[kind](cells.dictionary)
    value = read.take(cells.indices)
    return value, pc.if_else(pc.is_valid(value), pa.scalar(None, pa.string()), column)


def _read_numbers(text: pa.Array) -> pa.Array:
    hits = pc.match_substring_regex(text, _PATTERNS[_NUMBER])
    digits = pc.replace_substring_regex(
        pc.if_else(hits, text, pa.scalar(None, pa.string())), r"^\+", ""
    )
    # One number with a point, or beyond 64 bits beside a column of numbers, makes all floats.
    is_whole = pc.all(pc.match_substring_regex(digits, _WHOLE), min_count=0).as_py()
    return digits.cast(pa.int64() if is_whole and not _are_codes(digits) else pa.float64())


def _read_each(parse: Callable[[str], Any], kind: pa.DataType) -> Callable[[pa.Array], pa.Array]:
    """Read what has the pattern of `kind`; a 30th of February is a marker."""

    def value(text: str | None) -> Any:
        try:
            return parse(text) if text and re.fullmatch(_PATTERNS[kind], text) else None
        except ValueError:
            return None

    return lambda text: pa.array([value(each) for each in text.to_pylist()], kind)


def _moment(text: str) -> datetime:
    read = datetime.fromisoformat(text)
    return read if read.tzinfo else read.replace(tzinfo=UTC)


def _flag(text: str) -> bool:
    return text.lower() == "true"


_VALUES: dict[pa.DataType, Callable[[pa.Array], pa.Array]] = {
    _NUMBER: _read_numbers,
    _DAY: _read_each(date.fromisoformat, _DAY),
    _TIME: _read_each(_moment, _TIME),
    _FLAG: _read_each(_flag, _FLAG),
}


def _marked(value: Column, marker: Column) -> pa.ChunkedArray:
    parts = [
        part.combine_chunks() if isinstance(part, pa.ChunkedArray) else part
        for part in (value, marker)
    ]
    return pa.chunked_array([pa.StructArray.from_arrays(parts, names=[VALUE, MARKER])])


def _as_text(column: pa.ChunkedArray, name: str) -> pa.ChunkedArray:
    try:
        return texts(column, name=name)
    except ContractError:
        return column  # A list is no text; whoever compares says that it was not looked at.


def _typed_like(column: pa.ChunkedArray, both: list[pa.ChunkedArray]) -> pa.ChunkedArray:
    """Give a column in which nothing stands the type that it has in the other table."""
    if column.null_count < len(column):
        return column
    kinds = [other.type for other in both if other.null_count < len(other)]
    return pa.chunked_array([pa.nulls(len(column), kinds[0])]) if kinds else column


def _with(table: pa.Table, name: str, column: Column) -> pa.Table:
    return table.set_column(table.column_names.index(name), name, column)
