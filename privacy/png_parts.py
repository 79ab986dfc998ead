"""The parts of a PNG picture: what it says beside its pixels, and the pixels unpacked.

The packed pixels are noise, in which by chance anything with a short shape stands: a few letters,
an at-sign, a few letters more. Unpacked they are rows of colors.

References
----------
PNG (Portable Network Graphics) Specification, third edition, W3C 2025, sections 5 and 11.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator

MAGIC = b"\x89PNG\r\n\x1a\n"

_LARGEST_BYTES = 512 << 20
_FRAME_BYTES = 12


def parts(data: bytes) -> Iterator[tuple[str, bytes]]:
    """Yield name and content of every chunk but the pixels', packed texts unpacked; then these.

    What follows the picture in the file comes last.

    Raises
    ------
    zlib.error
        If `data` is not one whole picture whose check sums hold.
    """
    place, kind, pixels = len(MAGIC), "", []
    while kind != "IEND":
        kind, content = _chunk(data, place)
        place += _FRAME_BYTES + len(content)
        if kind == "IDAT":
            pixels.append(content)
            continue
        yield kind, content
        packed = _packed(kind, content)
        if packed is not None:
            yield f"{kind} unpacked", b"\n".join(_unpacked(packed))
    image, behind = _unpacked(b"".join(pixels))
    yield "pixels", image
    yield "behind the pixels", behind
    yield "behind the picture", data[place:]


def is_whole(data: bytes) -> bool:
    """Tell whether `data` is one whole picture, every byte of which `parts` yields."""
    if not data.startswith(MAGIC):
        return False
    try:
        for _ in parts(data):
            pass
    except zlib.error:
        return False
    return True


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


def _unpacked(packed: bytes) -> tuple[bytes, bytes]:
    """Return the content of one packed stream, and the bytes that follow it."""
    stream = zlib.decompressobj()
    content = stream.decompress(packed, _LARGEST_BYTES)
    if not stream.eof:
        raise zlib.error("a packed part is cut off, or too large to be looked at")
    return content, stream.unused_data
