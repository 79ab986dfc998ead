"""The leak scan of what leaves: databases, reports, models, logs, whatever lies below a path.

Two questions are asked of every file: does it hold one of the given canaries (planted values that
must never get out), and does it hold what looks like personal data? Containers are opened: zip (so
also skops models), gzip, plain Parquet (also dictionary-encoded and compressed), PNG (its packed
pixels are noise, and are unpacked before anything is recognized in them) and SQLite, whose long
values are not contiguous in the file. A hit names the file and the kind, never the value.
"""

from __future__ import annotations

import gzip
import io
import os
import re
import sqlite3
import zipfile
import zlib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from governance.errors import UsageError
from privacy import detectors, png_parts
from privacy.detectors import Kind
from privacy.needles import Needles

CANARY = "canary"
KINDS = (Kind.MOBILE, Kind.RESIDENT_ID, Kind.BANK_CARD, Kind.EMAIL)

PUBLISHED = frozenset({"jake@alogicalparadox.com"})
"""Addresses that authors published in code which Evidently's report page carries."""

_CHUNK_BYTES = 16 << 20
_OVERLAP_BYTES = 4 << 10
_HEAD_BYTES = 16
_LARGEST_MEMBER_BYTES = 512 << 20
_DEEPEST = 4
_CANDIDATE = re.compile(r"[0-9]{11,}[Xx]?|@")
_EMAIL_REACH = 72

# A sum of money in a signed measurement may have as many digits as a mobile number and begin alike.
# In that one place the shape alone says nothing; check digits, and canaries, are still looked for.
_SUM_OF_MONEY = re.compile(r'"unit": ?"minor",\s*"value": ?"-?\Z')
_SUM_REACH = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Hit:
    """Something that must not be in a file.

    Parameters
    ----------
    file : str
        Path below the scanned folder; ``!`` leads into a container.
    kind : str
        ``canary``, or the kind of personal data.
    values : int
        How many different values were found.
    """

    file: str
    kind: str
    values: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ScanReport:
    """What a scan looked at and found.

    Parameters
    ----------
    unread : tuple of str
        Containers that could not be opened; their bytes were scanned as they are.
    """

    files: int
    bytes: int
    hits: tuple[Hit, ...]
    unread: tuple[str, ...]


def scan(path: Path, *, canaries: Sequence[str] = (), kinds: Sequence[Kind] = KINDS) -> ScanReport:
    """Search every file at or below `path` for canaries and for personal data.

    Symbolic links are not followed.

    Raises
    ------
    UsageError
        If there is nothing at `path`, or a canary is shorter than two characters.
    """
    if not path.exists():
        raise UsageError(f"There is nothing to scan at {path}.")
    search = _Search(Needles(canaries), frozenset(kinds))
    files = sorted(_files(path))
    for file in files:
        search.file(file, file.name if file == path else file.relative_to(path).as_posix())
    return ScanReport(
        files=len(files),
        bytes=sum(file.stat().st_size for file in files),
        hits=tuple(search.hits()),
        unread=tuple(sorted(search.unread)),
    )


class _Search:
    """What was found so far; the values themselves stay in here."""

    def __init__(self, needles: Needles, kinds: frozenset[Kind]) -> None:
        self._needles = needles
        self._kinds = kinds
        self._found: dict[tuple[str, str], set[object]] = defaultdict(set)
        self.unread: list[str] = []

    def hits(self) -> Iterator[Hit]:
        """Yield the hits by file and kind; a file name that is a hit itself is withheld."""
        for (name, kind), values in sorted(self._found.items()):
            yield Hit(file=name, kind=kind, values=len(values))

    def file(self, path: Path, name: str) -> None:
        """Search one file, its name included."""
        shown = name
        if self._canaries_in(name.encode()):
            shown = f"{path.parent.name}/(a name that holds a canary)"
            self._found[shown, CANARY] |= self._canaries_in(name.encode())
        with path.open("rb") as file:
            head = file.read(_HEAD_BYTES)
            file.seek(0)
            is_read_by_parts = head.startswith(png_parts.MAGIC) and _is_picture(path)
            chunks = iter(lambda: file.read(_CHUNK_BYTES), b"")
            self._chunks(chunks, shown, frozenset() if is_read_by_parts else self._kinds)
        self._open_container(path, shown, head=head, depth=0)

    def _open_container(self, source: Path | bytes, name: str, *, head: bytes, depth: int) -> None:
        opener = next((o for magic, o in _OPENERS if head.startswith(magic)), None)
        if opener is None:
            return
        if depth == _DEEPEST:
            self.unread.append(name)
            return
        try:
            for inner, data in opener(source):
                within = f"{name}!{inner}"
                if self._canaries_in(inner.encode()):
                    within = f"{name}!(a name that holds a canary)"
                    self._found[within, CANARY] |= self._canaries_in(inner.encode())
                is_read_by_parts = depth + 1 < _DEEPEST and png_parts.is_whole(data)
                self._chunks([data], within, frozenset() if is_read_by_parts else self._kinds)
                self._open_container(data, within, head=data[:_HEAD_BYTES], depth=depth + 1)
        except (*_CONTAINER_ERRORS, pa.ArrowException):
            self.unread.append(name)

    def _chunks(self, chunks: Iterable[bytes], name: str, kinds: frozenset[Kind]) -> None:
        tail = b""
        for chunk in chunks:
            text = tail + chunk
            found = self._canaries_in(text)
            if found:
                self._found[name, CANARY] |= found
            if kinds:
                for kind, value in _personal_data(text.decode("latin-1")):
                    if kind in kinds and value not in PUBLISHED:
                        self._found[name, kind.value].add(value)
            tail = text[-_OVERLAP_BYTES:]

    def _canaries_in(self, data: bytes) -> set[object]:
        return set(self._needles.found_in(data))


def _personal_data(text: str) -> Iterator[tuple[Kind, str]]:
    """Yield personal data around each run of digits or at-sign; the rest is never looked at."""
    for candidate in _CANDIDATE.finditer(text):
        start, end = candidate.span()
        reach = _EMAIL_REACH if candidate[0] == "@" else 1
        around = text[max(start - reach, 0) : end + (_EMAIL_REACH if reach > 1 else 8)]
        is_sum = _SUM_OF_MONEY.search(text, max(start - _SUM_REACH, 0), start) is not None
        for kind, value in detectors.kinds_in(around, detectors.IN_DOCUMENT):
            if is_sum and kind is Kind.MOBILE:
                continue
            if (kind is Kind.EMAIL) == (candidate[0] == "@"):
                yield kind, value


def _files(path: Path) -> Iterator[Path]:
    if path.is_file():
        yield path
    for folder, _, names in os.walk(path):
        for name in names:
            file = Path(folder, name)
            if file.is_file() and not file.is_symlink():
                yield file


def _zip_members(source: Path | bytes) -> Iterator[tuple[str, bytes]]:
    with zipfile.ZipFile(_seekable(source)) as archive:
        for member in archive.infolist():
            if member.file_size > _LARGEST_MEMBER_BYTES:
                raise zipfile.BadZipFile
            yield member.filename, archive.read(member)


def _picture_parts(source: Path | bytes) -> Iterator[tuple[str, bytes]]:
    data = source if isinstance(source, bytes) else source.read_bytes()
    return png_parts.parts(data)


def _is_picture(path: Path) -> bool:
    is_small = path.stat().st_size <= _LARGEST_MEMBER_BYTES
    return is_small and png_parts.is_whole(path.read_bytes())


def _gzip_member(source: Path | bytes) -> Iterator[tuple[str, bytes]]:
    with gzip.open(_seekable(source)) as file:
        data = file.read(_LARGEST_MEMBER_BYTES + 1)
    if len(data) > _LARGEST_MEMBER_BYTES:
        raise gzip.BadGzipFile
    yield "content", data


def _parquet_columns(source: Path | bytes) -> Iterator[tuple[str, bytes]]:
    with pq.ParquetFile(_seekable(source), pre_buffer=False) as file:
        for batch in file.iter_batches():
            for name, values in zip(batch.schema.names, batch.columns, strict=True):
                yield f"column {name}", _as_lines(values)


def _sqlite_tables(source: Path | bytes) -> Iterator[tuple[str, bytes]]:
    """Read every cell; a database within a container is scanned as bytes only."""
    if isinstance(source, bytes):
        raise sqlite3.NotSupportedError
    # Without a write-ahead log nobody is writing, and reading must not leave files beside it.
    is_quiet = not source.with_name(f"{source.name}-wal").exists()
    uri = f"{source.absolute().as_uri()}?mode=ro{'&immutable=1' if is_quiet else ''}"
    with closing(sqlite3.connect(uri, uri=True)) as connection:
        connection.text_factory = bytes
        query = "SELECT name FROM sqlite_master WHERE type = 'table'"
        for (name,) in connection.execute(query).fetchall():
            quoted = name.decode().replace('"', '""')
            rows = connection.execute(f'SELECT * FROM "{quoted}"')  # noqa: S608  (its own table names)
            while cells := rows.fetchmany(10_000):
                yield f"table {name.decode()}", b"\n".join(_cell(c) for row in cells for c in row)


def _cell(value: object) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode()


def _as_lines(values: pa.Array) -> bytes:
    """Write a column as text, one value a line; whole floats as the integers that they are."""
    if pa.types.is_floating(values.type):
        whole = pc.and_(pc.equal(values, pc.floor(values)), pc.less(pc.abs(values), 2.0**63))
        values = pc.if_else(whole, values, None).drop_null().cast(pa.int64())
    if pa.types.is_integer(values.type):
        values = values.cast(pa.string())
    return b"\n".join(_cell(value) for value in values.to_pylist() if value is not None)


def _seekable(source: Path | bytes) -> io.BufferedIOBase | str:
    return io.BytesIO(source) if isinstance(source, bytes) else str(source)


_OPENERS = (
    (b"PK\x03\x04", _zip_members),
    (b"\x1f\x8b", _gzip_member),
    (b"PAR1", _parquet_columns),
    (png_parts.MAGIC, _picture_parts),
    (b"SQLite format 3\x00", _sqlite_tables),
)
_CONTAINER_ERRORS = (
    zipfile.BadZipFile,
    gzip.BadGzipFile,
    zlib.error,
    EOFError,
    sqlite3.Error,
    OSError,
    RuntimeError,
    NotImplementedError,
)
