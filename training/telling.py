"""The telling: what a submitted candidate says to programs, to people and nobody else."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.table import Table

from governance.measurement import Measurement
from training.candidate import Candidate


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
            for measurement in (*made.fitted.evaluation, *made.fitted.breakdown)
        ],
        "lineage": dict(made.lineage),
        "caveats": list(made.caveats),
        "seconds": round(made.seconds, 3),
    }


def _headlines(made: Candidate) -> list[Measurement]:
    """Return the part of the breakdown that fits on a screen; the document has all of it."""
    return [found for found in made.fitted.breakdown if found.measure == "discrimination.auc"]


def print_candidate(console: Console, made: Candidate) -> None:
    """Print the evaluation of a candidate and what must be known about it."""
    table = Table("measure", "value", "95 % interval", "n", title="Out-of-fold, open customers")
    for found in (*made.fitted.evaluation, *_headlines(made)):
        shown = (found.value, found.low, found.high)
        value, low, high = ("undefined" if x is None else f"{x:.4f}" for x in shown)
        name = " ".join([found.measure, *(f"{k}={v}" for k, v in found.scope.items())])
        table.add_row(name, value, f"{low} – {high}", f"{found.n:,}")
    console.print(table)
    console.print(made.fitted.calibration)
    for said in made.caveats:
        console.print(said, markup=False)
    state = "submitted" if made.version.is_new else "submitted before; nothing changed"
    console.print(
        f"Version {made.version.version} ({made.lineage['recipe_title']}, "
        f"{made.lineage['features_id']}): {state}. It waits for validation."
    )
