"""Drift: whether a column's distribution moved by more than is tolerated.

The usual rules fail small lenders and large ones alike: a fixed PSI of 0.1 is noise in a window of
200 customers, a p-value below 0.05 is certain in one of a million. Here PSI keeps its place as the
number people read, and the verdict comes from a test of *at most this much drift*: with reference
size n and current size m, T = nm/(n+m) PSI follows a noncentral chi-square whose noncentrality is
nm/(n+m) times the tolerance if the tolerance is just reached.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow.compute as pc
from scipy import optimize, stats

from governance.counts import Counts
from governance.measurement import Measurement
from governance.measures.intervals import Interval, benjamini_hochberg
from governance.outcome import Outcome
from governance.proportion import CONFIDENCE
from monitoring.bins import MISSING, OTHER

MEASURE = "drift.stability_index"
TOLERANCE = 0.01
FALSE_DISCOVERIES = 0.05

# A pass claims that a shift which examiners call moderate would have been seen.
_MODERATE, _POWER = 0.1, 0.8
_RARE_EXPECTED = 5.0
_LARGE = 1e4

Integers = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Pair:
    """Two count vectors of one column over the same bins."""

    labels: tuple[str, ...]
    old: Integers
    new: Integers

    @property
    def sizes(self) -> tuple[int, int]:
        """Rows of the reference and of the current window."""
        return int(self.old.sum()), int(self.new.sum())


@dataclass(frozen=True, slots=True, kw_only=True)
class _Shift:
    """What one column's two count vectors say, before columns are looked at together."""

    psi: float
    interval: Interval
    p_value: float
    power: float
    bins: int


def measure_drift(
    reference: Counts, current: Counts, *, tolerance: float = TOLERANCE
) -> tuple[Measurement, ...]:
    r"""Judge the drift of every column from counts over ``feature`` and ``bin``.

    The value is PSI = sum (c_i - r_i) ln(c_i / r_i) over bins, with r and c the shares of the
    reference and the current window. Bins too rare for the approximation are pooled and tested
    exactly. Columns are judged together under a false discovery rate of 5 % (Benjamini-Hochberg).

    Parameters
    ----------
    reference, current : Counts
        From :func:`monitoring.counts.reduce` with the same bins.
    tolerance : float
        Largest PSI that is no drift; 0 tests for any difference at all. The tolerance also has to
        absorb the noise of a reference that many windows share.

    Returns
    -------
    tuple of Measurement
        One per column, sorted by name. ``BREACH``: drift beyond the tolerance is shown. ``PASS``:
        it is not, and a PSI of 0.1 would have been found with a probability of at least 80 %.

    Notes
    -----
    When it says nothing: a column that is missing, empty or withheld on one side, or windows too
    small to have found a PSI of 0.1, are ``INCONCLUSIVE``. PSI and its interval carry an upward
    noise of about (bins - 1)(1/n + 1/m); the interval is widened to hold the value.

    References
    ----------
    Yurdakul, B. (2018), Statistical properties of the population stability index. Du Pisanie, J. et
    al. (2023), A critical review of existing and new population stability testing procedures,
    arXiv:2303.01227. Potgieter, C. J. et al. (2023), arXiv:2307.11878.

    Examples
    --------
    >>> def window(low, high):
    ...     cells = {"a": low, "b": high}.items()
    ...     return Counts.from_rows({"feature": "pay", "bin": b, "n": n} for b, n in cells)
    >>> [still] = measure_drift(window(5000, 5000), window(5050, 4950))
    >>> [moved] = measure_drift(window(5000, 5000), window(6000, 4000))
    >>> still.outcome.value, moved.outcome.value, round(moved.value, 4)
    ('PASS', 'BREACH', 0.0405)
    """
    names = sorted({str(name) for side in (reference, current) for name in side.values("feature")})
    pairs = {name: _pair(reference, current, name) for name in names}
    shifts = {
        name: _shift(pair, tolerance, FALSE_DISCOVERIES / len(names))
        for name, pair in pairs.items()
        if not isinstance(pair, str)
    }
    adjusted = benjamini_hochberg([shift.p_value for shift in shifts.values()])
    flags = dict(zip(shifts, adjusted.tolist(), strict=True))
    measured = []
    for name, pair in pairs.items():
        if isinstance(pair, str):
            measured.append(_silent(name, _rows(current, name), pair))
        else:
            measured.append(_judged(name, pair.sizes, shifts[name], flags[name], tolerance))
    return tuple(measured)


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


def _pair(reference: Counts, current: Counts, name: str) -> _Pair | str:
    """Return both count vectors of one column, or the reason why they cannot be compared."""
    sides = [_cells(reference, name), _cells(current, name)]
    for side, which in zip(sides, ("reference", "current"), strict=True):
        if not side:
            return f"The column is missing, empty or of another type in the {which} window."
        if None in side.values():
            return f"Cells of the {which} window are withheld."
        if set(side) == {MISSING}:
            return f"Every value of the {which} window is missing."
    labels = tuple(sorted(set(sides[0]) | set(sides[1])))
    old, new = (np.array([side.get(label) or 0 for label in labels], np.int64) for side in sides)
    return _Pair(labels=labels, old=old, new=new)


def _cells(counts: Counts, name: str) -> dict[str, int | None]:
    table = counts.table.filter(pc.equal(counts.table["feature"], name))
    found = zip(table["bin"].to_pylist(), table["n"].to_pylist(), strict=True)
    return {label: n for label, n in found if n != 0}


def _rows(counts: Counts, name: str) -> int:
    return sum(n or 0 for n in _cells(counts, name).values())


def _shift(pair: _Pair, tolerance: float, alpha: float) -> _Shift:
    """Test one column; common bins together, rare ones exactly, and all share the error."""
    old, new, rare = _pooled(pair)
    p_values = [_rare_p_value(pool, pair.sizes, tolerance) for pool in rare]
    # One common bin left over compares nothing: such a window cannot tell, and never passes.
    power = 0.0
    if old.size > 1:
        weight, freedom = _weight(old, new), old.size - 1
        p_values.append(_tail(weight * psi(old, new), freedom, weight * tolerance))
        critical = _critical(1 - alpha, freedom, weight * tolerance)
        power = _tail(critical, freedom, weight * _MODERATE)
    every_old = np.append(old, [before for before, _ in rare])
    every_new = np.append(new, [after for _, after in rare])
    value = psi(every_old, every_new)
    return _Shift(
        psi=value,
        interval=_interval(value, every_old.size - 1, _weight(every_old, every_new)),
        p_value=min([1.0, *(len(p_values) * p for p in p_values)]),
        power=power,
        bins=int(every_old.size),
    )


def _pooled(pair: _Pair) -> tuple[Integers, Integers, list[tuple[int, int]]]:
    """Split off the bins whose expected count is below five in the smaller window.

    Missing values and unknown codes are what faults look like, so each of them is a pool of its
    own; the other rare bins are one pool, which rejoins the common bins if it is large enough.
    """
    n, m = pair.sizes
    expected = (pair.old + pair.new) * (min(n, m) / (n + m))
    is_rare = expected < _RARE_EXPECTED
    is_special = np.array([label in (MISSING, OTHER) for label in pair.labels])
    old, new = pair.old[~is_rare], pair.new[~is_rare]
    pools = [(int(pair.old[k]), int(pair.new[k])) for k in np.flatnonzero(is_rare & is_special)]
    others = is_rare & ~is_special
    if others.any():
        pool = (int(pair.old[others].sum()), int(pair.new[others].sum()))
        if expected[others].sum() >= _RARE_EXPECTED:
            return np.append(old, pool[0]), np.append(new, pool[1]), pools
        pools.append(pool)
    return old, new, pools


def _rare_p_value(pool: tuple[int, int], sizes: tuple[int, int], tolerance: float) -> float:
    """Test exactly whether the pooled rare share rose by more than a PSI of `tolerance`.

    Given their sum, the current count is binomial; its parameter follows from the largest ratio of
    shares that the tolerance allows. Only a rise is tested: a rare bin has nowhere to fall.
    """
    n, m = sizes
    old, new = pool
    share = (old + 0.5) / n
    ratio = 1.0
    if tolerance > 0:
        ratio = optimize.brentq(lambda r: share * (r - 1) * np.log(r) - tolerance, 1.0, 1e12)
    chance = m * ratio / (m * ratio + n)
    return float(stats.binom.sf(new - 1, old + new, chance))


def _weight(reference: Integers, current: Integers) -> float:
    n, m = float(reference.sum()), float(current.sum())
    return n * m / (n + m) if n + m else 0.0


def _tail(statistic: float, freedom: int, noncentrality: float) -> float:
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


def _interval(value: float, freedom: int, weight: float) -> Interval:
    """Invert the test: every true PSI that the observed one does not contradict."""
    if freedom < 1 or weight == 0:
        return Interval(value, value)
    statistic, tail = value * weight, (1 - CONFIDENCE) / 2
    reach = statistic + 10 * np.sqrt(2 * (freedom + 2 * statistic)) + 50

    def end(level: float) -> float:
        def excess(noncentrality: float) -> float:
            return _tail(statistic, freedom, noncentrality) - level

        return 0.0 if excess(0.0) >= 0 else float(optimize.brentq(excess, 0.0, reach)) / weight

    return Interval(min(end(tail), value), max(end(1 - tail), value))


def _judged(
    name: str, sizes: tuple[int, int], shift: _Shift, adjusted: float, tolerance: float
) -> Measurement:
    if adjusted <= FALSE_DISCOVERIES:
        outcome, verdict = Outcome.BREACH, f"more than the tolerance of {tolerance:g}"
    elif shift.power < _POWER:
        outcome = Outcome.INCONCLUSIVE
        verdict = f"too few rows: a PSI of {_MODERATE:g} would be found with {shift.power:.0%} only"
    else:
        outcome, verdict = Outcome.PASS, f"no more than the tolerance of {tolerance:g} is shown"
    evidence = f"{shift.bins} bins, {sizes[1]} rows against {sizes[0]}, adjusted p {_p(adjusted)}"
    return Measurement(
        measure=MEASURE,
        scope={"feature": name},
        value=shift.psi,
        low=shift.interval.low,
        high=shift.interval.high,
        n=sizes[1],
        unit="psi",
        outcome=outcome,
        reason=f"{verdict} ({evidence})",
    )


def _p(value: float) -> str:
    return f"= {value:.2g}" if value >= 1e-4 else "< 0.0001"


def _silent(name: str, n: int, reason: str) -> Measurement:
    return Measurement(
        measure=MEASURE,
        scope={"feature": name},
        n=n,
        unit="psi",
        outcome=Outcome.INCONCLUSIVE,
        reason=reason,
    )
