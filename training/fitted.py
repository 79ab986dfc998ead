"""The fitted estimator: measured out-of-fold, calibrated if needed, fitted on the whole sample."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV

from decisions.features import FeatureSpec
from governance.measurement import Measurement, describe_scope
from governance.measures.customers import Customers
from governance.measures.discrimination import Labels
from governance.outcome import Outcome
from training import breakdown, direction, evaluation, lift, lineage, vintages
from training.calibration import Verdict
from training.evaluation import FOLDS, Matrix, OutOfFold
from training.job import Job
from training.recipes import Recipe
from training.sample import Sample

ASKED_ROWS = 6_000
"""Of more rows a seeded draw is asked whether worse behavior ever looks safer."""


def say_nothing(step: str) -> None:
    """Report a finished step to nobody."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fitted:
    """A fitted estimator with what was measured while it was made.

    Parameters
    ----------
    estimator
        scikit-learn classes only; takes ``(n_rows, n_features)`` in the order of the spec.
    evaluation : tuple of Measurement
        Out-of-fold, of the estimator as it is handed over.
    verdict : Verdict
        Whether the recipe alone was calibrated; if not, `estimator` has a sigmoid.
    breakdown : tuple of Measurement
        The same measures by segment and out of time, as far as the data have either.
    directions : Measurement or None
        How often `estimator` breaks a declared direction; None where nobody asked.
    """

    estimator: Any
    out_of_fold: OutOfFold
    evaluation: tuple[Measurement, ...]
    verdict: Verdict
    breakdown: tuple[Measurement, ...] = ()
    directions: Measurement | None = None

    @property
    def iterations(self) -> str:
        """How many iterations the fit took, or ``unknown`` for an estimator that counts none."""
        fitted = self.estimator
        if isinstance(fitted, CalibratedClassifierCV):
            fitted = fitted.calibrated_classifiers_[0].estimator
        return str(getattr(fitted, "n_iter_", lineage.UNKNOWN))

    @property
    def lift(self) -> tuple[Measurement, ...]:
        """Default rate and captured defaults of each tenth of the customers, riskiest first."""
        return lift.measure_lift(self.out_of_fold.labels, self.out_of_fold.probability)

    @property
    def calibration(self) -> str:
        """What was found about calibration, and whether the sigmoid mended it."""
        if not self.verdict.is_sigmoid_needed:
            return self.verdict.reason
        after = evaluation.verdict(self.evaluation)
        still = "Still not calibrated. " if after.is_sigmoid_needed else ""
        return f"{self.verdict.reason} Behind a sigmoid, fitted for that: {still}{after.reason}"


class Lesson(NamedTuple):
    """What is learned from: ``(n_rows, n_features)``, and ``(n_rows,)`` twice.

    `customers` says whose row it is; None if every customer has one row.
    """

    features: Matrix
    labels: Labels
    customers: Customers | None = None


def make(
    recipe: Recipe,
    signs: Sequence[int],
    rows: Lesson,
    *,
    seed: int,
    done: Callable[[str], None] = say_nothing,
) -> Fitted:
    """Evaluate a recipe out-of-fold, decide on calibration, fit it on all rows.

    Parameters
    ----------
    rows : Lesson
        What is learned from; all rows of a customer are in one fold.
    """
    estimator = recipe.estimator(signs, seed=seed)
    result = evaluation.out_of_fold(
        lambda: recipe.estimator(signs, seed=seed),
        rows.features,
        rows.labels,
        seed=seed,
        done=lambda: done("fold"),
        customers=rows.customers,
    )
    measured = evaluation.evaluate(result, seed=seed)
    verdict = evaluation.verdict(measured)
    if verdict.is_sigmoid_needed:
        result = result.with_sigmoid()
        measured = evaluation.evaluate(result, seed=seed)
        estimator = CalibratedClassifierCV(estimator, method="sigmoid", cv=FOLDS, ensemble=False)
    fitted = evaluation.fit(estimator, rows.features, rows.labels, customers=rows.customers)
    done("fit")
    return Fitted(estimator=fitted, out_of_fold=result, evaluation=measured, verdict=verdict)


def fit(
    job: Job, spec: FeatureSpec, rows: Sample, *, done: Callable[[str], None] = say_nothing
) -> Fitted:
    """Make what a job asks for, ask for its directions, and break its evaluation down."""
    told = Lesson(rows.features, rows.labels, rows.customers)
    made = make(job.recipe, spec.signs, told, seed=job.seed, done=done)
    broken_down = breakdown.out_of_time(lambda: clone(made.estimator), rows, seed=job.seed)
    if rows.vintage is not None and rows.vintage_of_all is not None:
        by_month = vintages.measure(made.out_of_fold, rows.vintage, seed=job.seed)
        broken_down += vintages.withhold_incomplete(by_month, rows.vintage, rows.vintage_of_all)
    if rows.segment is not None:
        broken_down += breakdown.by_segment(made.out_of_fold, rows.segment, seed=job.seed)
    asked = _asked(rows.features, seed=job.seed)
    directions = direction.measure_violations(made.estimator, asked, spec.names, spec.signs)
    return dataclasses.replace(made, breakdown=broken_down, directions=directions)


def _asked(features: Matrix, *, seed: int) -> Matrix:
    """Return the rows whose directions are asked for: every feature is another prediction."""
    if len(features) <= ASKED_ROWS:
        return features
    drawn = np.random.default_rng([seed, 6]).choice(len(features), ASKED_ROWS, replace=False)
    asked: Matrix = features[np.sort(drawn)]
    return asked


def caveats(rows: Sample, fitted: Fitted) -> tuple[str, ...]:
    """Say what was left out, what comes twice and what could not be told."""
    said = [rows.unknown.describe()] if rows.unknown.total else []
    if rows.superseded:
        said.append(f"{rows.superseded} older rows of customers who came again were left out.")
    if rows.customers is not None:
        said += _of_several_rows(rows, rows.customers)
    if rows.identical:
        whose = "another customer's" if rows.customers is None else "an earlier one"
        said.append(
            f"{rows.identical} rows equal {whose} in every feature and in the outcome; "
            "they were kept."
        )
    for found in fitted.breakdown:
        if found.outcome is Outcome.INCONCLUSIVE:
            scope = describe_scope(found.scope)
            said.append(f"{found.measure}, {scope}: {found.outcome}. {found.reason}")
    return tuple(said)


def _of_several_rows(rows: Sample, customers: Customers) -> list[str]:
    """Say what several rows of a customer do to the evaluation."""
    n = len(np.unique(customers))
    said = [
        (
            f"{len(customers)} rows are of {n} customers. All rows of a customer are in one fold, "
            "and intervals draw customers. Not so for lift and for default rates by vintage, whose "
            "intervals count rows, and for the noise floor of the calibration error, which draws "
            "each row's outcome by itself: they are too narrow, and the floor too low, as far as "
            "the outcomes of one customer go together."
        )
    ]
    if rows.vintage is not None:
        said.append(
            "Out of time, customers of the newest months may have been learned from on an older "
            "day, as a lender's customers are; the folds tell how well a new customer is scored."
        )
    return said
