"""What a file is and what it holds: a container known by its first bytes, a table, or text.

Tables (Parquet, Arrow, SQLite, numpy) are read cell by cell, however nested. What is neither cannot
be read here.
"""

from __future__ import annotations

import base64
import codecs
import re
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.ipc as pa_ipc
import pyarrow.parquet as pq

from privacy import containers
from privacy.containers import Cells, Members, Sealed, Source, seekable, whole

HEAD_BYTES = 512


class Format(NamedTuple):
    """How a kind of file begins, and how it is opened."""

    magic: bytes
    opener: Callable[[Source], Members] | None
    is_packed: bool = False
    """Whether the bytes of the file itself are noise once it is opened."""

    place: int = 0


def recognize(head: bytes) -> Format | None:
    """Return the format of a file that begins with `head`; None if it is text or unknown."""
    for known in _FORMATS:
        if head.startswith(known.magic, known.place):
            return known
    return None


def as_text(data: bytes) -> str | None:
    """Decode text of any usual encoding; None if the bytes are no text.

    Tried are UTF-8, UTF-16 and UTF-32 with and without a mark, UTF-8 with a few damaged bytes,
    GB 18030 (and so GBK), and Latin-1. Both ends may be cut within a character. What can be read
    as Chinese and as Latin-1 is returned in both readings.
    """
    if not data.strip(b"\0"):
        return ""
    for mark, codec in _MARKS:
        if data.startswith(mark):
            return _decoded(data[len(mark) :], codec)
    text = _decoded(data, "utf-8")
    if text is not None and _is_clean(text):
        return text
    if b"\0" in data:
        return _wide(data)
    if _EBCDIC.search(data):
        return None
    mended = data.decode("utf-8", "replace")
    is_mended = mended.count("\ufffd") <= _MOST_DAMAGED * sum(1 for c in mended if c > "\x7f")
    if is_mended:
        return mended if _is_clean(mended) else None
    western = data.decode("latin-1")
    chinese = _decoded(data, "gb18030")
    if chinese is not None and _is_clean(chinese) and _is_usual(chinese):
        return f"{chinese}\n{western}"
    is_western = sum(map(str.isascii, western)) >= _FEWEST_ASCII * len(western)
    return western if is_western and _is_clean(western) else None


def packed_in(text: str) -> Iterator[bytes]:
    """Yield what stands in a text as base64 or hexadecimal digits and could be anything."""
    for found in _BASE64.finditer(text):
        token = re.sub(r"\s", "", found[0]).translate(_URL_ALPHABET).rstrip("=")
        data = base64.b64decode(token[: len(token) - (len(token) % 4 == 1)] + "==")
        if _may_speak(data) or data[:1] == _ZLIB or recognize(data[:HEAD_BYTES]):
            yield data
    for found in _HEXADECIMAL.finditer(text):
        data = bytes.fromhex(found[0])
        if _may_speak(data):
            yield data


def arrays_in(text: str) -> Iterator[pa.Array]:
    """Yield the number columns that a page of Plotly holds as base64."""
    for found in _PLOTTED.finditer(text):
        kind, content = found[1] or found[4], found[2] or found[3]
        data = base64.b64decode(content.encode().decode("unicode_escape") + "==")
        yield pa.array(np.frombuffer(data[: len(data) // 8 * 8], dtype=f"<{kind}"))


_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_WIDE = ("utf-32-le", "utf-32-be", "utf-16-le", "utf-16-be")
_MOST_DAMAGED, _MOST_CONTROLS, _MOST_ZEROS = 0.1, 0.01, 0.01
_FEWEST_USUAL, _FEWEST_ASCII, _FEWEST_ZEROS_IN_TEXT = 0.5, 0.7, 0.5
_WITH_A_ZERO = "\u3000\u4e00"
"""The frequent Chinese characters of which one of two bytes is zero."""

_EBCDIC = re.compile(rb"[\xf0-\xf9]{11,}")
"""Many digits as mainframes write them, which read as rare Chinese characters."""

_CONTROL = re.compile("[\x01-\x07\x0e-\x1a\x1c-\x1f\x7f-\x9f]")
_USUAL = re.compile(
    r"[\d\t-\r -~\u00a0-\u024f\u2010-\u205e\u3000-\u30ff\u4e00-\u9fff\uff00-\uffef]+"
)

_BASE64 = re.compile(
    r"(?<![A-Za-z0-9+/])(?:[A-Za-z0-9+/]{60,}(?:\r?\n[A-Za-z0-9+/]+)+|[A-Za-z0-9+/_\-]{14,})={0,2}"
)
_HEXADECIMAL = re.compile(r"(?<![0-9A-Fa-f])(?:[0-9A-Fa-f]{2}){11,}(?![0-9A-Fa-f])")
_SPOKEN = re.compile(rb"@|(?:[0-9][^0-9]{0,5}){9}")
_PACKED_AGAIN = re.compile(rb"[\w+/\-]{14,}={0,2}\s*")
_ZLIB = b"x"
_URL_ALPHABET = str.maketrans("-_", "+/")
_PLOTTED = re.compile(
    r'"dtype":\s?"([iu]8|f8)",\s?"bdata":\s?"([^"]+)"|"bdata":\s?"([^"]+)",\s?"dtype":\s?"([iu]8|f8)"'
)


def _wide(data: bytes) -> str | None:
    """Decode UTF-16 or UTF-32 without a mark; binary data with words in them are neither.

    Read from the wrong end, Latin text becomes Chinese. In truly wide text most zeros stand in
    characters that have one; what reads as UTF-32 at all is nothing else.
    """
    zeros, likely = data.count(0), []
    for codec in _WIDE:
        text = _decoded(data, codec)
        if text and _is_clean(text) and _is_usual(text):
            narrow = sum(c < "\u0100" or c in _WITH_A_ZERO for c in text)
            if "32" in codec or narrow >= _FEWEST_ZEROS_IN_TEXT * zeros:
                likely.append((narrow, text))
    return max(likely, default=(0, None))[1]


def _may_speak(data: bytes) -> bool:
    """Tell whether bytes hold an at-sign or many digits, or text that could hide others."""
    if _SPOKEN.search(data) or _PACKED_AGAIN.fullmatch(data):
        return True
    return not data.isascii() and _decoded(data, "utf-8") is not None


def _decoded(data: bytes, codec: str) -> str | None:
    decoder = codecs.getincrementaldecoder(codec)
    for cut in range(4):
        try:
            return decoder().decode(data[cut:], final=False)
        except UnicodeDecodeError as error:
            if error.start > 3:
                return None
    return None


def _is_clean(text: str) -> bool:
    """Tell whether a text holds hardly any control characters."""
    controls = sum(1 for _ in _CONTROL.finditer(text))
    zeros = text.count("\0")
    return controls <= _MOST_CONTROLS * len(text) and zeros <= _MOST_ZEROS * len(text)


def _is_usual(text: str) -> bool:
    """Tell whether a text is written in Latin or Chinese characters."""
    usual = sum(found.end() - found.start() for found in _USUAL.finditer(text))
    return usual >= _FEWEST_USUAL * len(text)


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


_CLOSED = (
    b"7z\xbc\xaf\x27\x1c",
    b"Rar!",
    b"\xd0\xcf\x11\xe0",
    b"{\\rtf",
    *(b"\x80%c" % protocol for protocol in (2, 3, 4, 5)),
)
"""7z, RAR, office files before 2007, rich text, pickles: what is not opened here."""

_FORMATS = (
    Format(b"PK\x03\x04", containers.open_zip),
    Format(b"PK\x05\x06", containers.open_zip),
    Format(b"\x1f\x8b", containers.open_gzip, is_packed=True),
    Format(b"BZh", containers.open_bzip2, is_packed=True),
    Format(b"\xfd7zXZ\0", containers.open_xz, is_packed=True),
    Format(b"\x28\xb5\x2f\xfd", containers.arrow_opener("zstd"), is_packed=True),
    Format(b"\x04\x22\x4d\x18", containers.arrow_opener("lz4"), is_packed=True),
    Format(b"ustar", containers.open_tar, place=257),
    Format(b"PAR1", open_parquet, is_packed=True),
    Format(b"PARE", open_sealed_parquet, is_packed=True),
    Format(b"ARROW1", open_arrow, is_packed=True),
    Format(b"\x93NUMPY", open_numpy),
    Format(b"SQLite format 3\0", open_database),
    Format(containers.PNG_MAGIC, containers.open_picture, is_packed=True),
    Format(b"%PDF-", containers.open_pdf),
    *(Format(magic, None) for magic in _CLOSED),
)
