"""How well a score separates customers who default from customers who do not."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from governance.measurement import Measurement
from governance.outcome import Outcome
from training import customers as clusters
from training.customers import Customers

Labels = NDArray[np.int64]
Scores = NDArray[np.float64]

Z95 = 1.959963984540054
BOOTSTRAP_DRAWS = 200
ONE_CLASS = "Only one class is present, so nothing can be told apart."


def measure_auc(
    labels: Labels, scores: Scores, *, customers: Customers | None = None
) -> Measurement:
    """Return the area under the ROC curve with DeLong's 95 % interval.

    Formula: the share of (defaulter, non-defaulter) pairs in which the defaulter has the higher
    score; ties count one half.

    Parameters
    ----------
    labels : ndarray of {0, 1}, shape (n_rows,)
    scores : ndarray of float64, shape (n_rows,)
        Higher means riskier.
    customers : ndarray of int64, shape (n_rows,), or None
        Whose row it is, if customers have several: the interval then draws customers.

    Notes
    -----
    When it says nothing: with one class only the area is undefined; the outcome is
    ``INCONCLUSIVE``.

    References
    ----------
    DeLong, DeLong and Clarke-Pearson (1988), Biometrics 44(3), 837-845; for several rows a
    customer, Obuchowski (1997), Biometrics 53(2), 567-578.

    Examples
    --------
    >>> measure_auc(np.array([0, 0, 1, 1]), np.array([0.1, 0.4, 0.35, 0.8])).value
    0.75
    """
    area, error = _auc_and_error(labels, scores, customers)
    return _measured("discrimination.auc", len(labels), area, Z95 * error, within=(0.0, 1.0))


def measure_gini(
    labels: Labels, scores: Scores, *, customers: Customers | None = None
) -> Measurement:
    """Return Gini = 2 AUC - 1, with the interval of the area.

    Notes
    -----
    When it says nothing: with one class only, as the area.

    Examples
    --------
    >>> measure_gini(np.array([0, 0, 1, 1]), np.array([0.1, 0.4, 0.35, 0.8])).value
    0.5
    """
    area, error = _auc_and_error(labels, scores, customers)
    gini = 2 * area - 1
    return _measured("discrimination.gini", len(labels), gini, 2 * Z95 * error, within=(-1.0, 1.0))


def measure_ks(
    labels: Labels, scores: Scores, *, seed: int, customers: Customers | None = None
) -> Measurement:
    """Return the Kolmogorov-Smirnov distance with a basic bootstrap 95 % interval.

    Formula: the largest distance between the score distributions of defaulters and of
    non-defaulters.

    Parameters
    ----------
    seed : int
        Seed of the 200 bootstrap draws.
    customers : ndarray of int64, shape (n_rows,), or None
        As `measure_auc`.

    Notes
    -----
    When it says nothing: with one class only the distance is undefined; the outcome is
    ``INCONCLUSIVE``.

    Examples
    --------
    >>> measure_ks(np.array([0, 0, 1, 1]), np.array([0.1, 0.4, 0.35, 0.8]), seed=0).value
    0.5
    """
    if len(np.unique(labels)) < 2:
        return undefined("discrimination.ks", len(labels), ONE_CLASS)
    order = np.argsort(scores, kind="stable")
    ordered, is_event = scores[order], labels[order] == 1
    # A distribution jumps at a tie as a whole: it is read only after the last of equal scores.
    steps = np.flatnonzero(np.append(np.diff(ordered) > 0, True))
    n = len(labels)
    value = _distance(is_event, np.ones(n), steps)
    rng = np.random.default_rng([seed, 3])
    # Without customers of several rows, every row is a customer of its own.
    drawn = np.arange(n) if customers is None else customers[order]
    weights = clusters.draws(drawn, BOOTSTRAP_DRAWS, rng)
    draws = [_distance(is_event, weight, steps) for weight in weights]
    low, high = basic_interval(value, draws)
    high = None if high is None else min(high, 1.0)
    return Measurement(measure="discrimination.ks", value=value, low=low, high=high, n=n)


def basic_interval(value: float, draws: list[float]) -> tuple[float, float] | tuple[None, None]:
    """Return the basic bootstrap 95 % interval of a statistic that cannot be negative.

    Resampling inflates maxima and sums of absolute values; mirroring the draws at the value takes
    that bias out, where the plain percentiles would leave it in. Where the bias is larger than the
    spread, the mirrored draws miss the value itself; such an interval would be a false statement
    and both its edges are ``None``.
    """
    lower, upper = np.nanquantile(draws, [0.025, 0.975])
    low, high = max(0.0, 2 * value - float(upper)), 2 * value - float(lower)
    return (low, high) if low <= value <= high else (None, None)


def undefined(measure: str, n: int, reason: str, *, unit: str = "rate") -> Measurement:
    """Return a measurement that says that it cannot tell, and why."""
    return Measurement(measure=measure, n=n, unit=unit, outcome=Outcome.INCONCLUSIVE, reason=reason)


def _measured(
    measure: str, n: int, value: float, margin: float, *, within: tuple[float, float]
) -> Measurement:
    if np.isnan(value):
        return undefined(measure, n, ONE_CLASS)
    low, high = max(value - margin, within[0]), min(value + margin, within[1])
    return Measurement(measure=measure, value=value, low=low, high=high, n=n)


def _auc_and_error(
    labels: Labels, scores: Scores, customers: Customers | None
) -> tuple[float, float]:
    """Return the area and its standard error; not a number where one class is missing."""
    events, others = scores[labels == 1], scores[labels == 0]
    if not len(events) or not len(others):
        return float("nan"), float("nan")
    rank = rankdata(np.concatenate([events, others]))
    above = (rank[: len(events)] - rankdata(events)) / len(others)
    below = 1 - (rank[len(events) :] - rankdata(others)) / len(events)
    if customers is not None:
        parts = np.empty(len(labels))
        parts[labels == 1] = (above - above.mean()) / len(events)
        parts[labels != 1] = (below - below.mean()) / len(others)
        return float(above.mean()), clusters.error_of_sum(parts, customers)
    # A class of one customer has no variance of its own; its interval is left undefined.
    spread = [part.var(ddof=1) / len(part) if len(part) > 1 else np.nan for part in (above, below)]
    return float(above.mean()), float(np.sqrt(sum(spread)))


def _distance(is_event: NDArray[np.bool_], weight: NDArray[Any], steps: Labels) -> float:
    events, others = np.cumsum(weight * is_event), np.cumsum(weight * ~is_event)
    if not events[-1] or not others[-1]:
        return float("nan")
    return float(np.abs(events[steps] / events[-1] - others[steps] / others[-1]).max())
