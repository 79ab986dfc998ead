"""The candidate: a fitted default probability with its policy, evaluated and handed over.

Training ends where judging begins. It reports what it measured out-of-fold, and it hands the
credit-limit model to the registry, where somebody else validates it on customers it never saw.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from decisions import model
from decisions.features import FeatureSpec
from decisions.policy import LimitPolicy
from governance import canonical
from governance.measurement import Measurement
from governance.settings import Settings
from privacy.feature_table import FeatureTable
from privacy.keyring import Keyring
from registry import serialize, submission
from registry.signing import Role, Signer
from registry.submission import CandidateFiles, ModelVersion, RunFacts
from training import document, figures, lineage, reasons, sample, suspicion, vintages
from training.evaluation import FOLDS
from training.fitted import Fitted, caveats, fit, say_nothing
from training.job import NONE, Job, declarations
from training.sample import Sample

STEPS = FOLDS + 3
"""How often `train` reports: every fold, the fit, the figures, the hand-over."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A submitted candidate: its version, what was measured and where it came from.

    Parameters
    ----------
    times : mapping of str to datetime
        ``started_at`` and ``finished_at``, the moment before the hand-over.
    caveats : tuple of str
        What a reader must know about the rows: which were left out, which come twice, and which
        part of the evaluation cannot tell.
    """

    version: ModelVersion
    fitted: Fitted
    lineage: Mapping[str, str]
    times: Mapping[str, datetime]
    caveats: tuple[str, ...] = ()

    @property
    def seconds(self) -> float:
        """How long reading, fitting, evaluating and drawing took, without the hand-over."""
        return (self.times["finished_at"] - self.times["started_at"]).total_seconds()


def train(
    job: Job,
    *,
    settings: Settings,
    clock: Callable[[], datetime],
    done: Callable[[str], None] = say_nothing,
) -> Candidate:
    """Fit, evaluate and submit one candidate; the same job on the same data is submitted once.

    Parameters
    ----------
    clock : callable
        Tells start and end; both are signed with the candidate and are no part of what it is.
    done : callable
        Called with a step's name after each of the `STEPS` steps.

    Raises
    ------
    ContractError
        If a declaration cannot be used, or as `training.sample.read`.
    KeyringError
        If a data key or the developer's signing key is missing.
    """
    started = clock()
    spec, policy = declarations(job)
    # Keys come first: a missing one should not cost a fit.
    keys = settings.keyring
    keyring, signer = Keyring.open(keys), Signer.open(keys, Role.DEVELOPER)
    # So does the wording: what could not be told should not be fitted first.
    reasons.wording(job, spec)
    rows = sample.read(FeatureTable.open(job.table, keyring=keyring), job.question(spec))
    fitted = fit(job, spec, rows, done=done)
    facts = describe(job, spec, policy, rows)
    with tempfile.TemporaryDirectory(prefix="limitline-train-") as staging:
        drawn = _draw(Path(staging), spec, rows, fitted, seed=job.seed)
        done("figures")
        files = _assemble(Path(staging), job, rows, fitted, facts)
        times = {"started_at": started, "finished_at": clock()}
        seen = _observed(rows, fitted, times, signer)
        signed = _signed(files)
        told = document.Facts(spec=spec, policy=policy, metadata=signed, observed=seen)
        # A folder is logged as a folder, so the documents lie together beside the figures.
        written = document.write(Path(staging) / document.FOLDER / "candidate", told)
        drawn = {**drawn, document.FOLDER: written}
        shown = _run_facts(job, fitted, facts, seen, drawn)
        shown = replace(shown, metrics={**shown.metrics, **reasons.metrics(signed)})
        version = submission.submit(files, shown, facts, settings=settings, signer=signer)
    done("hand-over")
    return Candidate(
        version=version,
        fitted=fitted,
        lineage=facts,
        times=times,
        caveats=(
            *(lifted.describe() for lifted in job.allowances),
            *caveats(rows, fitted),
            *reasons.caveats(signed),
        ),
    )


def describe(job: Job, spec: FeatureSpec, policy: LimitPolicy, rows: Sample) -> dict[str, str]:
    """Return the lineage: everything that makes this candidate this candidate, and no time of day.

    References
    ----------
    JR/T 0221-2021, traceability: data source, volume, digest and sampling; script, environment,
    operator and parameters. Times, machine and storage medium are observed, signed beside this.
    """
    return {
        "data_contract": rows.table.contract_id,
        "data_contract_digest": rows.table.contract_digest,
        "data_digest": rows.table.digest,
        "data_part": rows.table.part.value,
        **rows.as_lineage(),
        "target": rows.target,
        "label_observed_at": job.observed_at or NONE,
        "label_cutoff": job.cutoff.isoformat() if job.cutoff else NONE,
        "vintage": job.vintage or NONE,
        "segment": job.segment or NONE,
        "allowances": suspicion.as_lineage(job.allowances),
        "horizon_months": str(spec.horizon_months),
        "features_id": spec.id,
        "features_title": spec.title,
        "features_digest": spec.digest,
        "policy_id": policy.id,
        "policy_digest": policy.digest,
        "recipe": job.recipe.name,
        "recipe_title": job.recipe.title,
        "recipe_parameters": canonical.dumps(job.recipe.parameters).decode(),
        "seed": str(job.seed),
        "operator": Role.DEVELOPER.value,
        "script": "limitline train",
        "script_digest": lineage.script(),
        **lineage.code(),
        **lineage.environment(),
    }


def _draw(
    place: Path, spec: FeatureSpec, rows: Sample, fitted: Fitted, *, seed: int
) -> Mapping[str, Path]:
    effects = figures.measure_effects(
        fitted.estimator, rows.features, spec.names, spec.signs, seed=seed
    )
    drawn = figures.draw(place, fitted.out_of_fold, effects)
    drawn = {**drawn, "lift": figures.draw_lift(place / "lift.png", fitted.lift)}
    by_vintage = [found for found in fitted.breakdown if "vintage" in found.scope]
    if by_vintage:
        drawn = {**drawn, "vintages": vintages.draw(place / "vintages.png", by_vintage)}
    return drawn


def _assemble(
    place: Path, job: Job, rows: Sample, fitted: Fitted, facts: Mapping[str, str]
) -> CandidateFiles:
    """Lay the model out in `place` as files that can be logged."""
    estimator = place / "estimator.skops"
    estimator_digest = serialize.dump(fitted.estimator, estimator)
    told = reasons.make(job, FeatureSpec.parse(job.features_text), rows, fitted)
    parts = model.ModelParts(
        estimator=estimator,
        features_text=job.features_text,
        policy_text=job.policy_text,
        facts={
            **facts,
            "estimator_digest": estimator_digest,
            "calibration": fitted.calibration,
            "is_sigmoid_fitted": fitted.verdict.is_sigmoid_needed,
            "evaluation_sample": "out-of-fold, open customers",
            "evaluation": canonical.plain(fitted.evaluation),
            "evaluation_breakdown": canonical.plain(fitted.breakdown),
            "evaluation_directions": canonical.plain(fitted.directions),
            "iterations": fitted.iterations,
            "explanation": told.as_facts(),
        },
        released=rows.table.schema,
        explanation=told.method,
    )
    return model.assemble(place / "model", parts)


def _observed(
    rows: Sample, fitted: Fitted, times: Mapping[str, datetime], signer: Signer
) -> dict[str, str]:
    """Return what is signed with the candidate and is no part of what it is."""
    return {
        **lineage.observed(rows.table),
        **{name: moment.isoformat(timespec="seconds") for name, moment in times.items()},
        "iterations": fitted.iterations,
        "operator_key_id": signer.key_id,
    }


def as_metrics(measured: Iterable[Measurement]) -> dict[str, float]:
    """Return values and interval edges under the names that the catalogue shows."""
    metrics = {}
    for found in measured:
        edges = {"": found.value, ".low": found.low, ".high": found.high}
        for suffix, value in edges.items():
            if value is not None:
                metrics[f"out_of_fold.{found.measure}{suffix}"] = value
    return metrics


def _signed(files: CandidateFiles) -> Mapping[str, Any]:
    """Return what the file that is signed says: whatever is shown is read from there."""
    found: Mapping[str, Any] = json.loads(files.artifacts["limitline"].read_bytes())
    return found


def _run_facts(
    job: Job,
    fitted: Fitted,
    facts: Mapping[str, str],
    seen: Mapping[str, str],
    drawn: Mapping[str, Path],
) -> RunFacts:
    # The riskiest tenth stands for the lift table; the picture has all of it.
    metrics = as_metrics((*fitted.evaluation, *fitted.lift[:2]))
    parameters = {name: str(value) for name, value in job.recipe.parameters.items()}
    return RunFacts(
        # A recipe may be called champion; whether the version ever is one, no run can know.
        run_name=f"candidate on {facts['features_id']}",
        params={**parameters, "recipe": job.recipe.name, "seed": str(job.seed)},
        metrics={**metrics, "out_of_fold.n": float(len(fitted.out_of_fold.labels))},
        tags={**facts, **seen, "calibration": fitted.calibration},
        observed=seen,
        figures=drawn,
    )
