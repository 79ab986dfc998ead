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

from privacy.containers import Members, Noise, Source, inflated, whole

MAGIC = b"\x89PNG\r\n\x1a\n"
_FRAME_BYTES = 12
_NOISE = frozenset(
    [
        "IHDR",
        "PLTE",
        "IEND",
        "tRNS",
        "cHRM",
        "gAMA",
        "iCCP",
        "sBIT",
        "sRGB",
        "cICP",
        "mDCV",
        "cLLI",
        "bKGD",
        "hIST",
        "pHYs",
        "sPLT",
        "tIME",
        "acTL",
        "fcTL",
        "fdAT",
    ]
)


def open_picture(source: Source) -> Members:
    """Yield every chunk but the pixels', packed texts unpacked; then these, unpacked.

    The packed pixels are noise, in which by chance anything with a short shape stands. Unpacked
    they are rows of colors. What follows the picture in the file comes last.
    """
    data = whole(source)
    place, kind, pixels = len(MAGIC), "", []
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
