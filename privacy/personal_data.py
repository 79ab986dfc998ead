"""What personal data look like: the numbers that people bear, with their dates and check digits.

Strong kinds prove themselves (a check digit, a date, an at-sign with a domain); weak ones only have
a shape.

References
----------
GB 11643-1999 (resident number, ISO 7064 MOD 11-2), GB/T 2260 (provinces), ISO/IEC 7812-1 (card
number, Luhn).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date
from enum import StrEnum


class Kind(StrEnum):
    """What a detector finds."""

    MOBILE = "mobile number"
    LANDLINE = "landline number"
    RESIDENT_ID = "resident id"
    BANK_CARD = "bank card"
    SHORT_CARD = "bank card of 13 or 14 digits"
    EMAIL = "e-mail address"
    LONG_NUMBER = "number as long as a card or an id"

    @property
    def is_strong(self) -> bool:
        """Tell whether one hit proves itself, by a check digit, a date or a domain."""
        return self in _STRONG


Finding = tuple[Kind, str]
"""A kind, and the value that it was found in."""

_STRONG = frozenset({Kind.RESIDENT_ID, Kind.BANK_CARD, Kind.EMAIL})

PROVINCES = frozenset(
    (11, 12, 13, 14, 15, 21, 22, 23, 31, 32, 33, 34, 35, 36, 37, 41, 42, 43, 44, 45, 46, 50, 51,
     52, 53, 54, 61, 62, 63, 64, 65, 71, 81, 82, 83, 91, 99)
)  # fmt: skip
"""First two digits of a resident id; 99 is the simulated one."""

CHECK_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
_CHECK_DIGITS = "10X98765432"
COUNTRY_CODES = frozenset({"86", "0086"})

LONGEST = 19
"""No personal number has more digits."""

MOBILE = re.compile(r"(?:0|(?:00)?86)?(1[3-9][0-9]{9}|100[0-9]{8})")
ANY_MOBILE = re.compile(r"(?:(?:00)?86)?(1[0-9]{10})")
LANDLINE = re.compile(r"(?:0|(?:00)?86)(?:10|2[0-9]|[3-9][0-9]{2})[2-8][0-9]{6,7}")
CARD = re.compile(
    r"4[0-9]{12}|3(?:0[0-5]|[689][0-9])[0-9]{11}|(?:2[2-7]|3[0-9]|[4-6][0-9]|9[0-9])[0-9]{13,17}"
)
ISSUED_CARD = re.compile(
    r"(?:62|9999)[0-9]{14,15}|62[0-9]{17}|9999[0-9]{15}|4[0-9]{15}|5[1-5][0-9]{14}"
    r"|2(?:2[2-9]|[3-6][0-9]|7[01])[0-9]{13}|3[47][0-9]{13}|35[0-9]{14}"
)
"""Cards as they are issued, and the simulated one: what stands for a card in a document."""


def is_resident_id(text: str) -> bool:
    """Tell whether 18 characters are a resident id: a birth date and a GB 11643 check digit.

    Examples
    --------
    >>> is_resident_id("11010519491231002X"), is_resident_id("440524188001010014")
    (True, True)
    >>> is_resident_id("110105194912310021")
    False
    """
    if len(text) != 18 or not text[:17].isdigit():
        return False
    total = sum(int(d) * w for d, w in zip(text[:17], CHECK_WEIGHTS, strict=True))
    return _CHECK_DIGITS[total % 11] == text[17].upper() and is_date(text[6:14])


def is_old_resident_id(text: str) -> bool:
    """Tell whether 15 digits are a resident id as issued until 1999: a province and a birth date.

    Of 15 random digits one in a hundred is: there was no check digit.

    Examples
    --------
    >>> is_old_resident_id("110105491231002"), is_old_resident_id("110105491331002")
    (True, False)
    """
    if len(text) != 15 or not text.isdigit():
        return False
    return int(text[:2]) in PROVINCES and is_date("19" + text[6:12])


def is_luhn(text: str) -> bool:
    """Tell whether the last digit of a number is its Luhn check digit.

    Examples
    --------
    >>> is_luhn("4111111111111111"), is_luhn("4111111111111112")
    (True, False)
    """
    total = 0
    for place, digit in enumerate(reversed(text)):
        number = int(digit) * (1 + place % 2)
        total += number - 9 if number > 9 else number
    return total % 10 == 0


def as_issued(digits: str) -> Iterator[Finding]:
    """Yield what a number that stands alone is, if it is as numbers are issued."""
    mobile = MOBILE.fullmatch(digits)
    if is_resident_id(digits):
        yield Kind.RESIDENT_ID, digits
    elif ISSUED_CARD.fullmatch(digits) and is_luhn(digits):
        yield Kind.BANK_CARD, digits
    elif mobile and len(digits) != 12:
        yield Kind.MOBILE, mobile[1]


def is_date(digits: str) -> bool:
    """Tell whether eight digits are a day; the standard's own example is born in 1880."""
    try:
        return 1800 <= date(int(digits[:4]), int(digits[4:6]), int(digits[6:])).year <= 2100
    except ValueError:
        return False
