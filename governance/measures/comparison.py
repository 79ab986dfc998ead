"""Two models on the same customers: how much better one is, and whether that is chance.

Two models that were measured on the same customers move together when customers are drawn anew, so
their difference is far more certain than either number. A single 80/20 split of the bundled data
moves the area by 1.5 points; the paired difference tells models apart that are a tenth of a point
away from each other.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from governance.errors import UsageError
from governance.measurement import Measurement
from governance.measures.calibration import calibration_bins
from governance.measures.customers import Customers
from governance.measures.discrimination import (
    ONE_CLASS,
    Labels,
    Scores,
    areas,
    measure_auc,
    undefined,
)
from governance.measures.intervals import Floats, Interval
from governance.outcome import Outcome

DRAWS = 400
FIGURES = ("discrimination.auc", "discrimination.ks", "calibration.brier", "calibration.ece")
AUC_DIFFERENCE = "alternatives.auc_difference"

Events = NDArray[np.bool_]

_FEWEST = 10
# So many draws at a time keep the weights in a few megabytes whatever the number of customers.
_WEIGHTS_AT_ONCE = 1_000_000


def draw_weights(n: int, rng: np.random.Generator) -> Iterator[Floats]:
    """Yield how often each of `n` customers is in 400 draws with replacement, ``(n_draws, n)``."""
    at_once = max(1, min(DRAWS, _WEIGHTS_AT_ONCE // n))
    for start in range(0, DRAWS, at_once):
        size = min(at_once, DRAWS - start)
        drawn = rng.integers(0, n, (size, n)) + n * np.arange(size)[:, None]
        weights = np.bincount(drawn.ravel(), minlength=size * n).reshape(size, n)
        yield weights.astype(np.float64)


def measure_auc_difference(
    labels: Labels,
    scores: Scores,
    other: Scores,
    *,
    seed: int,
    against: str = "other",
    customers: Customers | None = None,
) -> Measurement:
    """Return AUC of `scores` minus AUC of `other` with a paired bootstrap 95 % interval.

    Formula: difference of the two areas on the same customers; the interval is the 2.5th to 97.5th
    percentile over 400 draws of customers with replacement, the same draw for both models.

    Parameters
    ----------
    labels : ndarray of {0, 1}, shape (n_rows,)
    scores, other : ndarray of float64, shape (n_rows,)
        Higher means riskier.
    against : str
        Name of the other model; the measurement's scope.
    customers : ndarray of int64, shape (n_rows,), or None
        Whose row it is, if customers have several: a draw then holds all of them or none.

    Raises
    ------
    UsageError
        If the three do not belong to the same customers.

    Notes
    -----
    When it says nothing: with one class only the difference is undefined; the outcome is
    ``INCONCLUSIVE``.

    References
    ----------
    Efron, B. and Tibshirani, R. (1993). An Introduction to the Bootstrap, chapter 16.

    Examples
    --------
    >>> labels = np.array([0, 0, 1, 1])
    >>> one, two = np.array([0.1, 0.4, 0.35, 0.8]), np.array([0.1, 0.2, 0.3, 0.4])
    >>> measure_auc_difference(labels, one, two, seed=0).value
    -0.25
    """
    n = len(labels)
    if len(scores) != n or len(other) != n:
        raise UsageError(
            f"{n} labels came with {len(scores)} and {len(other)} scores; a pair needs "
            "scores of the same customers."
        )
    if len(np.unique(labels)) < 2:
        found = undefined("comparison.auc_difference", n, ONE_CLASS)
        return found.model_copy(update={"scope": {"against": against}})
    whole = np.ones((1, n))
    value = float((areas(labels, scores, whole) - areas(labels, other, whole))[0])
    # Without customers of several rows, every row is a customer of its own.
    own = np.arange(n) if customers is None else np.unique(customers, return_inverse=True)[1]
    draws = [
        areas(labels, scores, weights[:, own]) - areas(labels, other, weights[:, own])
        for weights in draw_weights(int(own.max()) + 1, np.random.default_rng([seed, 7]))
    ]
    low, high = (float(edge) for edge in np.nanquantile(np.concatenate(draws), [0.025, 0.975]))
    return Measurement(
        measure="comparison.auc_difference",
        scope={"against": against},
        value=value,
        low=low,
        high=high,
        n=n,
    )


def measure_accuracy(
    scores: Mapping[str, Scores],
    defaulted: Events,
    *,
    version: str,
    seed: int,
    doubt: str = "",
) -> tuple[Measurement, ...]:
    """Measure AUC, KS, Brier score and ECE of each model, and their differences to the version.

    The area has its DeLong interval. The others, and every difference, have the basic bootstrap
    interval over 400 draws of customers, the same draw for every model: 2v - q at the 97.5th and
    2.5th percentile q, which takes back that KS and ECE are larger in a draw than in the sample.

    Parameters
    ----------
    scores : mapping of str to ndarray, each of shape (n_rows,)
        Model to default probability; `version` is among them.
    defaulted : ndarray of bool, shape (n_rows,)
    doubt : str
        Why the known outcomes cannot carry a figure, if they cannot.

    Returns
    -------
    tuple of Measurement
        Scope ``alternative``, the name of the model; ``alternatives.<figure>_difference`` is the
        model's figure minus the version's.

    Notes
    -----
    When it says nothing: with fewer than ten defaults or ten others nothing is measured.

    References
    ----------
    Efron, B. and Tibshirani, R. (1993). An Introduction to the Bootstrap, chapters 13 and 16.
    """
    n, events = int(defaulted.size), int(defaulted.sum())
    if doubt or min(events, n - events) < _FEWEST:
        reason = "Ten defaults and ten others with a known outcome are needed at least."
        return tuple(_silent(scores, version, n, doubt or reason))
    drawn: dict[str, list[Floats]] = {name: [] for name in scores}
    for weights in draw_weights(n, np.random.default_rng(seed)):
        for name, score in scores.items():
            drawn[name].append(_figures(score, defaulted, weights))
    values = {
        name: _figures(score, defaulted, np.ones((1, n)))[:, 0] for name, score in scores.items()
    }
    spread = {name: np.concatenate(parts, axis=1) for name, parts in drawn.items()}
    measured: list[Measurement] = []
    for name, score in scores.items():
        scope = {"alternative": name}
        area = measure_auc(defaulted.astype(np.int64), score)
        measured.append(area.model_copy(update={"scope": scope}))
        for place, figure in enumerate(FIGURES[1:], 1):
            interval = basic(values[name][place], spread[name][place], floor=0.0)
            measured.append(one(figure, scope, (values[name][place], interval), n))
        if name != version:
            value, draws = values[name] - values[version], spread[name] - spread[version]
            for place, figure in enumerate(FIGURES):
                interval = basic(value[place], draws[place])
                measured.append(one(difference_of(figure), scope, (value[place], interval), n))
    return tuple(measured)


def difference_of(figure: str) -> str:
    """Return the measure that says how far a figure is from the version's."""
    return f"alternatives.{figure.rpartition('.')[2]}_difference"


def basic(value: float, draws: Floats, *, floor: float | None = None) -> Interval:
    """Return the basic 95 % bootstrap interval: the draws' percentiles, mirrored at the value."""
    low, high = np.nanquantile(draws, [0.025, 0.975])
    return mirrored(float(value), float(low), float(high), floor=floor)


def mirrored(value: float, low: float, high: float, *, floor: float | None = None) -> Interval:
    """Return the interval whose ends are two percentiles, mirrored at the value, which it holds."""
    ends = (min(2 * value - high, value), max(2 * value - low, value))
    return Interval(*(end if floor is None else max(end, floor) for end in ends))


def one(
    measure: str,
    scope: Mapping[str, str],
    found: tuple[float, Interval | None] | None,
    n: int,
    *,
    reason: str = "",
) -> Measurement:
    """Return a measurement of a value with its interval, or one that cannot tell."""
    value, interval = found or (None, None)
    return Measurement(
        measure=measure,
        scope=scope,
        value=None if value is None else float(value),
        low=interval.low if interval else None,
        high=interval.high if interval else None,
        n=n,
        unit="score",
        outcome=Outcome.INFO if value is not None else Outcome.INCONCLUSIVE,
        reason=reason,
    )


def _figures(score: Scores, defaulted: Events, weights: Floats) -> Floats:
    """Return the `FIGURES` of every draw, ``(4, n_draws)``; `weights` is ``(n_draws, n_rows)``."""
    order = np.argsort(score, kind="stable")
    ordered, is_event, drawn = score[order], defaulted[order], weights[:, order]
    steps = np.flatnonzero(np.append(np.diff(ordered) > 0, True))
    events, others = (np.cumsum(drawn * part, axis=1) for part in (is_event, ~is_event))
    bad, good, total = events[:, [-1]], others[:, [-1]], drawn.sum(axis=1)
    # A draw may hold one class only; its figures are undefined and left out of the percentiles.
    with np.errstate(invalid="ignore", divide="ignore"):
        apart = np.abs(events[:, steps] / bad - others[:, steps] / good)
    brier = (drawn * (ordered - is_event) ** 2).sum(axis=1) / total
    # Equal probabilities share a bin, so the first row of a bin is where its number changes.
    starts = np.flatnonzero(np.diff(calibration_bins(ordered), prepend=-1))
    gaps = np.add.reduceat(drawn * (is_event - ordered), starts, axis=1)
    area = areas(defaulted.astype(np.int64), score, weights)
    return np.stack([area, apart.max(axis=1), brier, np.abs(gaps).sum(axis=1) / total])


def _silent(
    scores: Mapping[str, Scores], version: str, n: int, reason: str
) -> Iterator[Measurement]:
    for name in scores:
        scope = {"alternative": name}
        for figure in FIGURES:
            yield one(figure, scope, None, n, reason=reason)
            if name != version:
                yield one(difference_of(figure), scope, None, n, reason=reason)
