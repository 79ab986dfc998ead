"""Out-of-fold evaluation: every customer is scored by a model that never saw that customer."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.calibration import CalibratedClassifierCV
from sklearn.model_selection import StratifiedKFold
from threadpoolctl import threadpool_limits

from governance.measurement import Measurement
from governance.measures import calibration, discrimination
from governance.measures import customers as clusters
from governance.measures.customers import Customers
from governance.measures.discrimination import Labels, Scores
from training.calibration import Verdict, judge_calibration

FOLDS = 5

Matrix = NDArray[np.float64]
Rows = NDArray[np.intp]


@dataclass(frozen=True, slots=True, kw_only=True)
class OutOfFold:
    """Out-of-fold default probabilities, ``(n_rows,)``, and the fold that each row was left to.

    Parameters
    ----------
    customers : ndarray of int64, shape (n_rows,), or None
        Whose row it is, if customers have several.
    """

    labels: Labels
    probability: Scores
    fold: NDArray[np.int64]
    customers: Customers | None = None

    def where(self, inside: NDArray[np.bool_]) -> OutOfFold:
        """Return the part of the rows that `inside`, ``(n_rows,)``, names."""
        return OutOfFold(
            labels=self.labels[inside],
            probability=self.probability[inside],
            fold=self.fold[inside],
            customers=None if self.customers is None else self.customers[inside],
        )

    def with_sigmoid(self) -> OutOfFold:
        """Return the probabilities behind a sigmoid that is fitted on the other folds only.

        A fold whose sigmoid has no maximum keeps its probabilities.
        """
        odds, calibrated = calibration.log_odds(self.probability), self.probability.copy()
        for fold in range(FOLDS):
            held_out = self.fold == fold
            line = calibration.fit_line(self.labels[~held_out], odds[~held_out])
            if line is not None:
                calibrated[held_out] = line.apply(odds[held_out])
        return dataclasses.replace(self, probability=calibrated)


def folds(seed: int) -> StratifiedKFold:
    """Return the split that evaluation and calibration share."""
    return StratifiedKFold(FOLDS, shuffle=True, random_state=seed)


def out_of_fold(
    make: Callable[[], Any],
    features: Matrix,
    labels: Labels,
    *,
    seed: int,
    done: Callable[[], None] = lambda: None,
    customers: Customers | None = None,
) -> OutOfFold:
    """Score every row by a model that was fitted on the other four folds.

    All rows of a customer are in one fold.

    Parameters
    ----------
    make : callable
        Returns an unfitted estimator.
    features : ndarray of float64, shape (n_rows, n_features)
    labels : ndarray of {0, 1}, shape (n_rows,)
    done : callable
        Called after each fold.
    customers : ndarray of int64, shape (n_rows,), or None
        Whose row it is; None if every customer has one row.
    """
    splits = list(clusters.split(folds(seed), labels, customers))
    probability = np.empty(len(labels))
    fold = np.empty(len(labels), dtype=np.int64)

    def score(split: tuple[Rows, Rows]) -> Scores:
        seen, held_out = split
        own = None if customers is None else customers[seen]
        fitted = fit(make(), features[seen], labels[seen], customers=own)
        return predict(fitted, features[held_out])

    for number, (split, scores) in enumerate(
        zip(splits, _side_by_side(score, splits), strict=True)
    ):
        probability[split[1]], fold[split[1]] = scores, number
        done()
    return OutOfFold(labels=labels, probability=probability, fold=fold, customers=customers)


def fit(
    estimator: Any, features: Matrix, labels: Labels, *, customers: Customers | None = None
) -> Any:
    """Fit on one thread: many short parallel regions cost more than they save on few cores.

    A sigmoid is fitted on folds of its own, which keep the rows of a customer together as well.
    """
    if customers is not None and isinstance(estimator, CalibratedClassifierCV):
        # Splits are row numbers of this one fit; what is kept of the estimator is their number.
        estimator.set_params(cv=list(clusters.split(StratifiedKFold(FOLDS), labels, customers)))
        fitted = fit(estimator, features, labels)
        return fitted.set_params(cv=FOLDS)
    # The limit belongs to the calling thread, so concurrent fits do not disturb each other.
    with threadpool_limits(limits=1, user_api="openmp"):
        return estimator.fit(features, labels)


def predict(estimator: Any, features: Matrix) -> Scores:
    """Return the default probability of each row."""
    probability: Scores = estimator.predict_proba(features)[:, 1]
    return probability


def evaluate(result: OutOfFold, *, seed: int) -> tuple[Measurement, ...]:
    """Return every measure of the out-of-fold probabilities, each with n and interval."""
    labels, probability, of = result.labels, result.probability, result.customers
    return (
        discrimination.measure_auc(labels, probability, customers=of),
        discrimination.measure_gini(labels, probability, customers=of),
        discrimination.measure_ks(labels, probability, seed=seed, customers=of),
        calibration.measure_brier(labels, probability, customers=of),
        calibration.measure_log_loss(labels, probability, customers=of),
        calibration.measure_calibration_error(labels, probability, seed=seed, customers=of),
        calibration.measure_noise_floor(probability, seed=seed),
        *calibration.measure_calibration_line(labels, probability, customers=of),
    )


def verdict(measurements: tuple[Measurement, ...]) -> Verdict:
    """Decide from an evaluation whether the model needs a sigmoid."""
    by_name = {measurement.measure: measurement for measurement in measurements}
    return judge_calibration(
        by_name["calibration.slope"],
        by_name["calibration.ece"],
        by_name["calibration.ece_floor"],
    )


def _side_by_side(
    score: Callable[[tuple[Rows, Rows]], Scores], splits: list[tuple[Rows, Rows]]
) -> Iterator[Scores]:
    workers = min(len(splits), os.cpu_count() or 1)
    with ThreadPoolExecutor(max_workers=workers) as pool:
        yield from pool.map(score, splits)
