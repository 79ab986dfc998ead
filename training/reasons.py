"""The reasons of a candidate: how it explains itself, and whether that can be believed.

What customers are told is fixed here, measured, and signed with the model. Telling them belongs to
`decisions`, which needs none of what fitting needs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from decisions import reason_texts
from decisions.features import FeatureSpec
from decisions.model_reasons import (
    GOOD_BELOW,
    SMALLEST_REFERENCE,
    Explanation,
    Method,
    Reference,
    columns_of,
    explain,
)
from decisions.reason_texts import Lever, ReasonTexts
from governance import canonical
from governance.errors import ContractError
from governance.measurement import Measurement
from governance.measures.discrimination import Labels, Scores
from governance.outcome import Outcome
from training import evaluation
from training.evaluation import Matrix, OutOfFold
from training.job import Job
from training.sample import Sample

EXPLAINED_ROWS = 2_000
"""So many of the riskiest quarter, out-of-fold, are explained: they are who is told reasons."""

EXPLAINED = "explanation.explained"
CITED_AT_BEST = "explanation.cited_at_best"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reasons:
    """How a candidate explains itself, with what was measured about it.

    Parameters
    ----------
    measures : tuple of Measurement
        How many are given a reason, and one they can act on; empty if nothing can be explained.
    """

    method: Method
    measures: tuple[Measurement, ...]

    def as_facts(self) -> dict[str, Any]:
        """Return what the model folder and its documents say about the reasons."""
        reference = self.method.reference
        return {
            "outcome": self.method.outcome.value,
            "reason": self.method.reason,
            "how": self.method.how,
            "texts": self.method.texts_id,
            "groups": {
                name: {"en": text.en, "zh": text.zh} for name, text in self.method.texts.items()
            },
            "levers": [{"en": lever.en, "zh": lever.zh} for lever in self.method.levers],
            "reference_n": reference.n if reference else None,
            "reference": (
                dict(zip(reference.names, canonical.plain(reference.values), strict=True))
                if reference
                else {}
            ),
            "measures": canonical.plain(self.measures),
        }


def make(job: Job, rows: Sample, estimator: Any, result: OutOfFold) -> Reasons:
    """Fix how a fitted candidate explains itself, and measure how far that can be believed.

    Raises
    ------
    ContractError
        If the job's own wording lacks a group, or anything names a protected attribute.
    """
    method = _method(job, rows, result)
    measures: tuple[Measurement, ...] = ()
    if method.reference is not None and method.outcome is Outcome.PASS:
        measures = _measured(job, method.reference, rows, estimator, result)
    return Reasons(method=method, measures=measures)


def make_reference(
    spec: FeatureSpec, features: Matrix, labels: Labels, probability: Scores
) -> Reference:
    """Return the reference: per feature, the middle of the good customers of a training table.

    Good customers did not default and have a default probability below 10 %. The middle is the mean
    of the central tenth and not the median, which would be one customer's value; it is rounded to
    six digits, so that the documented number is the one that is used.

    Parameters
    ----------
    probability : ndarray of float64, shape (n_rows,)
        Out-of-fold default probabilities.

    Raises
    ------
    ContractError
        If there are fewer than 200 good customers.
    """
    good = features[(labels == 0) & (probability < GOOD_BELOW)]
    n = len(good)
    if n < SMALLEST_REFERENCE:
        raise ContractError(
            f"There are {n} good customers below a default probability of {GOOD_BELOW}; a "
            f"reference needs {SMALLEST_REFERENCE}. Explain with a reference from more customers."
        )
    middle = np.sort(good, axis=0)[int(0.45 * n) : int(0.55 * n)].mean(axis=0)
    values = tuple(float(f"{value:.6g}") for value in middle)
    return Reference(names=spec.names, values=values, n=n)


def metrics(metadata: Mapping[str, Any]) -> dict[str, float]:
    """Return what was measured of a described model's reasons, by name, as a run shows it."""
    return {
        f"reasons.{item['measure']}": float(item["value"])
        for item in metadata["explanation"]["measures"]
        if item["value"] is not None
    }


def caveats(metadata: Mapping[str, Any]) -> tuple[str, ...]:
    """Say what a described model cannot tell its customers, and why."""
    told = metadata["explanation"]
    if told["outcome"] == Outcome.PASS:
        return ()
    return (f"Reasons of the model: {told['outcome']}. {told['reason']}",)


def _method(job: Job, rows: Sample, result: OutOfFold) -> Method:
    spec = FeatureSpec.parse(job.features_text)
    texts, levers = wording(job, spec)
    reference, problem = None, ""
    try:
        reference = make_reference(spec, rows.features, rows.labels, result.probability)
    except ContractError as error:
        # A small sample still makes a candidate; that it cannot explain must be said, not guessed.
        problem = str(error)
    if missing := reason_texts.unworded(spec, texts):
        problem = (
            f"The reason groups {', '.join(missing)} of {spec.id} have no wording in {texts.id}; "
            "give your own with --reasons."
        )
    return Method(
        outcome=Outcome.INCONCLUSIVE if problem else Outcome.PASS,
        reason=problem,
        features_id=spec.id,
        features_digest=spec.digest,
        reference=reference,
        texts_id=f"{texts.id}@{texts.version}",
        texts={name: texts.groups[name] for name in spec.reason_groups if name in texts.groups},
        levers=levers,
    )


def wording(job: Job, spec: FeatureSpec) -> tuple[ReasonTexts, tuple[Lever, ...]]:
    """Return the wording and the levers of a job: its own, or those that ship with the product.

    Raises
    ------
    ContractError
        If an own wording cannot be used, lacks a group or names a protected attribute.
    """
    if job.reasons_text is not None:
        own = ReasonTexts.parse(job.reasons_text)
        reason_texts.check(spec, own)
        reason_texts.refuse_idle(spec, own.levers, own.id)
        return own, own.levers
    bundled = reason_texts.packaged_texts()
    return bundled, reason_texts.levers_for(spec, bundled)


def _measured(
    job: Job, reference: Reference, rows: Sample, estimator: Any, result: OutOfFold
) -> tuple[Measurement, ...]:
    spec = FeatureSpec.parse(job.features_text)
    riskiest = np.argsort(-result.probability, kind="stable")
    quarter = np.random.default_rng([job.seed, 8]).permutation(riskiest[: len(riskiest) // 4])
    asked = rows.features[np.sort(quarter[:EXPLAINED_ROWS])]
    given = explain(estimator, spec, reference, asked)
    return (
        measure_explained(given),
        measure_cited_at_best(given, spec, asked, everybody=rows.features),
    )


def measure_explained(told: Explanation) -> Measurement:
    """Return the share of customers who are given a reason at all, with a Wilson interval.

    Notes
    -----
    When it says nothing: without customers.
    """
    return evaluation.measure_share(
        EXPLAINED, int((told.ranked[:, 0] >= 0).sum()), len(told.ranked)
    )


def measure_cited_at_best(
    told: Explanation, spec: FeatureSpec, features: Matrix, *, everybody: Matrix | None = None
) -> Measurement:
    """Return the share of cited reasons that the customer could not do better in.

    Formula: among the cited (customer, group) pairs whose group has a declared direction, those in
    which every such feature already has the best value of all customers; with a Wilson interval.

    Parameters
    ----------
    features : ndarray of float64, shape (n_rows, n_features)
        The rows that were explained.
    everybody : ndarray of float64, shape (n_customers, n_features), optional
        Whose best value counts; left out, that of the explained rows.

    Notes
    -----
    When it says nothing: without a cited group that has a direction.
    """
    signs = np.array(spec.signs)
    known = features if everybody is None else everybody
    best = np.where(signs > 0, known.min(axis=0), known.max(axis=0))
    is_best = (features == best) | (signs == 0)
    cited, at_best = 0, 0
    for place, columns in enumerate(columns_of(spec).values()):
        if not signs[columns].any():
            continue
        is_cited = (told.ranked == place).any(axis=1)
        cited += int(is_cited.sum())
        at_best += int(is_best[is_cited][:, columns].all(axis=1).sum())
    return evaluation.measure_share(CITED_AT_BEST, at_best, cited)
