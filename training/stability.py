"""Stability: how much of a model is its data, and how much is the draw of rows or of trees.

A model that says something else after another seed has not learned it from the customers; a curve
that still rises says that more customers would help more than a better model.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import chi2
from sklearn.model_selection import StratifiedShuffleSplit

from governance.errors import UsageError
from governance.measurement import Measurement
from training import calibration, discrimination
from training import customers as clusters
from training.customers import Customers
from training.discrimination import Labels, Scores
from training.evaluation import Matrix, fit, out_of_fold, predict

SHARES = (0.1, 0.25, 0.5, 1.0)
SPLITS = 10

Maker = Callable[[int], Any]
"""Returns an unfitted estimator with the seed that it is given."""


def measure_seeds(
    make: Maker,
    features: Matrix,
    labels: Labels,
    *,
    seeds: Sequence[int],
    customers: Customers | None = None,
) -> tuple[Measurement, Measurement]:
    """Return what another seed of folds and trees changes: the area, and a customer's probability.

    Formula: ``stability.auc_over_seeds`` is the standard deviation of the out-of-fold area over the
    seeds, with the interval of a standard deviation; ``stability.probability_over_seeds`` is the
    mean over customers of the standard deviation of their default probability, with a normal
    interval.

    Raises
    ------
    UsageError
        If there are fewer than two seeds.
    """
    _refuse_single(seeds, "seeds")
    scored = np.stack(
        [
            out_of_fold(
                partial(make, seed), features, labels, seed=seed, customers=customers
            ).probability
            for seed in seeds
        ]
    )
    found = [_area(labels, probability) for probability in scored]
    spread = scored.std(axis=0, ddof=1)
    margin = calibration.margin_of_mean(spread, customers)
    mean = float(spread.mean())
    return (
        _deviation("stability.auc_over_seeds", found, len(labels)),
        Measurement(
            measure="stability.probability_over_seeds",
            value=mean,
            low=max(0.0, mean - margin),
            high=mean + margin,
            n=len(labels),
            reason=f"{len(seeds)} seeds.",
        ),
    )


def measure_subsamples(
    make: Maker,
    features: Matrix,
    labels: Labels,
    *,
    seed: int,
    splits: int = SPLITS,
    customers: Customers | None = None,
) -> Measurement:
    """Return how far the area of a single 80/20 split moves from split to split.

    Formula: ``stability.auc_over_splits`` is the standard deviation of the area on the left-out
    fifth over random splits, with the interval of a standard deviation. A threshold finer than
    twice this value cannot be judged on one split.

    Raises
    ------
    UsageError
        If there are fewer than two splits.
    """
    _refuse_single(range(splits), "splits")
    drawn = StratifiedShuffleSplit(splits, test_size=0.2, random_state=seed)
    found = []
    for seen, left_out in clusters.split(drawn, labels, customers):
        fitted = fit(make(seed), features[seen], labels[seen])
        found.append(_area(labels[left_out], predict(fitted, features[left_out])))
    return _deviation("stability.auc_over_splits", found, len(labels))


def measure_learning(
    make: Maker,
    features: Matrix,
    labels: Labels,
    *,
    seed: int,
    shares: Sequence[float] = SHARES,
    customers: Customers | None = None,
) -> tuple[Measurement, ...]:
    """Return the out-of-fold area of models that learned from a share of the customers.

    Formula: ``stability.auc_learned`` with DeLong's interval, one measurement per share; the scope
    names the rows that one fit saw. Every row is scored at every share. Where customers have
    several rows, a share is one of rows, so that nearly all customers are in a large share.
    """
    curve = []
    for share in shares:
        thinned = out_of_fold(
            partial(_thinned, make, share, seed), features, labels, seed=seed, customers=customers
        )
        area = discrimination.measure_auc(labels, thinned.probability, customers=customers)
        rows = round(share * 0.8 * len(labels))
        curve.append(
            area.model_copy(
                update={"measure": "stability.auc_learned", "scope": {"rows": str(rows)}}
            )
        )
    return tuple(curve)


class _Thinned:
    """An estimator that learns from a seeded share of the rows, the same share of either class."""

    def __init__(self, estimator: Any, share: float, seed: int) -> None:
        self._estimator, self._share, self._seed = estimator, share, seed

    def fit(self, features: Matrix, labels: Labels) -> Any:
        """Fit on the share and return the fitted estimator itself."""
        rng = np.random.default_rng([self._seed, 8])
        kept: list[NDArray[np.intp]] = []
        for outcome in np.unique(labels):
            rows = rng.permutation(np.flatnonzero(labels == outcome))
            kept.append(rows[: max(1, round(self._share * len(rows)))])
        seen = np.sort(np.concatenate(kept))
        return self._estimator.fit(features[seen], labels[seen])


def _thinned(make: Maker, share: float, seed: int) -> _Thinned:
    return _Thinned(make(seed), share, seed)


def _area(labels: Labels, probability: Scores) -> float:
    value = discrimination.measure_auc(labels, probability).value
    return float("nan") if value is None else value


def _deviation(measure: str, found: Sequence[float], n: int) -> Measurement:
    """Return the standard deviation of `found` with the interval for normal values."""
    if not np.isfinite(found).all():
        return discrimination.undefined(measure, n, discrimination.ONE_CLASS)
    freedom = len(found) - 1
    value = float(np.std(found, ddof=1))
    low, high = (value * (freedom / chi2.ppf(tail, freedom)) ** 0.5 for tail in (0.975, 0.025))
    reason = f"{len(found)} areas with a mean of {np.mean(found):.4f}."
    return Measurement(
        measure=measure, value=value, low=float(low), high=float(high), n=n, reason=reason
    )


def _refuse_single(repeated: Sequence[Any], called: str) -> None:
    if len(repeated) < 2:
        raise UsageError(f"{len(repeated)} {called} were given; a spread needs at least two.")
