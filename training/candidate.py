"""The candidate: a fitted default probability with its policy, evaluated and handed over.

Training ends where judging begins. It reports what it measured out-of-fold, and it hands the
credit-limit model to the registry, where somebody else validates it on customers it never saw.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV

from decisions import model
from decisions.features import FeatureSpec
from governance import canonical
from governance.measurement import Measurement, describe_scope
from governance.outcome import Outcome
from governance.settings import Settings
from privacy.feature_table import FeatureTable
from privacy.keyring import Keyring
from registry import serialize, submission
from registry.signing import Role, Signer
from registry.submission import CandidateFiles, ModelVersion, RunFacts
from training import breakdown, evaluation, figures, lineage, model_card, reasons, sample
from training import job as jobs
from training.evaluation import FOLDS, LabeledRows, OutOfFold, SigmoidVerdict
from training.job import Job
from training.recipes import Recipe
from training.sample import Sample

STEPS = FOLDS + 3
"""How often a fit reports: every fold, the fit, the figures, the hand-over."""


def say_nothing(step: str) -> None:
    """Report a finished step to nobody."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFit:
    """A fitted estimator with what was measured while it was made.

    Parameters
    ----------
    estimator
        scikit-learn classes only; takes ``(n_rows, n_features)`` in the order of the spec.
    evaluation : tuple of Measurement
        Out-of-fold, of the estimator as it is handed over.
    verdict : SigmoidVerdict
        Whether the recipe alone was calibrated; if not, `estimator` has a sigmoid.
    """

    estimator: Any
    out_of_fold: OutOfFold
    evaluation: tuple[Measurement, ...]
    verdict: SigmoidVerdict

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
        after = evaluation.judge_calibration(self.evaluation)
        still = "Still not calibrated. " if after.is_sigmoid_needed else ""
        return f"{self.verdict.reason} Behind a sigmoid, fitted for that: {still}{after.reason}"


@dataclass(frozen=True, slots=True, kw_only=True)
class FittedJob:
    """A job with its rows, its fit and what is reported beside the out-of-fold evaluation.

    Parameters
    ----------
    breakdown : tuple of Measurement
        The evaluation by segment, by vintage and out of time, as far as the data have either.
    directions : Measurement
        How often the estimator breaks a declared direction.
    lift : tuple of Measurement
        Default rate and captured defaults of each tenth of the customers, riskiest first.
    """

    job: Job
    rows: Sample
    model: ModelFit
    breakdown: tuple[Measurement, ...]
    directions: Measurement
    lift: tuple[Measurement, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A submitted candidate: its version, what was measured and where it came from.

    Parameters
    ----------
    fitted : FittedJob or None
        None if the same inputs had been submitted before, so that nothing was fitted.
    metadata : mapping
        What ``limitline.json`` in the signed model folder says.
    times : mapping of str to datetime
        ``started_at`` and ``finished_at``, the moment before the hand-over.
    caveats : tuple of str
        What a reader must know about the rows: which were left out, which come twice, and which
        part of the evaluation cannot tell.
    """

    version: ModelVersion
    fitted: FittedJob | None
    metadata: Mapping[str, Any]
    lineage: Mapping[str, str]
    times: Mapping[str, datetime]
    caveats: tuple[str, ...]

    @property
    def seconds(self) -> float:
        """How long reading, fitting, evaluating and drawing took, without the hand-over."""
        return (self.times["finished_at"] - self.times["started_at"]).total_seconds()

    @property
    def measurements(self) -> tuple[Measurement, ...]:
        """Evaluation, directions, breakdown and lift.

        Where nothing was fitted they are read from the signed metadata, numbers to twelve digits.
        """
        made = self.fitted
        if made is not None:
            return (*made.model.evaluation, made.directions, *made.breakdown, *made.lift)
        found = [
            *self.metadata["evaluation"],
            self.metadata["evaluation_directions"],
            *self.metadata["evaluation_breakdown"],
            *self.metadata["evaluation_lift"],
        ]
        return tuple(Measurement.model_validate(item) for item in found)


def train(
    job: Job,
    *,
    settings: Settings,
    clock: Callable[[], datetime],
    done: Callable[[str], None] = say_nothing,
) -> Candidate:
    """Fit, evaluate and submit one candidate; if its inputs were submitted before, fit nothing.

    Parameters
    ----------
    clock : callable
        Tells start and end; both are signed with the candidate and are no part of what it is.
    done : callable
        Called with a step's name after each of the `STEPS` steps of a fit.

    Raises
    ------
    ContractError
        If a declaration cannot be used, or as `training.sample.read`.
    KeyringError
        If a data key or the developer's signing key is missing.
    """
    times = {"started_at": clock()}
    spec, _ = jobs.declarations(job)
    # Keys and wording come first: what is missing or could not be told should not cost a fit.
    keyring = Keyring.open(settings.keyring)
    signer = Signer.open(settings.keyring, Role.DEVELOPER)
    reasons.wording(job, spec)
    rows = sample.read(FeatureTable.open(job.table, keyring=keyring), job.question(spec))
    facts = jobs.describe(job, rows)
    inputs = jobs.inputs_digest(job, facts)
    version, fitted = submission.find_by_inputs(settings, inputs), None
    if version is None:
        fitted = fit(job, spec, rows, done=done)
        with tempfile.TemporaryDirectory(prefix="limitline-train-") as staging:
            files = assemble(Path(staging), fitted, facts)
            times["finished_at"] = clock()
            seen = {**_observed(fitted, times, signer), "inputs_digest": inputs}
            shown = describe_run(Path(staging), fitted, files, facts, seen)
            done("figures")
            version = submission.submit(files, shown, facts, settings=settings, signer=signer)
        done("hand-over")
    times.setdefault("finished_at", clock())
    metadata = json.loads((version.folder / "artifacts" / "limitline.json").read_bytes())
    return Candidate(
        version=version,
        fitted=fitted,
        metadata=metadata,
        lineage=facts,
        times=times,
        caveats=(*caveats(job, rows, metadata), *reasons.caveats(metadata)),
    )


def fit(
    job: Job, spec: FeatureSpec, rows: Sample, *, done: Callable[[str], None] = say_nothing
) -> FittedJob:
    """Fit what a job asks for, count broken directions, and break its evaluation down."""
    made = fit_recipe(job.recipe, spec.signs, rows.labeled, seed=job.seed, done=done)
    result, asked = made.out_of_fold, evaluation.drawn_rows(rows.features, seed=job.seed)
    return FittedJob(
        job=job,
        rows=rows,
        model=made,
        breakdown=breakdown.of_sample(result, rows, lambda: clone(made.estimator), seed=job.seed),
        directions=evaluation.measure_violations(made.estimator, asked, spec.names, spec.signs),
        lift=evaluation.measure_lift(result.labels, result.probability),
    )


def fit_recipe(
    recipe: Recipe,
    signs: Sequence[int],
    rows: LabeledRows,
    *,
    seed: int,
    done: Callable[[str], None] = say_nothing,
) -> ModelFit:
    """Evaluate a recipe out-of-fold, decide on calibration, fit it on all rows.

    Parameters
    ----------
    rows : LabeledRows
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
    verdict = evaluation.judge_calibration(measured)
    if verdict.is_sigmoid_needed:
        result = result.with_sigmoid()
        measured = evaluation.evaluate(result, seed=seed)
        estimator = CalibratedClassifierCV(estimator, method="sigmoid", cv=FOLDS, ensemble=False)
    fitted = evaluation.fit(estimator, rows.features, rows.labels, customers=rows.customers)
    done("fit")
    return ModelFit(estimator=fitted, out_of_fold=result, evaluation=measured, verdict=verdict)


def assemble(place: Path, fitted: FittedJob, facts: Mapping[str, str]) -> CandidateFiles:
    """Lay the model out in `place` as files that can be logged."""
    job, made = fitted.job, fitted.model
    estimator = place / "estimator.skops"
    estimator_digest = serialize.dump(made.estimator, estimator)
    told = reasons.make(job, fitted.rows, made.estimator, made.out_of_fold)
    parts = model.ModelParts(
        estimator=estimator,
        features_text=job.features_text,
        policy_text=job.policy_text,
        facts={
            **facts,
            "estimator_digest": estimator_digest,
            "calibration": made.calibration,
            "is_sigmoid_fitted": made.verdict.is_sigmoid_needed,
            "evaluation_sample": "out-of-fold, open customers",
            "evaluation": canonical.plain(made.evaluation),
            "evaluation_breakdown": canonical.plain(fitted.breakdown),
            "evaluation_directions": canonical.plain(fitted.directions),
            "evaluation_lift": canonical.plain(fitted.lift),
            "iterations": made.iterations,
            "explanation": told.as_facts(),
        },
        released=fitted.rows.table.schema,
        explanation=told.method,
    )
    return model.assemble(place / "model", parts)


def _observed(fitted: FittedJob, times: Mapping[str, datetime], signer: Signer) -> dict[str, str]:
    """Return what is signed with the candidate and is no part of what it is."""
    return {
        **lineage.observed(fitted.rows.table),
        **{name: moment.isoformat(timespec="seconds") for name, moment in times.items()},
        "iterations": fitted.model.iterations,
        "operator_key_id": signer.key_id,
    }


def describe_run(
    place: Path,
    fitted: FittedJob,
    files: CandidateFiles,
    facts: Mapping[str, str],
    seen: Mapping[str, str],
) -> RunFacts:
    """Return what the run shows, with pictures and documents drawn and written below `place`."""
    job, made = fitted.job, fitted.model
    spec, policy = jobs.declarations(job)
    # Whatever is shown is read from the file that will be signed.
    metadata = json.loads(files.artifacts["limitline"].read_bytes())
    card = model_card.CardFacts(spec=spec, policy=policy, metadata=metadata, observed=seen)
    return RunFacts(
        # A recipe may be called champion; whether the version ever is one, no run can know.
        run_name=f"candidate on {spec.id}",
        params={
            **{name: str(value) for name, value in job.recipe.parameters.items()},
            "recipe": job.recipe.name,
            "seed": str(job.seed),
        },
        # The riskiest tenth stands for the lift table; the picture has all of it.
        metrics={
            **as_metrics((*made.evaluation, *fitted.lift[:2])),
            "out_of_fold.n": float(len(fitted.rows.labels)),
            **reasons.metrics(metadata),
        },
        tags={**facts, **seen, "calibration": made.calibration},
        observed=seen,
        figures={
            **figures.draw(place, made.out_of_fold, (*fitted.lift, *fitted.breakdown)),
            "directions": figures.draw_directions(
                place / "directions.png", made.estimator, fitted.rows.features, spec, seed=job.seed
            ),
            # A folder is logged as a folder, so the documents lie together beside the figures.
            model_card.FOLDER: model_card.write(place / model_card.FOLDER / "candidate", card),
        },
    )


def as_metrics(measured: Iterable[Measurement]) -> dict[str, float]:
    """Return values and interval edges under the names that the catalogue shows."""
    return {
        f"out_of_fold.{found.measure}{suffix}": value
        for found in measured
        for suffix, value in (("", found.value), (".low", found.low), (".high", found.high))
        if value is not None
    }


def caveats(job: Job, rows: Sample, metadata: Mapping[str, Any]) -> tuple[str, ...]:
    """Say what was lifted, what was left out, what comes twice and what could not be told."""
    said = [lifted.describe() for lifted in job.allowances]
    said += [rows.unknown.describe()] if rows.unknown.total else []
    said += rows.repetitions()
    for item in metadata["evaluation_breakdown"]:
        if item["outcome"] == Outcome.INCONCLUSIVE:
            scope = describe_scope(item["scope"])
            said.append(f"{item['measure']}, {scope}: {item['outcome']}. {item['reason']}")
    return tuple(said)
