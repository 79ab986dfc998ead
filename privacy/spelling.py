"""One plain spelling for what people write in many: digits, separators, invisible characters.

Before anything is recognized in a text it is folded: compatibility forms (full width, superscripts)
become plain, digits of any script become ASCII, what nobody sees is dropped, and the many dashes,
dots, spaces and quotes become one of each. Escapes of JSON, HTML, URLs and e-mail are undone.
"""

from __future__ import annotations

import html
import quopri
import re
import string
import unicodedata
import urllib.parse
from collections.abc import Iterator

# Circled, raised, lowered, bracketed and dotted digits: part of a number, or a mark beside it.
_MARKS = "".join(
    chr(code)
    for first, last in (
        (0xB2, 0xB3), (0xB9, 0xB9), (0x2070, 0x2070), (0x2074, 0x2079), (0x2080, 0x2089),
        (0x2460, 0x2468), (0x2474, 0x247C), (0x2488, 0x2490), (0x24EA, 0x24EA), (0x24F5, 0x24FD),
        (0x24FF, 0x24FF), (0x2776, 0x277E), (0x2780, 0x2788), (0x278A, 0x2792), (0x1F100, 0x1F10A),
    )
    for code in range(first, last + 1)
)  # fmt: skip

_NUMERALS = {
    **dict(zip("〇一二三四五六七八九", "0123456789", strict=True)),
    **dict(zip("零壹贰叁肆伍陆柒捌玖", "0123456789", strict=True)),
    **dict(zip("○幺两兩貳參陸〡〢〣〤〥〦〧〨〩", "0122236123456789", strict=True)),
    **dict(zip("㊀㊁㊂㊃㊄㊅㊆㊇㊈㈠㈡㈢㈣㈤㈥㈦㈧㈨", "123456789" * 2, strict=True)),
}
"""Chinese numerals that are read digit by digit: everyday, financial, of traders, in rings."""

DIGITS = rf"\d{_MARKS}{''.join(_NUMERALS)}"
"""Everything that is read as one digit, as the inside of a character class."""

_ALIKE = {
    alike: plain
    for plain, characters in {
        "-": "\u00b7\u02d7\u2022\u2027\u2043\u207b\u208b\u2212\u2219\u223c\u22c5\u2500\u2501"
        "\u25cf\u301c\u30fb\u30fc\uff5e\uff65\uff70",
        ".": "\u066b\u06d4\u2024\u3002\uff61",
        ",": "\u060c\u066c\u3001",
        ":": "\u2236",
        "'": "\u00b4\u02b9\u02bc\u055a\u2018\u2019\u201a\u201b\u2032\ua78c",
        '"': "\u00ab\u00bb\u201c\u201d\u201e\u2033",
        "/": "\u2044\u2215\u2571\u29f8",
        "\\": "\u2216\u2572\u29f9",
        "(": "\u2768\u27e8\u3008\u300a\u300c\u300e\u3010\u3014\u3016",
        ")": "\u2769\u27e9\u3009\u300b\u300d\u300f\u3011\u3015\u3017",
        "X": "\u00d7\u03a7\u03c7\u0425\u0445\u2715\u2716\u2573",
    }.items()
    for alike in characters
}
_UNSEEN = frozenset("\u115f\u1160\u2800\u3164\uffa0")
_UNSEEN_KINDS = frozenset({"Cf", "Mn", "Me", "Mc"})

_SUSPECT = re.compile(
    rf"[@\uff20\ufe6b]|(?:[{DIGITS}][\W_]{{0,4}}){{10,}}[{DIGITS}XxХхＸｘ]"
    r"|[0-9][.,][0-9]{2,18} ?[eEdDxX*×]"
)
_PLAIN_SUSPECT = re.compile(
    r"@|(?:[0-9][^0-9A-Za-z]{0,4}){10,}[0-9Xx]|[0-9][.,][0-9]{2,18} ?[eEdDxX*]"
)
_LEFT_REACH, _WORD_REACH, _RIGHT_REACH = 90, 24, 270
_ALPHANUMERIC = "." + string.digits + string.ascii_letters
_CUT = re.compile(r"[0-9A-Za-z.]*")

_ESCAPED_CHARACTER = re.compile(
    r"(?<!\\)\\+(?:U000([01][0-9A-Fa-f]{4})|u\{([0-9A-Fa-f]{1,5})\}|[uU]([0-9A-Fa-f]{4})"
    r"|x([0-9A-Fa-f]{2})|([01][0-7]{2}))"
)
_MOST_ROUNDS = 4
_ESCAPED_BYTE = re.compile(r"%[0-9A-Fa-f]{2}")
_INLINE_NAME = "b|i|u|s|em|strong|span|tspan|font|mark|wbr|small|sup|sub|a|r|t|w:r|w:t|a:r|a:t"
_INLINE = re.compile(
    rf"<!--.{{0,400}}?-->|<((?:w:|a:)?rPr)>.{{0,400}}?</\1>|</?(?:{_INLINE_NAME})(?:\s[^<>]{{0,400}})?/?>"
)
_SCIENTIFIC = re.compile(
    r"(?<![0-9.])([0-9]{1,19})[.,]([0-9]{1,18}) ?"
    r"(?:[eEdD]|[xX*] ?10 ?(?:\^|\*\*)?) ?([+\-]?[0-9]{1,2})(?![0-9])"
)
_FEWEST_SCIENTIFIC_DIGITS = 8
_MOST_DIGITS = 20
_IS_MAIL = re.compile(r"quoted-printable|=\?[\w\-]{2,40}\?q\?", re.IGNORECASE)
_A_MARK = re.compile(f"[{_MARKS}]")
_A_NUMERAL = re.compile(f"[{''.join(_NUMERALS)}]")


class _Folding(dict[int, str]):
    """What each character becomes: a table for `str.translate` that fills itself."""

    def __missing__(self, code: int) -> str:
        character = chr(code)
        plain = _digit(character) or unicodedata.normalize("NFKC", character)
        self[code] = "".join(map(_plain, plain))
        return self[code]


def _digit(character: str) -> str:
    value = unicodedata.digit(character, None)
    return "" if value is None else str(value)


def _plain(character: str) -> str:
    category = unicodedata.category(character)
    if category in _UNSEEN_KINDS or character in _UNSEEN:
        return ""
    if category[0] == "Z" or "\x7f" <= character <= "\x9f":
        return " "
    if category == "Pd":
        return "-"
    return _ALIKE.get(character) or _digit(character) or character


def _table(special: dict[str, str]) -> _Folding:
    return _Folding({ord(character): plain for character, plain in {**_ALIKE, **special}.items()})


_FOLDED = _table({})
_WITHOUT_MARKS = _table(dict.fromkeys(_MARKS, " "))
_WITH_NUMERALS = _table(_NUMERALS)


def folded(text: str) -> str:
    r"""Return a text with plain digits, separators and letters, and nothing that is not seen.

    Examples
    --------
    >>> folded("\uff11\uff13\uff18\u200b\uff0d1234\u3000\u0665\u0666\u0667\u0668")
    '138-1234 5678'
    """
    return text if text.isascii() else text.translate(_FOLDED)


def readings(text: str) -> Iterator[str]:
    """Yield the ways in which a text can be read, folded; the first is the usual one.

    A circled digit may be part of a number or count the numbers; a Chinese numeral may be a digit
    or the end of somebody's name.
    """
    yield folded(text)
    if text.isascii():
        return
    if _A_MARK.search(text):
        yield text.translate(_WITHOUT_MARKS)
    if _A_NUMERAL.search(text):
        yield text.translate(_WITH_NUMERALS)


def suspects(text: str) -> str:
    """Return the places of a long text that hold an at-sign or many digits, with what is near."""
    spans: list[list[int]] = []
    for found in (_PLAIN_SUSPECT if text.isascii() else _SUSPECT).finditer(text):
        if spans and found.start() - _LEFT_REACH <= spans[-1][1] + _RIGHT_REACH:
            spans[-1][1] = found.end()
        else:
            spans.append([*found.span()])
    places = []
    for first, last in spans:
        start, end = max(first - _LEFT_REACH, 0), last + _RIGHT_REACH
        # A number or a word that the border would cut is left out.
        cut = _CUT.match(text, start, max(first - _WORD_REACH, start)) if start else None
        start = cut.end() if cut else start
        places.append(text[start:end].rstrip(_ALPHANUMERIC) if end < len(text) else text[start:])
    return "\n".join(places)


def unescaped(text: str) -> str:
    r"""Undo the escapes of JSON, HTML and URLs, and of a mail that says it is quoted-printable.

    Examples
    --------
    >>> unescaped(r"li\\u0040example.com &#43;86 <b>138</b>12345678 %E6%9D%8E")
    'li@example.com +86 13812345678 李'
    """
    for _ in range(_MOST_ROUNDS):
        text, before = _unescaped_once(text), text
        if text == before:
            break
    return text


def _unescaped_once(text: str) -> str:
    if "=" in text and _IS_MAIL.search(text):
        text = quopri.decodestring(text.encode()).decode("utf-8", "replace")
    if "\\" in text:
        text = _ESCAPED_CHARACTER.sub(_character, text)
        # JSON writes what lies beyond the first plane as two halves.
        text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if "<" in text:
        text = _INLINE.sub("", text)
    if "&" in text:
        text = html.unescape(text)
    return urllib.parse.unquote(text) if _ESCAPED_BYTE.search(text) else text


def _character(found: re.Match[str]) -> str:
    hexadecimal = found[1] or found[2] or found[3] or found[4]
    return chr(int(hexadecimal, 16) if hexadecimal else int(found[5], 8))


def written_out(text: str) -> str:
    """Write whole numbers with a power of ten as their digits; a rounded one stays as it is.

    Examples
    --------
    >>> written_out("1.3812345678E+10, 1.38123E10, 1.5e3")
    '13812345678, 1.38123E10, 1.5e3'
    """
    return _SCIENTIFIC.sub(_whole, text)


def _whole(found: re.Match[str]) -> str:
    """Return the whole number that a number with a power of ten is, if it is one."""
    shift = int(found[3]) - len(found[2])
    digits = (found[1] + found[2]).lstrip("0")
    if shift < 0 and not digits[shift:].strip("0"):
        digits, shift = digits[:shift], 0
    if shift < 0 or len(digits.rstrip("0")) < _FEWEST_SCIENTIFIC_DIGITS:
        return found[0]
    return (digits + "0" * shift)[:_MOST_DIGITS]
