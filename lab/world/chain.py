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

from lab.world import anchors
from lab.world.anchors import LATE, STATES, States
from lab.world.draws import Reals
from lab.world.settings import Delinquency

HISTORIES = 8
CELLS = STATES * STATES * HISTORIES
LARGEST_LOGIT = 12.0
_STEPS_PER_LOGIT = 256
_SURE = 1e-6

Floats = NDArray[np.float64]
Cells = NDArray[np.int16]


@dataclass(frozen=True, slots=True, kw_only=True)
class Chain:
    """Tables that `move` reads.

    Parameters
    ----------
    logit : ndarray of float32, shape (288,)
        Logit of being late next month, by cell.
    first, second : ndarray of float32, shape (72,)
        Within (previous, state, late next): chance of the first state of the three, and of the
        first two.
    """

    logit: Reals
    first: Reals
    second: Reals


@lru_cache(maxsize=16)
def fit(delinquency: Delinquency) -> Chain:
    """Estimate the tables from the steps of April to August of the real rows."""
    steps = counts(anchors.load().status)
    once = steps.sum(axis=0)
    rows = once / once.sum(axis=1, keepdims=True)
    weight = delinquency.pseudo_count
    table = (steps + weight * rows) / (steps.sum(axis=2, keepdims=True) + max(weight, _SURE))
    late = np.clip(table[:, :, LATE:].sum(axis=2), _SURE, 1 - _SURE)
    base = np.log(late / (1 - late)) + delinquency.shift
    logit = np.repeat(base[:, :, None], HISTORIES, axis=2)
    months_late = np.array([int(history).bit_count() for history in range(HISTORIES)])
    logit[:, LATE:, :] += np.array(delinquency.memory)[months_late]
    first, second = _within(table)
    return Chain(logit=np.round(logit, 5).astype(np.float32).ravel(), first=first, second=second)


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
    history = cell & 7
    earlier = (history & 1) + (history >> 1 & 1) + (history >> 2)
    late: States = (earlier + (state_of(cell) >= LATE)).astype(np.int8)
    return late


def move(chain: Chain, cell: Cells, shift: Reals, luck: tuple[Reals, Reals]) -> Cells:
    """Return each account's next cell.

    Parameters
    ----------
    shift : ndarray of float32, shape (n_accounts,)
        Added to the logit of being late.
    luck : pair of ndarray of float32, shape (n_accounts,)
        Two uniform numbers: the first decides late or not, the second which state.
    """
    position = chain.logit.take(cell) + shift
    np.clip(position, -LARGEST_LOGIT, LARGEST_LOGIT, out=position)
    position += np.float32(LARGEST_LOGIT)
    position *= np.float32(_STEPS_PER_LOGIT)
    late = luck[0] < _logistic_table().take(position.astype(np.int16))
    pair = cell >> 3
    side = pair * 2 + late
    following = late * np.int16(LATE)
    following += luck[1] >= chain.first.take(side)
    following += luck[1] >= chain.second.take(side)
    state = pair % STATES
    history = (cell & 3) * 2 + (state >= LATE)
    result: Cells = (state * STATES + following) * HISTORIES + history
    return result


def chance_of(logit: Floats) -> Floats:
    """Return the chance that `move` gives a logit: the table's, so that truth is exact."""
    clipped = np.clip(logit.astype(np.float32), -LARGEST_LOGIT, LARGEST_LOGIT)
    position = (clipped + np.float32(LARGEST_LOGIT)) * np.float32(_STEPS_PER_LOGIT)
    return _logistic_table().take(position.astype(np.int16)).astype(np.float64)


@lru_cache(maxsize=1)
def _logistic_table() -> Reals:
    """Return the logistic function in the middle of every slice of 1/256 logit."""
    slots = int(2 * LARGEST_LOGIT * _STEPS_PER_LOGIT) + 1
    logit = (np.arange(slots) + 0.5) / _STEPS_PER_LOGIT - LARGEST_LOGIT
    return np.round(1.0 / (1.0 + np.exp(-logit)), 7).astype(np.float32)


def _within(table: Floats) -> tuple[Reals, Reals]:
    """Return the cumulative chances inside the two sides (not late, late) of every pair."""
    sides = table.reshape(STATES * STATES, 2, 3)
    total = np.maximum(sides.sum(axis=2, keepdims=True), _SURE)
    running = np.cumsum(sides / total, axis=2)
    # A side that no real account ever entered leads to its mildest state: revolving, or 2 late.
    empty = sides.sum(axis=2) < _SURE
    running[empty] = [0.0, 0.0, 1.0]
    running[empty & (np.arange(2) == 1)] = [1.0, 1.0, 1.0]
    rounded = np.round(running, 7).astype(np.float32)
    return rounded[:, :, 0].ravel(), rounded[:, :, 1].ravel()
