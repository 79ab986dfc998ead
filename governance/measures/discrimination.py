"""How well a score separates customers who default from customers who do not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from governance.measurement import Measurement
from governance.measures import customers as clusters
from governance.measures.customers import Customers
from governance.measures.intervals import clopper_pearson
from governance.outcome import Outcome

Labels = NDArray[np.int64]
Scores = NDArray[np.float64]

Z95 = 1.959963984540054
BOOTSTRAP_DRAWS = 200
ONE_CLASS = "Only one class is present, so nothing can be told apart."


def measure_auc(
    labels: Labels, scores: Scores, *, customers: Customers | None = None
) -> Measurement:
    """Return the area under the ROC curve with DeLong's 95 % interval on the logit scale.

    Formula: the share of (defaulter, non-defaulter) pairs in which the defaulter has the higher
    score; ties count one half. The logit keeps the interval between 0 and 1 and its coverage near
    them. Of an area of exactly 0 or 1 DeLong's variance is zero, though few customers prove little;
    its interval is the exact one of as many pairs as the rarer class has customers.

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
    ``INCONCLUSIVE``. A class of one customer has no variance, so there is no interval.

    References
    ----------
    DeLong, DeLong and Clarke-Pearson (1988), Biometrics 44(3), 837-845; Sun and Xu (2014), IEEE
    Signal Processing Letters 21, 1389-1393; for several rows a customer, Obuchowski (1997),
    Biometrics 53(2), 567-578.

    Examples
    --------
    >>> measure_auc(np.array([0, 0, 1, 1]), np.array([0.1, 0.4, 0.35, 0.8])).value
    0.75
    """
    return _area("discrimination.auc", (labels, scores, customers), lambda area: area)


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
    return _area("discrimination.gini", (labels, scores, customers), lambda area: 2 * area - 1)


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
        return undefined("discrimination.ks", len(labels), ONE_CLASS, unit="score")
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
    return Measurement(
        measure="discrimination.ks", value=value, low=low, high=high, n=n, unit="score"
    )


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


def areas(labels: Labels, scores: Scores, weights: Scores) -> Scores:
    """Return the area under the ROC curve for every row of `weights`.

    Parameters
    ----------
    weights : ndarray of float64, shape (n_draws, n_rows)
        How often each draw holds each customer.

    Returns
    -------
    ndarray of float64, shape (n_draws,)
        Not a number where a draw holds one class only.
    """
    order = np.argsort(scores, kind="stable")
    ordered, is_event = scores[order], labels[order] == 1
    # Customers of equal score are one step: a pair of them counts one half.
    starts = np.flatnonzero(np.concatenate([[True], np.diff(ordered) > 0]))
    drawn = weights[:, order]
    events = np.add.reduceat(np.where(is_event, drawn, 0.0), starts, axis=1)
    others = np.add.reduceat(np.where(is_event, 0.0, drawn), starts, axis=1)
    below = np.cumsum(others, axis=1) - others / 2
    pairs = events.sum(axis=1) * others.sum(axis=1)
    won: Scores = (events * below).sum(axis=1)
    # Without a pair the quotient is 0/0, which is undefined and not zero.
    with np.errstate(invalid="ignore"):
        area: Scores = won / pairs
    return area


def _area(
    measure: str,
    rows: tuple[Labels, Scores, Customers | None],
    scale: Callable[[float], float],
) -> Measurement:
    """Return the area on some scale, with the interval of the area on the same."""
    n, (area, error) = len(rows[0]), _auc_and_error(*rows)
    if np.isnan(area):
        return undefined(measure, n, ONE_CLASS, unit="score")
    low, high = _logit_interval(area, error) if 0 < area < 1 else _certain(area, rows)
    is_known = not np.isnan(low)
    return Measurement(
        measure=measure,
        value=scale(area),
        low=scale(low) if is_known else None,
        high=scale(high) if is_known else None,
        n=n,
        unit="score",
    )


def _logit_interval(area: float, error: float) -> tuple[float, float]:
    middle, spread = np.log(area / (1 - area)), Z95 * error / (area * (1 - area))
    low, high = (float(1 / (1 + np.exp(-(middle + side * spread)))) for side in (-1, 1))
    return low, high


def _certain(area: float, rows: tuple[Labels, Scores, Customers | None]) -> tuple[float, float]:
    """Return the exact interval of an area of 0 or 1; not a number if a class has one customer."""
    labels, _, customers = rows
    own = np.arange(len(labels)) if customers is None else customers
    fewest = min(len(np.unique(own[labels == outcome])) for outcome in (0, 1))
    interval = clopper_pearson(int(area) * fewest, fewest) if fewest > 1 else None
    if interval is None or interval.low is None or interval.high is None:
        return float("nan"), float("nan")
    return interval.low, interval.high


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
