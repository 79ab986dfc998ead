"""The engine: a risk, a policy and a day in; a limit and its reasons out.

It is a pure function over a record batch: no clock, no disk, no state. The same code decides one
customer online, a streamed book on one machine, or a partition on a cluster. `STAGES` is the order;
each stage is a small function of `decisions.stages`.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from enum import StrEnum

import numpy as np
import pyarrow as pa

from decisions import inputs, stages
from decisions.inputs import Flags, Rows
from decisions.plan import PLAIN, Climate, Freeze, Integers, Plan, Regime
from decisions.policy import LimitPolicy
from decisions.stages import Stage, Trail
from governance.errors import ContractError

__all__ = [
    "ENGINE_VERSION",
    "OUTPUT_SCHEMA",
    "STAGES",
    "Action",
    "Freeze",
    "Regime",
    "carry",
    "decide",
    "read",
    "trace",
]

ENGINE_VERSION = "3"

# Larger batches are cut to this size, at which the working arrays stay in the processor's cache.
CHUNK_ROWS = 65_536

OUTPUT_SCHEMA = pa.schema(
    [
        ("limit_before_minor", pa.int64()),
        ("limit_after_minor", pa.int64()),
        ("temporary_uplift_minor", pa.int64()),
        ("uplift_expires_on", pa.date32()),
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


# In the order of the sign of the change; who is not decided comes last.
_ACTIONS = pa.array([Action.CUT, Action.HOLD, Action.RAISE, Action.REVIEW], pa.string())

STAGES: Mapping[str, Stage] = {
    "band": stages.choose_band,
    "matrix": stages.apply_matrix,
    "early_warning": stages.warn_early,
    "exploration": stages.explore,
    "business": stages.judge_business,
    "affordability": stages.afford,
    "over_indebtedness": stages.guard_indebted,
    "hold_out": stages.hold_out,
    "freeze": stages.obey_freeze,
    "raise_conditions": stages.require_conditions,
    "cool_down": stages.cool_down,
    "step": stages.bound_step,
    "cap": stages.bound_cap,
    "aggregate_ceiling": stages.bound_aggregate,
    "rounding_and_floors": stages.round_and_floor,
    "seasonal_uplift": stages.grant_uplift,
    "human_review": stages.ask_a_person,
}


def decide(
    policy: LimitPolicy,
    batch: pa.RecordBatch,
    *,
    as_of: date,
    freeze: Freeze = Freeze.NOTHING,
    climate: Climate = PLAIN,
) -> pa.RecordBatch:
    """Decide the limit of every row of `batch`.

    Parameters
    ----------
    policy : LimitPolicy
        The rules; must be in force on `as_of`.
    batch : pyarrow.RecordBatch
        ``(n_rows,)``: ``default_probability`` (0-1) and the columns of
        `decisions.inputs.needed` for this policy. A row with a missing or impossible input is not
        decided: its action is ``review``. ``current_limit_minor`` is the permanent limit, without
        any temporary uplift.
    as_of : datetime.date
        The day of the decision.
    freeze : Freeze
        Whether raises are suspended.
    climate : Climate
        Macro regime and demand index of the day.

    Returns
    -------
    pyarrow.RecordBatch
        `OUTPUT_SCHEMA`, ``n_rows`` rows in the same order; money in minor units. The temporary
        uplift is 0 and has no expiry where none is granted.

    Raises
    ------
    ContractError
        If the policy is not in force, a column is missing, a segment or product has no cap, or the
        policy does not provide for the climate.
    """
    plan = Plan.of(policy, as_of=as_of, freeze=freeze, climate=climate)
    if batch.num_rows <= CHUNK_ROWS:
        return _decided(plan, carry(plan, *read(plan, batch)))
    starts = range(0, batch.num_rows, CHUNK_ROWS)
    chunks = (batch.slice(start, CHUNK_ROWS) for start in starts)
    return pa.concat_batches([_decided(plan, carry(plan, *read(plan, chunk))) for chunk in chunks])


def trace(plan: Plan, batch: pa.RecordBatch) -> dict[str, Integers]:
    """Return the limit after each stage, ``(n_rows,)`` in minor units, in the order of the stages.

    Raises
    ------
    ContractError
        As `decide`.
    """
    trail = Trail.start(*read(plan, batch))
    limits = {}
    for name, stage in STAGES.items():
        stage(plan, trail)
        limits[name] = trail.after.copy()
    return limits


def carry(
    plan: Plan, rows: Rows, is_usable: Flags, *, steps: Mapping[str, Stage] = STAGES
) -> Trail:
    """Carry the ``(n_rows,)`` inputs that `read` returned through `steps`, in their order."""
    trail = Trail.start(rows, is_usable)
    for stage in steps.values():
        stage(plan, trail)
    return trail


def read(plan: Plan, batch: pa.RecordBatch) -> tuple[Rows, Flags]:
    """Return the inputs of `batch` as the stages read them, and which rows can be decided.

    Every input is ``(n_rows,)``, money in minor units; so are the flags.

    Raises
    ------
    ContractError
        As `decisions.inputs.read`, or if a segment has no cap.
    """
    rows, is_usable = inputs.read(plan.policy, batch)
    if (rows["segment"] < 0).sum() > batch.column("segment").null_count:
        known = inputs.vocabulary(plan.policy, "segment")
        raise ContractError(
            f"The limit policy {plan.policy.id} has no cap for at least one segment of this table; "
            f"it knows {', '.join(known)}."
        )
    return rows, is_usable


def _decided(plan: Plan, trail: Trail) -> pa.RecordBatch:
    direction = np.where(trail.is_usable, np.sign(trail.after - trail.before) + 1, 3)
    bands = pa.array(plan.policy.bands.names, pa.string())
    last_day = None if plan.season is None else plan.season.expires_on
    has_none = trail.uplift == 0
    expiry = pa.array([last_day, None], pa.date32()).take(pa.array(has_none.astype(np.int8)))
    columns = [
        pa.array(trail.before),
        pa.array(trail.after),
        pa.array(trail.uplift),
        expiry,
        _ACTIONS.take(pa.array(direction.astype(np.int8))),
        bands.take(pa.array(trail.band, mask=~trail.is_usable)),
        pa.array(trail.reasons),
    ]
    return pa.RecordBatch.from_arrays(columns, schema=OUTPUT_SCHEMA)
