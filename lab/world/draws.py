"""Random numbers that depend on who, when and what for, and on nothing else.

A generator with a hidden position makes every number depend on all that were drawn before it: one
account more, another chunk size or another limit policy, and everybody lives another life. Here a
draw is a hash of (seed, account, month, use). Chunks of accounts can be of any size and in any
order, two policies meet the very same luck, and a break planted in month 9 leaves months 0 to 8
as they were, bit by bit.

Only integer arithmetic is used per draw; normal and log-normal numbers are read from tables of
4,096 quantiles, so that no result depends on how a processor rounds a logarithm.

References
----------
Steele, Lea and Flood (2014), Fast splittable pseudorandom number generators: the mixing function.
"""

from __future__ import annotations

from enum import IntEnum
from functools import lru_cache
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

Bits = NDArray[np.uint64]
Reals = NDArray[np.float32]

QUANTILES = 4_096
_STEP = 0x9E3779B97F4A7C15
_FIRST, _SECOND = 0xBF58476D1CE4E5B9, 0x94D049BB133111EB
_MASK = (1 << 64) - 1
_BEFORE_TIME = 0xFFFF


class Use(IntEnum):
    """What a draw is for; two uses never share a number."""

    ROW = 0
    FRAILTY = 1
    TRAITS = 2
    MONEY = 3
    SELECTION = 4
    STATUS = 5
    FLOWS = 6
    BASKET = 7
    EXPERIMENT = 8
    STATEMENT = 9
    FAULT = 10
    PERSON = 11
    VINTAGE = 12
    LEGAL_FORM = 13


def keys(accounts: NDArray[np.int64], seed: int) -> Bits:
    """Return the key of each account's luck, shape ``(n_accounts,)``."""
    start = np.uint64(_scalar_mix((seed + 1) * _STEP & _MASK))
    return _mix(accounts.astype(np.uint64) * np.uint64(_STEP) + start)


def bits(key: Bits, use: Use, month: int | None = None) -> Bits:
    """Return 64 random bits per account for one use, in one month or once in its life."""
    place = (_BEFORE_TIME if month is None else month) * 64 + int(use)
    return _mix(key ^ np.uint64(_scalar_mix(place * _STEP & _MASK)))


def uniforms(words: Bits) -> tuple[Reals, Reals]:
    """Split each 64 bits into two numbers of 24 bits in ``[0, 1)``."""
    scale = np.float32(2.0**-24)
    high = (words >> np.uint64(40)).astype(np.float32) * scale
    low = (words & np.uint64(0xFFFFFF)).astype(np.float32) * scale
    return high, low


def quantiles(words: Bits) -> tuple[NDArray[np.uint16], ...]:
    """Split each 64 bits into four positions in a table of quantiles."""
    parts = words.view(np.uint16).reshape(-1, 4) >> np.uint16(4)
    return tuple(np.ascontiguousarray(parts.T))


@lru_cache
def normal_table() -> Reals:
    """Return the standard normal quantiles of the middles of 4,096 equal slices."""
    standard = NormalDist()
    values = [standard.inv_cdf((slot + 0.5) / QUANTILES) for slot in range(QUANTILES)]
    return np.round(np.array(values), 6).astype(np.float32)


@lru_cache
def lognormal_table(spread: float) -> Reals:
    """Return log-normal quantiles with mean one; `spread` is the sd of the logarithm."""
    raw = np.exp(spread * normal_table().astype(np.float64))
    table: Reals = np.round(raw / raw.mean(), 5).astype(np.float32)
    return table


def _mix(words: Bits) -> Bits:
    """Finish a hash in place: every input bit moves every output bit."""
    words ^= words >> np.uint64(30)
    words *= np.uint64(_FIRST)
    words ^= words >> np.uint64(27)
    words *= np.uint64(_SECOND)
    words ^= words >> np.uint64(31)
    return words


def _scalar_mix(word: int) -> int:
    word = (word ^ (word >> 30)) * _FIRST & _MASK
    word = (word ^ (word >> 27)) * _SECOND & _MASK
    return word ^ (word >> 31)
