"""The engine: a risk, a policy and a day in; a limit and its reasons out.

It is a pure function over a record batch: no clock, no disk, no state. The same code decides one
customer online, a streamed book on one machine, or a partition on a cluster. The stages, in order:

input check, risk band, matrix, early warning, hold-out, freeze, cool-down, step, cap, rounding,
smallest change, floors.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from enum import StrEnum

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from governance.errors import ContractError
from limits.features import INPUT_TYPES
from limits.policy import BASIS_POINTS, LimitPolicy
from limits.reasons import Reason

Integers = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

ENGINE_VERSION = "1"

OUTPUT_SCHEMA = pa.schema(
    [
        ("limit_before_minor", pa.int64()),
        ("limit_after_minor", pa.int64()),
        ("action", pa.string()),
        ("band", pa.string()),
        ("reasons", pa.uint32()),
    ]
)


class Action(StrEnum):
    """What happens to a limit; ``REVIEW`` leaves it alone and asks a person."""

    RAISE = "raise"
    HOLD = "hold"
    CUT = "cut"
    REVIEW = "review"


class Freeze(StrEnum):
    """What the lender has stopped for now; cuts are never stopped and never caused by a freeze."""

    NOTHING = "nothing"
    RAISES = "raises"


@dataclass(slots=True)
class _Trail:
    """The limit as it moves through the stages, and the reasons gathered on the way."""

    before: Integers
    after: Integers
    reasons: npt.NDArray[np.uint32]

    def move(self, to: Integers, where: Flags, reason: Reason) -> None:
        """Set the limit to `to` at `where`, and note `reason` wherever that changed something."""
        changed = where & (self.after != to)
        self.after = np.where(changed, to, self.after)
        self.reasons[changed] |= np.uint32(reason)


def decide(
    policy: LimitPolicy, batch: pa.RecordBatch, *, as_of: date, freeze: Freeze = Freeze.NOTHING
) -> pa.RecordBatch:
    """Decide the limit of every row of `batch`.

    Parameters
    ----------
    policy : LimitPolicy
        The rules; must be in force on `as_of`.
    batch : pyarrow.RecordBatch
        ``(n_rows,)``: ``default_probability`` (0-1) and the columns of
        `limits.features.INPUT_TYPES`; optionally ``is_held_out`` (bool). A row with a missing or
        impossible input is not decided: its action is ``review``.
    as_of : datetime.date
        The day of the decision.
    freeze : Freeze
        Whether raises are suspended.

    Returns
    -------
    pyarrow.RecordBatch
        `OUTPUT_SCHEMA`, ``n_rows`` rows in the same order; money in minor units.

    Raises
    ------
    ContractError
        If the policy is not in force, a column is missing, or a segment has no cap.
    """
    policy.require_in_force(as_of)
    _require_columns(batch)
    probability = _floats(batch, "default_probability")
    before = _integers(batch, "current_limit_minor", -1)
    usable = _usable(batch, probability, before)
    before = np.where(before < 0, 0, before)
    trail = _Trail(before, before.copy(), np.zeros(batch.num_rows, np.uint32))
    band = np.searchsorted(np.asarray(policy.bands.upper), np.nan_to_num(probability), side="left")
    _apply_matrix(policy, batch, band, trail)
    _apply_early_warning(policy, batch, trail)
    _withhold_raises(policy, batch, trail, freeze)
    _bound(policy, batch, trail, as_of, usable)
    _round_and_floor(policy, batch, trail)
    trail.after = np.where(usable, trail.after, trail.before)
    trail.reasons[~usable] = np.uint32(Reason.INPUT_MISSING)
    return _decided(policy, band, trail, usable)


def _require_columns(batch: pa.RecordBatch) -> None:
    needed = ["default_probability", *INPUT_TYPES]
    missing = [name for name in needed if name not in batch.schema.names]
    if missing:
        raise ContractError(f"The engine needs the columns {', '.join(missing)}; they are missing.")


def _integers(batch: pa.RecordBatch, name: str, missing: int) -> Integers:
    column = batch.column(name).cast(pa.int64()).fill_null(missing)
    return np.asarray(column.to_numpy(zero_copy_only=False), dtype=np.int64)


def _floats(batch: pa.RecordBatch, name: str) -> npt.NDArray[np.float64]:
    column = batch.column(name).cast(pa.float64()).fill_null(float("nan"))
    return np.asarray(column.to_numpy(zero_copy_only=False), dtype=np.float64)


def _usable(batch: pa.RecordBatch, probability: npt.NDArray[np.float64], before: Integers) -> Flags:
    """Find the rows that a machine may decide: everything known and possible."""
    utilization = _floats(batch, "utilization")
    known = (before >= 0) & (_integers(batch, "balance_minor", -1) >= 0)
    known &= _integers(batch, "months_delinquent", -1) >= 0
    known &= np.isfinite(utilization) & (utilization >= 0)
    possible: Flags = (probability >= 0) & (probability <= 1)  # False for NaN as well.
    usable: Flags = known & possible & np.asarray(batch.column("segment").is_valid())
    return usable


def _apply_matrix(
    policy: LimitPolicy, batch: pa.RecordBatch, band: npt.NDArray[np.intp], trail: _Trail
) -> None:
    rows = np.array([policy.matrix[name] for name in policy.bands.names], dtype=np.int64)
    utilization = np.nan_to_num(_floats(batch, "utilization"))
    column = np.searchsorted(np.asarray(policy.utilization.upper), utilization, side="left")
    target = trail.before * rows[band, column] // BASIS_POINTS
    trail.move(target, target > trail.before, Reason.LOW_RISK)
    trail.move(target, target < trail.before, Reason.HIGH_RISK)


def _apply_early_warning(policy: LimitPolicy, batch: pa.RecordBatch, trail: _Trail) -> None:
    behind = _integers(batch, "months_delinquent", 0) >= policy.early_warning.months_delinquent
    target = trail.before * policy.early_warning.cut_to // BASIS_POINTS
    trail.move(np.minimum(trail.after, target), behind, Reason.EARLY_WARNING)


def _withhold_raises(
    policy: LimitPolicy, batch: pa.RecordBatch, trail: _Trail, freeze: Freeze
) -> None:
    """Take back raises that may not happen, and cuts that come too soon after the last."""
    if "is_held_out" in batch.schema.names:
        held_out = np.asarray(batch.column("is_held_out").fill_null(False))
        trail.move(trail.before, held_out, Reason.HOLD_OUT)
    if freeze is Freeze.RAISES:
        trail.move(trail.before, trail.after > trail.before, Reason.RAISES_FROZEN)
    since_raise = _integers(batch, "months_since_raise", -1)
    since_cut = _integers(batch, "months_since_cut", -1)
    # An unknown history is not a long one: a raise needs to know that enough time has passed.
    unknown = (since_raise < 0) | (since_cut < 0)
    trail.move(trail.before, unknown & (trail.after > trail.before), Reason.HISTORY_UNKNOWN)
    recent = np.minimum(since_raise, since_cut) < policy.cool_down.raise_months
    trail.move(trail.before, recent & (trail.after > trail.before), Reason.COOL_DOWN)
    just_cut = (since_cut >= 0) & (since_cut < policy.cool_down.cut_months)
    trail.move(trail.before, just_cut & (trail.after < trail.before), Reason.COOL_DOWN)


def _bound(
    policy: LimitPolicy, batch: pa.RecordBatch, trail: _Trail, as_of: date, usable: Flags
) -> None:
    highest = trail.before * (BASIS_POINTS + policy.step.max_raise) // BASIS_POINTS
    lowest = -(-trail.before * (BASIS_POINTS - policy.step.max_cut) // BASIS_POINTS)
    trail.move(np.clip(trail.after, lowest, highest), np.ones_like(usable), Reason.STEP_BOUND)
    caps = policy.caps_on(as_of)
    segments = batch.column("segment").cast(pa.string()).dictionary_encode()
    names = segments.dictionary.to_pylist()
    uncapped = [name for name in names if name not in caps]
    if uncapped:
        raise ContractError(
            f"The limit policy {policy.id} has no cap for {len(uncapped)} segment(s) of this table "
            f"on {as_of}; it knows {', '.join(sorted(caps))}."
        )
    lookup = np.array([caps[name] for name in names] or [0], dtype=np.int64)
    cap = lookup[np.asarray(segments.indices.fill_null(0))]
    # A cap stops raises. A limit that was already above it is not cut by the cap alone.
    trail.move(
        np.maximum(cap, trail.before),
        trail.after > np.maximum(cap, trail.before),
        Reason.POLICY_CAP,
    )


def _round_and_floor(policy: LimitPolicy, batch: pa.RecordBatch, trail: _Trail) -> None:
    unit = policy.rounding_minor
    moved = trail.after != trail.before
    # A raise is rounded down and a cut is rounded up, so that rounding never enlarges a change.
    down, up = trail.after // unit * unit, -(-trail.after // unit) * unit
    rounded = np.where(trail.after > trail.before, np.maximum(down, trail.before), trail.after)
    rounded = np.where(trail.after < trail.before, np.minimum(up, trail.before), rounded)
    trail.after = np.where(moved, rounded, trail.after)
    balance = _integers(batch, "balance_minor", 0)
    is_cut = trail.after < trail.before
    floor = np.minimum(trail.before, np.maximum(balance, trail.after))
    trail.move(floor, is_cut, Reason.BALANCE_FLOOR)
    floor = np.minimum(trail.before, np.maximum(policy.minimum_limit_minor, trail.after))
    trail.move(floor, trail.after < trail.before, Reason.MINIMUM_LIMIT)
    small = (
        np.abs(trail.after - trail.before) * BASIS_POINTS
        < trail.before * policy.step.minimum_change
    )
    trail.move(trail.before, small, Reason.SMALL_CHANGE)


def _decided(
    policy: LimitPolicy, band: npt.NDArray[np.intp], trail: _Trail, usable: Flags
) -> pa.RecordBatch:
    actions = np.array([Action.CUT, Action.HOLD, Action.RAISE, Action.REVIEW], dtype=object)
    index = np.where(usable, np.sign(trail.after - trail.before) + 1, 3)
    bands = pa.array(np.asarray(policy.bands.names, dtype=object)[band], pa.string(), mask=~usable)
    columns = [
        pa.array(trail.before),
        pa.array(trail.after),
        pa.array(actions[index], pa.string()),
        bands,
        pa.array(trail.reasons),
    ]
    return pa.RecordBatch.from_arrays(columns, schema=OUTPUT_SCHEMA)
