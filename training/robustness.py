"""Robustness of a version: other seeds, other splits, fewer customers, as one study."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from registry.study import Study
from training import figures, stability
from training.fitted import say_nothing
from training.study import Subject, single_run

NAME = "stability"
SEEDS = 5
STEPS = 3


def study(subject: Subject, place: Path, *, done: Callable[[str], None] = say_nothing) -> Study:
    """Measure the spread over seeds and splits and the learning curve of a version's recipe."""
    told = subject.rows.features, subject.rows.labels
    seed, of = subject.job.seed, subject.rows.customers

    def make(other: int) -> Any:
        return subject.job.recipe.estimator(subject.spec.signs, seed=other)

    seeds = stability.measure_seeds(make, *told, seeds=range(seed, seed + SEEDS), customers=of)
    done("seeds")
    splits = stability.measure_subsamples(make, *told, seed=seed, customers=of)
    done("splits")
    curve = stability.measure_learning(make, *told, seed=seed, customers=of)
    done("learning curve")
    measured = (*seeds, splits, *curve)
    document = {**subject.header(NAME), "measurements": list(measured)}
    drawn = figures.draw_learning(place / "learning.png", curve)
    return single_run(subject, document, measured, headlines=measured, files={"learning": drawn})
