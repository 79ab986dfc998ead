"""Simulated identities for any number of accounts, made in fixed blocks and distinct over them all.

Names and addresses come from `training.identities`. Its numbers are distinct within one call only;
a world of millions is made in pieces, so here every number is a permutation of the account's own
number. They stay impossible by construction: resident ids carry area codes from 999999 downward
(no division of China starts with 99), mobiles start with 100, cards with 9999.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from lab.world import anchors, book
from lab.world.settings import WorldSettings
from training import identities
from training.identities import CARD_PREFIX, MALE, MOBILE_PREFIX

BLOCK = 65_536
SCHEMA = pa.schema(
    [
        ("account", pa.int64()),
        *(
            (name, pa.string())
            for name in ("customer_id", "name", "mobile", "resident_id", "bank_card", "address")
        ),
    ]
)

_HIGHEST_AREA = 999_999
_DAYS, _SEQUENCES = 365, 500
_SLOTS = _DAYS * _SEQUENCES
# Prime, so that multiplying by it meets every slot once before it meets one twice.
_STRIDE = 100_003
_CHECK_WEIGHTS = np.array([7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2])
_CHECKS = np.frombuffer(b"10X98765432", dtype=np.uint8)
_ZERO = np.uint8(ord("0"))

Integers = NDArray[np.int64]
Digits = NDArray[np.uint8]


def people(settings: WorldSettings) -> Iterator[pa.Table]:
    """Yield the identities of all accounts, the refused included, block by block."""
    for first in range(0, settings.accounts, BLOCK):
        yield block(settings, first, min(first + BLOCK, settings.accounts))


def block(settings: WorldSettings, first: int, last: int) -> pa.Table:
    """Return the identities of accounts `first` to `last` - 1; `first` is a multiple of `BLOCK`.

    A firm has the identity of the person who signs for it.
    """
    real, row = anchors.load(), book.rows_of(settings, first, last)
    sex, age, number = real.sex[row], real.age[row], np.arange(first, last, dtype=np.int64)
    named = identities.make_identities(
        sex=sex,
        age=age,
        observed_on=settings.starts_on.isoformat(),
        seed=(settings.seed * 1_000_003 + first // BLOCK) % 2**63,
    )
    born = _birthdays(settings, number, age)
    columns = {
        "account": pa.array(number),
        "customer_id": _text([_ascii("C", len(number)), _digits(_shuffled(number, 9), 9)]),
        "name": named["name"],
        "mobile": _text([_ascii(MOBILE_PREFIX, len(number)), _digits(_shuffled(number, 8), 8)]),
        "resident_id": _resident_ids(number, born, sex),
        "bank_card": _cards(number),
        "address": named["address"],
    }
    return pa.table(columns, schema=SCHEMA)


def _birthdays(settings: WorldSettings, number: Integers, age: Integers) -> Integers:
    """Return birthdays as yyyymmdd that make everybody `age` years old when the world starts."""
    # A world starts on the first of a month, a day that every month of birth has as well.
    anniversary = (np.datetime64(settings.starts_on, "M") - 12 * age).astype("datetime64[D]")
    born = anniversary - (number * _STRIDE % _SLOTS) // _SEQUENCES
    month = born.astype("datetime64[M]")
    year = month.astype("datetime64[Y]").astype(np.int64) + 1970
    day = (born - month.astype("datetime64[D]")).astype(np.int64) + 1
    born_on: Integers = year * 10_000 + (month.astype(np.int64) % 12 + 1) * 100 + day
    return born_on


def _resident_ids(number: Integers, born: Integers, sex: Integers) -> pa.Array:
    # Within one area code no two accounts share day and sequence; then the next code is taken.
    sequence = 2 * (number * _STRIDE % _SLOTS % _SEQUENCES) + (sex == MALE)
    area = _HIGHEST_AREA - number // _SLOTS
    body = np.hstack([_digits(area, 6), _digits(born, 8), _digits(sequence, 3)])
    check = (body.astype(np.int64) - int(_ZERO)) @ _CHECK_WEIGHTS % 11
    return _text([body, _CHECKS[check][:, None]])


def _cards(number: Integers) -> pa.Array:
    body = np.hstack([_ascii(CARD_PREFIX, len(number)), _digits(_shuffled(number, 14), 14)])
    digits = body.astype(np.int64) - int(_ZERO)
    doubled = digits[:, ::-2] * 2
    total = (doubled // 10 + doubled % 10).sum(axis=1) + digits[:, -2::-2].sum(axis=1)
    return _text([body, (-total % 10).astype(np.uint8)[:, None] + _ZERO])


def _shuffled(number: Integers, digits: int) -> Integers:
    """Return a permutation of the numbers below ``10**digits``; neighbors land far apart."""
    modulus = 10**digits
    # A step that ends in 7 shares no factor with a power of ten.
    step = int(0.618 * 10 ** min(digits, 10)) // 10 * 10 + 7
    spread: Integers = (number * step + modulus // 7) % modulus
    return spread


def _digits(numbers: Integers, width: int) -> Digits:
    powers = np.power(10, np.arange(width - 1, -1, -1, dtype=np.int64))
    return (numbers[:, None] // powers % 10).astype(np.uint8) + _ZERO


def _ascii(text: str, rows: int) -> Digits:
    front = np.frombuffer(text.encode("ascii"), dtype=np.uint8)
    return np.broadcast_to(front, (rows, len(front)))


def _text(parts: list[Digits]) -> pa.Array:
    """Turn rows of ASCII codes, all of one width, into strings without visiting a row."""
    codes = np.ascontiguousarray(np.hstack(parts))
    offsets = np.arange(len(codes) + 1, dtype=np.int32) * codes.shape[1]
    return pa.StringArray.from_buffers(len(codes), pa.py_buffer(offsets), pa.py_buffer(codes))
