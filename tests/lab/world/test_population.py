"""Luck that belongs to the account, identities that belong to nobody, and planted injustice."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lab.world import anchors, population
from lab.world.population import AccountTraits, Use
from lab.world.settings import Bias, WorldSettings
from lab.world.simulation import WorldState

SEEDS = st.integers(0, 2**63 - 1)


def draw(first: int, last: int, seed: int, use: Use = Use.STATUS, month: int = 3) -> np.ndarray:
    return population.luck(np.arange(first, last, dtype=np.int64), seed, use, month)


@given(seed=SEEDS, first=st.integers(0, 10**8), cut=st.integers(1, 49))
@settings(max_examples=50, deadline=None)
def test_the_luck_of_an_account_does_not_depend_on_who_else_is_drawn(
    seed: int, first: int, cut: int
) -> None:
    whole = draw(first, first + 50, seed)
    parts = [draw(first, first + cut, seed), draw(first + cut, first + 50, seed)]
    assert np.array_equal(whole, np.concatenate(parts))
    few = np.arange(first, first + 50, 7, dtype=np.int64)
    assert np.array_equal(population.luck(few, seed, Use.STATUS, 3), whole[::7])


def test_months_uses_and_seeds_share_no_luck() -> None:
    drawn = [draw(0, 2_000, 0, use, month) for use in Use for month in (-1, 0, 1, 240)]
    drawn += [draw(0, 2_000, seed, Use.ROW) for seed in (1, 2, 2**62)]
    everything = np.concatenate(drawn).ravel()
    assert len(np.unique(everything)) == len(everything)


def test_the_four_numbers_of_neighbors_and_months_are_uniform_and_unrelated() -> None:
    now, following = draw(0, 50_000, 5, month=3), draw(0, 50_000, 5, month=4)
    for numbers in now.T:
        counts = np.bincount((numbers * 20).astype(int), minlength=20)
        # Chi-square with 19 degrees of freedom; 43.8 is exceeded once in a thousand times.
        assert ((counts - 2_500) ** 2 / 2_500).sum() < 43.8
    columns = np.column_stack([now[:-1], now[1:, 0], following[:-1, 0]])
    related = np.abs(np.corrcoef(columns.T) - np.eye(6))
    assert related.max() < 0.02


@pytest.mark.parametrize("spread", [0.01, 0.5])
def test_noise_is_lognormal_with_mean_one(spread: float) -> None:
    normal = population.normals(np.arange(200_000), 1, Use.FLOWS)
    noise = population.lognormal(normal[:, 0], spread)
    assert noise.mean() == pytest.approx(1.0, abs=4 * spread / np.sqrt(200_000))
    assert np.log(noise).std() == pytest.approx(spread, rel=0.01)


def check_digit(text: str) -> str:
    weights = [7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2]
    total = sum(int(digit) * weight for digit, weight in zip(text[:17], weights, strict=True))
    return "10X98765432"[total % 11]


def test_identities_agree_with_the_real_row_and_are_impossible(baseline: WorldSettings) -> None:
    people, row = population.people(baseline), population.enroll(baseline).row
    real, today = anchors.load(), baseline.starts_on
    for name in ("customer_id", "mobile", "resident_id", "bank_card"):
        assert len(people[name].unique()) == baseline.accounts
    for text, sex, age in zip(
        people["resident_id"].to_pylist(), real.sex[row], real.age[row], strict=True
    ):
        # No division of China starts with 99.
        assert text.startswith("99")
        assert text[17] == check_digit(text)
        year, month, day = int(text[6:10]), int(text[10:12]), int(text[12:14])
        assert today.year - year - ((today.month, today.day) < (month, day)) == age
        assert int(text[16]) % 2 == (sex == 1)


def refusals(traits: AccountTraits) -> tuple[float, float]:
    """Women's share of refused less men's, and its standard error."""
    sex = anchors.load().sex[traits.row]
    parts = [traits.is_refused[sex == code] for code in (1, 2)]
    share, n = np.array([part.mean() for part in parts]), np.array([len(part) for part in parts])
    return float(share[1] - share[0]), float(np.sqrt((share * (1 - share) / n).sum()))


def test_planted_bias_in_refusals_is_found_by_counting(baseline: WorldSettings) -> None:
    calm, wronged = (
        population.enroll(baseline.changed(bias=Bias(refusal_logit=logit))) for logit in (0.0, 0.5)
    )
    gap, error = refusals(wronged)
    assert gap > 5 * error
    # The wronged are no riskier than before.
    assert (wronged.frailty == calm.frailty).all()
    # Real rows of women have slightly safer limits and payments, so a small gap is no planted one.
    gap, error = refusals(calm)
    assert abs(gap) < 3 * error + 0.02


def test_planted_bias_in_limits_is_found_by_counting(baseline: WorldSettings) -> None:
    calm = population.enroll(baseline)
    wronged = population.enroll(baseline.changed(bias=Bias(limit_share=0.8)))
    ratio = wronged.reference_limit / calm.reference_limit
    is_woman = anchors.load().sex[calm.row] == 2
    assert np.median(ratio[is_woman]) == pytest.approx(0.8, abs=0.02)
    assert (ratio[~is_woman] == 1).all()


def test_shares_are_those_that_were_declared(lived: list[WorldState]) -> None:
    traits = lived[0].traits
    declared = traits.settings.population
    turned_away = traits.is_refused | traits.is_accepted_anyway
    shares = {
        declared.sme_share: traits.segment == population.FIRM,
        declared.refused_share: turned_away,
        declared.hold_out: traits.arm == 1,
        declared.explore: traits.arm == 2,
    }
    for share, found in shares.items():
        assert found.mean() == pytest.approx(share, abs=4 * np.sqrt(share / len(traits)))


def test_some_of_the_refused_are_accepted_as_an_experiment(baseline: WorldSettings) -> None:
    calm = population.enroll(baseline)
    curious = population.enroll(baseline.changed(population={"accepted_anyway": 0.5}))
    turned_away = curious.is_refused | curious.is_accepted_anyway
    assert not (curious.is_refused & curious.is_accepted_anyway).any()
    assert 0.4 < curious.is_accepted_anyway[turned_away].mean() < 0.6
    # The old rule turns away the very same customers; the experiment only opens the door.
    assert (turned_away == (calm.is_refused | calm.is_accepted_anyway)).all()
