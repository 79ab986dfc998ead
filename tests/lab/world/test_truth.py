from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from lab.world import chain, evolution, panel, truth
from lab.world.anchors import SERIOUS
from lab.world.evolution import State
from lab.world.settings import Break, Population, WorldSettings


@pytest.fixture(scope="module")
def still(baseline: WorldSettings) -> WorldSettings:
    """A world with turns of the economy in which nobody's limit is ever reviewed."""
    return baseline.changed(
        accounts=6_000, population=Population(refused_share=0.0, hold_out=1.0, explore=0.0)
    )


def serious_within(state: State, horizon: int) -> np.ndarray:
    hit = np.zeros(len(state.book), dtype=bool)
    limits = state.limit_minor
    for _ in range(horizon):
        state = evolution.advance(state, state.month, limits)
        hit |= chain.state_of(state.cell) >= SERIOUS
    return hit


def test_one_month_ahead_is_the_chain_itself(still: WorldSettings) -> None:
    state = evolution.start(still, 0, 500)
    tables = chain.fit(still.delinquency)
    shift = state.book.frailty.astype(float)
    late = 1 / (1 + np.exp(-(tables.logit[state.cell] + shift)))
    mild = tables.first[(state.cell >> 3) * 2 + 1]
    # Grid and logistic table are coarse to a thousandth of a probability at most.
    assert truth.default_probability(state, 1) == pytest.approx(late * (1 - mild), abs=1e-3)


@pytest.mark.parametrize("start", [0, 6])
def test_the_same_account_fails_as_often_as_its_true_probability_says(
    still: WorldSettings, start: int
) -> None:
    """Many lives of one account: same cell, same frailty, other luck."""
    one = evolution.start(still, 7, 8)
    for _ in range(start):
        one = evolution.advance(one, one.month, one.limit_minor)
    n = 20_000
    book = evolution.start(still.changed(accounts=n)).book
    names = ("frailty", "reference_limit", "segment")
    same = {name: np.repeat(getattr(one.book, name), n) for name in names}
    crowd = evolution.opened(replace(book, **same))
    crowd = replace(
        crowd, month=one.month, cell=np.repeat(one.cell, n), limit=np.repeat(one.limit, n)
    )
    chance = truth.default_probability(one, 12)[0]
    share = serious_within(crowd, 12).mean()
    assert abs(share - chance) < 4 * np.sqrt(chance * (1 - chance) / n) + 1e-3


def test_probabilities_hold_in_every_group_when_limits_stay(still: WorldSettings) -> None:
    chunk = panel.live(still, 0, still.accounts)
    known = chunk.oracle.to_pandas().dropna(subset="true_outcome")
    known = known[known.horizon_months == 12]
    chance, happened = known.true_default_probability, known.true_outcome
    for group in np.array_split(np.argsort(chance.to_numpy()), 10):
        expected = chance.iloc[group].mean()
        # Questions to one account overlap, so the effective number is below the number of rows.
        noise = np.sqrt(expected * (1 - expected) / (len(group) / 5))
        assert abs(happened.iloc[group].mean() - expected) < 4 * noise


def test_a_higher_limit_never_lowers_the_true_probability(still: WorldSettings) -> None:
    state = evolution.start(still, 0, 1_000)
    doubled = evolution.advance(state, 0, state.limit_minor * 2)
    kept = evolution.advance(state, 0, state.limit_minor)
    both = kept.cell == doubled.cell
    low, high = (truth.default_probability(each, 12)[both] for each in (kept, doubled))
    assert np.all(high >= low)
    assert (high > low).mean() > 0.99


def test_the_truth_knows_breaks_that_lie_ahead(still: WorldSettings) -> None:
    shock = Break(kind="risk", from_month=6, amount=1.0)
    calm, shaken = (
        evolution.start(world, 0, 300) for world in (still, still.changed(breaks=(shock,)))
    )
    assert np.array_equal(truth.default_probability(calm, 6), truth.default_probability(shaken, 6))
    later = [truth.default_probability(state, 7) for state in (calm, shaken)]
    assert np.all(later[1] > later[0])


def test_the_truth_lives_the_months_in_their_order(still: WorldSettings) -> None:
    """A shock at the start of the window has time to become 90 days; one at its end has not."""
    turns = {
        "early": ((0, "shock"), (2, "neutral")),
        "late": ((0, "neutral"), (10, "shock")),
    }
    chance, share = {}, {}
    for name, schedule in turns.items():
        world = still.changed(
            regimes={"neutral": {}, "shock": {"risk_logit": 2.0}},
            schedule=tuple({"from_month": month, "regime": regime} for month, regime in schedule),
        )
        state = evolution.start(world, 0, 6_000)
        mild = chain.state_of(state.cell) < SERIOUS
        chance[name] = float(truth.default_probability(state, 12)[mild].mean())
        share[name] = float(serious_within(state, 12)[mild].mean())
    assert chance["early"] > 1.1 * chance["late"]
    for name in turns:
        assert chance[name] == pytest.approx(share[name], abs=0.012)
