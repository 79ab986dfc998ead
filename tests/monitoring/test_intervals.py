"""Intervals cover what they promise, in small groups too."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from governance.measures.intervals import (
    clopper_pearson,
    count_bootstrap,
    mover_ratio,
)
from governance.proportion import newcombe, wilson

events_of_n = st.integers(1, 5000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))


@given(events_of_n)
def test_an_interval_of_a_rate_holds_the_rate_and_stays_between_zero_and_one(
    seen: tuple[int, int],
) -> None:
    for interval in (wilson(*seen), clopper_pearson(*seen)):
        assert interval is not None
        assert interval.low is not None
        assert interval.high is not None
        assert 0 <= interval.low <= seen[0] / seen[1] <= interval.high <= 1


@given(events_of_n, events_of_n)
def test_differences_and_ratios_lie_inside_their_intervals(
    group: tuple[int, int], reference: tuple[int, int]
) -> None:
    difference = newcombe(*group, other_events=reference[0], other_n=reference[1])
    assert difference is not None
    value = group[0] / group[1] - reference[0] / reference[1]
    assert (difference.low or 0) - 1e-12 <= value <= (difference.high or 0) + 1e-12
    ratio = mover_ratio(*group, *reference)
    if reference[0] == 0:
        assert (ratio is None) is (group[0] == 0)
        assert ratio is None or (ratio.high is None and (ratio.low or 0) > 0)
    else:
        assert ratio is not None
        assert ratio.low is not None
        assert ratio.high is not None
        value = group[0] / group[1] / (reference[0] / reference[1])
        assert 0 <= ratio.low <= value * (1 + 1e-9)
        assert value <= ratio.high * (1 + 1e-9)


@pytest.mark.parametrize(("n", "rate"), [(30, 0.02), (30, 0.98), (100, 0.02), (1000, 0.5)])
def test_wilson_covers_at_least_ninety_two_percent(n: int, rate: float) -> None:
    draws = np.random.default_rng(n).binomial(n, rate, 2000)
    intervals = {k: wilson(int(k), n) for k in np.unique(draws)}
    covered = [(i.low or 0) <= rate <= (i.high or 0) for k in draws if (i := intervals[k])]
    assert np.mean(covered) >= 0.92


@pytest.mark.parametrize(("n", "rate", "ratio"), [(30, 0.95, 1.0), (30, 0.2, 0.6), (300, 0.8, 0.8)])
def test_the_ratio_interval_covers_at_least_ninety_two_percent(
    n: int, rate: float, ratio: float
) -> None:
    generator = np.random.default_rng(7)
    group = generator.binomial(n, rate * ratio, 2000)
    reference = generator.binomial(5000, rate, 2000)
    intervals = [
        mover_ratio(int(a), n, int(b), 5000) for a, b in zip(group, reference, strict=True)
    ]
    covered = [i is not None and (i.low or 0) <= ratio <= (i.high or 9) for i in intervals]
    assert np.mean(covered) >= 0.92


def test_the_count_bootstrap_agrees_with_theory_and_repeats_itself() -> None:
    def rate(draws: np.ndarray) -> np.ndarray:  # type: ignore[type-arg]
        return np.asarray(draws[:, 0] / draws.sum(axis=1))

    cells = np.array([300, 700])
    found = count_bootstrap(cells, rate, seed=1)
    assert found == count_bootstrap(cells, rate, seed=1)
    assert found == pytest.approx(wilson(300, 1000), abs=0.003)
    assert count_bootstrap(np.array([0, 0]), rate, seed=1) is None


def test_more_events_than_customers_is_a_bug_and_says_so() -> None:
    with pytest.raises(ValueError, match="between 0 and n"):
        wilson(3, 2)
