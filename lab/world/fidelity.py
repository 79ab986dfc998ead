"""How far the simulated chain is from the real one: the figures, and the fit that brings it near.

The comparison world is neutral: one regime, no feasts, drift, breaks or bias, nobody refused,
limits as they were granted. Only there do simulated and real rows answer the same question.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lab.world import anchors, chain, evolution
from lab.world.anchors import LATE, STATES, States
from lab.world.settings import Delinquency, Drift, Population, Regime, Turn, WorldSettings

EARLIER = 3
MONTH = 6
LIVED = 12
_PATTERN = EARLIER + 2

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Movement:
    """What a matrix of states by account and month says about movement.

    Parameters
    ----------
    rows : ndarray of float64, shape (6, 6)
        Chance of the next state, by state; a state that never occurs has a row of nan.
    occupancy : ndarray of float64, shape (6,)
        Share of each state among the starts of steps.
    persistence : ndarray of float64, shape (4,)
        P(late next | late, k of the three earlier months late), k = 0 to 3.
    persistence_n : ndarray of int64, shape (4,)
        How many account-months each of them rests on.
    persistence_error : ndarray of float64, shape (4,)
        Its standard error over drawn accounts: the months of one account go together.
    """

    rows: Floats
    occupancy: Floats
    persistence: Floats
    persistence_n: NDArray[np.int64]
    persistence_error: Floats


@dataclass(frozen=True, slots=True, kw_only=True)
class Fidelity:
    """Simulated against real movement.

    Parameters
    ----------
    row_distance : float
        Total variation between simulated and real rows, weighted by the real occupancy.
    marginal_distance : float
        Total variation between the states of simulated month 6 and of the last real month.
    marginal_n : tuple of int
        How many real and how many simulated accounts the marginals rest on.
    real_late_months, simulated_late_months : ndarray of float64, shape (6,)
        Share of accounts by how many of five months they were late: a figure that is not fitted.
    """

    real: Movement
    simulated: Movement
    real_marginal: Floats
    simulated_marginal: Floats
    marginal_n: tuple[int, int]
    row_distance: float
    marginal_distance: float
    real_late_months: Floats
    simulated_late_months: Floats


def measure_movement(status: States) -> Movement:
    """Measure steps and persistence in states of shape ``(n_accounts, n_months)``.

    A closed account's months are -1 and count nowhere.
    """
    steps = np.zeros((STATES, STATES))
    accounts, months = status.shape
    kept, total = (np.zeros((accounts, EARLIER + 1), dtype=np.int64) for _ in range(2))
    for month in range(months - 1):
        now, following = status[:, month], status[:, month + 1]
        known = (now >= 0) & (following >= 0)
        pair = now[known].astype(np.intp) * STATES + following[known]
        steps += np.bincount(pair, minlength=STATES * STATES).reshape(STATES, STATES)
        if month >= EARLIER:
            late = known & (now >= LATE)
            count = (status[late, month - EARLIER : month] >= LATE).sum(axis=1)
            # An account has one status a month, so no cell is named twice.
            total[late, count] += 1
            kept[late, count] += following[late] >= LATE
    starts, n = steps.sum(axis=1), total.sum(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        stays = kept.sum(axis=0) / n
        return Movement(
            rows=steps / starts[:, None],
            occupancy=starts / starts.sum(),
            persistence=stays,
            persistence_n=n,
            persistence_error=np.sqrt(((kept - stays * total) ** 2).sum(axis=0)) / n,
        )


def neutral(settings: WorldSettings) -> WorldSettings:
    """Return the comparison world: `settings` with everything off but the chain."""
    return settings.changed(
        population=Population(refused_share=0.0, sme_share=settings.population.sme_share),
        regimes={"neutral": Regime()},
        schedule=(Turn(from_month=0, regime="neutral"),),
        seasons=(),
        drift=Drift(),
        breaks=(),
        months=LIVED,
    )


def live(settings: WorldSettings, *, months: int = LIVED) -> States:
    """Return the states of all accounts by month, -1 after a charge-off, limits untouched."""
    state = evolution.start(settings)
    limits = state.limit_minor
    lived = np.empty((len(state.book), months), dtype=np.int8)
    for month in range(months):
        before = state.is_active
        state = evolution.advance(state, month, limits)
        lived[:, month] = np.where(before, chain.state_of(state.cell), -1)
    return lived


def measure(settings: WorldSettings) -> Fidelity:
    """Live the neutral world for a year and hold it against the real rows."""
    real_states, lived = anchors.load().status, live(neutral(settings))
    real, simulated = measure_movement(real_states), measure_movement(lived)
    apart = 0.5 * np.abs(real.rows - simulated.rows).sum(axis=1)
    months = (real_states[:, -1], lived[:, MONTH - 1])
    marginals = [_shares(month) for month in months]
    open_then = [int((month >= 0).sum()) for month in months]
    return Fidelity(
        real=real,
        simulated=simulated,
        real_marginal=marginals[0],
        simulated_marginal=marginals[1],
        marginal_n=(open_then[0], open_then[1]),
        row_distance=float((real.occupancy * apart).sum()),
        marginal_distance=float(0.5 * np.abs(marginals[0] - marginals[1]).sum()),
        real_late_months=_late_months(real_states),
        simulated_late_months=_late_months(lived[:, MONTH - 1 : MONTH - 1 + _PATTERN]),
    )


def fit_memory(settings: WorldSettings, *, rounds: int = 8) -> Delinquency:
    """Return shift and memory under which simulated lateness enters and stays as the real one.

    The frailty of accounts makes who was late before stay late longer, on top of the chain. So each
    number is moved by the gap that is left between simulated and real logits, round by round, with
    the same luck in every round.
    """
    real = measure_movement(anchors.load().status)
    entry = _entry(real)
    found = settings.delinquency
    for _ in range(rounds):
        tried = settings.changed(delinquency=found)
        seen = measure_movement(live(neutral(tried)))
        step = _logit(entry) - _logit(_entry(seen))
        gaps = _logit(real.persistence) - _logit(seen.persistence) - step
        first, second, third, fourth = np.round(np.array(found.memory) + gaps, 4).tolist()
        found = found.model_copy(
            update={
                "shift": round(found.shift + float(step), 4),
                "memory": (first, second, third, fourth),
            }
        )
    return found


def _entry(movement: Movement) -> Floats:
    """Return the share of accounts that are not late and are late next month."""
    free = movement.occupancy[:LATE] / movement.occupancy[:LATE].sum()
    entering: Floats = (free * movement.rows[:LATE, LATE:].sum(axis=1)).sum()
    return entering


def _logit(chance: Floats) -> Floats:
    result: Floats = np.log(chance / (1.0 - chance))
    return result


def _late_months(status: States) -> Floats:
    """Return the share of accounts by months late, among those open throughout."""
    open_throughout = (status >= 0).all(axis=1)
    late = (status[open_throughout] >= LATE).sum(axis=1)
    return np.bincount(late, minlength=_PATTERN + 1) / len(late)


def _shares(states: States) -> Floats:
    known = states[states >= 0]
    return np.bincount(known, minlength=STATES) / len(known)
