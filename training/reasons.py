"""The reasons of a candidate: how it explains itself, and whether that can be believed.

What is told to customers is fixed here, measured, and signed with the model. Telling it belongs to
`limits`, which needs none of what fitting needs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.stats import binomtest

from decisions.explaining import reason_texts
from decisions.explaining.contributions import Explanation, columns_of, explain
from decisions.explaining.method import Method
from decisions.explaining.reason_texts import Lever, ReasonTexts
from decisions.explaining.reference import Reference
from decisions.features import FeatureSpec
from governance import canonical
from governance.errors import ContractError
from governance.measurement import Measurement
from governance.measures.discrimination import undefined
from governance.outcome import Outcome
from training.evaluation import Matrix
from training.explanation import make_reference
from training.fitted import Fitted
from training.job import Job
from training.sample import Sample

TOLD = 2_000
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


def make(job: Job, spec: FeatureSpec, rows: Sample, fitted: Fitted) -> Reasons:
    """Fix how a fitted candidate explains itself, and measure how far that can be believed.

    Raises
    ------
    ContractError
        If the job's own wording lacks a group, or anything names a protected attribute.
    """
    method = _method(job, spec, rows, fitted)
    measures: tuple[Measurement, ...] = ()
    if method.reference is not None and method.outcome is Outcome.PASS:
        measures = _measured(spec, method.reference, rows, fitted, seed=job.seed)
    return Reasons(method=method, measures=measures)


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


def _method(job: Job, spec: FeatureSpec, rows: Sample, fitted: Fitted) -> Method:
    texts, levers = wording(job, spec)
    reference, problem = None, ""
    try:
        reference = make_reference(spec, rows.features, rows.labels, fitted.out_of_fold.probability)
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
    spec: FeatureSpec, reference: Reference, rows: Sample, fitted: Fitted, *, seed: int
) -> tuple[Measurement, ...]:
    riskiest = np.argsort(-fitted.out_of_fold.probability, kind="stable")
    quarter = np.random.default_rng([seed, 8]).permutation(riskiest[: len(riskiest) // 4])
    asked = rows.features[np.sort(quarter[:TOLD])]
    told = explain(fitted.estimator, spec, reference, asked)
    return (
        measure_explained(told),
        measure_cited_at_best(told, spec, asked, everybody=rows.features),
    )


def measure_explained(told: Explanation) -> Measurement:
    """Return the share of customers who are given a reason at all, with a Wilson interval.

    Notes
    -----
    When it says nothing: without customers.
    """
    return _share(EXPLAINED, int((told.ranked[:, 0] >= 0).sum()), len(told.ranked))


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
    return _share(CITED_AT_BEST, at_best, cited)


def _share(measure: str, events: int, n: int) -> Measurement:
    if n == 0:
        return undefined(measure, 0, "There is no case to judge.")
    test = binomtest(events, n)
    interval = test.proportion_ci(method="wilson")
    return Measurement(
        measure=measure, value=test.statistic, low=interval.low, high=interval.high, n=n
    )
