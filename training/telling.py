"""The telling: what a submitted candidate says to programs, to people and nobody else."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.table import Table

from governance.measurement import Measurement
from training.candidate import Candidate
from training.reproduction import Reproduction


def as_document(made: Candidate) -> dict[str, Any]:
    """Return the public JSON form of a submitted candidate."""
    return {
        "schema": "limitline/training-train/1",
        "version": made.version.version,
        "manifest_digest": made.version.manifest_digest,
        "is_new": made.version.is_new,
        "run_id": made.version.run_id,
        "calibration": made.fitted.calibration,
        "is_sigmoid_fitted": made.fitted.verdict.is_sigmoid_needed,
        "measurements": [
            measurement.as_json()
            for measurement in (
                *made.fitted.evaluation,
                *filter(None, [made.fitted.directions]),
                *made.fitted.breakdown,
                *made.fitted.lift,
            )
        ],
        "lineage": dict(made.lineage),
        "caveats": list(made.caveats),
        "seconds": round(made.seconds, 3),
    }


def _headlines(made: Candidate) -> list[Measurement]:
    """Return what fits on a screen beside the evaluation; the document has all of it."""
    asked = [made.fitted.directions] if made.fitted.directions else []
    return asked + [
        found for found in made.fitted.breakdown if found.measure == "discrimination.auc"
    ]


def print_candidate(console: Console, made: Candidate) -> None:
    """Print the evaluation of a candidate and what must be known about it."""
    table = Table("measure", "value", "95 % interval", "n", title="Out-of-fold, open customers")
    for found in (*made.fitted.evaluation, *_headlines(made)):
        is_count = found.unit == "count"
        shown = (found.value, found.low, found.high)
        value, low, high = (
            "undefined" if x is None else f"{x:,.{0 if is_count else 4}f}" for x in shown
        )
        name = " ".join([found.measure, *(f"{k}={v}" for k, v in found.scope.items())])
        interval = "none: exact" if is_count and found.low is None else f"{low} – {high}"
        table.add_row(name, value, interval, f"{found.n:,}")
    console.print(table)
    console.print(made.fitted.calibration)
    for said in made.caveats:
        console.print(said, markup=False)
    state = "submitted" if made.version.is_new else "submitted before; nothing changed"
    console.print(
        f"Version {made.version.version} ({made.lineage['recipe_title']}, "
        f"{made.lineage['features_id']}): {state}. It waits for validation."
    )


def reproduced_document(found: Reproduction) -> dict[str, Any]:
    """Return what a reproduction found, as one JSON document."""
    return {
        "schema": "limitline/training-reproduce/1",
        "version": found.version,
        "manifest_digest": found.manifest_digest,
        "estimator_digest": found.estimator_digest,
        "is_same": found.is_same,
        "differences": list(found.differences),
        "notes": list(found.notes),
        "largest_gap": found.largest_gap,
        "environment": found.environment,
    }


def print_reproduced(console: Console, found: Reproduction) -> None:
    """Print that a version came out the same; a difference is an error and says itself."""
    if found.is_same:
        console.print(
            f"Version {found.version} was fitted again ({found.environment} environment): the "
            "same estimator, predictions, evaluation and lineage."
        )
        for note in found.notes:
            console.print(f"Note: {note}.")
