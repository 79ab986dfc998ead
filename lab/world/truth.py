"""The true default probability: computed from the chain itself, not estimated from its output.

The chance to become 90 days late within a horizon follows by backward induction over the 288 cells,
month by month, with the economy and the breaks that are declared. It holds for the limit in force;
a limit that changes later changes it. An account's own shift (frailty and limit effect) is
continuous: the induction is done on a grid of shifts and read between its points.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from lab.world import chain, climate
from lab.world.anchors import LATE, STATES
from lab.world.chain import CELLS, HISTORIES
from lab.world.evolution import State, limit_effect
from lab.world.settings import WorldSettings

Floats = NDArray[np.float64]

_WIDEST_SHIFT = 6.0
_POINTS = 241
_GRID = np.linspace(-_WIDEST_SHIFT, _WIDEST_SHIFT, _POINTS)
_SERIOUS_PLACE = 1


def default_probability(state: State, horizon: int) -> Floats:
    """Return P(90 days late within `horizon` months) of each account, shape ``(n_accounts,)``.

    It is meant for accounts that are open and less than 90 days late; for others it is the chance
    to be so again.
    """
    accounts = state.book
    shift = accounts.frailty.astype(np.float64) + limit_effect(accounts, state.limit)
    place = np.clip((shift + _WIDEST_SHIFT) / (_GRID[1] - _GRID[0]), 0, _POINTS - 1 - 1e-9)
    lower = place.astype(np.int64)
    part = place - lower
    result = np.empty(len(accounts))
    for segment in range(len(climate.SEGMENTS)):
        mine = accounts.segment == segment
        text = accounts.settings.model_dump_json(by_alias=True)
        table = _induction(text, state.month, horizon, segment)
        cell = state.cell[mine]
        low, high = table[lower[mine], cell], table[lower[mine] + 1, cell]
        result[mine] = low + part[mine] * (high - low)
    return result


@lru_cache(maxsize=256)
def _induction(text: str, month: int, horizon: int, segment: int) -> Floats:
    """Return the chance by grid point and cell, shape ``(241, 288)``, before `month` is lived."""
    settings = WorldSettings.model_validate_json(text)
    last = month + horizon
    risk = climate.forecast(settings, months=max(last, settings.months)).risk[:, segment]
    tables = chain.fit(settings.delinquency)
    following, weight = _ways(tables.first, tables.second)
    reached = np.zeros((_POINTS, CELLS))
    for lived in range(last - 1, month - 1, -1):
        logit = tables.logit[None, :].astype(np.float64) + _GRID[:, None] + float(risk[lived])
        late = chain.chance_of(logit)
        value = reached[:, following]
        # Among the late, the second and third place are 90 days and more: certain from there on.
        value[:, :, LATE + _SERIOUS_PLACE :] = 1.0
        free = (value[:, :, :LATE] * weight[None, :, :LATE]).sum(axis=2)
        behind = (value[:, :, LATE:] * weight[None, :, LATE:]).sum(axis=2)
        reached = (1.0 - late) * free + late * behind
    return reached


def _ways(
    first: NDArray[np.float32], second: NDArray[np.float32]
) -> tuple[NDArray[np.int64], Floats]:
    """Return where each cell can go, shape ``(288, 6)``, and how likely within its side."""
    cell = np.arange(CELLS)
    pair, history = cell >> 3, cell & 7
    state = pair % STATES
    remembered = (history & 3) * 2 + (state >= LATE)
    target = (state[:, None] * STATES + np.arange(STATES)) * HISTORIES + remembered[:, None]
    sides = []
    for late in (0, 1):
        one, two = first[pair * 2 + late], second[pair * 2 + late]
        sides.append(np.stack([one, two - one, 1.0 - two], axis=1).astype(np.float64))
    return target, np.concatenate(sides, axis=1)
