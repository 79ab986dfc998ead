"""Climate: what holds for a whole run of decisions, and is passed in rather than looked up."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from governance.errors import UsageError


class Freeze(StrEnum):
    """What the lender has stopped for now; cuts are never stopped and never caused by a freeze."""

    NOTHING = "nothing"
    RAISES = "raises"


class Regime(StrEnum):
    """The macro regime in which the lender has declared itself to be."""

    NEUTRAL = "neutral"
    DOWNTURN = "downturn"
    BOOM = "boom"


@dataclass(frozen=True, slots=True, kw_only=True)
class Climate:
    """Regime and demand as of the day of the decision.

    Parameters
    ----------
    regime : Regime
        Turns the dials of the policy's ``macro`` section.
    demand_index : float or None
        Demand against an ordinary month (1.0); None if nobody measured it.
    """

    regime: Regime = Regime.NEUTRAL
    demand_index: float | None = None

    @classmethod
    def read(cls, document: Mapping[str, Any]) -> Climate:
        """Read a climate back from what `as_document` wrote; nothing written is the plain one.

        Raises
        ------
        UsageError
            If the regime is unknown or the demand index is no positive number.
        """
        regime, demand = document.get("regime", "neutral"), document.get("demand_index")
        if regime not in set(Regime):
            raise UsageError(f"A macro regime is one of {', '.join(Regime)}.")
        try:
            index = None if demand in (None, "") else float(demand)
        except (TypeError, ValueError):
            index = math.nan
        if index is not None and not (math.isfinite(index) and index >= 0):
            raise UsageError("A demand index is a number from 0 up; an ordinary month is 1.0.")
        return cls(regime=Regime(regime), demand_index=index)

    def as_document(self) -> dict[str, Any]:
        """Return the canonical form; the index is text, as all fractions in signed documents."""
        index = None if self.demand_index is None else repr(float(self.demand_index))
        return {"regime": self.regime.value, "demand_index": index}


PLAIN = Climate()
