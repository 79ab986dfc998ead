"""What the laws of a policy look at: a batch of cases, what was decided, and what if."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from decisions import inputs
from decisions.checking.cases import Moment
from decisions.inputs import Flags
from decisions.policy import LimitPolicy
from decisions.stages.plan import Integers

Decide: TypeAlias = Callable[..., pa.RecordBatch]


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A decided batch, read independently of the engine, with the way to decide it otherwise.

    Parameters
    ----------
    decided : mapping of str to array
        The engine's answers, ``(n_rows,)`` each.
    """

    policy: LimitPolicy
    moment: Moment
    batch: pa.RecordBatch
    decide: Decide
    decided: Mapping[str, npt.NDArray[Any]] = field(default_factory=dict)

    @classmethod
    def of(cls, policy: LimitPolicy, moment: Moment, batch: pa.RecordBatch, decide: Decide) -> Case:
        """Decide `batch` and keep the answers."""
        answer = decide(
            policy, batch, as_of=moment.as_of, freeze=moment.freeze, climate=moment.climate
        )
        read = {name: _numbers(answer.column(name)) for name in answer.schema.names}
        return cls(policy=policy, moment=moment, batch=batch, decide=decide, decided=read)

    def given(self, **columns: pa.Array | npt.NDArray[Any]) -> Case:
        """Decide the same customers with some inputs changed."""
        changed = {name: self.batch.column(name) for name in self.batch.schema.names}
        for name, values in columns.items():
            kind = self.batch.schema.field(name).type
            changed[name] = (
                values.cast(kind) if isinstance(values, pa.Array) else pa.array(values, kind)
            )
        batch = pa.RecordBatch.from_pydict(changed, schema=self.batch.schema)
        return Case.of(self.policy, self.moment, batch, self.decide)

    def under(self, **changes: Any) -> Case:
        """Decide the same customers at another moment."""
        return Case.of(self.policy, replace(self.moment, **changes), self.batch, self.decide)

    def ruled_by(self, policy: LimitPolicy) -> Case:
        """Decide the same customers by another policy."""
        return Case.of(policy, self.moment, self.batch, self.decide)

    def __getitem__(self, name: str) -> npt.NDArray[Any]:
        """Return an input: a missing number is -1 or NaN, a missing text None."""
        return _numbers(self.batch.column(name))

    def has(self, *names: str) -> bool:
        """Tell whether all these inputs are there."""
        return all(name in self.batch.schema.names for name in names)

    @property
    def before(self) -> Integers:
        """Permanent limit before the decision."""
        return self.decided["limit_before_minor"]

    @property
    def after(self) -> Integers:
        """Permanent limit after the decision."""
        return self.decided["limit_after_minor"]

    @property
    def uplift(self) -> Integers:
        """Temporary limit."""
        return self.decided["temporary_uplift_minor"]

    @property
    def total(self) -> Integers:
        """Permanent and temporary limit together."""
        together: Integers = self.after + self.uplift
        return together

    @property
    def is_reviewed(self) -> Flags:
        """A person decides."""
        reviewed: Flags = self.decided["action"] == "review"
        return reviewed

    @property
    def gives(self) -> Flags:
        """More credit than before, permanent or temporary."""
        more: Flags = (self.after > self.before) | (self.uplift > 0)
        return more

    @property
    def is_broken(self) -> Flags:
        """Some needed value is missing or impossible; told apart from the engine's own reading."""
        broken = np.zeros(self.batch.num_rows, np.bool_)
        no_segment = np.asarray(self.batch.column("segment").is_null())
        for name in ("default_probability", *inputs.needed(self.policy)):
            column = self.batch.column(name)
            is_null = np.asarray(column.is_null().to_numpy(zero_copy_only=False))
            bad = is_null & (name not in inputs.MAY_BE_NULL)
            if pa.types.is_floating(column.type) or pa.types.is_integer(column.type):
                bad |= ~is_null & _is_impossible(name, column)
            only = inputs.concerns(self.policy, name)
            if only is not None:
                bad &= self.belongs_to(tuple(only)) | no_segment
            broken |= bad
        return broken

    def belongs_to(self, segments: tuple[str, ...]) -> Flags:
        """Tell who is in one of `segments`."""
        found = pc.is_in(self.batch.column("segment"), value_set=pa.array(segments, pa.string()))
        return np.asarray(found)


def _is_impossible(name: str, column: pa.Array) -> Flags:
    values = column.fill_null(0).to_numpy(zero_copy_only=False).astype(np.float64)
    highest = np.inf
    if name.endswith("_minor"):
        highest = float(inputs.MOST_MINOR)
    if name.endswith("_probability"):
        highest = 1.0
    lowest = -np.inf if name in inputs.MAY_BE_NEGATIVE else 0.0
    impossible: Flags = ~np.isfinite(values) | (values < lowest) | (values > highest)
    return impossible


def _numbers(column: pa.Array) -> npt.NDArray[Any]:
    if pa.types.is_integer(column.type):
        column = column.cast(pa.int64()).fill_null(-1)
    if pa.types.is_boolean(column.type):
        column = column.fill_null(False)
    values: npt.NDArray[Any] = column.to_numpy(zero_copy_only=False)
    return values
