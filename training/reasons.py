"""The reasons of a candidate: how it explains itself, and whether that can be believed.

What is told to customers is fixed here, measured, and signed with the model. Telling it belongs to
`limits`, which needs none of what fitting needs.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from governance import canonical
from governance.errors import ContractError
from governance.measurement import Measurement
from governance.outcome import Outcome
from limits.explaining import levers as actions
from limits.explaining import reason_texts
from limits.explaining.contributions import Explanation, explain
from limits.explaining.levers import Lever
from limits.explaining.method import How, Method
from limits.explaining.points import PointsTable
from limits.explaining.reason_texts import ReasonTexts
from limits.explaining.reference import Reference
from limits.features import FeatureSpec
from training import evaluation, fidelity, points
from training.evaluation import Matrix
from training.explanation import make_reference
from training.fitted import Fitted
from training.job import Job
from training.recipes import CHALLENGER
from training.sample import Sample

TOLD = 2_000
"""So many of the riskiest quarter, out-of-fold, are explained: they are who is told reasons."""

TWIN_ROWS = 6_000
_TWIN = {**CHALLENGER.parameters, "max_iter": 150, "learning_rate": 0.1}
_LEVERS = {"uci-features": "uci_levers"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Reasons:
    """How a candidate explains itself, with what was measured about it.

    Parameters
    ----------
    points : PointsTable or None
        The exact table, if the recipe is a sum of steps.
    measures : tuple of Measurement
        Fidelity; empty if nothing can be explained.
    """

    method: Method
    points: PointsTable | None
    measures: tuple[Measurement, ...]

    def as_facts(self) -> dict[str, Any]:
        """Return what the model folder and its documents say about the reasons."""
        reference = self.method.reference
        return {
            "outcome": self.method.outcome.value,
            "reason": self.method.reason,
            "how": self.method.how.value,
            "texts": self.method.texts_id,
            "groups": {
                name: {"en": text.en, "zh": text.zh} for name, text in self.method.texts.items()
            },
            "levers": [{"en": lever.en, "zh": lever.zh} for lever in self.method.levers],
            "points_cells": self.points.cells if self.points else None,
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
    IntegrityError
        If the points table of an additive model is not exactly the model.
    """
    table = points.export(fitted.estimator, spec.names) if job.recipe.is_additive else None
    if table is not None:
        points.require_exact(table, fitted.estimator, rows.features)
    method = _method(job, spec, rows, fitted)
    measures: tuple[Measurement, ...] = ()
    if method.reference is not None and method.outcome is Outcome.PASS:
        measures = _measured(spec, method.reference, rows, (fitted, table), seed=job.seed)
    return Reasons(method=method, points=table, measures=measures)


def metrics(metadata: Mapping[str, Any]) -> dict[str, float]:
    """Return the measured fidelity of a described model, by name, as a run shows it."""
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
        how=How.POINTS if job.recipe.is_additive else How.ABLATION,
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
        actions.refuse_idle(spec, own.levers, own.id)
        return own, own.levers
    known = _LEVERS.get(spec.id)
    return reason_texts.packaged_texts(), actions.packaged(known).levers if known else ()


def _measured(
    spec: FeatureSpec,
    reference: Reference,
    rows: Sample,
    model: tuple[Fitted, PointsTable | None],
    *,
    seed: int,
) -> tuple[Measurement, ...]:
    fitted, table = model
    riskiest = np.argsort(-fitted.out_of_fold.probability, kind="stable")
    quarter = np.random.default_rng([seed, 8]).permutation(riskiest[: len(riskiest) // 4])
    asked = rows.features[np.sort(quarter[:TOLD])]
    told = explain(table or fitted.estimator, spec, reference, asked)
    twin = (
        explain(fitted.estimator, spec, reference, asked)
        if table is not None
        else _told_by_twin(spec, reference, rows, asked, seed=seed)
    )
    against = "ablation of the same model" if table is not None else "additive twin"
    return (
        fidelity.measure_explained(told),
        fidelity.measure_agreement(told, twin).model_copy(update={"scope": {"against": against}}),
        fidelity.measure_cited_at_best(told, spec, asked, everybody=rows.features),
    )


def _told_by_twin(
    spec: FeatureSpec, reference: Reference, rows: Sample, asked: Matrix, *, seed: int
) -> Explanation:
    """Explain by a small additive model of the same customers, whose reasons are exact.

    It learns from a part of them and in fewer steps than the challenger: it is asked for reasons
    and decides nothing, and training must stay quick.
    """
    drawn = np.random.default_rng([seed, 7]).permutation(len(rows.labels))[:TWIN_ROWS]
    small = dataclasses.replace(CHALLENGER, parameters=_TWIN)
    estimator = evaluation.fit(
        small.estimator(spec.signs, seed=seed), rows.features[drawn], rows.labels[drawn]
    )
    return explain(points.export(estimator, spec.names), spec, reference, asked)
