"""Proportions: intervals of a share, of a difference of two, of a rank correlation.

Limits and monitoring both judge shares of small groups; they do it with the same arithmetic.
"""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import NamedTuple

CONFIDENCE = 0.95


class Ends(NamedTuple):
    """Lower and upper end of an interval."""

    low: float
    high: float


def normal_quantile(confidence: float = CONFIDENCE) -> float:
    """Return the two-sided normal quantile: 1.96 at 95 %.

    Examples
    --------
    >>> round(normal_quantile(), 4)
    1.96
    """
    return NormalDist().inv_cdf(0.5 + confidence / 2)


QUANTILE = normal_quantile()


def wilson(events: int, n: int, *, confidence: float = CONFIDENCE) -> Ends | None:
    """Return the Wilson score interval of ``events / n``; None if `n` is 0.

    Parameters
    ----------
    events, n : int
        Number of events and of customers, ``0 <= events <= n``.

    Raises
    ------
    ValueError
        If there are more events than customers, or fewer than none.

    References
    ----------
    Wilson, E. B. (1927), J. Am. Stat. Assoc. 22, 209-212.

    Examples
    --------
    >>> low, high = wilson(8, 10)
    >>> round(low, 4), round(high, 4)
    (0.4902, 0.9433)
    """
    if not 0 <= events <= n:
        raise ValueError("The number of events must lie between 0 and n.")
    if n == 0:
        return None
    z, rate = normal_quantile(confidence), events / n
    middle = rate + z * z / (2 * n)
    spread = z * math.sqrt(rate * (1 - rate) / n + z * z / (4 * n * n))
    scale = 1 + z * z / n
    # At 0 and at n the formula is exact, but floating point leaves -1e-18 behind.
    low = 0.0 if events == 0 else (middle - spread) / scale
    return Ends(low, 1.0 if events == n else (middle + spread) / scale)


def newcombe(events: int, n: int, *, other_events: int, other_n: int) -> Ends | None:
    """Return Newcombe's interval of ``events / n - other_events / other_n``; None if an n is 0.

    It is built from the two Wilson intervals.

    References
    ----------
    Newcombe, R. G. (1998), Statistics in Medicine 17, 873-890, method 10.

    Examples
    --------
    >>> low, high = newcombe(56, 70, other_events=48, other_n=80)
    >>> round(low, 4), round(high, 4)
    (0.0524, 0.3339)
    """
    one, other = wilson(events, n), wilson(other_events, other_n)
    if one is None or other is None:
        return None
    rate, base = events / n, other_events / other_n
    return Ends(
        rate - base - math.hypot(rate - one[0], other[1] - base),
        rate - base + math.hypot(one[1] - rate, base - other[0]),
    )


def paired(only_first: int, only_second: int, n: int) -> Ends | None:
    """Return the adjusted Wald interval of the difference of two shares of the same rows.

    Parameters
    ----------
    only_first, only_second : int
        Rows with the first property alone, and with the second alone.

    References
    ----------
    Agresti, A. and Min, Y. (2005), Statistics in Medicine 24, 729-740.

    Examples
    --------
    >>> low, high = paired(0, 0, 1000)
    >>> round(low, 4), round(high, 4)
    (-0.002, 0.002)
    """
    if n == 0:
        return None
    first, second, total = only_first + 0.5, only_second + 0.5, n + 2
    middle = (first - second) / total
    spread = QUANTILE * math.sqrt(first + second - (first - second) ** 2 / total) / total
    return Ends(max(middle - spread, -1.0), min(middle + spread, 1.0))


def correlation(value: float, freedom: int) -> Ends | None:
    """Return Fisher's interval of a rank correlation with `freedom` rows left over; None below 4.

    References
    ----------
    Fieller, Hartley and Pearson (1957), Biometrika 44, 470-481, for the factor 1.06.

    Examples
    --------
    >>> low, high = correlation(0.5, 103)
    >>> round(low, 4), round(high, 4)
    (0.3342, 0.6358)
    """
    if freedom < 4:
        return None
    spread = QUANTILE * math.sqrt(1.06 / (freedom - 3))
    middle = math.atanh(max(min(value, 1 - 1e-12), -1 + 1e-12))
    return Ends(math.tanh(middle - spread), math.tanh(middle + spread))
