"""Intervals of exact rates, ratios and counts that hold in small groups too.

The percentile bootstrap of a rate collapses when events are rare (coverage below one half at 30
customers), and the interval of max - min over groups excludes zero even when nothing differs. So
rates get Wilson (`governance.proportion`) or Clopper-Pearson intervals, and groups are compared
with one fixed reference.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import stats

from governance.proportion import CONFIDENCE, wilson

Floats = npt.NDArray[np.float64]


class Interval(NamedTuple):
    """Lower and upper end; an end that does not exist is ``None``."""

    low: float | None
    high: float | None


def clopper_pearson(events: int, n: int, *, confidence: float = CONFIDENCE) -> Interval | None:
    """Return the exact binomial interval of `events` / `n`; ``None`` if `n` is 0.

    References
    ----------
    Clopper, C. and Pearson, E. S. (1934), Biometrika 26, 404-413.

    Examples
    --------
    >>> low, high = clopper_pearson(0, 10)
    >>> low, round(high, 4)
    (0.0, 0.3085)
    """
    _check(events, n)
    if n == 0:
        return None
    tail = (1 - confidence) / 2
    low = 0.0 if events == 0 else float(stats.beta.ppf(tail, events, n - events + 1))
    high = 1.0 if events == n else float(stats.beta.ppf(1 - tail, events + 1, n - events))
    return Interval(low, high)


def mover_ratio(events: int, n: int, reference_events: int, reference_n: int) -> Interval | None:
    """Return the MOVER-R interval of the ratio of two rates, group over reference.

    A reference without any event bounds the ratio from below only; the upper end is ``None``.
    The interval recovers the variances from the two Wilson intervals; simulated coverage stays
    above 92 % even at 30 customers, where the log-ratio interval falls below 79 %.

    Returns
    -------
    Interval or None
        ``None`` if either `n` is 0 or neither side has an event: 0/0 is undefined.

    References
    ----------
    Donner, A. and Zou, G. (2012), Statistical Methods in Medical Research 21, 347-359.
    """
    group, reference = wilson(events, n), wilson(reference_events, reference_n)
    if group is None or reference is None or not (events or reference_events):
        return None
    rate, base = events / n, reference_events / reference_n
    (low_1, high_1), (low_2, high_2) = group, reference
    product = rate * base
    # The lower end is written with the conjugate root: the textbook form divides by a term that
    # passes through zero when the reference is rare.
    reach = low_1 * (2 * rate - low_1)
    root = math.sqrt(max(product**2 - reach * high_2 * (2 * base - high_2), 0.0))
    low = reach / (product + root) if reach > 0 else 0.0
    floor = low_2 * (2 * base - low_2)
    root = math.sqrt(max(product**2 - high_1 * (2 * rate - high_1) * floor, 0.0))
    return Interval(low, (product + root) / floor if reference_events else None)


def count_bootstrap(
    cells: npt.NDArray[Any],
    statistic: Callable[[Floats], Floats],
    *,
    seed: int,
    replicates: int = 2000,
    confidence: float = CONFIDENCE,
) -> Interval | None:
    """Return the percentile interval of `statistic` under multinomial resampling of counts.

    Drawing a whole table of counts at once has the same distribution as drawing its customers one
    by one, and costs nothing.

    Parameters
    ----------
    cells : ndarray of shape (n_cells,)
        Counts.
    statistic : callable
        Maps draws of shape (replicates, n_cells) to values of shape (replicates,).
    seed : int
        Same seed, same interval.

    Returns
    -------
    Interval or None
        ``None`` if there is nothing to draw from, or a draw left the statistic undefined.
    """
    total = int(cells.sum())
    if total == 0:
        return None
    generator = np.random.default_rng(seed)
    draws = generator.multinomial(total, cells / total, size=replicates).astype(np.float64)
    values = np.asarray(statistic(draws), dtype=np.float64)
    if not np.isfinite(values).all():
        return None
    tail = (1 - confidence) / 2
    low, high = np.quantile(values, [tail, 1 - tail])
    return Interval(float(low), float(high))


def _check(events: int, n: int) -> None:
    if not 0 <= events <= n:
        raise ValueError("The number of events must lie between 0 and n.")
