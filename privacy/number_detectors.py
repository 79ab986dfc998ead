"""Personal data hidden in numbers, found with numpy and without making text of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from privacy import personal_data
from privacy.personal_data import Finding, Kind

Numbers = NDArray[np.int64]

_EXACT_FLOAT = 2**53
_DAYS = np.array([0, 31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31])
_TENS = 10 ** np.arange(personal_data.LONGEST, dtype=np.int64)

# Half-open ranges of numbers that read as a mobile number: as issued, as simulated, with 86 before.
_WINDOWS = ((13 * 10**9, 20 * 10**9), (100 * 10**8, 101 * 10**8), (861 * 10**10, 862 * 10**10))
_ROUND = 10_000


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
        yield from personal_data.as_issued(str(number))


def find_in_integers(numbers: Numbers) -> Counter[Kind]:
    """Count the numbers that are personal data, by kind."""
    size = np.abs(numbers[numbers > np.iinfo(np.int64).min])
    size = size[size >= 10**10]
    is_person = _is_resident_id(size)
    is_card = ~is_person & _luhn(size)
    found = {
        Kind.MOBILE: _is_mobile(size),
        Kind.RESIDENT_ID: is_person,
        Kind.BANK_CARD: is_card & _is_card(size),
        Kind.SHORT_CARD: is_card & _is_short_card(size),
    }
    return +Counter({kind: int(hits.sum()) for kind, hits in found.items()})


def find_in_floats(numbers: NDArray[np.float64]) -> Counter[Kind]:
    """Find numbers that a float holds exactly, or all but their last digits."""
    size = np.abs(numbers[np.isfinite(numbers)])
    whole = size[(size >= 10**10) & (size < 10**19) & (size == np.floor(size))]
    found = find_in_integers(whole[whole < _EXACT_FLOAT].astype(np.int64))
    for number in whole[whole >= _EXACT_FLOAT]:
        text = str(int(number))
        is_id = len(text) == 18 and personal_data.is_date(text[6:14])
        found[Kind.RESIDENT_ID if is_id else Kind.LONG_NUMBER] += 1
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
            fits = (12 - digits @ np.array(personal_data.CHECK_WEIGHTS) % 11) % 11 == numbers % 10
        else:
            fits = np.isin(numbers // 10**13, list(personal_data.PROVINCES))
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
