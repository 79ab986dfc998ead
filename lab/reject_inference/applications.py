"""Applications: the rows of a feature table as an intake, checked before anything is measured."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from governance.contract import Purpose
from governance.errors import ContractError
from lab.reject_inference.intake import Flags, Intake
from limits import features, scoring
from limits.features import FeatureSpec
from privacy.feature_table import PSEUDONYM, FeatureTable
from training import label, suspicion
from training.evaluation import Matrix
from training.sample import MINIMUM_PER_CLASS, MINIMUM_ROWS


@dataclass(frozen=True, slots=True, kw_only=True)
class Columns:
    """The columns that say what became of an application.

    Parameters
    ----------
    target : str
        Outcome, empty where nobody knows it.
    refused : str
        Whether the customer was turned away.
    explored : str or None
        Whether the customer would have been turned away and was let in at random.
    """

    target: str
    refused: str
    explored: str | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """All of them that there are."""
        return tuple(filter(None, (self.target, self.refused, self.explored)))


def read(table: FeatureTable, spec: FeatureSpec, columns: Columns) -> tuple[Matrix, Intake]:
    """Compute the features of everybody who asked, and read what became of them.

    Parameters
    ----------
    table : FeatureTable
        The open part of a table that was released for training.

    Raises
    ------
    ContractError
        If the table was released for another purpose, a column is missing, a feature reads one of
        `columns`, a customer comes twice, a refused customer has an outcome or was let in as well,
        or there are too few accepted outcomes.
    """
    if table.purpose is not Purpose.TRAINING:
        raise ContractError(
            f"The table {table.path.name} was released for {table.purpose}; this report needs one "
            "released for training."
        )
    missing = [name for name in columns.names if name not in table.schema.names]
    if missing:
        raise ContractError(
            f"The table {table.path.name} has no column {', '.join(missing)}; it has "
            f"{', '.join(table.feature_columns)}."
        )
    told = set(columns.names) & set(spec.sources)
    if told:
        raise ContractError(
            f"The feature spec {spec.id} reads {', '.join(sorted(told))}: the outcome or the "
            "decision itself. Take it out."
        )
    suspicion.refuse_protected_names(spec, ())
    rows = features.compute(spec, table.reader(), keep=(PSEUDONYM, *columns.names))
    if pc.count_distinct(rows[PSEUDONYM]).as_py() != rows.num_rows:
        raise ContractError("A customer comes twice; release one row per application.")
    people = _intake(rows, columns)
    _refuse_too_few(people)
    matrix = scoring.design_matrix(spec, rows)
    suspicion.refuse_constants(spec, matrix, ())
    suspicion.refuse_leaks(spec, matrix[people.is_known], people.y[people.is_known], ())
    return matrix, people


def _intake(rows: pa.Table, columns: Columns) -> Intake:
    known = rows[columns.target].is_valid().to_numpy()
    y = np.zeros(rows.num_rows, dtype=np.int64)
    y[known] = label.labels(rows[columns.target].filter(pa.array(known)), columns.target)
    refused = _flags(rows, columns.refused)
    explored = (
        _flags(rows, columns.explored) if columns.explored else np.zeros(len(y), dtype=np.bool_)
    )
    contradictions = {
        f"are refused ({columns.refused}) and have an outcome": refused & known,
        f"are refused and let in ({columns.explored}) at once": refused & explored,
    }
    for said, hit in contradictions.items():
        if hit.any():
            raise ContractError(f"{int(hit.sum())} customers {said}. Correct the export.")
    return Intake(is_known=known, y=y, is_refused=refused, is_explored=explored)


def _flags(rows: pa.Table, name: str) -> Flags:
    column = rows[name]
    is_flag = pa.types.is_boolean(column.type) or pa.types.is_integer(column.type)
    if not is_flag or column.null_count:
        raise ContractError(f"The column {name} must say yes or no for everybody (bool, or 0/1).")
    values = column.cast(pa.int64()).to_numpy()
    if not np.isin(values, (0, 1)).all():
        raise ContractError(f"The column {name} holds other values than 0 and 1.")
    found: Flags = values.astype(np.bool_)
    return found


def _refuse_too_few(people: Intake) -> None:
    accepted = people.is_accepted
    n, events = int(accepted.sum()), int(people.y[accepted].sum())
    if n < MINIMUM_ROWS or min(events, n - events) < MINIMUM_PER_CLASS:
        raise ContractError(
            f"There are {n} accepted customers with a known outcome, {events} of them defaulted; "
            f"at least {MINIMUM_ROWS} with {MINIMUM_PER_CLASS} of either outcome are needed."
        )
    if not people.is_refused.any():
        raise ContractError("Nobody was refused in this table, so there is nothing to report.")
