"""The chain of delinquency: second order, shrunk to first order, with a memory for long lateness.

A cell is (previous state, state, which of the three earlier months were late): 6 x 6 x 8. From a
cell the account is late next month with a logit that frailty, economy and limit may shift; given
late or not, the next state follows the table. So a shift moves how many are late and leaves alone
how they move among themselves.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit

from lab.world import anchors
from lab.world.anchors import LATE, STATES, Floats, States
from lab.world.settings import Delinquency

HISTORIES = 8
CELLS = STATES * STATES * HISTORIES
_SURE = 1e-6

Cells = NDArray[np.int16]


@dataclass(frozen=True, slots=True, kw_only=True)
class Chain:
    """Tables that `move` reads.

    Parameters
    ----------
    logit : ndarray of float64, shape (288,)
        Logit of being late next month, by cell.
    within : ndarray of float64, shape (36, 2, 3)
        Chance of each of the three states of a side (not late, late), by (previous, state).
    """

    logit: Floats
    within: Floats


@lru_cache(maxsize=16)
def fit(delinquency: Delinquency) -> Chain:
    """Estimate the tables from the steps of April to August of the real rows."""
    steps = counts(anchors.load().status)
    once = steps.sum(axis=0)
    rows = once / once.sum(axis=1, keepdims=True)
    weight = delinquency.pseudo_count
    table = (steps + weight * rows) / (steps.sum(axis=2, keepdims=True) + max(weight, _SURE))
    late = np.clip(table[:, :, LATE:].sum(axis=2), _SURE, 1 - _SURE)
    by_cell = np.repeat((logit(late) + delinquency.shift)[:, :, None], HISTORIES, axis=2)
    months_late = np.array([history.bit_count() for history in range(HISTORIES)])
    by_cell[:, LATE:, :] += np.array(delinquency.memory)[months_late]
    sides = table.reshape(STATES * STATES, 2, 3)
    total = sides.sum(axis=2, keepdims=True)
    # A side that no real account ever entered leads to revolving, or to two months late.
    mildest = np.array([[0.0, 0.0, 1.0], [1.0, 0.0, 0.0]])
    within = np.where(total < _SURE, mildest, sides / np.maximum(total, _SURE))
    return Chain(logit=by_cell.ravel(), within=within)


def counts(status: States) -> Floats:
    """Count steps as (previous, state, next), shape ``(6, 6, 6)``.

    A month without a known previous one is spread over the previous states that lead to its state,
    by the share of each, so that the first step of a series is not lost.
    """
    triples = np.zeros((STATES, STATES, STATES))
    for month in range(1, status.shape[1] - 1):
        cell = status[:, month - 1 : month + 2].astype(np.intp)
        np.add.at(triples, (cell[:, 0], cell[:, 1], cell[:, 2]), 1.0)
    opening = np.zeros((STATES, STATES))
    np.add.at(opening, (status[:, 0].astype(np.intp), status[:, 1].astype(np.intp)), 1.0)
    leading = triples.sum(axis=2)
    share = leading / np.maximum(leading.sum(axis=0, keepdims=True), 1.0)
    steps: Floats = triples + share[:, :, None] * opening[None, :, :]
    return steps


def opening_cells(status: States) -> Cells:
    """Return the cell of each row in its last month, shape ``(n_rows,)``."""
    late = (status >= LATE).astype(np.int16)
    history = late[:, -4] * 4 + late[:, -3] * 2 + late[:, -2]
    pair = status[:, -2].astype(np.int16) * STATES + status[:, -1]
    return pair * HISTORIES + history


def state_of(cell: Cells) -> States:
    """Return the present state of each cell."""
    return ((cell >> 3) % STATES).astype(np.int8)


def months_late_of(cell: Cells) -> States:
    """Return how many of the last four months were late, the present one included."""
    earlier = (cell & 1) + (cell >> 1 & 1) + (cell >> 2 & 1)
    late: States = (earlier + (state_of(cell) >= LATE)).astype(np.int8)
    return late


def move(chain: Chain, cell: Cells, shift: Floats, luck: Floats) -> Cells:
    """Return each account's next cell.

    Parameters
    ----------
    shift : ndarray of float64, shape (n_accounts,)
        Added to the logit of being late.
    luck : ndarray of float64, shape (n_accounts, 2)
        Two uniform numbers: the first decides late or not, the second which state.
    """
    late = (luck[:, 0] < expit(chain.logit[cell] + shift)).astype(np.int16)
    running = np.cumsum(chain.within, axis=2)[cell >> 3, late]
    step = (luck[:, 1] >= running[:, 0]).astype(np.int16) + (luck[:, 1] >= running[:, 1])
    return _remembered(cell, late * LATE + step)


def _remembered(cell: Cells, following: NDArray[np.int16]) -> Cells:
    state = (cell >> 3) % STATES
    history = (cell & 3) * 2 + (state >= LATE)
    result: Cells = (state * STATES + following) * HISTORIES + history
    return result


# The true probability is read between the points of a grid of shifts.
_GRID = np.linspace(-6.0, 6.0, 241)


def serious_within(chain: Chain, cell: Cells, shift: Floats, risk: Floats) -> Floats:
    """Return the true P(90 days late within the months of `risk`), shape ``(n_accounts,)``.

    It is computed from the chain by backward induction over its cells and not estimated from what
    it brought forth.

    Parameters
    ----------
    shift : ndarray of float64, shape (n_accounts,)
        What each account adds to the logit of being late in every month.
    risk : ndarray of float64, shape (horizon,)
        What each of the coming months adds for everybody.
    """
    cells = np.arange(CELLS, dtype=np.int16)
    following = np.stack([_remembered(cells, cells * 0 + to) for to in range(STATES)], axis=1)
    weight = chain.within[cells >> 3].reshape(CELLS, STATES)
    reached = np.zeros((len(_GRID), CELLS))
    for month in risk[::-1]:
        late = expit(chain.logit + _GRID[:, None] + month)
        value = reached[:, following]
        # Among the late, the second and third place are 90 days and more: certain from there on.
        value[:, :, LATE + 1 :] = 1.0
        value *= weight
        free, behind = value[:, :, :LATE].sum(axis=2), value[:, :, LATE:].sum(axis=2)
        reached = (1.0 - late) * free + late * behind
    place = np.interp(shift, _GRID, np.arange(len(_GRID)))
    lower = np.minimum(place.astype(np.int64), len(_GRID) - 2)
    low, high = reached[lower, cell], reached[lower + 1, cell]
    chance: Floats = low + (place - lower) * (high - low)
    return chance
