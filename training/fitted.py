"""The fitted estimator: measured out-of-fold, calibrated if needed, fitted on the whole sample."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV

from governance.measurement import Measurement, describe_scope
from governance.outcome import Outcome
from limits.features import FeatureSpec
from training import breakdown, evaluation, lineage
from training.calibration import Verdict
from training.evaluation import FOLDS, OutOfFold
from training.job import Job
from training.sample import Sample


def _say_nothing(step: str) -> None:
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
    def calibration(self) -> str:
        """What was found about calibration, and whether the sigmoid mended it."""
        if not self.verdict.is_sigmoid_needed:
            return self.verdict.reason
        after = evaluation.verdict(self.evaluation)
        return f"{self.verdict.reason} Behind a sigmoid, fitted for that: {after.reason}"


def fit(
    job: Job, spec: FeatureSpec, rows: Sample, *, done: Callable[[str], None] = _say_nothing
) -> Fitted:
    """Evaluate a recipe out-of-fold, decide on calibration, fit it on the whole sample."""
    recipe = job.recipe.estimator(spec.signs, seed=job.seed)
    raw = evaluation.out_of_fold(
        lambda: job.recipe.estimator(spec.signs, seed=job.seed),
        rows.features,
        rows.labels,
        seed=job.seed,
        done=lambda: done("fold"),
    )
    measured = evaluation.evaluate(raw, seed=job.seed)
    verdict, result, estimator = evaluation.verdict(measured), raw, recipe
    if verdict.is_sigmoid_needed:
        result = raw.with_sigmoid()
        measured = evaluation.evaluate(result, seed=job.seed)
        estimator = CalibratedClassifierCV(recipe, method="sigmoid", cv=FOLDS, ensemble=False)
    broken_down = breakdown.out_of_time(lambda: clone(estimator), rows, seed=job.seed)
    if rows.segment is not None:
        broken_down += breakdown.by_segment(result, rows.segment, seed=job.seed)
    fitted = evaluation.fit(estimator, rows.features, rows.labels)
    done("fit")
    return Fitted(
        estimator=fitted,
        out_of_fold=result,
        evaluation=measured,
        verdict=verdict,
        breakdown=broken_down,
    )


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
