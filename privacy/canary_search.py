"""The search for planted values: the forms in which one can appear in bytes, all in one pass."""

from __future__ import annotations

import base64
import html
import json
import struct
import urllib.parse
from collections import defaultdict
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from governance.errors import UsageError

_WINDOWS = (8, 6)
_LOADED_BYTES = 8
_HASH_BITS = 20
_MULTIPLIER = np.uint64(0x9E37_79B9_7F4A_7C15)
_STRETCH = 1 << 20
_FEWEST_DIGITS = 8
_FEWEST_BYTES = 6

Words = NDArray[np.uint64]


class Canaries:
    """A set of planted values to be found in bytes, in any of their forms.

    A value may be written as UTF-8, UTF-16, JSON escapes, percent escapes, HTML entities, base64,
    or, if it is a number, as the eight bytes of an integer or a float. All forms of all values are
    sought together: numpy compares a hash of every window of a few bytes with the hashes of the
    first bytes of the forms, so the cost hardly grows with their number.

    Parameters
    ----------
    values : sequence of str
        What is sought; at least two characters each.
    """

    def __init__(self, values: Sequence[str]) -> None:
        self._tiny: dict[bytes, int] = {}
        by_width: dict[int, list[tuple[bytes, int]]] = defaultdict(list)
        for number, value in enumerate(values):
            if len(value.strip()) < 2:
                raise UsageError(f"Canary {number + 1} is shorter than two characters.")
            for form in forms(value):
                width = next((width for width in _WINDOWS if len(form) >= width), 0)
                if width:
                    by_width[width].append((form, number))
                else:
                    self._tiny[form] = number
        self.is_empty = not values
        self._widths = [_OneWidth(width, sought) for width, sought in by_width.items()]

    def found_in(self, data: bytes) -> Iterator[int]:
        """Yield the number of every value that `data` holds; a value may come several times."""
        for form, number in self._tiny.items():
            if form in data:
                yield number
        padded = data + bytes(_LOADED_BYTES)
        for start in range(0, len(data) if self._widths else 0, _STRETCH):
            windows: Words = np.ndarray(
                (min(_STRETCH, len(data) - start),),
                dtype="<u8",
                buffer=padded,
                offset=start,
                strides=(1,),
            )
            for width in self._widths:
                yield from width.found_in(windows, data, start=start)


class _OneWidth:
    """The forms that are sought by the hash of their first `width` bytes."""

    def __init__(self, width: int, sought: Sequence[tuple[bytes, int]]) -> None:
        self._width = width
        self._mask = np.uint64((1 << 8 * width) - 1)
        self._by_head: dict[bytes, list[tuple[bytes, int]]] = defaultdict(list)
        for form, number in sought:
            self._by_head[form[:width]].append((form, number))
        padding = bytes(_LOADED_BYTES - width)
        heads = b"".join(head + padding for head in self._by_head)
        self._table = np.zeros(1 << _HASH_BITS, dtype=np.bool_)
        self._table[self._hash(np.frombuffer(heads, dtype="<u8"))] = True

    def found_in(self, windows: Words, data: bytes, *, start: int) -> Iterator[int]:
        for place in np.flatnonzero(self._table[self._hash(windows)]):
            at = start + int(place)
            for form, number in self._by_head.get(data[at : at + self._width], ()):
                if data.startswith(form, at):
                    yield number

    def _hash(self, words: Words) -> NDArray[np.int64]:
        mixed = (words & self._mask) * _MULTIPLIER
        return (mixed >> np.uint64(64 - _HASH_BITS)).astype(np.int64)


def forms(value: str) -> set[bytes]:
    """Return the byte strings as which `value` may be written.

    Examples
    --------
    >>> sorted(forms("王"))[0]
    b'%E7%8E%8B'
    """
    escaped = json.dumps(value)[1:-1]
    texts = {
        value,
        escaped,
        escaped.replace("\\", "\\\\"),
        escaped.replace("\\u", "\\U").upper().replace("\\U", "\\u"),
        urllib.parse.quote(value),
        html.escape(value),
        "".join(c if c.isascii() else f"&#{ord(c)};" for c in value),
        "".join(c if c.isascii() else f"&#x{ord(c):x};" for c in value),
    }
    plain = {text.encode() for text in texts}
    raw = {value.encode(), value.encode("utf-16-le")} | set(_numbers(value))
    encoded = {form for item in raw for form in _base64_forms(item)}
    # A form of a few bytes that is not the value's own is found in any noise.
    return plain | {form for item in (raw, encoded) for form in item if len(form) >= _FEWEST_BYTES}


def _numbers(value: str) -> Iterator[bytes]:
    """Yield a long number as eight bytes; a short one would be found everywhere."""
    if value.isascii() and value.isdigit() and len(value) >= _FEWEST_DIGITS:
        if int(value) < 2**63:
            yield struct.pack("<q", int(value))
        yield struct.pack("<d", float(value))


def _base64_forms(data: bytes) -> Iterator[bytes]:
    """Yield what base64 of any text around `data` must hold, for each of its three alignments."""
    for shift in range(3):
        encoded = base64.b64encode(bytes(shift) + data)
        first = (0, 2, 3)[shift]
        last = len(encoded) - (0, 3, 2)[(shift + len(data)) % 3]
        yield encoded[first:last]
