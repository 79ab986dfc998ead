"""What personal data look like: the numbers that people bear, with their dates and check digits.

Strong kinds prove themselves (a check digit, a date, an at-sign with a domain); weak ones only have
a shape. In columns of numbers they are found with numpy, without making text of them.

References
----------
GB 11643-1999 (resident number, ISO 7064 MOD 11-2), GB/T 2260 (provinces), ISO/IEC 7812-1 (card
number, Luhn).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from datetime import date
from enum import StrEnum

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray


class DataKind(StrEnum):
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


Finding = tuple[DataKind, str]
"""A kind, and the value that it was found in."""

_STRONG = frozenset({DataKind.RESIDENT_ID, DataKind.BANK_CARD, DataKind.EMAIL})

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

Numbers = NDArray[np.int64]

_EXACT_FLOAT = 2**53
_DAYS = np.array([0, 31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31])
_TENS = 10 ** np.arange(LONGEST, dtype=np.int64)

# Half-open ranges of numbers that read as a mobile number: as issued, as simulated, with 86 before.
_WINDOWS = ((13 * 10**9, 20 * 10**9), (100 * 10**8, 101 * 10**8), (861 * 10**10, 862 * 10**10))
_ROUND = 10_000


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
    return check_digit(text[:17]) == text[17].upper() and is_date(text[6:14])


def check_digit(body: str) -> str:
    """Return the last character of a resident id that begins with these 17 digits."""
    total = sum(int(digit) * weight for digit, weight in zip(body, CHECK_WEIGHTS, strict=True))
    return _CHECK_DIGITS[total % 11]


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
        yield DataKind.RESIDENT_ID, digits
    elif ISSUED_CARD.fullmatch(digits) and is_luhn(digits):
        yield DataKind.BANK_CARD, digits
    elif mobile and len(digits) != 12:
        yield DataKind.MOBILE, mobile[1]


def is_date(digits: str) -> bool:
    """Tell whether eight digits are a day; the standard's own example is born in 1880."""
    try:
        return 1800 <= date(int(digits[:4]), int(digits[4:6]), int(digits[6:])).year <= 2100
    except ValueError:
        return False


def crowding(values: pa.Array) -> NDArray[np.int64]:
    """Count what could be personal data in a column of large numbers, and what is beside it.

    Returns
    -------
    ndarray of int64, shape (4, 2)
        For each range of mobile numbers: the numbers inside, and those as near on a logarithmic
        scale on both sides. Last: cards of 13 or 14 digits whose check digit fits, and does not.
        Multiples of 10,000 are left out; people round amounts.
    """
    numbers = pc.drop_null(values).to_numpy(zero_copy_only=False)
    if not pa.types.is_integer(values.type):
        numbers = numbers[np.isfinite(numbers) & (np.abs(numbers) < _EXACT_FLOAT)]
        numbers = numbers[numbers == np.floor(numbers)].astype(np.int64)
    size = np.abs(numbers)
    size = size[(size >= 10**9) & (size % _ROUND != 0)]
    counts = []
    for low, high in _WINDOWS:
        is_near = (size >= low * low // high) & (size < high * high // low)
        is_inside = (size >= low) & (size < high)
        counts.append((is_inside.sum(), (is_near & ~is_inside).sum()))
    short = size[_is_short_card(size)]
    is_card = _luhn(short)
    return np.array([*counts, (is_card.sum(), (~is_card).sum())], dtype=np.int64)


def in_numbers(values: pa.Array) -> Iterator[Finding]:
    """Yield the personal data in a column of numbers of a file that is scanned."""
    numbers = pc.drop_null(values).to_numpy(zero_copy_only=False)
    if pa.types.is_floating(values.type):
        numbers = numbers[np.isfinite(numbers) & (np.abs(numbers) < _EXACT_FLOAT)]
        numbers = numbers[numbers == np.floor(numbers)]
    size = np.abs(numbers[np.abs(numbers) < 2.0**63].astype(np.int64))
    size = np.unique(size[size >= 10**10])
    if not len(size):
        return
    is_likely = _is_mobile(size) | _is_resident_id(size) | _luhn(size)
    for number in size[is_likely].tolist():
        yield from as_issued(str(number))


def find_in_integers(numbers: Numbers) -> Counter[DataKind]:
    """Count the numbers that are personal data, by kind."""
    size = np.abs(numbers[numbers > np.iinfo(np.int64).min])
    size = size[size >= 10**10]
    is_person = _is_resident_id(size)
    is_card = ~is_person & _luhn(size)
    found = {
        DataKind.MOBILE: _is_mobile(size),
        DataKind.RESIDENT_ID: is_person,
        DataKind.BANK_CARD: is_card & _is_card(size),
        DataKind.SHORT_CARD: is_card & _is_short_card(size),
    }
    return +Counter({kind: int(hits.sum()) for kind, hits in found.items()})


def find_in_floats(numbers: NDArray[np.float64]) -> Counter[DataKind]:
    """Find numbers that a float holds exactly, or all but their last digits."""
    size = np.abs(numbers[np.isfinite(numbers)])
    whole = size[(size >= 10**10) & (size < 10**19) & (size == np.floor(size))]
    found = find_in_integers(whole[whole < _EXACT_FLOAT].astype(np.int64))
    for number in whole[whole >= _EXACT_FLOAT]:
        text = str(int(number))
        is_id = len(text) == 18 and is_date(text[6:14])
        found[DataKind.RESIDENT_ID if is_id else DataKind.LONG_NUMBER] += 1
    return +found


def _is_mobile(size: Numbers) -> NDArray[np.bool_]:
    own = (size >= 10**10) & (size < 2 * 10**10)
    with_country = (size >= 861 * 10**10) & (size < 862 * 10**10)
    result: NDArray[np.bool_] = own | with_country
    return result


def _is_card(size: Numbers) -> NDArray[np.bool_]:
    """Tell which numbers of 15 to 19 digits begin like a card."""
    first = size // 10 ** np.maximum(_length(size) - 2, 0)
    is_first = ((first >= 22) & (first < 70) & ~np.isin(first, (28, 29))) | (first >= 90)
    result: NDArray[np.bool_] = (size >= 10**14) & is_first
    return result


def _is_short_card(size: Numbers) -> NDArray[np.bool_]:
    thirteen = (size >= 4 * 10**12) & (size < 5 * 10**12)
    first = size // 10**11
    diners = (
        ((first >= 300) & (first < 306)) | ((first >= 360) & (first < 370)) | (first // 10 >= 38)
    )
    result: NDArray[np.bool_] = thirteen | (diners & (first < 400))
    return result


def _is_resident_id(size: Numbers) -> NDArray[np.bool_]:
    """Tell which numbers are a resident id of 18 digits, or of 15."""
    result = np.zeros(len(size), dtype=np.bool_)
    for low, year_from in ((10**17, 10**4), (10**14, 10**2)):
        place = np.flatnonzero((size >= low) & (size < 10 * low))
        numbers = size[place]
        day = numbers // (10**4 if low == 10**17 else 10**3)
        year, month, day = day // 10**4 % year_from, day // 100 % 100, day % 100
        year = year if low == 10**17 else 1900 + year
        is_leap = (year % 4 == 0) & ((year % 100 != 0) | (year % 400 == 0))
        most = np.where((month == 2) & ~is_leap, 28, _DAYS[np.where(month < 13, month, 0)])
        is_day = (day >= 1) & (day <= most) & (year >= 1800) & (year <= 2100)
        if low == 10**17:
            digits = numbers[:, None] // _TENS[17:0:-1] % 10
            fits = (12 - digits @ np.array(CHECK_WEIGHTS) % 11) % 11 == numbers % 10
        else:
            fits = np.isin(numbers // 10**13, list(PROVINCES))
        result[place] = is_day & fits
    return result


def _luhn(size: Numbers) -> NDArray[np.bool_]:
    total = np.zeros(len(size), dtype=np.int64)
    for place, ten in enumerate(_TENS):
        digit = size // ten % 10 * (1 + place % 2)
        total += digit - 9 * (digit > 9)
    result: NDArray[np.bool_] = total % 10 == 0
    return result


def _length(size: Numbers) -> Numbers:
    """Return how many decimal digits each number has."""
    result: Numbers = np.searchsorted(_TENS, size, side="right")
    return result
