"""The digest of a table's content: it is the same whatever files, chunks or batches hold it."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from governance import canonical

if TYPE_CHECKING:
    from hashlib import _Hash


class Content:
    """Takes a table piece by piece and knows the digest of what it took.

    Every column is hashed by itself: its nulls, its values, and for text its lengths, so that rows
    cannot be shifted against each other unnoticed.
    """

    def __init__(self, schema: pa.Schema) -> None:
        self._schema, self._rows = schema, 0
        # Three running hashes per column: one alone would depend on where a piece ends.
        self._hashes: dict[str, tuple[_Hash, _Hash, _Hash]] = {
            name: (hashlib.sha256(), hashlib.sha256(), hashlib.sha256()) for name in schema.names
        }

    @property
    def rows(self) -> int:
        """How many rows were taken."""
        return self._rows

    def add(self, table: pa.Table) -> None:
        """Take the next rows."""
        self._rows += table.num_rows
        for name in self._schema.names:
            for chunk in table[name].chunks:
                _take(chunk, *self._hashes[name])

    def digest(self) -> str:
        """Return the SHA-256 of schema, number of rows and columns."""
        columns = [
            [field.name, str(field.type), *(part.hexdigest() for part in self._hashes[field.name])]
            for field in self._schema
        ]
        return canonical.digest({"rows": self._rows, "columns": columns})


def _take(column: pa.Array, nulls: _Hash, values: _Hash, lengths: _Hash) -> None:
    nulls.update(column.is_valid().to_numpy(zero_copy_only=False).tobytes())
    if pa.types.is_string(column.type):
        offsets = np.frombuffer(column.buffers()[1], dtype=np.int32)
        used = offsets[column.offset : column.offset + len(column) + 1]
        lengths.update(np.diff(used).tobytes())
        if len(column):
            values.update(memoryview(column.buffers()[2])[used[0] : used[-1]])
        return
    plain = column.cast(pa.int32()) if pa.types.is_date32(column.type) else column
    known = plain.fill_null(False if pa.types.is_boolean(plain.type) else 0)
    values.update(known.to_numpy(zero_copy_only=False).tobytes())
