"""Counterfactuals: what a customer would have to change, asked of the model before it is said.

A change is made on the released columns and everything is computed anew from there, so a promise
never rests on features that cannot occur together. It is shown only if the model, scored again,
keeps it.
"""

from __future__ import annotations

import importlib.resources
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import ClassVar, Literal

import numpy as np
import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field, model_validator
from scipy.stats import binomtest

from governance.declaration import Declaration
from governance.errors import ContractError
from governance.measurement import Measurement
from limits import scoring, sql
from limits.features import FeatureSpec
from limits.scoring import DEFAULT_PROBABILITY, Estimator
from training.discrimination import undefined

REACHED = "explanation.counterfactual_reached"

# Arithmetic on other columns may leave differences of this size; they are no worse behavior.
_NOISE = 1e-9


class Lever(BaseModel):
    """One thing that a customer can do.

    Parameters
    ----------
    columns : mapping of str to str
        Released column to the ANSI SQL expression of its value after the change.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    reason_group: str
    en: str = Field(min_length=1)
    zh: str = Field(min_length=1)
    columns: Mapping[str, str] = Field(min_length=1)


class Levers(Declaration):
    """Everything that customers can change, in the order in which it is proposed to them."""

    called: ClassVar[str] = "table of levers"

    schema_: Literal["levers/1"] = Field(alias="schema")
    id: str
    version: str
    features_id: str
    levers: tuple[Lever, ...] = Field(min_length=1, max_length=6)

    @model_validator(mode="after")
    def _is_coherent(self) -> Levers:
        columns = [column for lever in self.levers for column in lever.columns]
        if len(set(columns)) != len(columns):
            raise ValueError("two levers change the same column")
        if len({lever.name for lever in self.levers}) != len(self.levers):
            raise ValueError("a lever is declared twice")
        return self


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What one customer would have to do, and what the model then says.

    Parameters
    ----------
    levers : tuple of Lever
        Empty if the default probability is low enough as it is.
    before, after : float
        Default probability as it is and with the change, both as scored.
    """

    levers: tuple[Lever, ...]
    before: float
    after: float

    def texts(self, language: str = "en") -> tuple[str, ...]:
        """Spell out the change."""
        return tuple(lever.zh if language == "zh" else lever.en for lever in self.levers)


def packaged(name: str) -> Levers:
    """Return the levers that ship with the product under this name.

    Raises
    ------
    ContractError
        If there are none of that name.
    """
    place = importlib.resources.files("training") / "data" / f"{name}.toml"
    if not place.is_file():
        raise ContractError(f"No levers named {name} ship with Limitline.")
    return Levers.parse(place.read_text(encoding="utf-8"))


def find_changes(
    estimator: Estimator, spec: FeatureSpec, levers: Levers, rows: pa.Table, *, ceiling: float
) -> tuple[Change | None, ...]:
    """Return, for each row, the smallest change that brings the default probability to `ceiling`.

    Fewer levers come before more, and earlier ones in the file before later ones. A change that
    would move any feature against its declared direction is not proposed.

    Parameters
    ----------
    rows : pyarrow.Table
        Released columns, ``(n_rows,)`` each.
    ceiling : float
        Highest default probability that is good enough, 0-1.

    Returns
    -------
    tuple of Change or None
        ``None`` where nothing that the customer can do is enough.

    Raises
    ------
    ContractError
        If the levers belong to other features or change a column that no feature reads.
    """
    _refuse_foreign(spec, levers)
    before = scoring.score(estimator, spec, rows)
    start, signs = scoring.design_matrix(spec, before), np.array(spec.signs)
    known = before[DEFAULT_PROBABILITY].to_numpy()
    found: list[Change | None] = [
        Change(levers=(), before=float(p), after=float(p)) if p <= ceiling else None for p in known
    ]
    for chosen in _combinations(levers.levers):
        open_rows = np.array([place for place, change in enumerate(found) if change is None])
        if not open_rows.size:
            break
        scored = scoring.score(estimator, spec, changed(rows.take(open_rows), chosen))
        moved = (scoring.design_matrix(spec, scored) - start[open_rows]) * signs
        after = scored[DEFAULT_PROBABILITY].to_numpy()
        for place in np.flatnonzero((after <= ceiling) & (moved <= _NOISE).all(axis=1)):
            row = int(open_rows[place])
            found[row] = Change(levers=chosen, before=float(known[row]), after=float(after[place]))
    return tuple(found)


def changed(rows: pa.Table, levers: Sequence[Lever]) -> pa.Table:
    """Return the released columns as they would be after the change; types and order are kept.

    Raises
    ------
    ContractError
        If an expression does not fit the table.
    """
    texts = {column: text for lever in levers for column, text in lever.columns.items()}
    columns = [
        f"{texts[name]} AS {sql.quoted(name)}" if name in texts else sql.quoted(name)
        for name in rows.column_names
    ]
    result = sql.run(f"SELECT {', '.join(columns)} FROM source", source=rows)  # noqa: S608  (reviewed files, locked engine)
    return result.cast(rows.schema)


def measure_reached(changes: Sequence[Change | None]) -> Measurement:
    """Return the share of customers above the ceiling who could come below it.

    Formula: among customers whose default probability is too high as it is, those for whom a change
    was found; with a Wilson interval.

    Notes
    -----
    When it says nothing: when nobody is above the ceiling.
    """
    above = [change for change in changes if change is None or change.levers]
    if not above:
        return undefined(REACHED, 0, "Nobody is above the ceiling.")
    test = binomtest(sum(change is not None for change in above), len(above))
    interval = test.proportion_ci(method="wilson")
    return Measurement(
        measure=REACHED,
        value=test.statistic,
        low=interval.low,
        high=interval.high,
        n=len(above),
    )


def _combinations(levers: Sequence[Lever]) -> Iterator[tuple[Lever, ...]]:
    for size in range(1, len(levers) + 1):
        yield from combinations(levers, size)


def _refuse_foreign(spec: FeatureSpec, levers: Levers) -> None:
    if levers.features_id != spec.id:
        raise ContractError(
            f"The levers {levers.id} are for {levers.features_id}; the features are {spec.id}."
        )
    columns = {column for lever in levers.levers for column in lever.columns}
    foreign = sorted(columns - set(spec.sources))
    if foreign:
        raise ContractError(
            f"The levers {levers.id} change {foreign[0]}, which no feature of {spec.id} reads; a "
            "customer would be told to do something that changes nothing."
        )
