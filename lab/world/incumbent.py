"""The rule that set limits while the simulated history was written.

It is an ordinary rule of thumb on purpose: what a model is trained on was shaped by it. Beside it
run a hold-out, whose limits never move, and an experiment, whose limits move by chance alone and so
show what a limit causes.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lab.world import anchors, chain, draws
from lab.world.book import LIMIT_STEP, SMALLEST_LIMIT
from lab.world.draws import Use
from lab.world.evolution import LARGEST_LIMIT, MINOR, State

REVIEW_MONTHS = 3
RAISE, CUT = 1.15, 0.70
HIGHEST_MULTIPLE = 3
MULTIPLIERS = (0.9, 1.0, 1.1, 1.2)

_RAISE_FROM_USE = 0.60
_HOLD_OUT, _EXPLORE = 1, 2

Integers = NDArray[np.int64]


def limits(state: State) -> Integers:
    """Return the limits of the coming month in minor units, shape ``(n_accounts,)``.

    Every third month the rule raises by 15 % who uses 60 % or more and was not late in four months,
    and cuts by 30 % who is late. Refused customers keep the limit they asked for: nobody sees it.
    """
    if state.month == 0 or state.month % REVIEW_MONTHS:
        return state.limit_minor
    accounts, now = state.book, state.limit.astype(np.float64)
    late = chain.state_of(state.cell) >= anchors.LATE
    is_good = (chain.months_late_of(state.cell) == 0) & (state.utilization >= _RAISE_FROM_USE)
    ruled = now * np.where(late, CUT, np.where(is_good, RAISE, 1.0))
    lot = draws.quantiles(draws.bits(accounts.key, Use.EXPERIMENT, state.month))[0]
    drawn = accounts.reference_limit * np.array(MULTIPLIERS)[lot % len(MULTIPLIERS)]
    asked = np.where(accounts.arm == _EXPLORE, drawn, ruled)
    stays = (accounts.arm == _HOLD_OUT) | accounts.is_refused | ~state.is_active
    highest = np.minimum(accounts.reference_limit * HIGHEST_MULTIPLE, LARGEST_LIMIT)
    rounded = np.floor(asked / LIMIT_STEP + 1e-6) * LIMIT_STEP
    bounded = np.clip(rounded, SMALLEST_LIMIT, np.maximum(highest, SMALLEST_LIMIT))
    return np.where(stays | (asked == now), now, bounded).astype(np.int64) * MINOR
