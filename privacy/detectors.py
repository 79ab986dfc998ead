"""Detectors: personal data inside a column that should have none, as text or hidden in numbers.

Text is first narrowed by one RE2 pattern over the whole column; only what it lets through is
normalized and looked at value by value. Numbers are checked with numpy, without making text of
them. Strong detectors prove themselves (a check digit, a date, an at-sign with a domain); weak ones
only have a shape.

References
----------
GB 11643-1999 (resident number, ISO 7064 MOD 11-2), ISO/IEC 7812-1 (card number, Luhn).
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray


class Kind(StrEnum):
    """What a detector finds."""

    MOBILE = "mobile number"
    RESIDENT_ID = "resident id"
    BANK_CARD = "bank card"
    EMAIL = "e-mail address"
    LONG_NUMBER = "number as long as a card or an id"

    @property
    def is_strong(self) -> bool:
        """Tell whether one hit proves itself, by a check digit, a date or a domain."""
        return self in _STRONG


_STRONG = frozenset({Kind.RESIDENT_ID, Kind.BANK_CARD, Kind.EMAIL})

# Any eleven digits in a row, of any script's width, with at most one separator between two of them.
_PREFILTER = r"(?:[\p{Nd}][ \-\x{2010}-\x{2015}]?){11}|[@\x{FF20}]"
_BETWEEN_DIGITS = r"(?<=[0-9])[ \-\u2010-\u2015](?=[0-9])"
_NEVER = "(?!)"
_CHECK_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
_CHECK_DIGITS = "10X98765432"
_EXACT_FLOAT = 2**53

Numbers = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Patterns:
    """What numbers look like in one kind of place, and what people put between their digits."""

    mobile: re.Pattern[str]
    resident_id: re.Pattern[str]
    card: re.Pattern[str]
    email: re.Pattern[str]
    separators: re.Pattern[str]


def _patterns(*, outside: str, separators: str, mobile: str, card: str, email: str) -> Patterns:
    left, right = f"(?<![{outside}.])", rf"(?![{outside}])(?!\.[0-9]*[1-9])"
    return Patterns(
        mobile=re.compile(f"{left}(?:(?:\\+|00)?86)?({mobile}){right}"),
        resident_id=re.compile(f"{left}[1-9][0-9]{{16}}[0-9Xx]{right}"),
        card=re.compile(f"{left}(?:{card}){right}"),
        email=re.compile(email),
        separators=re.compile(separators),
    )


IN_COLUMN = _patterns(
    outside="0-9",
    separators=_BETWEEN_DIGITS,
    mobile="1[0-9]{10}",
    card="(?:2[2-7]|3[0-9]|[4-6][0-9]|9[0-9])[0-9]{13,17}",
    email=r"[A-Za-z0-9._%+\-]+@[A-Za-z0-9\-]+(?:\.[A-Za-z0-9\-]+)*\.[A-Za-z]{2,24}",
)
"""For feature columns, where anything that looks like a person's number has no business."""

IN_DOCUMENT = _patterns(
    outside="0-9A-Za-z_",
    separators=_NEVER,
    mobile="1[3-9][0-9]{9}|100[0-9]{8}",
    card="(?:62|9999)[0-9]{14,15}|62[0-9]{17}|9999[0-9]{15}|4[0-9]{15}|5[1-5][0-9]{14}",
    email=(
        r"(?<![A-Za-z0-9])[A-Za-z0-9._%+\-]{3,64}@[A-Za-z0-9\-]{2,63}"
        r"(?:\.[A-Za-z0-9\-]{2,63}){0,4}\.(?:[a-z]{2,24}|[A-Z]{2,24})(?![A-Za-z0-9])"
    ),
)
"""For pages, logs and databases, where hashes, clocks, random ids and noise are everywhere."""


def find(values: pa.Array) -> Counter[Kind]:
    """Count the values of one column in which each kind of personal data is found.

    Parameters
    ----------
    values : pyarrow.Array
        Text, ``int64`` or ``float64``; other types cannot hold any and give an empty count.
    """
    if pa.types.is_string(values.type) or pa.types.is_large_string(values.type):
        return _find_in_text(values)
    if pa.types.is_floating(values.type):
        return _find_in_floats(pc.drop_null(values).to_numpy(zero_copy_only=False))
    if pa.types.is_integer(values.type):
        return _find_in_integers(
            pc.drop_null(values).cast(pa.int64()).to_numpy(zero_copy_only=False)
        )
    return Counter()


def kinds_in(text: str, patterns: Patterns = IN_COLUMN) -> Iterator[tuple[Kind, str]]:
    """Yield every personal datum in a text with its kind; the strongest kind wins a number."""
    plain = unicodedata.normalize("NFKC", text)
    for form in dict.fromkeys((plain, patterns.separators.sub("", plain))):
        for found in patterns.resident_id.finditer(form):
            if is_resident_id(found[0]):
                yield Kind.RESIDENT_ID, found[0]
        for found in patterns.card.finditer(form):
            if is_luhn(found[0]) and not is_resident_id(found[0]):
                yield Kind.BANK_CARD, found[0]
        for found in patterns.mobile.finditer(form):
            yield Kind.MOBILE, found[1]
    for found in patterns.email.finditer(plain):
        yield Kind.EMAIL, found[0]


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
    total = sum(int(d) * w for d, w in zip(text[:17], _CHECK_WEIGHTS, strict=True))
    return _CHECK_DIGITS[total % 11] == text[17].upper() and _is_date(text[6:14])


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


def _find_in_text(values: pa.Array) -> Counter[Kind]:
    suspects = values.filter(pc.match_substring_regex(values, _PREFILTER))
    found: Counter[Kind] = Counter()
    for text in suspects.to_pylist():
        found.update({kind for kind, _ in kinds_in(text)})
    return found


def _find_in_integers(numbers: Numbers) -> Counter[Kind]:
    size = np.abs(numbers)
    found = Counter({Kind.MOBILE: int(_is_mobile(size).sum())})
    for number in size[size >= 10**14]:
        text = str(int(number))
        found.update({kind for kind, _ in kinds_in(text)})
    return +found


def _find_in_floats(numbers: NDArray[np.float64]) -> Counter[Kind]:
    """Find numbers that a float holds exactly, or all but their last digits."""
    size = np.abs(numbers[np.isfinite(numbers)])
    whole = size[(size >= 10**10) & (size < 10**19) & (size == np.floor(size))]
    exact = whole[whole < _EXACT_FLOAT].astype(np.int64)
    found = _find_in_integers(exact)
    for number in whole[whole >= _EXACT_FLOAT]:
        text = str(int(number))
        is_id = len(text) == 18 and _is_date(text[6:14])
        found[Kind.RESIDENT_ID if is_id else Kind.LONG_NUMBER] += 1
    return +found


def _is_mobile(size: Numbers) -> NDArray[np.bool_]:
    own = (size >= 10**10) & (size < 2 * 10**10)
    with_country = (size >= 861 * 10**10) & (size < 862 * 10**10)
    result: NDArray[np.bool_] = own | with_country
    return result


def _is_date(digits: str) -> bool:
    """Tell whether eight digits are a day; the standard's own example is born in 1880."""
    try:
        return 1800 <= date(int(digits[:4]), int(digits[4:6]), int(digits[6:])).year <= 2100
    except ValueError:
        return False
