"""What the engine is told about a customer: names, types, and which rows a machine may decide.

Seven inputs are always needed; the others only if the policy has the section that reads them. A
needed value that is missing, negative, not a number or beyond all reason sends its row to a person.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from decisions.policy import LimitPolicy
from governance.errors import ContractError

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
    intake = _intake(Exact(policy))
    place = {name: position for position, name in enumerate(batch.schema.names)}
    missing = [asked.name for asked in intake if asked.name not in place]
    if missing:
        raise ContractError(f"The engine needs the columns {', '.join(missing)}; they are missing.")
    rows: Rows = {}
    usable = np.ones(batch.num_rows, np.bool_)
    for asked in intake:
        column = batch.column(place[asked.name])
        if column.type != asked.kind:
            column = column.cast(asked.kind)
        rows[asked.name], known = asked.read(column)
        if asked.within is not None:
            known = known | ~asked.within[rows["segment"]]
        usable &= known
    return rows, usable


def vocabulary(policy: LimitPolicy, name: str) -> Sequence[str]:
    """Return the words that a text input may hold, in a fixed order."""
    return _vocabulary(Exact(policy), name)


def segments_among(policy: LimitPolicy, chosen: tuple[str, ...]) -> Flags:
    """Tell which segments are among `chosen`, by their position; an unknown segment is not."""
    return _segments_among(Exact(policy), chosen)


class Exact:
    """A policy as a key: this very object, kept alive so that no other can take its place.

    A policy is frozen, so what was worked out from it once stays right for it; an equal text parsed
    again is another object and is worked out again.
    """

    __slots__ = ("policy",)

    def __init__(self, policy: LimitPolicy) -> None:
        self.policy = policy

    def __hash__(self) -> int:
        return id(self.policy)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Exact) and self.policy is other.policy


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    """One input of one policy, with everything about it that does not depend on the rows."""

    name: str
    kind: pa.DataType
    words: pc.SetLookupOptions | None
    highest: float
    may_be_null: bool
    may_be_negative: bool
    within: Flags | None

    def read(self, column: pa.Array) -> tuple[Column, Flags]:
        """Return the values of one column, and which of them are there and possible."""
        nulls = column.null_count
        if self.words is not None:
            codes = pc.call_function("index_in", [column], self.words)
            if codes.null_count:
                codes = codes.fill_null(-1)
            values = codes.to_numpy(zero_copy_only=False)
        else:
            values = (column.fill_null(_MISSING[self.kind]) if nulls else column).to_numpy(
                zero_copy_only=False
            )
        known = self._possible(values)
        if nulls and self.may_be_null:
            known = known | np.asarray(column.is_null())
        elif nulls:
            known = known & np.asarray(column.is_valid())
        return values, known

    def _possible(self, values: Column) -> Flags:
        """Tell which values lie where such a value can lie; NaN lies nowhere."""
        if self.may_be_negative:
            return np.isfinite(values)
        possible: Flags = values >= 0
        if self.highest < np.inf:
            possible &= values <= self.highest
        elif values.dtype.kind == "f":
            possible &= values < np.inf
        return possible


# What stands in the arrays for a value that is missing.
_MISSING = {
    pa.int64(): -1,
    pa.uint32(): 0,
    pa.float64(): float("nan"),
    pa.bool_(): False,
}


@functools.lru_cache(maxsize=16)
def _intake(key: Exact) -> tuple[_Asked, ...]:
    policy = key.policy
    types = {"default_probability": pa.float64(), **needed(policy)}
    asked = []
    for name, kind in types.items():
        only = concerns(policy, name)
        highest = np.inf
        if name.endswith("_minor"):
            highest = MOST_MINOR
        if name.endswith("_probability"):
            highest = 1.0
        is_text = pa.types.is_string(kind)
        asked.append(
            _Asked(
                name=name,
                kind=kind,
                words=_lookup(vocabulary(policy, name)) if is_text else None,
                highest=highest,
                may_be_null=name in MAY_BE_NULL,
                may_be_negative=name in MAY_BE_NEGATIVE,
                within=None if only is None else segments_among(policy, tuple(sorted(only))),
            )
        )
    return tuple(asked)


def _lookup(words: Sequence[str]) -> pc.SetLookupOptions:
    return pc.SetLookupOptions(value_set=pa.array(words, pa.string()))


@functools.lru_cache(maxsize=64)
def _vocabulary(key: Exact, name: str) -> Sequence[str]:
    match name:
        case "segment":
            return tuple(sorted({cap.segment for cap in key.policy.caps}))
        case "product":
            return tuple(sorted({cap.product for cap in key.policy.caps if cap.product}))
        case "previous_band":
            return key.policy.bands.names
        case "arm":
            return ARMS
    return ()


@functools.lru_cache(maxsize=64)
def _segments_among(key: Exact, chosen: tuple[str, ...]) -> Flags:
    known = _vocabulary(key, "segment")
    # Position -1, an unknown segment, reads the last entry.
    among = np.array([segment in chosen for segment in known] + [False])
    among.flags.writeable = False
    return among
