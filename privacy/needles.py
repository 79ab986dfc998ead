"""Many needles in one pass: the forms in which a planted value can appear in bytes, and a search.

A value may be written as UTF-8, UTF-16, JSON escapes, percent escapes, HTML entities, base64, or,
if it is a number, as the eight bytes of an integer or a float. All forms of all values are sought
together: numpy compares a hash of every 8-byte window with the hashes of the needles' first bytes,
so the cost hardly grows with their number.
"""

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

_WINDOW = 8
_HASH_BITS = 20
_MULTIPLIER = np.uint64(0x9E37_79B9_7F4A_7C15)
_STRETCH = 1 << 20
_FEWEST_DIGITS = 8


class Needles:
    """A set of values to be found in any of their forms.

    Parameters
    ----------
    values : sequence of str
        What is sought; at least two characters each.
    """

    def __init__(self, values: Sequence[str]) -> None:
        self._short: dict[bytes, int] = {}
        self._long: dict[bytes, list[tuple[bytes, int]]] = defaultdict(list)
        for number, value in enumerate(values):
            if len(value.strip()) < 2:
                raise UsageError(f"Canary {number + 1} is shorter than two characters.")
            for form in forms(value):
                if len(form) < _WINDOW:
                    self._short[form] = number
                else:
                    self._long[form[:_WINDOW]].append((form, number))
        self._table = np.zeros(1 << _HASH_BITS, dtype=np.bool_)
        heads = np.frombuffer(b"".join(self._long), dtype=np.uint64)
        self._table[_hash(heads)] = True

    def found_in(self, data: bytes) -> Iterator[int]:
        """Yield the number of every value that `data` holds; a value may come several times."""
        for form, number in self._short.items():
            if form in data:
                yield number
        if not self._long:
            return
        for start in range(0, len(data) - _WINDOW + 1, _STRETCH):
            count = min(_STRETCH, len(data) - _WINDOW + 1 - start)
            windows: NDArray[np.uint64] = np.ndarray(
                (count,), dtype=np.uint64, buffer=data, offset=start, strides=(1,)
            )
            for place in np.flatnonzero(self._table[_hash(windows)]):
                at = start + int(place)
                for form, number in self._long.get(data[at : at + _WINDOW], ()):
                    if data.startswith(form, at):
                        yield number


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
    return plain | raw | {form for item in raw for form in _base64_forms(item)}


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
        form = encoded[first:last]
        if len(form) >= _WINDOW:
            yield form


def _hash(words: NDArray[np.uint64]) -> NDArray[np.int64]:
    return ((words * _MULTIPLIER) >> np.uint64(64 - _HASH_BITS)).astype(np.int64)
