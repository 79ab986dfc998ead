"""Shifts: statistical tests of whether counts of one column moved by more than is tolerated.

Each test answers with a p-value for *at most this much*. The tolerance is one number for all: a
PSI. In the mean it allows its square root in typical distances from the median (a normal column
shifted by d standard deviations has a PSI of d squared, and a heavy tail hardly changes the PSI of
a shift, so it does not stretch what is typical), in the tails what amounts larger by that share
would do where tails fall with the cube.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy import optimize, special, stats

Integers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

_TAIL_SHARE = 0.015
_MOST_WEIGHT = 32
_RARE_SHARE = 0.01
_LARGE = 1e4
_LONGEST = 4_000_000


def psi(reference: npt.ArrayLike, current: npt.ArrayLike) -> float:
    """Return the population stability index of two count vectors over the same bins.

    A bin that is empty on one side counts half a row there, so that a new code gives a large
    number instead of an infinite one.

    Examples
    --------
    >>> round(psi([50, 50], [75, 25]), 4)
    0.2747
    """
    old = np.asarray(reference, dtype=np.float64)
    new = np.asarray(current, dtype=np.float64)
    held = (old + new) > 0
    old, new = np.maximum(old[held], 0.5), np.maximum(new[held], 0.5)
    old, new = old / old.sum(), new / new.sum()
    return float(np.sum((new - old) * np.log(new / old)))


def weight(old: Integers, new: Integers) -> float:
    """Return nm / (n + m), which turns a PSI into a chi-square."""
    n, m = float(old.sum()), float(new.sum())
    return n * m / (n + m) if n + m else 0.0


def common_p_value(old: Integers, new: Integers, tolerance: float) -> float:
    """Test common bins together against a noncentral chi-square of nm / (n + m) tolerance.

    The statistic is nm / (n + m) PSI, or the likelihood ratio where that is smaller: in windows of
    a few hundred rows PSI alone exceeds a chi-square up to twice as often as it may.
    """
    scale = weight(old, new)
    if scale == 0:
        return 1.0
    pooled = (old + new) / (old + new).sum()
    sides = (special.xlogy(side, side / (side.sum() * pooled)).sum() for side in (old, new))
    ratio = 2 * float(sum(sides))
    return upper_tail(min(scale * psi(old, new), ratio), old.size - 1, scale * tolerance)


def common_power(
    old: Integers, new: Integers, *, tolerance: float, shift: float, alpha: float
) -> float:
    """Return the probability with which `common_p_value` would find a PSI of `shift`."""
    if old.size < 2:
        return 0.0
    scale, freedom = weight(old, new), old.size - 1
    return upper_tail(_critical(1 - alpha, freedom, scale * tolerance), freedom, scale * shift)


def single_p_value(old: int, new: int, sizes: tuple[int, int], tolerance: float) -> float:
    """Test exactly whether one bin's share rose or fell by more than a PSI of `tolerance`.

    Given their sum, the current count is binomial; its parameter follows from the largest ratio of
    shares that the tolerance allows. A share below one hundredth may change as one hundredth may,
    once its own part of the PSI is above the tolerance.
    """
    n, m = sizes
    if tolerance > 0 and psi([old, n - old], [new, m - new]) <= tolerance:
        return 1.0
    rises = _rise(old, new, n, m, tolerance)
    falls = _rise(new, old, m, n, tolerance)
    return min(1.0, 2 * min(rises, falls))


def mean_p_value(old: Integers, new: Integers, at: Floats, tolerance: float) -> float:
    """Test whether the mean moved, from counts of bins that lie `at` numbers.

    The larger side gives mean, spread and skewness of a row, Pearson's type III the tail of a mean
    of so many skewed rows (never a lighter one than the normal tail). A lone row where the larger
    side has none is left out: one customer makes no drift.

    References
    ----------
    Hodges, J. L. and Lehmann, E. L. (1954), J. R. Statist. Soc. B 16, 261-268, of a null that is an
    interval: the tails of both its ends are added.
    """
    base, other = (old, new) if old.sum() >= new.sum() else (new, old)
    unseen = base == 0
    if other[unseen].sum() == 1:
        other = np.where(unseen, 0, other)
    n, m = int(base.sum()), int(other.sum())
    if m == 0:
        return 1.0
    shares = base / n
    center = float(shares @ at)
    spread = float(np.sqrt(shares @ (at - center) ** 2))
    if spread == 0:
        return 1.0
    allowed = np.sqrt(tolerance) * _typical_distance(shares, at) / spread
    error = np.sqrt(1 / n + 1 / m)
    skew = float(shares @ ((at - center) / spread) ** 3) * (m**-2 - n**-2) / error**3
    moved = (float(other @ at) / m - center) / spread
    sign = 1 if moved >= 0 else -1
    # Of all means that are allowed, one at an end of the interval is seen so far out most often.
    near, far = (
        stats.pearson3.sf((abs(moved) + way * allowed) / error, max(-way * sign * skew, 1e-6))
        for way in (-1, 1)
    )
    return float(min(1.0, near + far))


def _typical_distance(shares: Floats, at: Floats) -> float:
    """Return the mean distance from the median, or 1.4826 times the median one where that is less.

    Both are 0.8 and 1 standard deviations of a normal column. Where most rows share one value, the
    median distance is none.
    """
    distance = np.abs(at - _median(shares, at))
    by_distance = np.argsort(distance)
    median = _median(shares[by_distance], distance[by_distance]) * stats.norm.ppf(0.75) ** -1
    mean = float(shares @ distance)
    return min(mean, median) if median > 0 else mean


def _median(shares: Floats, ascending: Floats) -> float:
    return float(ascending[np.searchsorted(np.cumsum(shares), 0.5)])


def tails_p_value(old: Integers, new: Integers, tolerance: float) -> float:
    """Test exactly whether either end of ascending bins became heavier or lighter.

    An end is what holds at most 1.5 % of the reference. A bin weighs as many times as the rows in
    it and beyond it are rarer than that, up to 32: where nobody was, one row says most. Given its
    rows of both sides, each bin's current count is binomial, and the distribution of their weighted
    sum is computed by a Fourier transform, not approximated.
    """
    n, m = int(old.sum()), int(new.sum())
    weights = np.maximum(_outward(old), _outward(old[::-1])[::-1])
    held = (weights > 0) & (old + new > 0)
    if min(n, m) == 0 or not held.any():
        return 1.0
    totals, weights = (old + new)[held], weights[held]
    seen = int(weights @ new[held])
    ratio = (1 + np.sqrt(tolerance)) ** 3
    heavier = _weighted_tail(totals, weights, m * ratio / (m * ratio + n), seen)
    most = int(totals @ weights)
    # As heavy or lighter: the mirror image, counted from the reference's side.
    lighter = _weighted_tail(totals, weights, n * ratio / (n * ratio + m), most - seen)
    return min(1.0, 2 * min(heavier, lighter))


def holm(p_values: Sequence[float]) -> list[float]:
    """Return p-values adjusted for the chance of any false alarm among them, in the order given.

    References
    ----------
    Holm, S. (1979), Scandinavian Journal of Statistics 6, 65-70.

    Examples
    --------
    >>> holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    """
    order = np.argsort(p_values, kind="stable")
    remaining = np.arange(len(p_values), 0, -1)
    ascending = np.minimum(np.asarray(p_values)[order] * remaining, 1.0)
    adjusted = np.empty(len(p_values))
    adjusted[order] = np.maximum.accumulate(ascending)
    return adjusted.tolist()


def upper_tail(statistic: float, freedom: int, noncentrality: float) -> float:
    """Return P(T > statistic); far out the noncentral chi-square is normal, and scipy is slow."""
    mean, variance = freedom + noncentrality, 2 * (freedom + 2 * noncentrality)
    if max(statistic, mean) > _LARGE:
        return float(stats.norm.sf((statistic - mean) / np.sqrt(variance)))
    if noncentrality <= 0:
        return float(stats.chi2.sf(statistic, freedom))
    return float(stats.ncx2.sf(statistic, freedom, noncentrality))


def _critical(level: float, freedom: int, noncentrality: float) -> float:
    """Return the value that T exceeds with probability ``1 - level``."""
    mean, variance = freedom + noncentrality, 2 * (freedom + 2 * noncentrality)
    if mean > _LARGE:
        return float(mean + stats.norm.ppf(level) * np.sqrt(variance))
    if noncentrality <= 0:
        return float(stats.chi2.ppf(level, freedom))
    return float(stats.ncx2.ppf(level, freedom, noncentrality))


def _rise(before: int, after: int, n: int, m: int, tolerance: float) -> float:
    """Return P(count after >= seen) if the share grew as far as the tolerance lets it."""
    share, ratio = max((before + 0.5) / n, _RARE_SHARE), 1.0
    if tolerance > 0:
        ratio = optimize.brentq(lambda r: share * (r - 1) * np.log(r) - tolerance, 1.0, 1e12)
    return float(stats.binom.sf(after - 1, before + after, m * ratio / (m * ratio + n)))


def _outward(old: Integers) -> Integers:
    """Return the weights of the upper end of ascending bins; 0 where it is no end."""
    n = max(int(old.sum()), 1)
    beyond = np.cumsum(old[::-1])[::-1]
    weights = np.minimum(_TAIL_SHARE * n // np.maximum(beyond, 1), _MOST_WEIGHT)
    return np.where(beyond <= _TAIL_SHARE * n, np.maximum(weights, 1), 0).astype(np.int64)


def _weighted_tail(totals: Integers, weights: Integers, chance: float, seen: int) -> float:
    """Return P(sum of weights times binomial counts >= seen)."""
    length = int(totals @ weights) + 1
    if length > _LONGEST:
        mean = chance * float(totals @ weights)
        spread = np.sqrt(chance * (1 - chance) * float(totals @ weights**2))
        return float(stats.norm.sf((seen - 0.5 - mean) / spread))
    angle = -2j * np.pi * np.arange(length // 2 + 1) / length
    transform = np.ones(angle.size, dtype=np.complex128)
    for total, each in zip(totals.tolist(), weights.tolist(), strict=True):
        transform *= (1 - chance + chance * np.exp(angle * each)) ** total
    mass = np.fft.irfft(transform, length)
    return float(np.clip(mass[seen:].sum(), 1e-15, 1.0))
