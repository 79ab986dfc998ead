"""What the engine is told about a customer: names, types, and which rows a machine may decide.

Seven inputs are always needed; the others only if the policy has the section that reads them. A
needed value that is missing, negative, not a number or beyond all reason sends its row to a person.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from governance.errors import ContractError
from limits.policy import LimitPolicy

Flags = npt.NDArray[np.bool_]
Column = npt.NDArray[Any]
Rows = dict[str, Column]

# Above this no product of money and multiplier could be trusted to fit in 64 bits.
MOST_MINOR = 10**13

ARMS = ("policy", "hold_out", "explore")

INPUT_TYPES: Mapping[str, pa.DataType] = {
    "current_limit_minor": pa.int64(),
    "balance_minor": pa.int64(),
    "utilization": pa.float64(),
    "months_delinquent": pa.int64(),
    "months_since_raise": pa.int64(),
    "months_since_cut": pa.int64(),
    "segment": pa.string(),
}

OPTIONAL_TYPES: Mapping[str, pa.DataType] = {
    "product": pa.string(),
    "previous_band": pa.string(),
    "previous_probability": pa.float64(),
    "payment_ratio": pa.float64(),
    "income_minor": pa.int64(),
    "debt_service_minor": pa.int64(),
    "total_debt_minor": pa.int64(),
    "other_exposure_minor": pa.int64(),
    "altman_z": pa.float64(),
    "debt_service_coverage": pa.float64(),
    "monthly_revenue_minor": pa.int64(),
    "refuses_automation": pa.bool_(),
    "has_consent": pa.bool_(),
    "months_since_assessment": pa.int64(),
    "arm": pa.string(),
    "assignment": pa.uint32(),
}

# Null says "not yet" in these, which is an answer: a new customer has no history.
MAY_BE_NULL = frozenset(
    {"months_since_raise", "months_since_cut", "previous_band", "previous_probability"}
)


# A loss is a fact about a business; everywhere else a negative number is a mistake.
MAY_BE_NEGATIVE = frozenset({"altman_z", "debt_service_coverage"})


def needed(policy: LimitPolicy) -> dict[str, pa.DataType]:
    """Return the inputs that `policy` reads beside the default probability, with their types."""
    warning, conditions = policy.early_warning, policy.raise_conditions
    asked: dict[str, object] = {
        "product": any(cap.product for cap in policy.caps),
        "previous_band": policy.bands.hysteresis,
        "previous_probability": warning.probability_jump,
        "payment_ratio": warning.stress,
        "income_minor": policy.affordability or policy.over_indebtedness,
        "debt_service_minor": policy.affordability,
        "total_debt_minor": policy.over_indebtedness,
        "other_exposure_minor": policy.ceilings,
        "altman_z": policy.business and policy.business.legal_persons,
        "debt_service_coverage": policy.business,
        "monthly_revenue_minor": policy.business,
        "refuses_automation": policy.automation,
        "has_consent": conditions and conditions.consent == "required",
        "months_since_assessment": conditions and conditions.assessment_months,
        "arm": policy.experiment,
        "assignment": policy.experiment,
    }
    return {**INPUT_TYPES, **{n: OPTIONAL_TYPES[n] for n, is_read in asked.items() if is_read}}


def concerns(policy: LimitPolicy, name: str) -> frozenset[str] | None:
    """Return the segments that must have the input `name`; None means all of them."""
    if name == "product":
        wide = {cap.segment for cap in policy.caps if cap.product is None}
        return frozenset(cap.segment for cap in policy.caps) - wide
    firm = policy.business
    if firm is None:
        return None
    if name == "altman_z":
        return frozenset(firm.legal_persons)
    if name in ("debt_service_coverage", "monthly_revenue_minor"):
        return frozenset({*firm.legal_persons, *firm.sole_traders})
    if name in ("income_minor", "debt_service_minor", "total_debt_minor"):
        return frozenset(cap.segment for cap in policy.caps) - frozenset(firm.legal_persons)
    return None


def read(policy: LimitPolicy, batch: pa.RecordBatch) -> tuple[Rows, Flags]:
    """Read the needed inputs as numpy columns; say which rows a machine may decide.

    Returns
    -------
    rows : dict of str to array
        ``(n_rows,)`` each; text as its position in `vocabulary`, missing numbers as -1 or NaN.
    is_usable : array of bool
        ``(n_rows,)``.

    Raises
    ------
    ContractError
        If a column is missing.
    """
    types = {"default_probability": pa.float64(), **needed(policy)}
    missing = [name for name in types if name not in batch.schema.names]
    if missing:
        raise ContractError(f"The engine needs the columns {', '.join(missing)}; they are missing.")
    rows: Rows = {}
    usable = np.ones(batch.num_rows, np.bool_)
    segments = vocabulary(policy, "segment")
    for name, kind in types.items():
        column = batch.column(name)
        if column.type != kind:
            column = column.cast(kind)
        rows[name], known = _read_one(column, vocabulary(policy, name))
        known = known & _is_possible(name, rows[name])
        if name in MAY_BE_NULL and column.null_count:
            known = known | np.asarray(column.is_null())
        only = concerns(policy, name)
        if only is not None:
            within = np.array([segment in only for segment in segments] + [False])
            known = known | ~within[rows["segment"]]
        usable &= known
    return rows, usable


def vocabulary(policy: LimitPolicy, name: str) -> Sequence[str]:
    """Return the words that a text input may hold, in a fixed order."""
    match name:
        case "segment":
            return sorted({cap.segment for cap in policy.caps})
        case "product":
            return sorted({cap.product for cap in policy.caps if cap.product})
        case "previous_band":
            return policy.bands.names
        case "arm":
            return ARMS
    return ()


def _is_possible(name: str, values: Column) -> Flags:
    """Tell which values lie where such a value can lie; NaN lies nowhere."""
    possible: Flags = np.ones(len(values), np.bool_) if name in MAY_BE_NEGATIVE else values >= 0
    if name.endswith("_minor"):
        possible = possible & (values <= MOST_MINOR)
    if name.endswith("_probability"):
        possible = possible & (values <= 1)
    return possible


def _read_one(column: pa.Array, words: Sequence[str]) -> tuple[Column, Flags]:
    """Return the values of one column, and which of them are there and possible."""
    if words or pa.types.is_string(column.type):
        codes = pc.index_in(column, value_set=pa.array(words, pa.string()))
        if codes.null_count:
            codes = codes.fill_null(-1)
        positions = codes.to_numpy(zero_copy_only=False)
        return positions, positions >= 0
    if pa.types.is_boolean(column.type):
        known = np.asarray(column.is_valid().to_numpy(zero_copy_only=False))
        filled = column.fill_null(False) if column.null_count else column
        return np.asarray(filled.to_numpy(zero_copy_only=False)), known
    if pa.types.is_floating(column.type):
        filled = column.fill_null(float("nan")) if column.null_count else column
        values = filled.to_numpy(zero_copy_only=False)
        return values, np.isfinite(values)
    known = np.asarray(column.is_valid().to_numpy(zero_copy_only=False))
    filled = column.fill_null(0) if column.null_count else column
    numbers = filled.to_numpy(zero_copy_only=False).astype(np.int64, copy=False)
    return np.where(known, numbers, -1), known
