from __future__ import annotations

import numpy as np
import pytest

from lab.world import anchors, fidelity
from lab.world.settings import Delinquency, WorldSettings

# Three accounts, five months: late throughout; late once and cured; closed in the third month.
STATES = np.array([[3, 3, 3, 3, 3], [2, 3, 2, 2, 2], [2, 5, -1, -1, -1]], dtype=np.int8)


def test_movement_of_a_hand_worked_matrix() -> None:
    found = fidelity.measure_movement(STATES)
    # Four steps start in 2 and five in 3; the step into 5 counts, the one into the closure not.
    assert found.rows[2].tolist() == pytest.approx([0, 0, 0.5, 0.25, 0, 0.25])
    assert found.rows[3].tolist() == pytest.approx([0, 0, 0.2, 0.8, 0, 0])
    assert found.persistence_n.tolist() == [0, 0, 0, 1]
    assert found.persistence[3] == 1
    assert np.isnan(found.persistence[0])


def test_the_error_of_persistence_draws_accounts_and_not_months() -> None:
    """One hundred accounts late for months; forty of them recover in the last."""
    states = np.full((100, 5), 3, dtype=np.int8)
    states[:40, -1] = 1
    once = fidelity.measure_movement(states)
    assert once.persistence[3] == pytest.approx(0.6)
    assert once.persistence_error[3] == pytest.approx((0.6 * 0.4 / 100) ** 0.5)
    # Every account followed by a closed twin of itself: no more is known, and no more is claimed.
    closed = fidelity.measure_movement(np.vstack([states, np.full((100, 5), -1, dtype=np.int8)]))
    assert closed.persistence_error[3] == once.persistence_error[3]


def test_the_real_persistence_is_the_published_one() -> None:
    real = fidelity.measure_movement(anchors.load().status)
    assert real.persistence == pytest.approx([0.483, 0.680, 0.752, 0.881], abs=0.002)
    assert real.persistence_n.tolist() == [1371, 921, 371, 1550]


def test_the_simulated_chain_moves_like_the_real_one(baseline: WorldSettings) -> None:
    found = fidelity.measure(baseline.changed(accounts=8_000, seed=4))
    assert found.row_distance < 0.03
    assert found.marginal_distance < 0.05
    assert np.abs(found.simulated.persistence - found.real.persistence).max() < 0.05


def test_a_chain_without_memory_is_told_apart(baseline: WorldSettings) -> None:
    plain = baseline.delinquency.model_copy(update={"memory": (0.0, 0.0, 0.0, 0.0)})
    found = fidelity.measure(baseline.changed(accounts=8_000, delinquency=plain))
    assert np.abs(found.simulated.persistence - found.real.persistence).max() > 0.05


def test_the_fit_finds_a_memory_that_brings_the_chain_near(baseline: WorldSettings) -> None:
    blank = baseline.changed(accounts=4_000, delinquency=Delinquency())
    fitted = fidelity.fit_memory(blank, rounds=3)
    gaps = [
        np.abs(found.simulated.persistence - found.real.persistence).max()
        for found in (
            fidelity.measure(blank),
            fidelity.measure(blank.changed(delinquency=fitted)),
        )
    ]
    assert gaps[1] < 0.02 < gaps[0]
