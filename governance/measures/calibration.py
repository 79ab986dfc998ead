"""Whether a default probability means what it says.

Every calibration error has a noise floor: a perfect model does not measure zero on a finite sample.
The error is therefore held against the errors of simulated perfect models.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from governance.measurement import Measurement
from governance.measures import customers as clusters
from governance.measures.customers import Customers
from governance.measures.discrimination import (
    BOOTSTRAP_DRAWS,
    ONE_CLASS,
    Z95,
    Labels,
    Scores,
    basic_interval,
    undefined,
)

BINS = 15

_RATIO = "calibration.observed_over_expected"
_ECE = "calibration.ece"
_ECE_FLOOR = "calibration.ece_floor"
_SLOPE = "calibration.slope"
_INTERCEPT = "calibration.intercept"
_NEWTON_STEPS = 50
_TINY = 1e-15
# The 95th percentile of 200 draws lies between the 184th and the 197th smallest in 95 % of cases.
_FLOOR_RANKS = (183, 196)


def measure_brier(
    labels: Labels, probability: Scores, *, customers: Customers | None = None
) -> Measurement:
    """Return the mean squared error of the default probability with a normal 95 % interval.

    Formula: mean of (p - y) squared.

    Notes
    -----
    When it says nothing: without rows.

    Examples
    --------
    >>> measure_brier(np.array([0, 1]), np.array([0.5, 0.5])).value
    0.25
    """
    return _mean("calibration.brier", (probability - labels) ** 2, customers)


def measure_log_loss(
    labels: Labels, probability: Scores, *, customers: Customers | None = None
) -> Measurement:
    """Return the mean negative log-likelihood with a normal 95 % interval.

    Formula: mean of -log(p) for defaulters and -log(1 - p) for the others; probabilities are kept
    1e-15 away from 0 and 1.

    Notes
    -----
    When it says nothing: without rows.

    Examples
    --------
    >>> round(measure_log_loss(np.array([0, 1]), np.array([0.5, 0.5])).value, 6)
    0.693147
    """
    return _mean("accuracy.log_loss", losses(labels, probability), customers)


def losses(labels: Labels, probability: Scores) -> Scores:
    """Return each customer's log loss, ``(n_rows,)``."""
    kept = np.clip(probability, _TINY, 1 - _TINY)
    found: Scores = -np.where(labels == 1, np.log(kept), np.log1p(-kept))
    return found


def measure_calibration_error(
    labels: Labels, probability: Scores, *, seed: int, customers: Customers | None = None
) -> Measurement:
    """Return the expected calibration error with a basic bootstrap 95 % interval.

    Formula: over at most 15 bins of equally many customers, the sum of
    ``|sum of (p - y) in the bin| / n``. It means little without `measure_noise_floor`.

    Notes
    -----
    When it says nothing: without rows. Near its floor the error is mostly noise, and the mirrored
    draws can miss the value altogether; the interval is then left undefined.

    Examples
    --------
    >>> measure_calibration_error(np.array([0, 1]), np.array([0.25, 0.25]), seed=0).value
    0.25
    """
    n = len(labels)
    if n == 0:
        return undefined(_ECE, 0, "There are no rows.", unit="score")
    bins, gap = calibration_bins(probability), probability - labels
    value = _error(bins, gap)
    rng = np.random.default_rng([seed, 4])
    if customers is None:
        drawn = (rng.integers(0, n, n) for _ in range(BOOTSTRAP_DRAWS))
        errors = [_error(bins[rows], gap[rows]) for rows in drawn]
    else:
        weights = clusters.draws(customers, BOOTSTRAP_DRAWS, rng)
        errors = [_error(bins, gap * weight) * n / float(weight.sum()) for weight in weights]
    low, high = basic_interval(value, errors)
    return Measurement(measure=_ECE, value=value, low=low, high=high, n=n, unit="score")


def calibration_bins(probability: Scores) -> NDArray[np.intp]:
    """Return each row's bin of at most 15 of equal size, ``(n_rows,)``.

    The edges are quantiles, which no order of the rows changes; equal probabilities share a bin,
    and an edge belongs to the bin below it, as in scikit-learn's ``calibration_curve``.
    """
    edges = np.unique(np.quantile(probability, np.linspace(0, 1, BINS + 1)[1:-1]))
    return np.searchsorted(edges, probability, side="left")


def measure_observed_over_expected(labels: Labels, probability: Scores) -> Measurement:
    """Return observed over expected defaults with the 95 % interval of a calibrated model.

    Formula: sum of y over sum of p; the variance of the sum of y is the sum of p (1 - p).

    Notes
    -----
    When it says nothing: if no default is expected.

    Examples
    --------
    >>> measure_observed_over_expected(np.array([0, 1]), np.array([0.25, 0.25])).value
    2.0
    """
    n, expected = len(labels), float(probability.sum())
    if expected == 0:
        return undefined(_RATIO, n, "No default is expected.", unit="ratio")
    observed = float(labels.sum())
    spread = Z95 * float(np.sqrt((probability * (1 - probability)).sum())) / expected
    ratio = observed / expected
    return Measurement(
        measure=_RATIO,
        value=ratio,
        low=max(ratio - spread, 0.0),
        high=ratio + spread,
        n=n,
        unit="ratio",
        reason=f"{observed:.0f} defaults against {expected:.1f} expected",
    )


def log_odds(probability: Scores) -> Scores:
    """Return the log-odds of probabilities, kept finite at 0 and 1."""
    kept = np.clip(probability, _TINY, 1 - _TINY)
    odds: Scores = np.log(kept) - np.log1p(-kept)
    return odds


def measure_noise_floor(probability: Scores, *, seed: int) -> Measurement:
    """Return the calibration error that a perfect model with these probabilities rarely exceeds.

    Formula: outcomes are drawn from the probabilities themselves 200 times; ``value`` is the 95th
    percentile of the errors of those draws. The interval is that of a percentile of 200 draws, by
    its order statistics; the mean error is in the reason.

    Notes
    -----
    When it says nothing: without rows.

    Examples
    --------
    >>> measure_noise_floor(np.array([0.0, 1.0]), seed=0).value
    0.0
    """
    n = len(probability)
    if n == 0:
        return undefined(_ECE_FLOOR, 0, "There are no rows.", unit="score")
    # Sorted, so that the same draws meet the same probabilities in whatever order the rows come.
    probability = np.sort(probability)
    bins, rng = calibration_bins(probability), np.random.default_rng([seed, 5])
    draws = np.sort(
        [_error(bins, probability - (rng.random(n) < probability)) for _ in range(BOOTSTRAP_DRAWS)]
    )
    low, high = (float(draws[rank]) for rank in _FLOOR_RANKS)
    return Measurement(
        measure=_ECE_FLOOR,
        value=float(np.quantile(draws, 0.95)),
        low=low,
        high=high,
        n=n,
        unit="score",
        reason=f"95th percentile of {BOOTSTRAP_DRAWS} simulated, perfectly calibrated outcomes; "
        f"their mean is {draws.mean():.4f}.",
    )


def measure_calibration_line(
    labels: Labels, probability: Scores, *, customers: Customers | None = None
) -> tuple[Measurement, Measurement]:
    """Return slope and intercept of the outcome on the log-odds, with Wald 95 % intervals.

    Formula: maximum likelihood of ``logit P(y = 1) = intercept + slope * logit(p)``. A calibrated
    model has slope 1 and intercept 0; a slope below 1 means too extreme probabilities.

    Notes
    -----
    When it says nothing: with one class only, or when the probability separates the classes
    perfectly or is constant, the line is undefined; both outcomes are ``INCONCLUSIVE``.

    Examples
    --------
    >>> labels = np.array([0, 0, 0, 1, 0, 1, 1, 1])
    >>> slope, intercept = measure_calibration_line(labels, np.array([0.25] * 4 + [0.75] * 4))
    >>> round(slope.value, 6), round(abs(intercept.value), 6)
    (1.0, 0.0)
    """
    line, n = fit_line(labels, log_odds(probability), customers=customers), len(labels)
    if line is None:
        reason = ONE_CLASS if len(np.unique(labels)) < 2 else "The calibration line has no maximum."
        slope, intercept = (
            undefined(name, n, reason, unit="coefficient") for name in (_SLOPE, _INTERCEPT)
        )
        return slope, intercept
    return (
        _with_error(_SLOPE, line.slope, line.slope_error, n),
        _with_error(_INTERCEPT, line.intercept, line.intercept_error, n),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A fitted calibration line with its standard errors."""

    slope: float
    intercept: float
    slope_error: float
    intercept_error: float

    def apply(self, odds: Scores) -> Scores:
        """Return the probabilities that the line gives to log-odds."""
        calibrated: Scores = 1.0 / (1.0 + np.exp(-(self.intercept + self.slope * odds)))
        return calibrated


def fit_line(labels: Labels, odds: Scores, *, customers: Customers | None = None) -> Line | None:
    """Fit the calibration line by Newton's method; ``None`` if the likelihood has no maximum.

    With several rows a customer, the errors are those of drawn customers.
    """
    if len(np.unique(labels)) < 2 or np.ptp(odds) == 0:
        return None
    design = np.column_stack([np.ones(len(odds)), odds])
    weights = np.zeros(2)
    for _ in range(_NEWTON_STEPS):
        fitted = 1.0 / (1.0 + np.exp(-np.clip(design @ weights, -500, 500)))
        information = design.T @ (design * (fitted * (1 - fitted))[:, None])
        if not np.isfinite(information).all() or np.linalg.cond(information) > 1 / _TINY:
            return None
        step = np.linalg.solve(information, design.T @ (labels - fitted))
        weights = weights + step
        if np.abs(step).max() < 1e-10:
            covariance = np.linalg.inv(information)
            if customers is not None:
                scores = design * (labels - fitted)[:, None]
                meat = clusters.covariance_of_sum(scores, customers)
                covariance = covariance @ meat @ covariance
            errors = np.sqrt(np.diag(covariance))
            intercept, slope = (float(weight) for weight in weights)
            return Line(
                slope=slope,
                intercept=intercept,
                slope_error=float(errors[1]),
                intercept_error=float(errors[0]),
            )
    return None


def _mean(measure: str, losses: Scores, customers: Customers | None) -> Measurement:
    n = len(losses)
    if n == 0:
        return undefined(measure, 0, "There are no rows.", unit="score")
    value = float(losses.mean())
    margin = margin_of_mean(losses, customers)
    return Measurement(
        measure=measure, value=value, low=value - margin, high=value + margin, n=n, unit="score"
    )


def margin_of_mean(values: Scores, customers: Customers | None) -> float:
    """Return half the normal 95 % interval of the mean of `values`; not a number of one."""
    n = len(values)
    if customers is not None:
        return Z95 * clusters.error_of_sum((values - values.mean()) / n, customers)
    return Z95 * float(values.std(ddof=1)) / n**0.5 if n > 1 else float("nan")


def _with_error(measure: str, value: float, error: float, n: int) -> Measurement:
    low, high = value - Z95 * error, value + Z95 * error
    return Measurement(measure=measure, value=value, low=low, high=high, n=n, unit="coefficient")


def _error(bins: NDArray[np.intp], gap: Scores) -> float:
    return float(np.abs(np.bincount(bins, weights=gap)).sum() / len(gap))
