"""The fitted estimator: measured out-of-fold, calibrated if needed, fitted on the whole sample."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV

from governance.measurement import Measurement, describe_scope
from governance.outcome import Outcome
from limits.features import FeatureSpec
from training import breakdown, evaluation, lift, lineage, vintages
from training.calibration import Verdict
from training.discrimination import Labels
from training.evaluation import FOLDS, Matrix, OutOfFold
from training.job import Job
from training.recipes import Recipe
from training.sample import Sample


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
    """

    estimator: Any
    out_of_fold: OutOfFold
    evaluation: tuple[Measurement, ...]
    verdict: Verdict
    breakdown: tuple[Measurement, ...] = ()

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


def make(
    recipe: Recipe,
    signs: Sequence[int],
    rows: tuple[Matrix, Labels],
    *,
    seed: int,
    done: Callable[[str], None] = say_nothing,
) -> Fitted:
    """Evaluate a recipe out-of-fold, decide on calibration, fit it on all rows.

    Parameters
    ----------
    rows : tuple of ndarray
        Features, ``(n_rows, n_features)``, and labels, ``(n_rows,)``.
    """
    estimator = recipe.estimator(signs, seed=seed)
    result = evaluation.out_of_fold(
        lambda: recipe.estimator(signs, seed=seed), *rows, seed=seed, done=lambda: done("fold")
    )
    measured = evaluation.evaluate(result, seed=seed)
    verdict = evaluation.verdict(measured)
    if verdict.is_sigmoid_needed:
        result = result.with_sigmoid()
        measured = evaluation.evaluate(result, seed=seed)
        estimator = CalibratedClassifierCV(estimator, method="sigmoid", cv=FOLDS, ensemble=False)
    fitted = evaluation.fit(estimator, *rows)
    done("fit")
    return Fitted(estimator=fitted, out_of_fold=result, evaluation=measured, verdict=verdict)


def fit(
    job: Job, spec: FeatureSpec, rows: Sample, *, done: Callable[[str], None] = say_nothing
) -> Fitted:
    """Make what a job asks for, and break its evaluation down by segment and by time."""
    told = rows.features, rows.labels
    made = make(job.recipe, spec.signs, told, seed=job.seed, done=done)
    broken_down = breakdown.out_of_time(lambda: clone(made.estimator), rows, seed=job.seed)
    if rows.vintage is not None and rows.vintage_of_all is not None:
        by_month = vintages.measure(made.out_of_fold, rows.vintage, seed=job.seed)
        broken_down += vintages.withhold_incomplete(by_month, rows.vintage, rows.vintage_of_all)
    if rows.segment is not None:
        broken_down += breakdown.by_segment(made.out_of_fold, rows.segment, seed=job.seed)
    return dataclasses.replace(made, breakdown=broken_down)


def caveats(rows: Sample, fitted: Fitted) -> tuple[str, ...]:
    """Say what was left out, what comes twice and what could not be told."""
    said = [rows.unknown.describe()] if rows.unknown.total else []
    if rows.superseded:
        said.append(f"{rows.superseded} older rows of customers who came again were left out.")
    if rows.identical:
        said.append(
            f"{rows.identical} rows equal another customer's in every feature and in the outcome; "
            "they were kept."
        )
    for found in fitted.breakdown:
        if found.outcome is Outcome.INCONCLUSIVE:
            scope = describe_scope(found.scope)
            said.append(f"{found.measure}, {scope}: {found.outcome}. {found.reason}")
    return tuple(said)
