"""The report on vintages: a table's rows measured by month, drawn and told."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from decisions.features import FeatureSpec
from governance import durable
from governance.appetite import Threshold
from governance.errors import ContractError
from governance.measurement import Measurement, describe_scope
from governance.outcome import Outcome
from privacy.feature_table import FeatureTable
from training import evaluation, label, sample, vintages
from training.label import LabelRule
from training.recipes import CHAMPION
from training.sample import Question


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What is asked of a table.

    Parameters
    ----------
    vintage : str
        Column with the day of each row.
    event_on : str or None
        Column with the day on which an outcome became known; without it nothing is said about
        seasoning. Months are counted to that day, so the delay of the records is in them.
    watched_until : date
        Last day of the records; a row is measured once its window has ended by then.
    thresholds : sequence of Threshold
        What judges; nothing does if there is none.
    """

    spec_text: str
    target: str | None
    vintage: str
    event_on: str | None
    watched_until: date
    thresholds: Sequence[Threshold] = ()


def measure(
    table: FeatureTable, asked: Asked, *, seed: int, done: Callable[[str], None]
) -> tuple[Measurement, ...]:
    """Evaluate the champion recipe out-of-fold, vintage by vintage; measure how defaults season.

    Parameters
    ----------
    done : callable
        Called after each fold.

    Raises
    ------
    ContractError
        As `training.sample.read`, or if a day column is missing or not of days.
    """
    spec = FeatureSpec.parse(asked.spec_text)
    # Where defaults are known when they happen, a window that still runs shows its defaults alone.
    rule = LabelRule(
        target=asked.target,
        observed_at=asked.event_on,
        cutoff=asked.watched_until,
        vintage=asked.vintage,
    )
    rows = sample.read(table, Question(spec=spec, rule=rule))
    result = evaluation.out_of_fold(
        lambda: CHAMPION.estimator(spec.signs, seed=seed),
        rows.features,
        rows.labels,
        seed=seed,
        done=lambda: done("fold"),
        customers=rows.customers,
    )
    if rows.vintage is None:
        raise ContractError("There are no vintages without a day column.")
    all_rows = label.days(table.read([asked.vintage]), asked.vintage, may_be_null=False)
    found = vintages.measure(result, rows.vintage, seed=seed, thresholds=asked.thresholds)
    found = vintages.withhold_incomplete(found, rows.vintage, all_rows)
    return found + _seasoning(table, asked, rows.target, months=spec.horizon_months)


def _seasoning(
    table: FeatureTable, asked: Asked, target: str, *, months: int
) -> tuple[Measurement, ...]:
    if asked.event_on is None:
        return ()
    if asked.event_on not in table.schema.names:
        raise ContractError(f"The table {table.path.name} has no column {asked.event_on}.")
    rows = table.read([target, asked.vintage, asked.event_on])
    # Who has no outcome yet was watched and did not default so far: the month needs all of them.
    defaulted = label.labels(rows[target].fill_null(0), target) == 1
    events = label.days(rows, asked.event_on, may_be_null=True).copy()
    if np.isnat(events[defaulted]).any():
        raise ContractError(
            f"{int(np.isnat(events[defaulted]).sum())} defaults have no day in {asked.event_on}."
        )
    # The day on which nothing was found by the end of the window is no event.
    events[~defaulted] = np.datetime64("NaT")
    day = label.days(rows, asked.vintage, may_be_null=False)
    # The last defaults of a window are known after it, by the delay of the records.
    ages = (events.astype("datetime64[M]") - day.astype("datetime64[M]"))[defaulted]
    if ages.size and ages.min().astype(np.int64) >= months:
        # Days of record would draw a book in which nobody ever defaults within the window.
        reason = (
            f"All {ages.size} defaults have their day in {asked.event_on} at the end of the window "
            "or later: the day on which outcomes were recorded, not that of the default."
        )
        return (
            Measurement(
                measure=vintages.SEASONED,
                n=len(rows),
                outcome=Outcome.INCONCLUSIVE,
                reason=reason,
            ),
        )
    longest = max([months, *ages.astype(np.int64).tolist()])
    until = np.datetime64(asked.watched_until, "D")
    return vintages.measure_seasoning(day, events, watched_until=until, months=longest)


def draw(found: Sequence[Measurement], folder: Path, *, name: str) -> Mapping[str, Path]:
    """Draw what was measured of the table `name` below `folder`; return name to PNG file."""
    durable.make_folder(folder)
    drawn = {
        "vintages": vintages.draw(
            folder / "vintages.png", _of(found, vintages.SEASONED, is_in=False), name=name
        )
    }
    seasoned = _of(found, vintages.SEASONED, is_in=True)
    if any(one.value is not None for one in seasoned):
        title = f"{name}: share defaulted by vintage"
        path = folder / "seasoning.png"
        drawn["seasoning"] = vintages.draw_seasoning(path, seasoned, title=title)
    return drawn


def _of(found: Sequence[Measurement], name: str, *, is_in: bool) -> list[Measurement]:
    return [one for one in found if (one.measure == name) is is_in]


def as_document(
    found: Sequence[Measurement], table: FeatureTable, drawn: Mapping[str, Path]
) -> Mapping[str, Any]:
    """Return the public JSON form."""
    return {
        "schema": "limitline/training-vintages/1",
        "data_contract": table.contract_id,
        "data_digest": table.digest,
        "measurements": [one.as_json() for one in found],
        "pictures": {name: str(path) for name, path in drawn.items()},
    }


def show(console: Console, found: Sequence[Measurement]) -> None:
    """Print one row per measurement, of a seasoning its last month, then what cannot be told."""
    table = Table(title="By vintage, out-of-fold, open customers")
    for heading in ("measure", "scope", "value", "95 % interval", "n", "outcome"):
        # The vintage is what a row is about: it is folded and never cut off.
        table.add_column(heading, overflow="fold")
    last = {(one.measure, one.scope.get("vintage")): one for one in found if "months" in one.scope}
    for one in found:
        if "months" in one.scope and last[one.measure, one.scope.get("vintage")] is not one:
            continue
        numbers = ["undefined" if v is None else f"{v:.4f}" for v in (one.value, one.low, one.high)]
        scope = describe_scope(one.scope)
        edges = f"{numbers[1]} – {numbers[2]}"
        table.add_row(one.measure, scope, numbers[0], edges, f"{one.n:,}", one.outcome.value)
    console.print(table)
    for one in found:
        if one.outcome is Outcome.INCONCLUSIVE:
            told = f"- {one.measure}, {describe_scope(one.scope)}: {one.outcome}. {one.reason}"
            console.print(told, markup=False)
    if last:
        console.print("The months of each seasoning are in --json and in the picture.")
