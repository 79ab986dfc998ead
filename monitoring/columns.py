"""Columns: what an Arrow column of any type is to somebody who counts.

A number, a day or moment, a time of day, a word, or something of which only presence can be
counted. Numbers keep every digit: an account number beyond 2^53 is not made a float.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

import pyarrow as pa
import pyarrow.compute as pc

from governance.inference import MARKER, VALUE, is_marked

Column: TypeAlias = "pa.Array | pa.ChunkedArray"

_MOST_DIGITS, _DIGITS_OF_INT64 = 38, 18
_MICROSECONDS = {"s": 1_000_000, "ms": 1_000, "us": 1}


class Scale(StrEnum):
    """How the values of a column are compared.

    ``INSTANT`` and ``CLOCK`` count microseconds, since 1970 and since midnight. ``PRESENCE`` is for
    bytes, lists, structures and the like: a value is there or it is not.
    """

    NUMBER = "number"
    INSTANT = "instant"
    CLOCK = "clock"
    TEXT = "text"
    PRESENCE = "presence"

    @property
    def is_ordered(self) -> bool:
        """Whether values can be cut at edges."""
        return self not in (Scale.TEXT, Scale.PRESENCE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Countable:
    """A column made ready to be counted.

    Parameters
    ----------
    values : pyarrow.ChunkedArray or pyarrow.Array
        `int64`, `float64` or `decimal128`; `string`; `bool` for presence. Not-a-number is null.
    words : pyarrow.ChunkedArray, pyarrow.Array or None
        What stands in the place of a value, in a column of values with markers.
    """

    scale: Scale
    values: Column
    words: Column | None = None


def countable(column: Column) -> Countable:
    """Read a column of any type as what can be counted of it.

    Examples
    --------
    >>> import datetime
    >>> found = countable(pa.array([datetime.date(1970, 1, 2), None]))
    >>> found.scale.value, found.values.to_pylist()
    ('instant', [86400000000, None])
    """
    column = _unpacked(column)
    kind = column.type
    if is_marked(kind):
        value = countable(pc.struct_field(column, VALUE))
        words = pc.struct_field(column, MARKER)
        return Countable(scale=value.scale, values=value.values, words=words)
    scale = scale_of(kind)
    if scale is Scale.PRESENCE:
        is_there = pc.is_valid(column)
        values = pc.if_else(is_there, is_there, pa.scalar(None, pa.bool_()))
    elif scale is Scale.TEXT:
        values = column.cast(pa.string())
    elif scale is Scale.NUMBER:
        values = _numbers(column)
    else:
        values = _microseconds(column)
    return Countable(scale=scale, values=values)


def scale_of(kind: pa.DataType) -> Scale:
    """Return how values of an Arrow type are compared."""
    types = pa.types
    if types.is_dictionary(kind) or types.is_run_end_encoded(kind):
        return scale_of(kind.value_type)
    if isinstance(kind, pa.BaseExtensionType):
        return scale_of(kind.storage_type)
    if is_marked(kind):
        return scale_of(kind.field(VALUE).type)
    if types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind):
        return Scale.TEXT
    if types.is_date(kind) or types.is_timestamp(kind):
        return Scale.INSTANT
    if types.is_time(kind) or types.is_duration(kind):
        return Scale.CLOCK
    is_whole = types.is_boolean(kind) or types.is_integer(kind)
    if is_whole or types.is_floating(kind) or types.is_decimal(kind):
        return Scale.NUMBER
    return Scale.PRESENCE


def _unpacked(column: Column) -> Column:
    """Undo dictionaries, runs and extensions, which are ways to store and no kinds of value."""
    kind = column.type
    if pa.types.is_dictionary(kind):
        return _unpacked(column.cast(kind.value_type))
    if pa.types.is_run_end_encoded(kind):
        return _unpacked(pc.run_end_decode(column))
    if isinstance(kind, pa.BaseExtensionType):
        return _unpacked(column.cast(kind.storage_type))
    return column


def _microseconds(column: Column) -> Column:
    kind = column.type
    if pa.types.is_date(kind):
        days = column.cast(pa.date32(), safe=False).cast(pa.int32()).cast(pa.int64())
        return pc.multiply(days, 86_400_000_000)
    storage = pa.int32() if kind.bit_width == 32 else pa.int64()
    counted = column.cast(storage).cast(pa.int64())
    if kind.unit == "ns":
        return pc.divide(counted, 1_000)
    return pc.multiply(counted, _MICROSECONDS[kind.unit])


def _numbers(column: Column) -> Column:
    kind = column.type
    if pa.types.is_floating(kind):
        return _floats(column)
    if pa.types.is_decimal(kind):
        return _decimals(column)
    return column.cast(pa.decimal128(20, 0) if pa.types.is_uint64(kind) else pa.int64())


def _floats(column: Column) -> Column:
    if not pa.types.is_float64(column.type):
        # By way of its shortest text: 0.1 of 32 bits is the grade 0.1, and not 0.10000000149.
        column = column.cast(pa.float32()).cast(pa.string()).cast(pa.float64())
    if pc.any(pc.is_nan(column)).as_py():
        column = pc.if_else(pc.is_nan(column), pa.scalar(None, pa.float64()), column)
    return column


def _decimals(column: Column) -> Column:
    """Keep decimals exact where an engine of 128 bits can; wider ones become floats.

    By the type alone, so that every batch of a stream becomes the same.
    """
    kind = column.type
    if not (0 <= kind.scale <= kind.precision <= _MOST_DIGITS):
        return column.cast(pa.float64())
    is_small = kind.scale == 0 and kind.precision <= _DIGITS_OF_INT64
    return column.cast(pa.int64() if is_small else pa.decimal128(kind.precision, kind.scale))
