"""Months that are lived: money is kept, limits cause what was planted, and the truth is true."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from governance.errors import ContractError
from lab.world import chain, population, records, simulation
from lab.world.anchors import LATE, SERIOUS
from lab.world.settings import Break, LimitResponse, Population, WorldSettings
from lab.world.simulation import MINOR, WorldState

N = 400
MONTH = 9
MULTIPLES = st.lists(st.floats(0, 3), min_size=4, max_size=4)


def start(world: WorldSettings) -> WorldState:
    return simulation.opened(population.enroll(world))


@pytest.fixture(scope="module")
def world(baseline: WorldSettings) -> WorldSettings:
    return baseline.changed(accounts=N)


def scaled(state: WorldState, factor: float) -> np.ndarray:
    wanted = np.minimum(state.traits.reference_limit * factor, simulation.LARGEST_LIMIT)
    return np.floor(wanted).astype(np.int64) * MINOR


def live(state: WorldState, factor: float, months: int) -> WorldState:
    for _ in range(months):
        state = simulation.advance(state, scaled(state, factor))
    return state


@given(multiples=MULTIPLES, seed=st.integers(0, 10**6))
@settings(max_examples=40, deadline=None)
def test_money_is_neither_made_nor_lost_under_any_limits(
    world: WorldSettings, multiples: list[float], seed: int
) -> None:
    state = start(world.changed(seed=seed))
    for multiple in multiples:
        before, state = state, live(state, multiple, 1)
        flows = state.flows
        added = flows.purchases + flows.interest + flows.fee - flows.payment - flows.charged_off
        assert np.array_equal(state.balance, before.balance + added)
        for amount in (state.balance, flows.purchases, flows.payment, flows.interest, flows.fee):
            assert amount.min() >= 0
            assert np.array_equal(amount, np.floor(amount))
        assert np.all(flows.payment <= before.balance)
        # Only interest, fees or a cut bring a balance above its limit.
        lent = before.balance - flows.payment + flows.purchases
        assert np.all(lent <= np.maximum(state.limit, before.balance))


def test_a_closed_account_owes_nothing_and_moves_no_more(lived: list[WorldState]) -> None:
    state, later = lived[12], lived[15]
    closed, flows = ~state.is_active, later.flows
    assert 0 < closed.sum() < len(closed) / 2
    for amount in (later.balance, flows.purchases, flows.payment, flows.fee, flows.charged_off):
        assert not amount[closed].any()
    assert np.array_equal(later.status[closed], state.status[closed])


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
        simulation.advance(start(world), limits)


def test_the_limit_effect_is_the_planted_one(world: WorldSettings) -> None:
    traits = population.enroll(world)
    for factor in (0.5, 1.0, 1.3, 3.0):
        effect = simulation.limit_effect(traits, traits.reference_limit * factor)
        assert effect == pytest.approx(0.10 * np.log(factor))
    assert (
        simulation.limit_effect(traits, traits.reference_limit * 0.0) == 0.1 * np.log(0.1)
    ).all()


def test_without_a_planted_effect_limits_leave_delinquency_alone(baseline: WorldSettings) -> None:
    inert = baseline.changed(response=LimitResponse(risk_per_log_limit=0.0))
    low, high = (live(start(inert), factor, 8) for factor in (1.0, 3.0))
    assert np.array_equal(low.cell, high.cell)
    low, high = (live(start(baseline), factor, 8) for factor in (1.0, 3.0))
    assert (high.status > 0).mean() > (low.status > 0).mean()


def test_the_risky_borrow_more_out_of_a_higher_limit_and_slowly(baseline: WorldSettings) -> None:
    """Two worlds of the same luck; in one every limit is a fifth higher from the start."""
    plain = raised = start(baseline)
    given = plain.limit_minor
    higher = given * 6 // 5 // MINOR * MINOR
    quarter = np.argsort(np.argsort(plain.traits.frailty)) * 4 // len(given)
    shares = []
    for _ in range(12):
        plain, raised = simulation.advance(plain, given), simulation.advance(raised, higher)
        # Debt that a limit causes comes up to the propensity, and no further.
        most = raised.traits.borrowing * (raised.limit - raised.traits.reference_limit)
        assert np.all(raised.borrowed <= most + 1e-6)
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
    none = baseline.changed(response=LimitResponse(risk_per_log_limit=0.0, borrowing_riskiest=0.0))
    low, high = (live(start(none), factor, 6) for factor in (1.0, 2.0))
    never_tight = low.balance < 0.5 * low.limit
    same = low.balance == high.balance
    assert same[never_tight].mean() > 0.95
    assert not same.all()


def test_the_incumbent_raises_cuts_holds_out_and_experiments(lived: list[WorldState]) -> None:
    traits, before = lived[0].traits, lived[6]
    ratio = simulation.incumbent_limits(before) / before.limit_minor
    free = before.is_active & ~traits.is_refused
    hold_out, explore = free & (traits.arm == 1), free & (traits.arm == 2)
    ruled = free & (traits.arm == 0)
    assert (ratio[hold_out | traits.is_refused] == 1).all()
    late, tight = before.place >= LATE, before.utilization >= simulation.RAISE_FROM_USE
    good = tight & (chain.months_late_of(before.cell) == 0)
    assert (ratio[ruled & late] <= 1).all()
    assert np.median(ratio[ruled & late]) == pytest.approx(0.70, abs=0.02)
    assert np.median(ratio[ruled & good]) == pytest.approx(1.15, abs=0.02)
    assert (ratio[ruled & ~late & ~good] == 1).all()
    drawn = simulation.incumbent_limits(before)[explore] / MINOR / traits.reference_limit[explore]
    assert ((drawn > 0.79) & (drawn < 1.21)).all()
    assert (simulation.incumbent_limits(lived[5]) == lived[5].limit_minor).all()


@pytest.mark.parametrize(
    "planted",
    [
        Break(kind="risk", from_month=MONTH, amount=0.8),
        Break(kind="spending", from_month=MONTH, amount=1.5),
    ],
)
def test_a_break_is_seen_from_its_month_on_and_not_a_day_earlier(
    baseline: WorldSettings, lived: list[WorldState], planted: Break
) -> None:
    broken = simulation.live(baseline.changed(breaks=(planted,)))
    for calm, other in zip(lived[: MONTH + 1], broken, strict=False):
        assert np.array_equal(calm.balance, other.balance)
        assert np.array_equal(calm.cell, other.cell)
    calm, other = lived[MONTH + 1], broken[MONTH + 1]
    if planted.kind == "risk":
        assert (other.status > 0).mean() > (calm.status > 0).mean() + 0.05
    else:
        assert other.flows.purchases.mean() > 1.2 * calm.flows.purchases.mean()


def test_a_world_without_breaks_or_turns_stays_as_it_is(baseline: WorldSettings) -> None:
    silent = baseline.changed(
        seasons=(), drift={}, schedule=({"from_month": 0, "regime": "neutral"},)
    )
    states = simulation.live(silent)[1:]
    income = [np.median(state.flows.income) for state in states]
    assert max(income) / min(income) < 1.03
    late = np.array([(state.status[state.is_active] > 0).mean() for state in states])
    assert np.abs(np.diff(late)).max() < 0.02


# --- The true probability. ---


@pytest.fixture(scope="module")
def still(baseline: WorldSettings) -> WorldSettings:
    """A world with turns of the economy in which nobody's limit is ever reviewed."""
    return baseline.changed(
        accounts=6_000, population=Population(refused_share=0.0, hold_out=1.0, explore=0.0)
    )


def serious_within(state: WorldState, horizon: int) -> np.ndarray:
    hit = np.zeros(len(state.traits), dtype=bool)
    for _ in range(horizon):
        state = simulation.advance(state, state.limit_minor)
        hit |= state.place >= SERIOUS
    return hit


def test_one_month_ahead_is_the_chain_itself(still: WorldSettings) -> None:
    state = start(still)
    tables = chain.fit(still.delinquency)
    late = 1 / (1 + np.exp(-(tables.logit[state.cell] + state.traits.frailty)))
    serious = 1 - tables.within[state.cell >> 3, 1, 0]
    # The grid of shifts is coarse to a thousandth of a probability at most.
    found = simulation.default_probability(state, 1)
    assert found == pytest.approx(late * serious, abs=1e-3)


def test_no_truth_is_told_of_months_that_nobody_declared(still: WorldSettings) -> None:
    state = start(still)
    simulation.default_probability(state, still.months + 36)
    with pytest.raises(ContractError, match="not declared for 61 months"):
        simulation.default_probability(state, still.months + 37)


@pytest.mark.parametrize("month", [0, 6])
def test_the_same_account_fails_as_often_as_its_true_probability_says(
    still: WorldSettings, month: int
) -> None:
    """Many lives of one account: same cell, same frailty, other luck."""
    one = simulation.opened(population.enroll(still, 7, 8))
    for _ in range(month):
        one = simulation.advance(one, one.limit_minor)
    n = 20_000
    crowd = population.enroll(still.changed(accounts=n))
    names = ("frailty", "reference_limit", "segment")
    same = {name: np.repeat(getattr(one.traits, name), n) for name in names}
    many = simulation.opened(replace(crowd, **same))
    many = replace(many, month=month, cell=np.repeat(one.cell, n), limit=np.repeat(one.limit, n))
    chance = simulation.default_probability(one, 12)[0]
    share = serious_within(many, 12).mean()
    assert abs(share - chance) < 4 * np.sqrt(chance * (1 - chance) / n) + 1e-3


def test_probabilities_hold_in_every_group_when_limits_stay(still: WorldSettings) -> None:
    states = simulation.live(still)
    chances, happened = [], []
    for month in (-1, 5, 11):
        found = records.measure_outcomes(states, month, 12)
        chances.append(simulation.default_probability(states[month + 1], 12)[found.is_asked])
        happened.append(found.y[found.is_asked])
    chance, outcome = np.concatenate(chances), np.concatenate(happened)
    for group in np.array_split(np.argsort(chance), 10):
        expected = chance[group].mean()
        # Questions to one account overlap, so the effective number is below the number of rows.
        noise = np.sqrt(expected * (1 - expected) / (len(group) / 3))
        assert abs(outcome[group].mean() - expected) < 4 * noise


def test_a_higher_limit_never_lowers_the_true_probability(still: WorldSettings) -> None:
    state = start(still)
    doubled, kept = (simulation.advance(state, state.limit_minor * factor) for factor in (2, 1))
    both = kept.cell == doubled.cell
    low, high = (simulation.default_probability(each, 12)[both] for each in (kept, doubled))
    assert np.all(high >= low)
    assert (high > low).mean() > 0.99


def test_the_truth_lives_the_months_in_their_order(still: WorldSettings) -> None:
    """A shock at the start of the window has time to become 90 days; one at its end has not."""
    turns = {"early": ((0, "shock"), (2, "neutral")), "late": ((0, "neutral"), (10, "shock"))}
    chance = {}
    for name, schedule in turns.items():
        world = still.changed(
            regimes={"neutral": {}, "shock": {"risk_logit": 2.0}},
            schedule=tuple({"from_month": month, "regime": regime} for month, regime in schedule),
        )
        state = start(world)
        mild = state.place < SERIOUS
        chance[name] = float(simulation.default_probability(state, 12)[mild].mean())
        assert chance[name] == pytest.approx(serious_within(state, 12)[mild].mean(), abs=0.012)
    assert chance["early"] > 1.1 * chance["late"]


# --- How near the simulated chain is to the real one. ---


def persistence(status: np.ndarray) -> np.ndarray:
    """P(late next month | late, k of the three earlier months late), k = 0 to 3."""
    kept, total = np.zeros(4), np.zeros(4)
    for month in range(3, status.shape[1] - 1):
        known = (status[:, month] >= LATE) & (status[:, month + 1] >= 0)
        count = (status[known, month - 3 : month] >= LATE).sum(axis=1)
        total += np.bincount(count, minlength=4)
        kept += np.bincount(count, status[known, month + 1] >= LATE, 4)
    return kept / total


def test_the_simulated_chain_moves_like_the_real_one(baseline: WorldSettings) -> None:
    from lab.world import anchors

    real = persistence(anchors.load().status)
    assert real == pytest.approx([0.483, 0.680, 0.752, 0.881], abs=0.002)
    neutral = baseline.changed(
        accounts=12_000,
        months=12,
        seasons=(),
        drift={},
        schedule=({"from_month": 0, "regime": "neutral"},),
        population=Population(refused_share=0.0, hold_out=1.0, explore=0.0),
    )
    found = {}
    plain = neutral.delinquency.model_copy(update={"memory": (0.0, 0.0, 0.0, 0.0)})
    for name, world in {"as filed": neutral, "blank": neutral.changed(delinquency=plain)}.items():
        states = simulation.live(world)[1:]
        lived = np.stack([np.where(s.is_active, s.place, -1) for s in states], axis=1)
        found[name] = np.abs(persistence(lived) - real).max()
    # A chain without its memory is found out.
    assert found["as filed"] < 0.05 < found["blank"]
