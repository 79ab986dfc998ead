"""The telling: a study of selection for programs, for people and nobody else."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.table import Table

from governance.measurement import Measurement, describe_scope
from lab.reject_inference.intake import Rules
from lab.reject_inference.study import Study
from limits.features import FeatureSpec
from privacy.feature_table import FeatureTable

DEFAULT = (
    "Nothing of this is applied: training learns from known outcomes as they are, without weights "
    "or made-up outcomes."
)


def as_document(
    found: Study, table: FeatureTable, spec: FeatureSpec, rules: Rules
) -> Mapping[str, Any]:
    """Return the public JSON form of a study."""
    return {
        "schema": "limitline/training-selection/1",
        "data_contract": table.contract_id,
        "data_digest": table.digest,
        "features_digest": spec.digest,
        "horizon_months": spec.horizon_months,
        "rules": {"clip": rules.clip, "uplift": rules.uplift, "widest": rules.widest},
        "counts": dict(found.counts),
        "measurements": [measured.as_json() for measured in found.measurements],
        "applied": "nothing",
        "caveats": [DEFAULT],
    }


def show(console: Console, found: Study) -> None:
    """Print the study as a table, and what it does not do."""
    said = ", ".join(f"{count:,} {name}" for name, count in found.counts.items())
    table = Table(title=f"Selection: {said}")
    for heading in ("measure", "method", "value", "95 % interval or bounds", "n", "outcome"):
        table.add_column(heading, overflow="fold")
    for measured in found.measurements:
        table.add_row(
            measured.measure.removeprefix("selection."),
            describe_scope(measured.scope).replace("method=", ""),
            _number(measured, measured.value),
            f"{_number(measured, measured.low)} – {_number(measured, measured.high)}",
            f"{measured.n:,}",
            measured.outcome.value,
        )
    console.print(table)
    for reason in dict.fromkeys(m.reason for m in found.measurements if m.reason):
        console.print(f"- {reason}", markup=False)
    console.print(DEFAULT, markup=False)


def _number(measured: Measurement, value: float | None) -> str:
    if value is None:
        return "undefined"
    return f"{value:,.1f}" if measured.unit == "count" else f"{value:.4f}"
