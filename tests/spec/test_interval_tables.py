"""Published and hand-worked intervals."""

from __future__ import annotations

import pytest

from governance.measures.intervals import (
    clopper_pearson,
    mover_ratio,
)
from governance.proportion import newcombe, wilson

# Newcombe (1998), Statistics in Medicine 17, 857-872, table I: methods 3 (score) and 5 (exact).
SINGLE = [
    (81, 263, (0.2553, 0.3662), (0.2527, 0.3676)),
    (15, 148, (0.0624, 0.1605), (0.0578, 0.1617)),
    (0, 20, (0.0000, 0.1611), (0.0000, 0.1684)),
    (1, 29, (0.0061, 0.1718), (0.0009, 0.1776)),
]

# Newcombe (1998), Statistics in Medicine 17, 873-890, table II, method 10.
DIFFERENCES = [
    (56, 70, 48, 80, (0.0524, 0.3339)),
    (9, 10, 3, 10, (0.1705, 0.8090)),
    (6, 7, 2, 7, (0.0582, 0.8062)),
    (5, 56, 0, 29, (-0.0381, 0.1926)),
    (0, 10, 0, 20, (-0.1611, 0.2775)),
    (10, 10, 0, 20, (0.6791, 1.0000)),
]


@pytest.mark.parametrize(("events", "n", "score", "exact"), SINGLE)
def test_intervals_of_one_rate_equal_the_published_table(
    events: int, n: int, score: tuple[float, float], exact: tuple[float, float]
) -> None:
    assert wilson(events, n) == pytest.approx(score, abs=5e-5)
    assert clopper_pearson(events, n) == pytest.approx(exact, abs=5e-5)


@pytest.mark.parametrize(("a", "n", "b", "m", "published"), DIFFERENCES)
def test_intervals_of_a_difference_equal_the_published_table(
    a: int, n: int, b: int, m: int, published: tuple[float, float]
) -> None:
    assert newcombe(a, n, other_events=b, other_n=m) == pytest.approx(published, abs=5e-5)


# Group and reference with their Wilson intervals, worked from the formula on paper.
RATIOS = [
    ((30, 100), (0.218_948_9, 0.395_848_5), (50, 100), (0.403_831_5, 0.596_168_5)),
    ((20, 100), (0.133_366_9, 0.288_829_2), (80, 200), (0.334_605_8, 0.469_163_3)),
]


@pytest.mark.parametrize(("group", "ends", "reference", "reference_ends"), RATIOS)
def test_the_ratio_interval_equals_the_textbook_form(
    group: tuple[int, int],
    ends: tuple[float, float],
    reference: tuple[int, int],
    reference_ends: tuple[float, float],
) -> None:
    assert wilson(*group) == pytest.approx(ends, abs=1e-6)
    assert wilson(*reference) == pytest.approx(reference_ends, abs=1e-6)
    (low_1, high_1), (low_2, high_2) = ends, reference_ends
    rate, base = group[0] / group[1], reference[0] / reference[1]
    product = rate * base

    def end(own: float, other: float, sign: int) -> float:
        under = product**2 - own * (2 * rate - own) * other * (2 * base - other)
        return (product + sign * under**0.5) / (other * (2 * base - other))

    textbook = (end(low_1, high_2, -1), end(high_1, low_2, 1))
    assert mover_ratio(*group, *reference) == pytest.approx(textbook, abs=1e-6)


def test_nothing_over_nothing_is_undefined() -> None:
    assert wilson(0, 0) is None
    assert clopper_pearson(0, 0) is None
    assert newcombe(0, 0, other_events=1, other_n=2) is None
    assert mover_ratio(0, 0, 1, 2) is None
    assert mover_ratio(0, 2, 0, 2) is None
