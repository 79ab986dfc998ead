"""Out-of-fold evaluation: every customer is scored by a model that never saw that customer.

What follows from it stands here as well: whether a sigmoid is needed, the lift table, and whether
the fitted model keeps the declared directions.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest
from sklearn.calibration import CalibratedClassifierCV
from sklearn.model_selection import StratifiedKFold
from threadpoolctl import threadpool_limits

from governance.measurement import Measurement
from governance.measures import calibration, discrimination
from governance.measures import customers as clusters
from governance.measures.customers import Customers
from governance.measures.discrimination import ONE_CLASS, Labels, Scores, undefined

FOLDS = 5
LIFT_PARTS = 10
SLOPE_RANGE = (0.9, 1.1)
DIRECTION_ROWS = 6_000
VIOLATIONS = "soundness.monotonicity_violations"

# One worsening moves a feature by a twentieth of the distinct values that customers have.
_STEP = 0.05
# Summing trees in another order leaves differences of this size; they are no reward.
_NOISE = 1e-12

Matrix = NDArray[np.float64]
Rows = NDArray[np.intp]


class LabeledRows(NamedTuple):
    """What is learned from: ``(n_rows, n_features)``, and ``(n_rows,)`` twice.

    `customers` says whose row it is; None if every customer has one row.
    """

    features: Matrix
    labels: Labels
    customers: Customers | None = None


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
    features, labels, customers
        As in `LabeledRows`.
    done : callable
        Called after each fold.
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


@dataclass(frozen=True, slots=True, kw_only=True)
class SigmoidVerdict:
    """Whether a sigmoid is needed, and the sentence that says why."""

    is_sigmoid_needed: bool
    reason: str


def judge_calibration(measurements: Sequence[Measurement]) -> SigmoidVerdict:
    """Decide from an evaluation whether the model is calibrated as it is.

    A sigmoid is needed if the slope is undefined or outside [0.9, 1.1], or if the error exceeds
    the 95th percentile of its noise floor.
    """
    named = {found.measure: found for found in measurements}
    slope, error, floor = (named[f"calibration.{name}"] for name in ("slope", "ece", "ece_floor"))
    low, high = SLOPE_RANGE
    is_needed = True
    if slope.value is None:
        why = f"The slope is undefined: {slope.reason or 'the calibration line has no maximum.'}"
    elif not low <= slope.value <= high:
        why = f"The slope is {slope.value:.3f}, outside [{low}, {high}]."
    elif error.value is None or floor.value is None:
        why = "The calibration error is undefined."
    else:
        is_needed = error.value > floor.value
        told = f"{error.value:.4f} against a noise floor of {floor.value:.4f} (95th percentile)"
        calibrated = f"Calibrated: slope {slope.value:.3f}, error {told}."
        why = f"The calibration error is {told}." if is_needed else calibrated
    return SigmoidVerdict(is_sigmoid_needed=is_needed, reason=why)


def measure_share(
    measure: str, events: int, n: int, scope: Mapping[str, str] | None = None
) -> Measurement:
    """Return `events` of `n` with Wilson's 95 % interval; undefined where `n` is 0."""
    if n == 0:
        return undefined(measure, 0, "There is no case to judge.")
    test = binomtest(events, n)
    low, high = test.proportion_ci(method="wilson")
    return Measurement(
        measure=measure,
        scope=scope or {},
        value=float(test.statistic),
        low=float(low),
        high=float(high),
        n=n,
    )


def measure_lift(
    labels: Labels, probability: Scores, *, parts: int = LIFT_PARTS
) -> tuple[Measurement, ...]:
    """Return lift and captured share of each part of the customers, the riskiest part first.

    Formula: customers are ranked by falling default probability and cut into parts of equal size;
    equal probabilities stay in input order. ``lift.ratio`` is the default rate of a part over that
    of all, with a Wilson interval of the part's rate; ``lift.captured`` is the share of all
    defaults in this part and the riskier ones, with a Wilson interval. The scope names the part,
    1 being the riskiest.

    Notes
    -----
    When it says nothing: with one class only, or with fewer customers than parts, there is one
    undefined measurement.

    Examples
    --------
    >>> labels, probability = np.array([1, 1, 0, 0]), np.array([0.9, 0.8, 0.2, 0.1])
    >>> [found.value for found in measure_lift(labels, probability, parts=2)]
    [2.0, 1.0, 0.0, 1.0]
    """
    n, defaults = len(labels), int(labels.sum())
    if not 0 < defaults < n or n < parts:
        reason = ONE_CLASS if n >= parts else f"There are fewer than {parts} customers."
        return (undefined("lift.ratio", n, reason, unit="ratio"),)
    order = np.argsort(-probability, kind="stable")
    table: list[Measurement] = []
    captured = 0
    for number, rows in enumerate(np.array_split(order, parts), start=1):
        events, scope = int(labels[rows].sum()), {"part": str(number)}
        captured += events
        rate = measure_share("lift.ratio", events, len(rows), scope)
        edges = {name: getattr(rate, name) / (defaults / n) for name in ("value", "low", "high")}
        table += [
            rate.model_copy(update={**edges, "unit": "ratio"}),
            measure_share("lift.captured", captured, defaults, scope),
        ]
    return tuple(table)


def drawn_rows(features: Matrix, *, seed: int) -> Matrix:
    """Return the rows whose directions are asked for, a seeded draw of more than 6,000.

    Every feature costs another prediction of each row.
    """
    if len(features) <= DIRECTION_ROWS:
        return features
    drawn = np.random.default_rng([seed, 6]).choice(len(features), DIRECTION_ROWS, replace=False)
    asked: Matrix = features[np.sort(drawn)]
    return asked


def measure_violations(
    estimator: Any, features: Matrix, names: Sequence[str], signs: Sequence[int]
) -> Measurement:
    """Count the worsenings that lower a default probability.

    Formula: each feature with a declared direction is moved against every customer by a twentieth
    of its distinct values, everything else kept; a violation is a customer whose default
    probability falls.

    The count is over ``n`` = features x customers and exact for these customers, so it has no
    interval; the reason names the worst features.

    Notes
    -----
    When it says nothing: without customers or without a declared direction.
    """
    signed = [column for column, sign in enumerate(signs) if sign]
    if not signed or not len(features):
        reason = "There is no customer, or no feature with a declared direction."
        return undefined(VIOLATIONS, 0, reason, unit="count")
    before = predict(estimator, features)
    fell: dict[str, int] = {}
    for column in signed:
        worse = features.copy()
        worse[:, column] = _worsened(features[:, column], signs[column])
        fell[names[column]] = int((predict(estimator, worse) < before - _NOISE).sum())
    worst = sorted((name for name in fell if fell[name]), key=lambda name: (-fell[name], name))[:3]
    named = ", ".join(f"{name} {fell[name]}" for name in worst) or "none"
    return Measurement(
        measure=VIOLATIONS,
        value=float(sum(fell.values())),
        n=len(signed) * len(features),
        unit="count",
        reason=f"{len(signed)} features, {len(features)} customers; worst: {named}.",
    )


def _worsened(values: NDArray[np.float64], sign: int) -> NDArray[np.float64]:
    distinct = np.unique(values)
    step = max(1, round(_STEP * len(distinct)))
    place = np.searchsorted(distinct, values) + sign * step
    moved: NDArray[np.float64] = distinct[np.clip(place, 0, len(distinct) - 1)]
    return moved


def _side_by_side(
    score: Callable[[tuple[Rows, Rows]], Scores], splits: list[tuple[Rows, Rows]]
) -> Iterator[Scores]:
    workers = min(len(splits), os.cpu_count() or 1)
    with ThreadPoolExecutor(max_workers=workers) as pool:
        yield from pool.map(score, splits)
