"""Containers of files: zip (so office files), gzip, bzip2, xz, zlib, zstd, lz4, tar, PDF, PNG.

An opener yields what a container holds, member by member. What is damaged, encrypted or too large
is yielded as None, or raises one of `ERRORS`. Nothing is executed.
"""

from __future__ import annotations

import binascii
import bz2
import gzip
import io
import lzma
import re
import sqlite3
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, TypeAlias

import pyarrow as pa

LARGEST_BYTES = 512 << 20
"""No more is unpacked from one member of a container."""

_HEAD_BYTES = 512

ERRORS = (
    EOFError,
    LookupError,
    NotImplementedError,
    OSError,
    RuntimeError,
    ValueError,
    pa.ArrowException,
    binascii.Error,
    lzma.LZMAError,
    sqlite3.Error,
    struct.error,
    tarfile.TarError,
    zipfile.BadZipFile,
    zlib.error,
)
"""What damaged, foreign or hostile bytes raise while they are opened."""


@dataclass(frozen=True, slots=True)
class Noise:
    """Bytes that are no text by design, such as the colors of a picture."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Sealed:
    """Bytes that their owner encrypted, as far as their place says."""

    data: bytes

    @property
    def is_random(self) -> bool:
        """Tell whether the bytes look encrypted: nothing of them can be packed."""
        sample = self.data[: 4 << 20]
        return len(zlib.compress(sample, 1)) > 0.97 * len(sample)


@dataclass(frozen=True, slots=True)
class Cells:
    """Values of one column, each of which may be a file of its own."""

    values: tuple[bytes, ...]


Source: TypeAlias = Path | bytes
Held: TypeAlias = bytes | str | pa.Array | Noise | Sealed | Cells | None
"""Bytes to be looked at like a file, text, numbers; None is what cannot be read."""

Members = Iterator[tuple[str, Held]]


class TooLargeError(ValueError):
    """A member is larger than anything that is unpacked here."""


def seekable(source: Source) -> Any:
    """Return what libraries can open and seek in."""
    return io.BytesIO(source) if isinstance(source, bytes) else str(source)


def _file(source: Source) -> BinaryIO:
    return io.BytesIO(source) if isinstance(source, bytes) else source.open("rb")


def whole(source: Source) -> bytes:
    """Return all bytes of a source."""
    if isinstance(source, bytes):
        return source
    if source.stat().st_size > LARGEST_BYTES:
        raise TooLargeError
    return source.read_bytes()


def _read(stream: Any) -> Members:
    """Yield what a stream unpacks to; what came before a damage is yielded as well."""
    data, fault = bytearray(), None
    try:
        while piece := stream.read(1 << 20):
            data += piece
            if len(data) > LARGEST_BYTES:
                raise TooLargeError
    except ERRORS as error:
        fault = error
    yield "content", bytes(data[:LARGEST_BYTES])
    if fault:
        raise fault


def open_gzip(source: Source) -> Members:
    """Unpack gzip, all members of it; its head may hold the name of the file, and a remark."""
    with _file(source) as file:
        yield "", Noise(file.read(_HEAD_BYTES))
        file.seek(0)
        with gzip.open(file) as stream:
            yield from _read(stream)


def open_bzip2(source: Source) -> Members:
    """Unpack bzip2, all streams of it."""
    yield from _all_streams(source, bz2.BZ2Decompressor)


def open_xz(source: Source) -> Members:
    """Unpack xz, all streams of it."""
    yield from _all_streams(source, lzma.LZMADecompressor)


class _Streams:
    """Packed streams one behind the other, to the end of the file: nothing else may follow."""

    def __init__(self, file: BinaryIO, make: Callable[[], Any]) -> None:
        self._file, self._make, self._stream = file, make, make()

    def read(self, size: int) -> bytes:
        """Return some unpacked bytes; none at the end of the file."""
        piece = b""
        while not piece:
            packed = b""
            if self._stream.eof:
                # Zeros may fill up a block.
                packed = self._stream.unused_data.lstrip(b"\0")
                while not packed:
                    packed = self._file.read(size)
                    if not packed:
                        return b""
                    packed = packed.lstrip(b"\0")
                self._stream = self._make()
            elif self._stream.needs_input:
                packed = self._file.read(size)
                if not packed:
                    raise EOFError
            piece = self._stream.decompress(packed, size)
        return bytes(piece)


def _all_streams(source: Source, make: Callable[[], Any]) -> Members:
    with _file(source) as file:
        yield from _read(_Streams(file, make))


def arrow_opener(name: str) -> Callable[[Source], Members]:
    """Return the opener of a codec that Arrow knows."""

    def opener(source: Source) -> Members:
        raw = pa.BufferReader(source) if isinstance(source, bytes) else pa.OSFile(str(source))
        with raw, pa.CompressedInputStream(raw, name) as stream:
            yield from _read(stream)

    return opener


def inflated(packed: bytes) -> tuple[bytes, bytes]:
    """Return the content of one packed stream, and the bytes that follow it."""
    stream = zlib.decompressobj()
    content = stream.decompress(packed, LARGEST_BYTES)
    if not stream.eof:
        raise zlib.error("a packed part is cut off, or too large to be looked at")
    return content, stream.unused_data


_STREAM = re.compile(rb"stream\r?\n")


def open_pdf(source: Source) -> Members:
    """Yield the streams that are simply packed; their letters may be numbers of glyphs."""
    data = whole(source)
    for found in _STREAM.finditer(data):
        try:
            content, _ = inflated(data[found.end() :])
        except zlib.error:
            continue
        yield "stream", Noise(content)
    yield "", None


def open_zip(source: Source) -> Members:
    """Yield the members of a zip; an unreadable one does not hide the others."""
    with zipfile.ZipFile(seekable(source)) as archive:
        for member in archive.infolist():
            try:
                if member.file_size > LARGEST_BYTES:
                    raise TooLargeError
                yield member.filename, archive.read(member)
            except ERRORS:
                yield member.filename, None


def open_tar(source: Source) -> Members:
    """Yield the files of a tar, and what its links point to."""
    with _file(source) as stream, tarfile.open(fileobj=stream, mode="r:") as archive:
        for member in archive:
            file = archive.extractfile(member) if member.isfile() else None
            if file is None:
                yield member.name, member.linkname
            elif member.size > LARGEST_BYTES:
                yield member.name, None
            else:
                yield member.name, file.read()


def unmarked(data: bytes) -> bytes | None:
    """Return the content of what is packed without saying so at its start; None if nothing is."""
    try:
        content, behind = inflated(data)
    except zlib.error:
        return None
    return content + behind


PNG_MAGIC = b"\x89PNG\r\n\x1a\n"
_FRAME_BYTES = 12
_NOISE = {
    *("IHDR", "PLTE", "IEND", "tRNS", "cHRM", "gAMA", "iCCP", "sBIT", "sRGB", "cICP", "mDCV"),
    *("cLLI", "bKGD", "hIST", "pHYs", "sPLT", "tIME", "acTL", "fcTL", "fdAT"),
}


def open_picture(source: Source) -> Members:
    """Yield every chunk of a PNG but the pixels', packed texts unpacked; then these, unpacked.

    The packed pixels are noise, in which by chance anything with a short shape stands. Unpacked
    they are rows of colors. What follows the picture in the file comes last.

    References
    ----------
    PNG (Portable Network Graphics) Specification, third edition, W3C 2025, sections 5 and 11.
    """
    data = whole(source)
    place, kind, pixels = len(PNG_MAGIC), "", []
    while kind != "IEND":
        kind, content = _chunk(data, place)
        place += _FRAME_BYTES + len(content)
        if kind == "IDAT":
            pixels.append(content)
            continue
        packed = _packed(kind, content)
        is_noise = kind in _NOISE or packed is not None
        yield kind, Noise(content) if is_noise else content.replace(b"\0", b"\n")
        if packed is not None:
            image, behind = inflated(packed)
            yield f"{kind} unpacked", Noise(image) if kind in _NOISE else image
            yield f"behind the {kind}", behind
    image, behind = inflated(b"".join(pixels))
    yield "pixels", Noise(image)
    yield "behind the pixels", behind
    yield "behind the picture", data[place:]


def _chunk(data: bytes, place: int) -> tuple[str, bytes]:
    framed = data[place : place + 8]
    if len(framed) < 8:
        raise zlib.error("the picture is cut off")
    length, kind = struct.unpack(">I4s", framed)
    content = data[place + 8 : place + 8 + length]
    told = data[place + 8 + length : place + _FRAME_BYTES + length]
    if zlib.crc32(kind + content).to_bytes(4, "big") != told:
        raise zlib.error("a chunk is altered")
    return kind.decode("latin-1"), content


def _packed(kind: str, content: bytes) -> bytes | None:
    """Return what a chunk packs, or None if it packs nothing."""
    _, _, rest = content.partition(b"\0")
    if kind in ("zTXt", "iCCP"):
        return rest[1:]
    if kind == "iTXt" and rest[:1] == b"\1":
        return rest[2:].split(b"\0", 2)[-1]
    return None
