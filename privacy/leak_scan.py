"""The leak scan of what leaves: databases, reports, models, logs, whatever lies below a path.

Two questions are asked of every file: does it hold one of the given canaries (planted values that
must never get out), and does it hold what looks like personal data? Text is decoded and containers
are opened (`privacy.file_formats`). What cannot be read is named, and so is what is sealed. A hit
names the file and the kind, never the value.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from governance.errors import UsageError
from privacy import containers, document_detectors, file_formats, personal_data
from privacy.canary_search import Canaries
from privacy.containers import Cells, Held, Noise, Sealed, Source
from privacy.personal_data import DataKind, Finding

CANARY = "canary"
KINDS = (DataKind.MOBILE, DataKind.RESIDENT_ID, DataKind.BANK_CARD, DataKind.EMAIL)

PUBLISHED = frozenset({"jake@alogicalparadox.com", "git@github.com"})
"""Addresses of nobody's customer: in code that Evidently's page carries, and of a service."""

_CHUNK_BYTES = 64 << 20
_OVERLAP_BYTES = 4 << 10
_DEEPEST = 6
_MOST_UNPACKED_BYTES = 2 << 30


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
        Files and members that could not be read, or not to the end; their bytes were searched as
        they are.
    sealed : tuple of str
        Encrypted tables and vaults. Nothing in them can be searched.
    links : tuple of str
        Symbolic links that lead out of the scanned folder. They were not followed.
    """

    files: int
    bytes: int
    hits: tuple[Hit, ...]
    unread: tuple[str, ...]
    sealed: tuple[str, ...]
    links: tuple[str, ...]


def scan(
    path: Path, *, canaries: Sequence[str] = (), kinds: Sequence[DataKind] = KINDS
) -> ScanReport:
    """Search every file at or below `path`, and its name, for canaries and for personal data.

    Symbolic links are not followed, other than `path` itself.

    Raises
    ------
    UsageError
        If there is nothing at `path`, or a canary is shorter than two characters.
    """
    if not path.exists():
        raise UsageError(f"There is nothing to scan at {path}.")
    search = _Search(Canaries(canaries), frozenset(kinds))
    place, size, files, links = path.resolve(), 0, 0, []
    for file in _files(place, search):
        name = search.shown(file.name if file == place else file.relative_to(place).as_posix())
        if file.is_symlink():
            if not file.resolve().is_relative_to(place):
                links.append(name)
        elif file.is_file():
            files += 1
            size += search.file(file, name)
        else:
            search.unread.add(name)
    return ScanReport(
        files=files,
        bytes=size,
        hits=tuple(search.hits()),
        unread=tuple(sorted(search.unread)),
        sealed=tuple(sorted(search.sealed)),
        links=tuple(sorted(links)),
    )


def _files(place: Path, search: _Search) -> Iterator[Path]:
    """Yield everything at or below a place that is no folder, and the links to folders."""
    if not place.is_dir():
        yield place
        return

    def unlisted(error: OSError) -> None:
        folder = Path(error.filename).relative_to(place).as_posix()
        search.unread.add(search.shown(folder))

    for folder, names, others in os.walk(place, onerror=unlisted):
        names.sort()
        linked = [name for name in names if Path(folder, name).is_symlink()]
        for name in sorted([*others, *linked]):
            yield Path(folder, name)


class _Search:
    """What was found so far; the values themselves stay in here."""

    def __init__(self, canaries: Canaries, kinds: frozenset[DataKind]) -> None:
        self._canaries = canaries
        self._kinds = kinds
        self._found: dict[tuple[str, str], set[object]] = defaultdict(set)
        self._unpacked = 0
        self.unread: set[str] = set()
        self.sealed: set[str] = set()

    def hits(self) -> Iterator[Hit]:
        """Yield the hits by file and kind."""
        for (name, kind), values in sorted(self._found.items()):
            yield Hit(file=name, kind=kind, values=len(values))

    def shown(self, name: str, *, within: str = "") -> str:
        """Return a name as it may be printed: what is personal in it is a hit, and withheld."""
        parts: list[str] = []
        for part in os.fsencode(name).decode("utf-8", "replace").split("/"):
            canaries: set[object] = set(self._canaries.found_in(part.encode()))
            personal = self._wanted(document_detectors.in_document(part))
            withheld = f"(a name that holds a {CANARY})" if canaries else "(a personal name)"
            parts.append(withheld if canaries or personal else part)
            for kind, values in ((CANARY, canaries), *personal.items()):
                if values:
                    self._found[within + "/".join(parts), kind] |= values
        return within + "/".join(parts)

    def file(self, path: Path, name: str) -> int:
        """Search one file and return its size."""
        self._unpacked = 0
        try:
            with path.open("rb") as file:
                head = file.read(file_formats.HEAD_BYTES)
            size = path.stat().st_size
            if _is_beside_its_database(path):
                self._held(Noise(path.read_bytes()), name, depth=0)
            elif size <= _CHUNK_BYTES and not file_formats.recognize(head):
                self._source(path.read_bytes(), name, depth=0)
            else:
                self._source(path, name, depth=0)
        except OSError:
            self.unread.add(name)
            return 0
        return size

    def _source(self, source: Source, name: str, *, depth: int) -> None:
        head = source[: file_formats.HEAD_BYTES] if isinstance(source, bytes) else _head(source)
        form = file_formats.recognize(head)
        if form is None:
            for chunk in _chunks(source):
                self._note(name, chunk)
                self._plain(chunk, name, depth=depth)
            return
        for chunk in _chunks(source):
            self._note(name, chunk)
            if not form.is_packed:
                self._add(name, document_detectors.in_noise(chunk))
        try:
            if form.opener is None or depth == _DEEPEST:
                raise containers.TooLargeError
            for inner, held in form.opener(source):
                within = self.shown(inner, within=f"{name}!") if inner else name
                self._held(held, within, depth=depth + 1)
        except containers.ERRORS:
            self.unread.add(name)
            for chunk in _chunks(source):
                self._add(name, document_detectors.in_noise(chunk))

    def _held(self, held: Held, name: str, *, depth: int) -> None:
        if held is None:
            self.unread.add(name)
        elif isinstance(held, str):
            self._note(name, held.encode("utf-8", "surrogateescape"))
            self._text(held, name, depth=depth)
        elif isinstance(held, Noise):
            self._spend(len(held.data))
            self._note(name, held.data)
            self._add(name, document_detectors.in_noise(held.data))
        elif isinstance(held, Sealed) and held.is_random:
            self.sealed.add(name)
            self._note(name, held.data)
        elif isinstance(held, Cells):
            lines = []
            for value in held.values:
                if file_formats.recognize(value[: file_formats.HEAD_BYTES]):
                    self._held(value, name, depth=depth)
                else:
                    lines.append(value)
            self._held(b"\n".join(lines), name, depth=depth)
        elif isinstance(held, bytes | Sealed):
            data = held if isinstance(held, bytes) else held.data
            self._spend(len(data))
            self._source(data, name, depth=depth)
        else:
            if not self._canaries.is_empty:
                self._note(name, _as_lines(held))
            self._add(name, personal_data.in_numbers(held))

    def _plain(self, data: bytes, name: str, *, depth: int) -> None:
        """Search bytes that no container is recognized in."""
        text = file_formats.as_text(data)
        if text is not None:
            plain = text.encode("utf-8", "replace")
            if plain != data:
                self._note(name, plain)
            if plain != data or b"\0" in data:
                self._mixed(data, name)
            self._text(text, name, depth=depth)
            return
        content = containers.unmarked(data)
        if content is None:
            self.unread.add(name)
            self._add(name, document_detectors.in_noise(data))
        else:
            self._held(content, f"{name}!content", depth=depth + 1)

    def _mixed(self, data: bytes, name: str) -> None:
        """Search text whose parts may have different encodings, of which one was believed."""
        for form in (data, data.replace(b"\0", b"")):
            self._add(name, document_detectors.in_noise(form))

    def _text(self, text: str, name: str, *, depth: int) -> None:
        self._add(name, document_detectors.in_document(text))
        for values in file_formats.arrays_in(text):
            self._add(name, personal_data.in_numbers(values))
        for data in file_formats.packed_in(text) if depth < _DEEPEST else ():
            if file_formats.recognize(data):
                self._source(data, f"{name}!packed", depth=depth + 1)
                continue
            inner = file_formats.as_text(containers.unmarked(data) or data)
            if inner is None:
                self._add(name, document_detectors.in_noise(data))
            else:
                self._note(name, inner.encode("utf-8", "replace"))
                self._text(inner, name, depth=depth + 1)

    def _note(self, name: str, data: bytes) -> None:
        found = set(self._canaries.found_in(data))
        if found:
            self._found[name, CANARY] |= found

    def _add(self, name: str, findings: Iterator[Finding]) -> None:
        for kind, values in self._wanted(findings).items():
            self._found[name, kind] |= values

    def _wanted(self, findings: Iterator[Finding]) -> dict[str, set[object]]:
        found: dict[str, set[object]] = defaultdict(set)
        for kind, value in findings if self._kinds else ():
            if kind in self._kinds and value not in PUBLISHED:
                found[kind.value].add(value)
        return found

    def _spend(self, size: int) -> None:
        """Stop unpacking one file when it has become larger than any honest one."""
        self._unpacked += size
        if self._unpacked > _MOST_UNPACKED_BYTES:
            raise containers.TooLargeError


def _is_beside_its_database(path: Path) -> bool:
    """Tell whether a file is SQLite's own log or index, which is read with its database."""
    name, is_own = path.name[:-4], path.name.endswith(("-wal", "-shm"))
    return is_own and path.with_name(name).is_file()


def _head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(file_formats.HEAD_BYTES)


def _chunks(source: Source) -> Iterator[bytes]:
    """Yield the bytes in pieces that overlap, so that nothing is cut at a border."""
    if isinstance(source, bytes):
        yield source
        return
    tail = b""
    with source.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            yield tail + chunk
            tail = chunk[-_OVERLAP_BYTES:]


def _as_lines(values: pa.Array) -> bytes:
    """Write numbers as text, one a line; whole floats as the integers that they are."""
    if pa.types.is_floating(values.type):
        values = values.cast(pa.float64())
        whole = pc.and_(pc.equal(values, pc.floor(values)), pc.less(pc.abs(values), 2.0**63))
        values = pc.if_else(whole, values, None).drop_null().cast(pa.int64())
    return "\n".join(values.cast(pa.string()).drop_null().to_pylist()).encode()
