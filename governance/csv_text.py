"""The text of a CSV: its encoding (declared, marked, or told from the whole of it), its records."""

from __future__ import annotations

import codecs
import io
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from governance.errors import ContractError, UsageError

_BLOCK = 1 << 20
_PATIENCE = 2.0
_MOST_MIXED = 0.01
_MARKS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
# GB 18030 holds GBK, which holds GB 2312; each is often called by another's name.
_CHINESE = {"gbk": "gb18030", "gb2312": "gb18030"}
_WIDE = re.compile("[\u0800-\U0010ffff]")
_FOREIGN = re.compile(r"[^\x00-\x7f]+")


def named(declared: str) -> str:
    """Return the codec of a declared encoding.

    Raises
    ------
    UsageError
        If nobody knows an encoding of that name.
    """
    try:
        name = codecs.lookup(declared).name
        "".encode(name)
    except LookupError:
        raise UsageError(
            f"There is no text encoding {declared}. Common ones: utf-8, utf-16, gb18030, big5."
        ) from None
    return {**_CHINESE, "utf-8": "utf-8-sig"}.get(name, name)


def detect(path: Path) -> str:
    """Tell the encoding of a text file, or refuse to guess.

    A byte order mark is believed; zeros and line ends of two bytes are UTF-16; a file that is
    UTF-8 throughout is UTF-8; else it is GB 18030 if it is that throughout and most of its
    characters are common Chinese ones. A file that reads well as both cannot be told, nor can one
    whose parts were written in both.

    Raises
    ------
    ContractError
        If it is none of these, or could be two.
    OSError
        If it cannot be read.
    """
    with path.open("rb") as file:
        start = file.read(1 << 12)
    # The mark of UTF-32 begins with that of UTF-16, so the longest is asked first.
    for mark in sorted(_MARKS, key=len, reverse=True):
        if start.startswith(mark):
            return _MARKS[mark]
    # Every ASCII character of UTF-16 has a zero byte; Chinese has few of those, and is no UTF-8.
    is_utf8 = start.decode("utf-8", "ignore").encode() == start
    if start.count(0) >= (0.4 if is_utf8 else 0.1) * len(start):
        for name in ("utf-16-le", "utf-16-be"):
            if {"\n", "\r"} & set(start.decode(name, "ignore")):
                return name
    is_utf8, is_certain = _utf8(path)
    if is_certain:
        return "utf-8"
    common, certain = _chinese(path)
    if is_utf8 and not certain:
        return "utf-8"
    if not is_utf8 and common:
        return "gb18030"
    raise ContractError(
        f"The encoding of {path.name} cannot be told: "
        + ("it reads as UTF-8 and as GB 18030" if is_utf8 else "it is neither UTF-8 nor GB 18030")
        + ". Say it with --encoding, or export the file in UTF-8."
    )


class Records(io.RawIOBase):
    """What follows the header of a CSV, as UTF-8 for Arrow, and one empty record behind it.

    No piece ends between CR and LF: Arrow drops the LF there, in a quoted value too
    (apache/arrow#51368).
    """

    def __init__(self, text: TextIO, width: int, called: str) -> None:
        super().__init__()
        self._text = text
        self._called = called
        self._end = '""' + "," * (width - 1) + "\n"
        self._last = "\n"
        self._is_over = threading.Event()

    def readable(self) -> bool:
        """Say that it can be read."""
        return True

    def read(self, size: int = -1) -> bytes:
        """Return about `size` characters, or nothing at the end.

        Raises
        ------
        ContractError
            If there are zero bytes.
        """
        if not self._end:
            self._is_over.set()
            return b""
        try:
            piece = self._text.read(size)
            while piece.endswith("\r") and (more := self._text.read(1)):
                piece += more
            refuse_zeros(piece, self._called)
        except BaseException:
            self._is_over.set()
            raise
        if not piece:
            # In a file of one column an empty line is a value: none is made between.
            piece = self._end if self._last in "\r\n" else "\n" + self._end
            self._end = ""
        self._last = piece[-1]
        return piece.encode()

    def stop(self) -> None:
        """End here, and wait until the thread that reads ahead has seen it.

        Arrow reads in a thread of its own, which would abort a process that ends under it. It
        sleeps without an end where it is many blocks ahead; it is not waited for long.
        """
        self._end = ""
        self._is_over.wait(_PATIENCE)


@contextmanager
def records(text: TextIO, width: int, called: str) -> Iterator[Records]:
    """Make `Records`, and stop them however they are left."""
    made = Records(text, width, called)
    try:
        yield made
    finally:
        made.stop()


def refuse_zeros(text: str, called: str) -> None:
    """Refuse a character that no text holds.

    Raises
    ------
    ContractError
        If it is there.
    """
    if "\0" in text:
        raise ContractError(
            f"{called} holds zero bytes, which no text has: it is damaged, or in UTF-16 or UTF-32. "
            "Say the encoding with --encoding, or export it again."
        )


def _utf8(path: Path) -> tuple[bool, bool]:
    """Tell whether a file is UTF-8 throughout, and whether it can be nothing else.

    ASCII is the same in both; three bytes and more for a character hardly ever come about by
    chance, two bytes do.
    """
    is_ascii, is_wide = True, False
    try:
        for text in _decoded(path, "utf-8"):
            is_ascii = is_ascii and text.isascii()
            is_wide = is_wide or (not is_ascii and _WIDE.search(text) is not None)
    except UnicodeDecodeError:
        return False, False
    return True, is_ascii or is_wide


def _chinese(path: Path) -> tuple[bool, bool]:
    """Tell whether a file reads as common Chinese in GB 18030, and whether only as words of it.

    Western letters with accents pair up to rare characters; the frequent characters of GB 2312's
    first level are what Chinese text is made of. A single accented letter can look like one
    character, hardly ever like words of two and more and nothing else. Words that are Chinese in
    UTF-8 too hardly ever come about by chance.
    """
    characters = known = frequent = lonely = words = mixed = 0
    try:
        for text in _decoded(path, "gb18030"):
            for word in _FOREIGN.findall(text):
                pairs = word.encode("gb2312", "ignore")
                characters += len(word)
                known += len(pairs) // 2
                frequent += sum(0xB0 <= lead < 0xD8 for lead in pairs[::2])
                lonely += len(word) == 1
                words += 1
                mixed += _is_wide_utf8(word.encode("gb18030"))
    except UnicodeDecodeError:
        return False, False
    if not characters:
        return False, False
    # Rare characters are common in names, so not all need be known.
    is_common = known >= 0.7 * characters and frequent >= 0.5 * characters
    is_common = is_common and mixed <= _MOST_MIXED * words
    return is_common, frequent == characters and not lonely


def _is_wide_utf8(word: bytes) -> bool:
    try:
        return _WIDE.search(word.decode("utf-8")) is not None
    except UnicodeDecodeError:
        return False


def _decoded(path: Path, encoding: str) -> Iterator[str]:
    with path.open(encoding=encoding, newline="") as file:
        while text := file.read(_BLOCK):
            yield text
