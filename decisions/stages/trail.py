"""The trail: a limit on its way through the stages, with the reasons gathered on the way."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from decisions.inputs import Flags, Rows
from decisions.reasons import Reason
from decisions.stages.plan import Integers, Plan


@dataclass(slots=True)
class Trail:
    """The decisions of one batch while they are being made, ``(n_rows,)`` each.

    Parameters
    ----------
    before, after : array of int
        Permanent limit, in minor units.
    band : array of int
        Position of the risk band.
    is_warned : array of bool
        A sign of distress was seen, whether or not it moved the limit.
    is_barred : array of bool
        No new credit of any kind, permanent or temporary, for this customer now.
    room : array of int
        The highest limit that the bounds leave, for permanent and temporary together.
    uplift : array of int
        Temporary limit on top of the permanent one.
    """

    rows: Rows
    before: Integers
    after: Integers
    reasons: npt.NDArray[np.uint32]
    is_usable: Flags
    band: Integers
    is_warned: Flags
    is_barred: Flags
    room: Integers
    uplift: Integers = field(default_factory=lambda: np.zeros(0, np.int64))

    @classmethod
    def start(cls, rows: Rows, is_usable: Flags) -> Trail:
        """Begin with the limits as they are."""
        before = np.maximum(rows["current_limit_minor"], 0)
        n = len(before)
        return cls(
            rows=rows,
            before=before,
            after=before.copy(),
            reasons=np.zeros(n, np.uint32),
            is_usable=is_usable,
            band=np.zeros(n, np.int64),
            is_warned=np.zeros(n, np.bool_),
            is_barred=np.zeros(n, np.bool_),
            room=np.full(n, np.iinfo(np.int64).max),
            uplift=np.zeros(n, np.int64),
        )

    def move(self, to: Integers, where: Flags, reason: Reason) -> None:
        """Set the limit to `to` at `where`, and note `reason` wherever that changed something."""
        changed = where & (self.after != to)
        if changed.any():
            np.copyto(self.after, to, where=changed)
            self.note(changed, reason)

    def note(self, where: Flags, reason: Reason) -> None:
        """Add `reason` at `where`."""
        if where.any():
            self.reasons |= where.astype(np.uint32) * np.uint32(reason)

    def bar(self, where: Flags, reason: Reason) -> None:
        """Take back raises at `where`, and give nothing temporary either."""
        self.is_barred |= where
        self.move(self.before, where & (self.after > self.before), reason)

    def warn(self, where: Flags, cut_to: Integers, reason: Reason) -> None:
        """Lower the limits at `where` to `cut_to` at most, and give nothing new."""
        self.is_warned |= where
        self.is_barred |= where
        self.move(np.minimum(self.after, cut_to), where, reason)

    def bound(self, room: Integers, reason: Reason) -> None:
        """Let no raise end above `room`; a limit that was already above it is not cut by that."""
        self.room = np.minimum(self.room, room)
        highest = np.maximum(room, self.before)
        self.move(highest, self.after > highest, reason)


Stage: TypeAlias = "Callable[[Plan, Trail], None]"
