"""Out-of-fold evaluation: every customer is scored by a model that never saw that customer."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import StratifiedKFold
from threadpoolctl import threadpool_limits

from governance.measurement import Measurement
from training import calibration, discrimination
from training.discrimination import Labels, Scores

FOLDS = 5

Matrix = NDArray[np.float64]
Rows = NDArray[np.intp]


@dataclass(frozen=True, slots=True, kw_only=True)
class OutOfFold:
    """Out-of-fold default probabilities, ``(n_rows,)``, and the fold that each row was left to."""

    labels: Labels
    probability: Scores
    fold: NDArray[np.int64]

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
        return OutOfFold(labels=self.labels, probability=calibrated, fold=self.fold)


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
) -> OutOfFold:
    """Score every row by a model that was fitted on the other four folds.

    Parameters
    ----------
    make : callable
        Returns an unfitted estimator.
    features : ndarray of float64, shape (n_rows, n_features)
    labels : ndarray of {0, 1}, shape (n_rows,)
    done : callable
        Called after each fold.
    """
    splits = list(folds(seed).split(features, labels))
    probability = np.empty(len(labels))
    fold = np.empty(len(labels), dtype=np.int64)

    def score(split: tuple[Rows, Rows]) -> Scores:
        seen, held_out = split
        return predict(fit(make(), features[seen], labels[seen]), features[held_out])

    for number, (split, scores) in enumerate(
        zip(splits, _side_by_side(score, splits), strict=True)
    ):
        probability[split[1]], fold[split[1]] = scores, number
        done()
    return OutOfFold(labels=labels, probability=probability, fold=fold)


def fit(estimator: Any, features: Matrix, labels: Labels) -> Any:
    """Fit on one thread: many short parallel regions cost more than they save on few cores."""
    # The limit belongs to the calling thread, so concurrent fits do not disturb each other.
    with threadpool_limits(limits=1, user_api="openmp"):
        return estimator.fit(features, labels)


def predict(estimator: Any, features: Matrix) -> Scores:
    """Return the default probability of each row."""
    probability: Scores = estimator.predict_proba(features)[:, 1]
    return probability


def evaluate(result: OutOfFold, *, seed: int) -> tuple[Measurement, ...]:
    """Return every measure of the out-of-fold probabilities, each with n and interval."""
    labels, probability = result.labels, result.probability
    return (
        discrimination.measure_auc(labels, probability),
        discrimination.measure_gini(labels, probability),
        discrimination.measure_ks(labels, probability, seed=seed),
        calibration.measure_brier(labels, probability),
        calibration.measure_log_loss(labels, probability),
        calibration.measure_calibration_error(labels, probability, seed=seed),
        calibration.measure_noise_floor(probability, seed=seed),
        *calibration.measure_calibration_line(labels, probability),
    )


def verdict(measurements: tuple[Measurement, ...]) -> calibration.Verdict:
    """Decide from an evaluation whether the model needs a sigmoid."""
    by_name = {measurement.measure: measurement for measurement in measurements}
    return calibration.judge_calibration(
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
