"""Two models on the same customers: how much better one is, and whether that is chance.

The areas of two models move together when customers are drawn anew, so the difference is far more
certain than either area. A single 80/20 split of the bundled data moves the area by 1.5 points; the
paired difference tells models apart that are a tenth of a point away from each other.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from governance.errors import UsageError
from governance.measurement import Measurement
from governance.measures.customers import Customers
from governance.measures.discrimination import ONE_CLASS, Labels, Scores, areas, undefined

AUC_DIFFERENCE = "comparison.auc_difference"
DRAWS = 400

# So many draws at a time keep the weights in a few megabytes whatever the number of customers.
_WEIGHTS_AT_ONCE = 1_000_000


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
        found = undefined(AUC_DIFFERENCE, n, ONE_CLASS)
        return found.model_copy(update={"scope": {"against": against}})
    weights = np.ones((1, n))
    value = float((areas(labels, scores, weights) - areas(labels, other, weights))[0])
    # Without customers of several rows, every row is a customer of its own.
    drawn = np.arange(n) if customers is None else np.unique(customers, return_inverse=True)[1]
    draws = _drawn_differences(labels, (scores, other), drawn, np.random.default_rng([seed, 7]))
    low, high = (float(edge) for edge in np.nanquantile(draws, [0.025, 0.975]))
    return Measurement(
        measure=AUC_DIFFERENCE, scope={"against": against}, value=value, low=low, high=high, n=n
    )


def _drawn_differences(
    labels: Labels, pair: tuple[Scores, Scores], customers: Customers, rng: np.random.Generator
) -> NDArray[np.float64]:
    n = int(customers.max()) + 1
    at_once = max(1, min(DRAWS, _WEIGHTS_AT_ONCE // n))
    found = []
    for start in range(0, DRAWS, at_once):
        size = min(at_once, DRAWS - start)
        drawn = rng.integers(0, n, (size, n)) + n * np.arange(size)[:, None]
        weights = np.bincount(drawn.ravel(), minlength=size * n).reshape(size, n).astype(np.float64)
        weights = weights[:, customers]
        found.append(areas(labels, pair[0], weights) - areas(labels, pair[1], weights))
    return np.concatenate(found)
