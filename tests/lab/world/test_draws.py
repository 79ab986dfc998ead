from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from lab.world import draws
from lab.world.draws import Use

ACCOUNTS = np.arange(4_000, dtype=np.int64)
SEEDS = st.integers(0, 2**63 - 1)


def luck(first: int, last: int, seed: int, month: int | None = 3) -> np.ndarray:
    key = draws.keys(np.arange(first, last, dtype=np.int64), seed)
    return draws.bits(key, Use.STATUS, month)


@given(seed=SEEDS, first=st.integers(0, 10**8), cut=st.integers(1, 49))
@settings(max_examples=50, deadline=None)
def test_the_luck_of_an_account_does_not_depend_on_its_chunk(
    seed: int, first: int, cut: int
) -> None:
    whole = luck(first, first + 50, seed)
    parts = np.concatenate([luck(first, first + cut, seed), luck(first + cut, first + 50, seed)])
    assert np.array_equal(whole, parts)


def test_drawing_leaves_the_key_as_it_was() -> None:
    key = draws.keys(ACCOUNTS[:10], 1)
    before = key.copy()
    draws.bits(key, Use.FLOWS, 0)
    assert np.array_equal(key, before)


def test_months_uses_and_seeds_share_no_luck() -> None:
    key = draws.keys(ACCOUNTS, 0)
    drawn = [draws.bits(key, use, month) for use in Use for month in (None, 0, 1, 240)]
    drawn += [draws.bits(draws.keys(ACCOUNTS, seed), Use.ROW) for seed in (1, 2, 2**62)]
    everything = np.concatenate(drawn)
    assert len(np.unique(everything)) == len(everything)


def test_uniform_numbers_are_uniform_and_the_two_halves_unrelated() -> None:
    high, low = draws.uniforms(luck(0, 100_000, 5))
    for numbers in (high, low):
        assert 0 <= numbers.min() < numbers.max() < 1
        counts = np.bincount((numbers * 20).astype(int), minlength=20)
        # Chi-square with 19 degrees of freedom; 43.8 is exceeded once in a thousand times.
        assert ((counts - 5_000) ** 2 / 5_000).sum() < 43.8
    assert abs(np.corrcoef(high, low)[0, 1]) < 0.01


def test_neighboring_accounts_and_months_have_unrelated_luck() -> None:
    now, following = (draws.uniforms(luck(0, 100_000, 5, month))[0] for month in (3, 4))
    assert abs(np.corrcoef(now[:-1], now[1:])[0, 1]) < 0.01
    assert abs(np.corrcoef(now, following)[0, 1]) < 0.01


def test_tables_hold_the_distributions_they_are_named_after() -> None:
    normal = draws.normal_table().astype(np.float64)
    assert abs(normal.mean()) < 1e-6
    assert abs(normal.std() - 1) < 0.002
    assert np.all(np.diff(normal) > 0)
    skewed = draws.lognormal_table(0.5).astype(np.float64)
    assert abs(skewed.mean() - 1) < 1e-5
    assert skewed.min() > 0
    assert all(len(part) == 100 for part in draws.quantiles(luck(0, 100, 0)))
    assert max(int(part.max()) for part in draws.quantiles(luck(0, 9_000, 0))) == 4_095
