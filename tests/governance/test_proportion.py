"""Intervals against scipy, at the edges where there is nothing to say."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from governance import proportion

events_of_n = st.integers(1, 2_000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))


@given(events_of_n)
def test_the_wilson_interval_is_that_of_scipy(drawn: tuple[int, int]) -> None:
    events, n = drawn
    expected = stats.binomtest(events, n).proportion_ci(method="wilson")
    assert proportion.wilson(events, n) == pytest.approx((expected.low, expected.high), abs=1e-9)
    assert proportion.wilson(0, n) is not None
    assert proportion.wilson(0, n).low == 0.0  # type: ignore[union-attr]
    assert proportion.wilson(n, n).high == 1.0  # type: ignore[union-attr]


def test_an_interval_of_nobody_is_none() -> None:
    assert proportion.wilson(0, 0) is None
    assert proportion.newcombe(0, 0, other_events=1, other_n=2) is None
    assert proportion.newcombe(1, 2, other_events=0, other_n=0) is None
    assert proportion.paired(0, 0, 0) is None


@pytest.mark.parametrize(("events", "n"), [(-1, 5), (6, 5)])
def test_more_events_than_customers_are_a_mistake(events: int, n: int) -> None:
    with pytest.raises(ValueError, match="between 0 and n"):
        proportion.wilson(events, n)


@given(events_of_n, events_of_n)
def test_a_difference_turned_round_has_the_ends_turned_round(
    one: tuple[int, int], two: tuple[int, int]
) -> None:
    there = proportion.newcombe(*one, other_events=two[0], other_n=two[1])
    back = proportion.newcombe(*two, other_events=one[0], other_n=one[1])
    assert there is not None
    assert back is not None
    assert there == pytest.approx((-back.high, -back.low))
    assert -1 <= there.low <= one[0] / one[1] - two[0] / two[1] <= there.high <= 1


def test_a_paired_difference_ends_at_one() -> None:
    # (3.5 - 0.5) / 5 = 0.6, and the spread is 1.96 sqrt(4 - 9 / 5) / 5 = 0.5814.
    assert proportion.paired(3, 0, 3) == (pytest.approx(0.01858, abs=1e-5), 1.0)
    assert proportion.paired(0, 3, 3) == (-1.0, pytest.approx(-0.01858, abs=1e-5))


def test_a_correlation_of_too_few_rows_has_no_interval() -> None:
    assert proportion.correlation(0.5, 3) is None
    found = proportion.correlation(0.5, 4)
    assert found is not None
    spread = 1.959964 * math.sqrt(1.06)
    assert found == pytest.approx(
        (math.tanh(math.atanh(0.5) - spread), math.tanh(math.atanh(0.5) + spread)), abs=1e-6
    )
    assert proportion.correlation(1.0, 50) == (pytest.approx(1.0), pytest.approx(1.0))
