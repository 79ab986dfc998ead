"""A picture is searched by its parts: packed pixels are noise, everything else may speak."""

from __future__ import annotations

import gzip
import io
import random
import string
import zipfile
import zlib
from pathlib import Path

import pytest

from privacy.leak_scan import CANARY, scan
from privacy.personal_data import DataKind

MAGIC = b"\x89PNG\r\n\x1a\n"
ADDRESS = b" somebody@example.com "


def chunk(kind: bytes, content: bytes) -> bytes:
    check = zlib.crc32(kind + content).to_bytes(4, "big")
    return len(content).to_bytes(4, "big") + kind + content + check


def picture(*said: bytes, packed: bytes = zlib.compress(bytes(33))) -> bytes:
    """Return a picture of 4 by 2 opaque points with further chunks before its pixels."""
    head = (4).to_bytes(4, "big") + (2).to_bytes(4, "big") + bytes((8, 6, 0, 0, 0))
    chunks = [chunk(b"IHDR", head), *said, chunk(b"IDAT", packed), chunk(b"IEND", b"")]
    return MAGIC + b"".join(chunks)


def packed_noise() -> tuple[bytes, bytes]:
    """Return an address, and a stream of other content whose packed bytes spell it by chance."""
    draws = random.Random(0)
    letters = string.ascii_lowercase
    for _ in range(100_000):
        name, host, country = ("".join(draws.choices(letters, k=k)) for k in (4, 3, 2))
        address = f"{name}@{host}.{country}".encode()
        first = 3 + 8 * draws.randrange(16)
        # A last block of fixed codes begins with the bits 1, 1, 0; seven zeros end it.
        raw = bytes((first,)) + address + bytes(3)
        stream = zlib.decompressobj(-15)
        try:
            content = stream.decompress(raw)
        except zlib.error:
            continue
        if stream.eof and len(stream.unused_data) <= 2 and b"@" not in content:
            body = raw[: len(raw) - len(stream.unused_data)]
            return address, b"\x78\x01" + body + zlib.adler32(content).to_bytes(4, "big")
    raise AssertionError("no such stream was found")


def kinds(path: Path, *canaries: str) -> set[tuple[str, str]]:
    return {(hit.file, hit.kind) for hit in scan(path, canaries=canaries).hits}


def test_what_packed_pixels_spell_by_chance_is_nobody_s_address(tmp_path: Path) -> None:
    address, packed = packed_noise()
    plot = picture(packed=packed)
    assert address in plot
    (tmp_path / "plot.png").write_bytes(plot)
    with zipfile.ZipFile(tmp_path / "report.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("plot.png", plot)
    assert kinds(tmp_path) == set()
    # The same bytes are found where nothing says that they are packed.
    (tmp_path / "plot.bin").write_bytes(b"." + plot)
    assert kinds(tmp_path) == {("plot.bin", DataKind.EMAIL.value)}


SPEAKING = {
    "a text": picture(chunk(b"tEXt", b"Author\0" + ADDRESS)),
    "a packed text": picture(chunk(b"zTXt", b"Author\0\0" + zlib.compress(ADDRESS))),
    "a packed text in any language": picture(
        chunk(b"iTXt", b"Author\0\1\0zh\0\0" + zlib.compress(ADDRESS))
    ),
    "a chunk that nobody knows": picture(chunk(b"prVt", ADDRESS)),
    "what was packed as pixels": picture(packed=zlib.compress(ADDRESS)),
    "what follows the pixels": picture(packed=zlib.compress(bytes(33)) + ADDRESS),
    "what follows the picture": picture() + ADDRESS,
    "a picture that is cut off": picture(chunk(b"tEXt", b"Author\0" + ADDRESS))[:-6],
    "a picture whose check sum is wrong": picture(chunk(b"tEXt", b"A\0" + ADDRESS))[:-1] + b"x",
    "a head without a picture": MAGIC + ADDRESS,
}


@pytest.mark.parametrize("name", SPEAKING)
def test_an_address_is_found_wherever_a_picture_can_hold_one(tmp_path: Path, name: str) -> None:
    (tmp_path / "plot.png").write_bytes(SPEAKING[name])
    assert {kind for _, kind in kinds(tmp_path)} == {DataKind.EMAIL.value}
    nested = io.BytesIO()
    with zipfile.ZipFile(nested, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("plot.png", SPEAKING[name])
    data = nested.getvalue()
    for _ in range(3):
        data = gzip.compress(data)
    (tmp_path / "plot.png").unlink()
    (tmp_path / "deep.gz").write_bytes(data)
    assert {kind for _, kind in kinds(tmp_path)} >= ({DataKind.EMAIL.value} - _packed_deep(name))


def _packed_deep(name: str) -> set[str]:
    """What is packed below the deepest container that is opened is named as unread instead."""
    return {DataKind.EMAIL.value} if "packed" in name else set()


def test_a_canary_is_found_in_the_pixels_too(tmp_path: Path) -> None:
    (tmp_path / "plot.png").write_bytes(picture(packed=zlib.compress("测试王小明".encode())))
    assert {kind for _, kind in kinds(tmp_path, "测试王小明")} == {CANARY}
