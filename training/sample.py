"""The sample: what a candidate may learn from, checked before anything is fitted.

Training reads the open part of a feature table and has no word for the sealed one, so nothing that
validation will judge by can reach a model.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from governance.contract import Purpose
from governance.errors import ContractError
from limits import features, scoring
from limits.features import FeatureSpec
from privacy.feature_table import ASSIGNMENT, PSEUDONYM, FeatureTable
from privacy.keyring import Keyring
from training.discrimination import Labels
from training.evaluation import Matrix

MINIMUM_ROWS = 200
MINIMUM_PER_CLASS = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """Design matrix, ``(n_rows, n_features)`` in the order of the spec, and labels, ``(n_rows,)``.

    Parameters
    ----------
    table : FeatureTable
        The open part that the rows came from, for its digests.
    """

    features: Matrix
    labels: Labels
    table: FeatureTable
    target: str


def read(path: Path, spec: FeatureSpec, target: str | None, *, keyring: Keyring) -> Sample:
    """Read the open customers of the table at `path` and compute their features.

    Parameters
    ----------
    target : str or None
        Outcome column of 0 and 1; ``None`` takes the label that the table's contract names.

    Raises
    ------
    ContractError
        If the table was released for another purpose, a column is missing, a feature is missing or
        not finite somewhere, the outcome is not 0 and 1 or is itself a feature, or there are fewer
        than 200 rows or 20 customers of either outcome.
    """
    table = FeatureTable.open(path, keyring=keyring)
    if table.purpose is not Purpose.TRAINING:
        raise ContractError(
            f"The table {path.name} was released for {table.purpose}; training needs one released "
            "for training. Run `python -m privacy protect --purpose training`."
        )
    named = _target(table, target, spec)
    computed = features.compute(spec, table.reader(), keep=(named,))
    labels = _labels(computed[named], named)
    _refuse_too_few(labels, named)
    return Sample(
        features=scoring.design_matrix(spec, computed), labels=labels, table=table, target=named
    )


def _target(table: FeatureTable, target: str | None, spec: FeatureSpec) -> str:
    named = target or table.label
    if named is None:
        raise ContractError(
            f"The contract of {table.path.name} names no label; say which column is the outcome "
            "with --target."
        )
    columns = [name for name in table.schema.names if name not in (PSEUDONYM, ASSIGNMENT)]
    if named not in columns:
        raise ContractError(
            f"The table {table.path.name} has no outcome column {named}; it has "
            f"{', '.join(columns)}."
        )
    for outcome in (named, table.label):
        if outcome in spec.sources:
            raise ContractError(
                f"The feature spec {spec.id} reads {outcome}, the outcome itself. Take it out."
            )
    return named


def _labels(column: pa.ChunkedArray, name: str) -> Labels:
    kind = column.type
    is_number = pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind)
    if not is_number:
        raise ContractError(f"The outcome {name} is of type {kind}; it must be 0 and 1.")
    if column.null_count:
        raise ContractError(
            f"The outcome {name} is missing in {column.null_count} rows; a candidate learns from "
            "known outcomes only."
        )
    numbers = pc.cast(column, pa.float64()).to_numpy()
    if not np.isin(numbers, (0.0, 1.0)).all():
        raise ContractError(f"The outcome {name} holds other values than 0 and 1.")
    labels: Labels = numbers.astype(np.int64)
    return labels


def _refuse_too_few(labels: Labels, name: str) -> None:
    events = int(labels.sum())
    others = len(labels) - events
    if len(labels) < MINIMUM_ROWS:
        raise ContractError(
            f"There are {len(labels)} rows to learn from; at least {MINIMUM_ROWS} are needed."
        )
    if not events or not others:
        raise ContractError(
            f"The outcome {name} is {int(bool(events))} for every customer; a model needs both."
        )
    if min(events, others) < MINIMUM_PER_CLASS:
        raise ContractError(
            f"The outcome {name} is 1 for {events} and 0 for {others} customers; at least "
            f"{MINIMUM_PER_CLASS} of each are needed."
        )
