"""Scoring: released columns in; default probability, decision inputs and limits out.

This is the one path from a feature table to a limit. Validation, decision, replay and the served
model all call it, so what was validated is what decides.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from decisions import engine, features, inputs, sql
from decisions.engine import Freeze
from decisions.features import FeatureSpec
from decisions.plan import PLAIN, Climate
from decisions.policy import LimitPolicy

DEFAULT_PROBABILITY = "default_probability"

# What the model answers where MLflow serves it.
SERVED_COLUMNS = (
    "default_probability",
    "limit_before_minor",
    "limit_after_minor",
    "temporary_uplift_minor",
    "uplift_expires_on",
    "action",
    "reasons",
)


class Estimator(Protocol):
    """What scoring needs of a fitted scikit-learn classifier."""

    def predict_proba(self, X: npt.NDArray[np.float64]) -> Any:  # noqa: N803  (scikit-learn's word)
        """Return class probabilities, ``(n_rows, 2)``."""


def design_matrix(spec: FeatureSpec, computed: pa.Table) -> npt.NDArray[np.float64]:
    """Return the model's input, ``(n_rows, n_features)``, in the order of the spec."""
    columns = [computed[name].to_numpy() for name in spec.names]
    return np.column_stack(columns).astype(np.float64, copy=False)


def score(
    estimator: Estimator, spec: FeatureSpec, source: sql.Source, keep: Sequence[str] = ()
) -> pa.Table:
    """Compute features and the default probability of every row.

    Returns
    -------
    pyarrow.Table
        ``keep``, the features, the decision inputs and ``default_probability`` (0-1 over the
        spec's horizon), in input order.

    Raises
    ------
    ContractError
        As `decisions.features.compute`.
    """
    computed = features.compute(spec, source, keep)
    if computed.num_rows == 0:
        return computed.append_column(DEFAULT_PROBABILITY, pa.array([], pa.float64()))
    probability = np.asarray(estimator.predict_proba(design_matrix(spec, computed)))[:, 1]
    return computed.append_column(DEFAULT_PROBABILITY, pa.array(probability, pa.float64()))


def decide(
    policy: LimitPolicy,
    scored: pa.Table,
    *,
    as_of: date,
    freeze: Freeze = Freeze.NOTHING,
    climate: Climate = PLAIN,
) -> pa.Table:
    """Decide every row of a scored table; the decision columns are appended to it.

    Raises
    ------
    ContractError
        As `decisions.engine.decide`.
    """
    batches = scored.combine_chunks().to_batches()
    decided = [
        engine.decide(policy, batch, as_of=as_of, freeze=freeze, climate=climate)
        for batch in batches
    ]
    decisions = pa.Table.from_batches(decided, engine.OUTPUT_SCHEMA)
    for name in engine.OUTPUT_SCHEMA.names:
        scored = scored.append_column(name, decisions[name])
    return scored


def from_elsewhere(spec: FeatureSpec, policy: LimitPolicy) -> tuple[str, ...]:
    """Return the inputs of `policy` that `spec` does not compute, sorted.

    They come from the assignment and the decision log, or from whoever calls a served model.
    """
    return tuple(sorted(set(inputs.needed(policy)) - set(spec.inputs)))
