"""What tables hold, cell by cell: Parquet, Arrow, SQLite and numpy arrays, however nested."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import closing

import numpy as np
import pyarrow as pa
import pyarrow.ipc as pa_ipc
import pyarrow.parquet as pq

from privacy.containers import Cells, Members, Sealed, Source, seekable, whole


def open_parquet(source: Source) -> Members:
    """Yield the columns of a plain Parquet file."""
    with pq.ParquetFile(seekable(source), pre_buffer=False) as file:
        yield from _schema_notes(file.schema_arrow)
        for batch in file.iter_batches():
            yield from _batch(batch)


def open_arrow(source: Source) -> Members:
    """Yield the columns of an Arrow or Feather file."""
    with pa_ipc.open_file(seekable(source)) as file:
        yield from _schema_notes(file.schema)
        for place in range(file.num_record_batches):
            yield from _batch(file.get_batch(place))


def open_sealed_parquet(source: Source) -> Members:
    """Yield an encrypted Parquet file as one sealed piece."""
    data = whole(source)
    yield "", Sealed(data) if data.endswith(b"PARE") else None


def open_numpy(source: Source) -> Members:
    """Yield an array of numbers or text; objects stay closed."""
    values = np.load(seekable(source), allow_pickle=False)
    for name in values.dtype.names or ("",):
        flat = np.ravel(values[name] if name else values)
        if flat.dtype.kind in "iuf":
            yield name or "values", pa.array(flat.astype(flat.dtype.newbyteorder("=")))
        elif flat.dtype.kind in "US":
            as_bytes = flat.dtype.kind == "S"
            lines = [v if as_bytes else str(v).encode("utf-8", "replace") for v in flat.tolist()]
            yield name or "values", b"\n".join(lines)
        elif flat.dtype.kind not in "bmM":
            yield name or "values", None


def _batch(batch: pa.RecordBatch) -> Members:
    for name, values in zip(batch.schema.names, batch.columns, strict=True):
        yield from _column(f"column {name}", values)


def _schema_notes(schema: pa.Schema) -> Members:
    notes = [schema.metadata or {}, *(field.metadata or {} for field in schema)]
    yield "notes", b"\n".join(part for note in notes for item in note.items() for part in item)


def _column(name: str, values: pa.Array) -> Members:
    """Yield the text and the numbers of a column."""
    kind = values.type
    if isinstance(values, pa.ExtensionArray):
        yield from _column(name, values.storage)
    elif pa.types.is_dictionary(kind):
        # All that the column lists, and not only what its rows still use.
        yield from _column(name, values.dictionary)
    elif pa.types.is_nested(kind):
        yield from _nested(name, values)
    elif pa.types.is_integer(kind) or pa.types.is_floating(kind):
        yield name, values
    elif pa.types.is_decimal(kind):
        yield name, "\n".join(values.cast(pa.string()).drop_null().to_pylist())
    elif any(is_kind(kind) for is_kind in _OF_BYTES):
        yield name, Cells(tuple(values.cast(pa.large_binary()).drop_null().to_pylist()))
    elif not (pa.types.is_boolean(kind) or pa.types.is_temporal(kind) or pa.types.is_null(kind)):
        yield name, None


def _nested(name: str, values: pa.Array) -> Members:
    if pa.types.is_struct(values.type):
        for field, child in zip(values.type, values.flatten(), strict=True):
            yield from _column(f"{name}.{field.name}", child)
    elif pa.types.is_map(values.type):
        yield from _column(f"{name}.keys", values.keys)
        yield from _column(f"{name}.items", values.items)
    elif hasattr(values, "flatten"):
        yield from _column(name, values.flatten())
    else:
        yield name, None


_OF_BYTES = (
    pa.types.is_string,
    pa.types.is_large_string,
    pa.types.is_string_view,
    pa.types.is_binary,
    pa.types.is_large_binary,
    pa.types.is_binary_view,
    pa.types.is_fixed_size_binary,
)


_ROWS = 10_000
_WRITE_AHEAD = slice(18, 20)


def open_database(source: Source) -> Members:
    """Yield every cell; the blobs of a vault are sealed."""
    with closing(_connection(source)) as connection:
        connection.text_factory = lambda data: data.decode("utf-8", "surrogateescape")
        tables = connection.execute("SELECT name, sql FROM sqlite_master").fetchall()
        yield "schema", "\n".join(sql for _, sql in tables if sql)
        listed = "SELECT name FROM sqlite_master WHERE type = 'table'"
        names = [name for (name,) in connection.execute(listed)]
        is_vault = "meta" in names and _is_vault(connection)
        for name in names:
            quoted = name.replace('"', '""')
            rows = connection.execute(f'SELECT * FROM "{quoted}"')  # noqa: S608  (its own names)
            while cells := rows.fetchmany(_ROWS):
                yield from _table(f"table {name}", [c for row in cells for c in row], is_vault)


def _connection(source: Source) -> sqlite3.Connection:
    if isinstance(source, bytes):
        connection = sqlite3.connect(":memory:")
        data = bytearray(source)
        # In memory there is no write-ahead log; what lies in the file is read without it.
        data[_WRITE_AHEAD] = b"\1\1"
        connection.deserialize(bytes(data))
        return connection
    # Without a write-ahead log nobody is writing, and reading must not leave files beside it.
    is_quiet = not source.with_name(f"{source.name}-wal").exists()
    uri = f"{source.absolute().as_uri()}?mode=ro{'&immutable=1' if is_quiet else ''}"
    return sqlite3.connect(uri, uri=True)


def _is_vault(connection: sqlite3.Connection) -> bool:
    columns = {row[1] for row in connection.execute("PRAGMA table_info(meta)")}
    if not {"name", "value"} <= columns:
        return False
    return {"ring_id", "vault_id"} <= {
        name for (name,) in connection.execute("SELECT name FROM meta")
    }


def _table(name: str, cells: Sequence[object], is_vault: bool) -> Members:
    yield name, "\n".join(cell for cell in cells if isinstance(cell, str))
    blobs = [cell for cell in cells if isinstance(cell, bytes)]
    yield name, pa.array([cell for cell in cells if isinstance(cell, int)], pa.int64())
    yield name, pa.array([cell for cell in cells if isinstance(cell, float)], pa.float64())
    if is_vault and blobs:
        yield name, Sealed(b"".join(blobs))
    else:
        yield name, Cells(tuple(blobs))
