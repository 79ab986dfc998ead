"""Detectors for documents: pages, logs, cells of databases, and bytes that are no text.

Documents are full of hashes, clocks, amounts and random ids. A number counts if it stands alone, or
is grouped as people group it between separators that do not go on around it.

References
----------
RFC 5321 and RFC 6531 (e-mail).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from privacy import personal_data, spelling
from privacy.personal_data import DataKind, Finding

_ABROAD = re.compile(r"\A(?:00)?86(?=1[3-9][0-9]\Z)")
_LOCAL_REACH, _DOMAIN_REACH = 70, 260
_GROUP = re.compile(r"([0-9]+[Xx]?|[Xx])([^0-9Xx]*)")

_ALONE = re.compile(r"(?<![0-9])(?<![\W\d_]\.)([0-9]{11,19})(?![0-9])(?:[Xx](?![0-9A-Za-z]))?")
_GROUPED = re.compile(
    r"(?<![0-9A-Fa-f])(?=[0-9]{1,17}[ \-._/])[0-9](?:(?: ?[\-._/] ?| {0,3})[0-9]){10,}"
    r"(?:[ \-._/]?[Xx])?(?![0-9A-Za-z])"
)
_GOES_ON_BEFORE = re.compile(r"(?:[0-9]([ \-._/])\W{0,2}|[A-Za-z]([\-_/]))\Z")
_GOES_ON_AFTER = re.compile(r"([ \-._/])(?:\W{0,2}[0-9]|(?<! )[A-Za-z])")
_IN_BRACKETS = re.compile(r"\(([0-9]{3,4})\) ?([0-9]{3,4})([ \-])(?=[0-9]{4})")
_AMOUNT_AFTER = re.compile(r"\.[0-9]*[1-9]")
_MOBILE_SHAPES = {
    (3, 4, 4): " -._/", (3, 8): " -_", (7, 4): " -_", (4, 3, 4): "-", (4, 4, 3): "-",
    (3, 3, 5): "-", (1,) * 11: " -",
}  # fmt: skip
_CARD_SHAPES = frozenset(
    {(4, 4, 4, 4), (4, 4, 4, 4, 1), (4, 4, 4, 4, 2), (4, 4, 4, 4, 3), (4, 6, 5), (6, 10), (6, 13)}
)
_OLD_ID_SHAPE = (6, 6, 3)
_HEXADECIMAL = frozenset("0123456789abcdefABCDEF")
_WORD_BEFORE = re.compile(r"[A-Za-z]{1,20}\Z")
_WORD_REACH = 21

# A sum of money in a signed measurement may have as many digits as a mobile number and begin alike.
# In that one place the shape alone says nothing; check digits, and canaries, are still looked for.
_SUM_OF_MONEY = re.compile(r'"unit": ?"minor",\s*"value": ?"-?\Z')
_SUM_REACH = 64

# The number of an object in a file of skops is its address, and begins like an id of Shanxi.
_OBJECT = re.compile(r'"__id__": ?\Z')

_TOP = r"(?:xn--[a-z0-9\-]{2,59}|[a-z]{2,24}|[A-Z]{2,24}|[^\W\d_a-zA-Z]{1,24})(?![\w\-])"
_DOCUMENT_LOCAL = re.compile(r"(?:\"[^\"\r\n<>]{1,64}\"|[\w.!#$%&'*+/=?^{|}~\-]*\w)\Z")
_DOCUMENT_DOMAIN = re.compile(
    rf"(?![0-9]+\.[0-9])(?:[\w\-]{{1,63}}\.){{1,6}}?{_TOP}|\[[0-9A-Fa-f:.]{{3,45}}\]"
)
_LOGIN = re.compile(r"://[^\s/@]*\Z")
_SPACED_LOCAL = re.compile(r"[\w.+\-]*\w {1,2}\Z")
_SPACED_DOMAIN = re.compile(r" {0,2}(?:[\w\-]{1,63}\.){1,3}?(?:com|cn|net|org|edu|gov)(?![\w\-.])")

_NOISE_MARK = re.compile(rb"[0-9]{11,18}[0-9Xx]?|@")
_NOISE_NUMBER = re.compile(
    rb"(?:\A|[^0-9A-Za-z_.])([0-9]{11,18}[0-9Xx]?)(?![0-9A-Za-z_])(?!\.[0-9]*[1-9])", re.DOTALL
)
_AT, _NOISE_REACH = ord("@"), 140
_NOISE_ADDRESS = re.compile(
    rb"(?<![A-Za-z0-9])(?=[!-~]{11})[A-Za-z0-9._%+\-]{3,64}@[A-Za-z0-9\-]{2,63}"
    rb"(?:\.[A-Za-z0-9\-]{2,63}){0,4}\.(?:[a-z]{2,24}|[A-Z]{2,24})(?![A-Za-z0-9])"
)


def in_document(text: str) -> Iterator[Finding]:
    """Yield the personal data in a page, a log or a cell of a database, escapes undone."""
    for form in dict.fromkeys(map(spelling.suspects, (text, spelling.unescaped(text)))):
        for reading in spelling.readings(form):
            plain = spelling.written_out(reading)
            for found in _ALONE.finditer(plain):
                yield from _standing_alone(plain, found)
            for found in _GROUPED.finditer(_IN_BRACKETS.sub(r" \1\3\2\3", plain)):
                yield from _grouped(found)
        yield from _addresses_in_document(spelling.folded(form))


def in_noise(data: bytes) -> Iterator[Finding]:
    """Yield the personal data in bytes that are no text, where by chance anything short stands."""
    for start in (found.start() for found in _NOISE_MARK.finditer(data)):
        if data[start] == _AT:
            around = data[max(start - _NOISE_REACH, 0) : start + _NOISE_REACH]
            for address in _NOISE_ADDRESS.finditer(around):
                yield DataKind.EMAIL, address[0].decode()
        elif number := _NOISE_NUMBER.match(data, max(start - 1, 0)):
            yield from personal_data.as_issued(number[1].decode())


def _standing_alone(text: str, found: re.Match[str]) -> Iterator[Finding]:
    start = found.start()
    word = _WORD_BEFORE.search(text, max(start - _WORD_REACH, 0), start)
    is_part = text[found.end() : found.end() + 1]
    if is_part.isascii() and is_part.isalnum():
        return
    if word is None and text[start - 1 : start].isascii() and text[start - 1 : start].isalnum():
        return
    if word and (
        _HEXADECIMAL.issuperset(word[0]) or text[word.start() - 1 : word.start()].isdigit()
    ):
        return  # A hash, or another random id.
    if personal_data.is_old_resident_id(found[0]) and not _OBJECT.search(
        text, max(start - _SUM_REACH, 0), start
    ):
        yield DataKind.RESIDENT_ID, found[0]
    is_amount = _AMOUNT_AFTER.match(text, found.end()) is not None
    is_sum = _SUM_OF_MONEY.search(text, max(start - _SUM_REACH, 0), start) is not None
    for kind, value in personal_data.as_issued(found[0]):
        if kind is not DataKind.MOBILE or not (is_amount or is_sum):
            yield kind, value


def _grouped(run: re.Match[str]) -> Iterator[Finding]:
    """Yield numbers whose groups are joined by one separator, which does not go on around them."""
    # With a space on one side only, a dash is a sign.
    groups = [
        (group, gap.strip() if gap == gap[::-1] and gap.strip() else gap[:1] and " ")
        for group, gap in _GROUP.findall(run[0])
    ]
    around = _edges(run)
    for first in range(len(groups) - 1):
        separator = groups[first][1]
        left = groups[first - 1][1] if first else around[0]
        if first > 1 and left == separator:
            continue  # This is the middle of what was looked at.
        last = first + 1
        while last + 1 < len(groups) and groups[last][1] == separator:
            last += 1
        right = groups[last][1] if last + 1 < len(groups) else around[1]
        # Between spaces stand the numbers of a list, of which a few may look like groups of one.
        is_abroad = first == 1 and groups[0][0] in personal_data.COUNTRY_CODES
        is_whole = not right and (not left or is_abroad)
        is_apart = is_whole if separator == " " else separator not in (left, right)
        if separator and is_apart and left != ".":
            yield from _as_people_group([group for group, _ in groups[first : last + 1]], separator)


def _edges(run: re.Match[str]) -> tuple[str, str]:
    """Return the separators before and after a run that lead to more digits, or letters.

    Words stand beside numbers; behind a space only digits go on.
    """
    text, start, end = run.string, run.start(), run.end()
    before = _GOES_ON_BEFORE.search(text, max(start - 4, 0), start)
    after = _GOES_ON_AFTER.match(text, end)
    return (before[1] or before[2] if before else ""), (after[1] if after else "")


def _as_people_group(groups: Sequence[str], separator: str) -> Iterator[Finding]:
    digits = "".join(groups)
    is_abroad = groups[0] in personal_data.COUNTRY_CODES
    own = groups[is_abroad:] if is_abroad else [_ABROAD.sub("", groups[0]), *groups[1:]]
    shape = tuple(map(len, own))
    if personal_data.is_resident_id(digits) or (
        shape == _OLD_ID_SHAPE and personal_data.is_old_resident_id(digits)
    ):
        yield DataKind.RESIDENT_ID, digits
    elif (
        shape in _CARD_SHAPES
        and personal_data.ISSUED_CARD.fullmatch(digits)
        and personal_data.is_luhn(digits)
    ):
        yield DataKind.BANK_CARD, digits
    elif is_abroad or (separator in _MOBILE_SHAPES.get(shape, "") and not _are_years(own)):
        mobile = personal_data.MOBILE.fullmatch("".join(own))
        if mobile:
            yield DataKind.MOBILE, mobile[1]


def _are_years(groups: Sequence[str]) -> bool:
    """Tell whether what follows the first group are years or a day, as in ``150 2019 2020``."""
    if len(groups) == 2:
        return personal_data.is_date(groups[1])
    return all(group[:2] in ("19", "20") and len(group) == 4 for group in groups[1:])


def _addresses_in_document(text: str) -> Iterator[Finding]:
    at = text.find("@")
    while at >= 0:
        start, end = max(at - _LOCAL_REACH, 0), at + _DOMAIN_REACH
        local = _DOCUMENT_LOCAL.search(text, start, at)
        domain = _DOCUMENT_DOMAIN.match(text, at + 1, end)
        if not (local and domain):
            local = local or _SPACED_LOCAL.search(text, start, at)
            domain = _SPACED_DOMAIN.match(text, at + 1, end)
        if local and domain and not _LOGIN.search(text, start, at):
            yield DataKind.EMAIL, local[0] + "@" + domain[0]
        at = text.find("@", at + 1)
