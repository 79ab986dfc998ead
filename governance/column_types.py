"""What columns of anybody's table mean: as whoever reads them declares it, or as they look.

A CSV holds text and Parquet holds types; read as a number, a flag, a day or a text, both say the
same. A value that is not what was declared refuses the file, and is never repeated.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

import pyarrow as pa
import pyarrow.compute as pc

from governance.errors import ContractError

Column: TypeAlias = "pa.Array | pa.ChunkedArray"

# How statistics programs, spreadsheets and databases write a number that is not there.
ABSENT = pa.array(
    ["", "NA", "N/A", "n/a", "#N/A", "#NA", "NaN", "nan", "-nan", "NULL", "null", "None", "<NA>"]
)
_WHOLE_FRACTION = r"^([+-]?\d+)\.0*$"
# Arrow would read 0x10 as sixteen.
_HEXADECIMAL = r"^[+-]?0[xX]"
_TIME_OF_DAY = r"[ T]\d\d:\d\d(:\d\d(\.\d+)?)?\s?(Z|[+-]\d\d:?\d\d)?$"


def read_as(column: Column, kind: pa.DataType, *, name: str) -> Column:
    """Return `column` as `kind`: an integer type, ``float64``, ``bool_``, ``date32``, ``string``.

    Parameters
    ----------
    name : str
        What messages call the column: a name that the caller asked for.

    Raises
    ------
    ContractError
        If a value is not what was declared: a fraction for a whole number, a flag or a day for a
        number, a number beyond the type, a list for anything.
    """
    column = plain(column)
    if pa.types.is_string(kind):
        return texts(column, name=name)
    if pa.types.is_boolean(kind):
        return _flags(column, name)
    if pa.types.is_date(kind):
        return _days(column, name)
    return _numbers(column, kind, name)


def plain(column: Column) -> Column:
    """Return text as `string`, however a file holds it, and any other column as it is."""
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if pa.types.is_large_string(column.type) or pa.types.is_string_view(column.type):
        column = column.cast(pa.string())
    return column


def texts(column: Column, *, name: str) -> Column:
    """Return a column as text without space around it; an empty one is null.

    Raises
    ------
    ContractError
        If it holds lists, structures, or bytes that are no text.
    """
    text = pc.utf8_trim_whitespace(_cast(plain(column), pa.string(), name))
    return _without(text, pc.equal(text, ""))


def ids(column: Column, *, name: str) -> Column:
    """Return a column of ids as text; a fraction, a flag or a day names nobody.

    Full-width, composed and invisible characters make no other customer: what looks the same is.

    Raises
    ------
    ContractError
        If it is such a column; numbers with a point lose the last digits of long ids.
    """
    column = plain(column)
    kind = column.type
    if pa.types.is_floating(kind) or pa.types.is_boolean(kind) or pa.types.is_temporal(kind):
        raise _refusal(name, "ids, as text or whole numbers", kind)
    if pa.types.is_binary(kind) or pa.types.is_fixed_size_binary(kind):
        return column
    seen = pc.utf8_normalize(_cast(column, pa.string(), name), form="NFKC")
    return texts(pc.replace_substring_regex(seen, r"[\p{Cf}\p{Cc}]", ""), name=name)


def words(column: Column, meanings: Mapping[str, str], *, name: str) -> Column:
    """Return the meaning of each value: a word in any case, or 0 and 1 in any type.

    Parameters
    ----------
    meanings : mapping of str to str
        Lower-case words, and ``"0"`` and ``"1"`` if numbers and flags are words here.

    Returns
    -------
    pyarrow.Array or pyarrow.ChunkedArray
        `string`; null where nothing is said.

    Raises
    ------
    ContractError
        If a value is another word.
    """
    column = plain(column)
    kind = column.type
    if pa.types.is_boolean(kind):
        text = _cast(_cast(column, pa.int8(), name), pa.string(), name)
    elif _is_number(kind):
        try:
            text = _cast(_numbers(column, pa.int64(), name), pa.string(), name)
        except ContractError:
            raise _refusal(name, f"{', '.join(meanings)} and nothing else", kind) from None
    elif _is_text(kind) or pa.types.is_null(kind):
        text = texts(column, name=name)
        text = pc.utf8_lower(_without(text, pc.is_in(text, value_set=ABSENT)))
        text = pc.replace_substring_regex(text, _WHOLE_FRACTION, r"\1")
        for flag, digit in (("true", "1"), ("false", "0")):
            text = pc.if_else(pc.equal(text, flag), digit, text)
    else:
        raise _refusal(name, "words", kind)
    place = pc.index_in(text, value_set=pa.array(list(meanings), pa.string()))
    strange = pc.sum(pc.and_(pc.is_valid(text), pc.is_null(place))).as_py() or 0
    if strange:
        raise ContractError(
            f"The column {name} must hold {', '.join(meanings)} and nothing else; {strange} of "
            f"its {len(column)} values are something else."
        )
    found = pa.array(list(meanings.values()), pa.string())
    return pc.take(found, place)


def _numbers(column: Column, wanted: pa.DataType, name: str) -> Column:
    kind = column.type
    if _is_text(kind):
        column = pc.utf8_trim_whitespace(column)
        column = _without(column, pc.is_in(column, value_set=ABSENT))
        if pc.any(pc.match_substring_regex(column, _HEXADECIMAL)).as_py():
            raise _refusal(name, _IN_WORDS.get(wanted, "numbers"), kind)
        if pa.types.is_integer(wanted):
            column = pc.replace_substring_regex(column, _WHOLE_FRACTION, r"\1")
    elif pa.types.is_floating(kind):
        column = _without(column, pc.is_nan(column))
    elif not (_is_number(kind) or pa.types.is_null(kind)):
        raise _refusal(name, _IN_WORDS.get(wanted, "numbers"), kind)
    return _cast(column, wanted, name)


def _flags(column: Column, name: str) -> Column:
    if pa.types.is_boolean(column.type):
        return column
    return pc.equal(words(column, {"0": "no", "1": "yes"}, name=name), "yes")


def _days(column: Column, name: str) -> Column:
    """Read days; of a moment, the day on which its own clock says it was."""
    kind = column.type
    if _is_text(kind):
        column = pc.replace_substring_regex(texts(column, name=name), _TIME_OF_DAY, "")
    elif pa.types.is_timestamp(kind):
        column = pc.local_timestamp(column) if kind.tz else column
        if kind.unit in ("s", "ms"):
            # So far out that no day has a number, Arrow would start again from the other end.
            column = _cast(column, pa.timestamp("us"), name)
    elif not (pa.types.is_date(kind) or pa.types.is_null(kind)):
        raise _refusal(name, _IN_WORDS[pa.date32()], kind)
    # A day of 64 bits may hold a time, which Arrow would not drop by itself.
    try:
        return pc.cast(column, pa.date32(), safe=False)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        raise _refusal(name, _IN_WORDS[pa.date32()], kind) from None


_IN_WORDS = {
    pa.int64(): "whole numbers (money in minor units)",
    pa.float64(): "numbers, written 1234.5",
    pa.date32(): "days, written YYYY-MM-DD",
    pa.string(): "text",
}


def _cast(column: Column, wanted: pa.DataType, name: str) -> Column:
    """Cast safely; Arrow quotes the value that does not fit, the message must not."""
    try:
        return pc.cast(column, wanted)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        pass
    raise _refusal(name, _IN_WORDS.get(wanted, str(wanted)), column.type)


def _refusal(name: str, wanted: str, kind: pa.DataType) -> ContractError:
    return ContractError(
        f"The column {name} must hold {wanted}. It is {kind}, or holds what cannot be read as that."
    )


def _without(column: Column, is_absent: Column) -> Column:
    return pc.if_else(pc.fill_null(is_absent, False), pa.scalar(None, column.type), column)


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind))


def _is_number(kind: pa.DataType) -> bool:
    return bool(
        pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)
    )
