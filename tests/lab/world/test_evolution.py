from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from governance.errors import ContractError
from lab.world import evolution
from lab.world.evolution import MINOR, State
from lab.world.settings import Response, WorldSettings

N = 400
MULTIPLES = st.lists(st.floats(0, 3), min_size=4, max_size=4)


@pytest.fixture(scope="module")
def world(baseline: WorldSettings) -> WorldSettings:
    return baseline.changed(accounts=N)


def scaled(state: State, factor: float | np.ndarray) -> np.ndarray:
    wanted = np.floor(np.minimum(state.book.reference_limit * factor, evolution.LARGEST_LIMIT))
    return wanted.astype(np.int64) * MINOR


def live(state: State, factor: float, months: int) -> State:
    for _ in range(months):
        state = evolution.advance(state, state.month, scaled(state, factor))
    return state


@given(multiples=MULTIPLES, seed=st.integers(0, 10**6))
@settings(max_examples=40, deadline=None)
def test_money_is_neither_made_nor_lost_under_any_limits(
    world: WorldSettings, multiples: list[float], seed: int
) -> None:
    state = evolution.start(world.changed(seed=seed))
    for multiple in multiples:
        before, state = state, live(state, multiple, 1)
        flows = state.flows
        assert flows is not None
        added = flows.purchases + flows.interest + flows.fee - flows.payment - flows.charged_off
        assert np.array_equal(state.balance, before.balance + added)
        for amount in (state.balance, flows.purchases, flows.payment, flows.interest, flows.fee):
            assert amount.min() >= 0
            assert np.array_equal(amount, np.floor(amount))
        assert np.all(flows.payment <= before.balance)
        # Only interest, fees or a cut bring a balance above its limit.
        lent = before.balance - flows.payment + flows.purchases
        assert np.all(lent <= np.maximum(state.limit, before.balance))
        parts = evolution.basket(state, flows.purchases, before.month)
        assert np.array_equal(sum(parts), flows.purchases)
        assert min(part.min() for part in parts) >= 0


def test_a_closed_account_owes_nothing_and_moves_no_more(baseline: WorldSettings) -> None:
    state = live(evolution.start(baseline), 1.0, 12)
    closed = ~state.is_active
    assert 0 < closed.sum() < len(closed) / 2
    later = live(state, 1.0, 3)
    flows = later.flows
    assert flows is not None
    for amount in (later.balance, flows.purchases, flows.payment, flows.fee, flows.charged_off):
        assert not amount[closed].any()
    assert np.array_equal(later.status[closed], state.status[closed])


def test_a_policy_cannot_slip_by_a_month(world: WorldSettings) -> None:
    state = evolution.start(world)
    with pytest.raises(ContractError, match="month 0; month 1 was asked for"):
        evolution.advance(state, 1, state.limit_minor)


@pytest.mark.parametrize(
    ("limits", "says"),
    [
        (np.zeros(N), "one int64 per account"),
        (np.zeros(N - 1, dtype=np.int64), "one int64 per account"),
        (np.full(N, -100, dtype=np.int64), "negative or above"),
        (np.full(N, 2 * 10**9, dtype=np.int64), "negative or above"),
        (np.full(N, 150, dtype=np.int64), "fraction"),
    ],
)
def test_limits_that_are_none_are_refused(
    world: WorldSettings, limits: np.ndarray, says: str
) -> None:
    with pytest.raises(ContractError, match=says):
        evolution.advance(evolution.start(world), 0, limits)


def test_a_state_is_not_changed_by_living_on(world: WorldSettings) -> None:
    state = live(evolution.start(world), 1.0, 2)
    kept = [state.cell.copy(), state.balance.copy(), state.limit.copy(), state.is_active.copy()]
    first, second = (live(state, factor, 1) for factor in (0.5, 0.5))
    assert all(
        np.array_equal(old, new)
        for old, new in zip(
            kept, (state.cell, state.balance, state.limit, state.is_active), strict=True
        )
    )
    assert np.array_equal(first.balance, second.balance)


def test_the_limit_effect_is_the_planted_one(world: WorldSettings) -> None:
    book = evolution.start(world).book
    for factor in (0.5, 1.0, 1.3, 3.0):
        effect = evolution.limit_effect(book, book.reference_limit.astype(np.float32) * factor)
        assert effect == pytest.approx(0.10 * np.log(factor), abs=2e-5)


def test_without_a_planted_effect_limits_leave_delinquency_alone(baseline: WorldSettings) -> None:
    inert = baseline.changed(response=Response(risk_per_log_limit=0.0))
    low, high = (live(evolution.start(inert), factor, 8) for factor in (1.0, 3.0))
    assert np.array_equal(low.cell, high.cell)
    low, high = (live(evolution.start(baseline), factor, 8) for factor in (1.0, 3.0))
    assert not np.array_equal(low.cell, high.cell)
    assert (high.status > 0).mean() > (low.status > 0).mean()


def test_the_risky_borrow_more_out_of_a_higher_limit_and_slowly(baseline: WorldSettings) -> None:
    """Two worlds of the same luck; in one every limit is a fifth higher from the start."""
    plain = raised = evolution.start(baseline)
    given = plain.limit_minor
    higher = (given * 1.2).astype(np.int64) // evolution.MINOR * evolution.MINOR
    quarter = np.argsort(np.argsort(plain.book.frailty)) * 4 // len(given)
    shares = []
    for month in range(12):
        plain = evolution.advance(plain, month, given)
        raised = evolution.advance(raised, month, higher)
        both = plain.is_active & raised.is_active
        debt, room = (raised.balance - plain.balance) * both, (raised.limit - plain.limit) * both
        shares.append(np.bincount(quarter, debt, 4) / np.bincount(quarter, room, 4))
    assert np.all(np.diff(shares[11]) > 0)
    assert shares[11][3] > 3 * shares[11][0]
    assert np.all(shares[2] < shares[11])
    assert np.all((shares[11] > 0) & (shares[11] < 0.6))


def test_without_a_propensity_a_limit_causes_debt_only_where_it_was_too_small(
    baseline: WorldSettings,
) -> None:
    none = baseline.changed(
        response=Response(risk_per_log_limit=0.0, borrowing_riskiest=0.0, borrowing_safest=0.0)
    )
    low, high = (live(evolution.start(none), factor, 6) for factor in (1.0, 2.0))
    never_tight = low.balance < 0.5 * low.limit
    same = low.balance == high.balance
    assert same[never_tight].mean() > 0.95
    assert not same.all()
