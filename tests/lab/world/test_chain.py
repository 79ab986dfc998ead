from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lab.world import anchors, chain
from lab.world.anchors import LATE, STATES
from lab.world.settings import Delinquency
from training import demo_data

FEW = np.array([[2, 2, 3, 3, 2], [0, 0, 0, 1, 1]], dtype=np.int8)


def test_states_merge_one_into_two_and_pool_four_and_more() -> None:
    codes = np.array([-2, -1, 0, 1, 2, 3, 4, 5, 8])
    assert anchors.states_of(codes).tolist() == [0, 1, 2, 3, 3, 4, 5, 5, 5]


def test_the_anchored_months_are_april_to_august_and_never_september() -> None:
    table, status = demo_data.load(), anchors.load().status
    for place, name in enumerate(("pay_6", "pay_5", "pay_4", "pay_3", "pay_2")):
        assert np.array_equal(status[:, place], anchors.states_of(table[name].to_numpy()))
    # September holds 3,688 customers in a state that other months hardly know.
    assert (table["pay_0"].to_numpy() == 1).sum() == 3_688
    assert status.shape == (demo_data.ROWS, 5)


def test_the_real_steps_are_those_published_for_this_project() -> None:
    steps = chain.counts(anchors.load().status).sum(axis=0)
    rows = steps / steps.sum(axis=1, keepdims=True)
    assert steps.sum() == pytest.approx(4 * demo_data.ROWS)
    assert rows[0, 0] == pytest.approx(0.8415, abs=5e-5)
    assert rows[2, 3] == pytest.approx(0.0620, abs=5e-5)
    assert rows[3, 3] == pytest.approx(0.6366, abs=5e-5)
    assert rows[5, 5] == pytest.approx(0.6748, abs=5e-5)


def test_counts_of_a_hand_worked_pair_of_series() -> None:
    triples = chain.counts(FEW)
    assert triples[2, 2, 3] == 1
    assert triples[3, 3, 2] == 1
    # Both first steps (0 to 0 and 2 to 2) have no earlier month and are spread by what is known.
    assert triples.sum() == 8
    assert triples[0, 0].tolist() == [2.0, 1.0, 0, 0, 0, 0]


def test_an_opening_cell_remembers_pair_and_history() -> None:
    cell = chain.opening_cells(FEW)
    assert chain.state_of(cell).tolist() == [2, 1]
    assert (cell >> 3).tolist() == [3 * STATES + 2, 1 * STATES + 1]
    # The first was late in two of the four last months, neither of them the present one.
    assert chain.months_late_of(cell).tolist() == [2, 0]
    assert (cell & 7).tolist() == [0b011, 0]


@given(st.lists(st.integers(0, 5), min_size=5, max_size=30), st.integers(0, 2**32))
@settings(max_examples=50, deadline=None)
def test_moving_keeps_the_memory_of_what_was(series: list[int], seed: int) -> None:
    tables = chain.fit(Delinquency())
    rng = np.random.default_rng(seed)
    lived = np.array([series], dtype=np.int8)
    cell = chain.opening_cells(lived)
    for _ in range(6):
        cell = chain.move(tables, cell, np.zeros(1), rng.random((1, 2)))
        lived = np.append(lived, chain.state_of(cell)[None, :], axis=1)
        assert np.array_equal(cell, chain.opening_cells(lived))


def test_a_shift_moves_how_many_are_late_and_not_how_they_move_among_themselves() -> None:
    tables, n = chain.fit(Delinquency()), 400_000
    rng = np.random.default_rng(0)
    luck = rng.random((n, 2))
    cell = np.full(n, (3 * STATES + 3) * 8 + 1, dtype=np.int16)
    moved = [
        chain.state_of(chain.move(tables, cell, np.full(n, shift), luck)) for shift in (-0.5, 0.5)
    ]
    late = [float((state >= LATE).mean()) for state in moved]
    logit = [np.log(share / (1 - share)) for share in late]
    assert logit[1] - logit[0] == pytest.approx(1.0, abs=0.02)
    deeper = [float((state == 4).sum() / (state >= LATE).sum()) for state in moved]
    assert deeper[0] == pytest.approx(deeper[1], abs=0.005)


def test_the_same_luck_is_never_better_under_a_higher_shift() -> None:
    tables = chain.fit(Delinquency())
    rng = np.random.default_rng(1)
    luck = rng.random((5_000, 2))
    cell = rng.integers(0, chain.CELLS, 5_000).astype(np.int16)
    low, high = (
        chain.state_of(chain.move(tables, cell, np.full(5_000, shift), luck)) >= LATE
        for shift in (0.0, 0.3)
    )
    assert not (low & ~high).any()
    assert (high & ~low).any()
