"""The envelope: between which limits the policy leaves a choice, found by asking its own stages.

The stages run three times: with the policy's matrix, with the most generous multiplier that the
policy's section ``envelope`` leaves to each band, and with the most cautious. A policy without one
keeps to what the row of the customer's band gives or takes at some utilization, and to no change.
Every other stage stands: warnings, affordability, hold-out, freeze, conditions, cool-down, step,
caps, ceiling, floors. Each stage answers a higher wish with a limit at least as high, so the
policy's decision, and whatever else it could have answered, lies between the last two answers.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa

from decisions import engine, inputs
from decisions.inputs import Flags, Rows
from decisions.plan import Integers, Plan
from decisions.sections import BASIS_POINTS, REFERENCE
from decisions.stages import Trail
from governance.errors import ContractError


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitBounds:
    """What the policy decides and what it would still allow, ``(n_rows,)`` each, in minor units.

    Parameters
    ----------
    rows : dict of str to array
        The inputs as the engine read them.
    before, policy, lower, upper : array of int
        Today's limit, the policy's decision, and the bounds; equal where there is no choice.
    is_decided : array of bool
        False where a person decides; such a row has no choice.
    cell : array of int
        Band and utilization class as one number, from 0.
    has_no_reference : array of bool
        The policy declares a floor of the limit once granted, and this row does not tell it.
    """

    rows: Rows
    before: Integers
    policy: Integers
    lower: Integers
    upper: Integers
    is_decided: Flags
    cell: Integers
    has_no_reference: Flags


def find_envelope(plan: Plan, batch: pa.RecordBatch) -> LimitBounds:
    """Ask the stages of the engine for the bounds of every row of `batch`.

    Rows that go to a person, and rows of the experiment's arms, keep the policy's decision: to
    optimize them would spoil what the experiment is to find out.

    Parameters
    ----------
    batch : pyarrow.RecordBatch
        As for `decisions.engine.decide`. If the policy's envelope has a floor, also `REFERENCE`,
        the limit once granted; a row that does not tell it is not cut below the policy's decision.

    Raises
    ------
    ContractError
        As `decisions.engine.decide`, or if the column `REFERENCE` does not hold whole numbers.
    """
    rows, is_usable = engine.read(plan, batch)
    decided = engine.carry(plan, rows, is_usable)
    least, most = _matrices(plan)
    lowest = engine.carry(replace(plan, matrix=least), rows, is_usable).after
    highest = engine.carry(replace(plan, matrix=most), rows, is_usable).after
    lowest, has_no_reference = _floored(plan, batch, decided, lowest)
    is_fixed = ~decided.is_usable
    if "arm" in rows:
        is_fixed |= rows["arm"] != inputs.ARMS.index("policy")
    return LimitBounds(
        rows=rows,
        before=decided.before,
        policy=decided.after,
        lower=np.where(is_fixed, decided.after, lowest),
        upper=np.where(is_fixed, decided.after, highest),
        is_decided=decided.is_usable,
        cell=cells(plan, rows, decided.band),
        has_no_reference=has_no_reference,
    )


def cells(plan: Plan, rows: Rows, band: Integers) -> Integers:
    """Return band and utilization class of each row as one number, ``(n_rows,)``."""
    upper = np.asarray(plan.policy.utilization.upper)
    column = np.searchsorted(upper, np.nan_to_num(rows["utilization"]), side="left")
    found: Integers = band * (len(upper) + 1) + column
    return found


def _floored(
    plan: Plan, batch: pa.RecordBatch, decided: Trail, lowest: Integers
) -> tuple[Integers, Flags]:
    """Return the lowest limits with the floor under them, and which rows do not tell theirs.

    The floor bounds recommendations alone: where the policy itself cuts deeper, it stays with that.
    """
    before, policy = decided.before, plan.policy
    if policy.envelope is None or not policy.envelope.floor_of_reference:
        return lowest, np.zeros(len(before), np.bool_)
    reference = _references(batch)
    unit = policy.rounding_minor
    floor = -(-reference * policy.envelope.floor_of_reference // BASIS_POINTS // unit) * unit
    is_unknown = reference < 0
    floor = np.minimum(np.where(is_unknown, before, floor), np.minimum(before, decided.after))
    lowest = np.maximum(lowest, floor)
    # A floor just below today's limit would leave a cut that is too small to make.
    is_small = (before - lowest) * BASIS_POINTS < before * policy.step.minimum_change
    return np.where(is_small, np.maximum(lowest, before), lowest), is_unknown


def _references(batch: pa.RecordBatch) -> Integers:
    """Return the limit once granted, or -1 where it is missing or impossible."""
    if REFERENCE not in batch.schema.names:
        return np.full(batch.num_rows, -1)
    try:
        column = batch.column(REFERENCE).cast(pa.int64())
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        raise ContractError(
            f"The column {REFERENCE} does not hold whole numbers of minor units."
        ) from None
    found: Integers = column.fill_null(-1).to_numpy()
    return np.where((found > 0) & (found <= inputs.MOST_MINOR), found, -1)


def _matrices(plan: Plan) -> tuple[Integers, Integers]:
    """Return the most cautious and the most generous matrix; no change is always among them."""
    policy, matrix = plan.policy, plan.matrix
    if policy.envelope is None:
        row_least = np.minimum(matrix.min(axis=1, keepdims=True), BASIS_POINTS)
        row_most = np.maximum(matrix.max(axis=1, keepdims=True), BASIS_POINTS)
        return row_least + np.zeros_like(matrix), row_most + np.zeros_like(matrix)
    spans = [policy.envelope.bands[name] for name in policy.bands.names]
    declared = np.array([(span.least, span.most) for span in spans], dtype=np.int64)
    row_least, row_most = plan.turned(declared).T[:, :, None]
    # A span holds its row only as the step bounds it; a dial turns what lies beyond the step.
    return np.minimum(row_least, matrix), np.maximum(row_most, matrix)
