"""The stage of the season: a temporary limit beside the permanent one, with a last day."""

from __future__ import annotations

import numpy as np

from decisions.reasons import Reason
from decisions.sections import BASIS_POINTS
from decisions.stages.plan import Plan
from decisions.stages.trail import Trail


def grant_uplift(plan: Plan, trail: Trail) -> None:
    """Grant the season's uplift to good customers, within every bound that a raise has.

    It is never added to the permanent limit. Whoever was warned, cut, held out or barred from a
    raise gets none, and it ends on the season's one expiry day.
    """
    if plan.season is None:
        return
    granted = plan.in_season[trail.band] & ~trail.is_barred & ~trail.is_warned
    granted &= trail.after >= trail.before
    unit = plan.policy.rounding_minor
    wished = trail.after + trail.after * plan.uplift // BASIS_POINTS
    # The sum is rounded, not the uplift: two limits that end at the same bound must end alike.
    total = np.minimum(wished, trail.room) // unit * unit
    trail.uplift = np.where(granted, np.maximum(total - trail.after, 0), 0)
    trail.note(trail.uplift > 0, Reason.SEASONAL_UPLIFT)
