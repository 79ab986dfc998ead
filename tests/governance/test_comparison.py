from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from governance.errors import UsageError
from governance.measures import discrimination
from governance.measures.comparison import measure_auc_difference
from governance.measures.discrimination import areas
from governance.outcome import Outcome

ROWS = st.lists(
    st.tuples(st.integers(0, 1), st.integers(0, 5), st.integers(0, 4)), min_size=2, max_size=40
)


def twins(n: int, seed: int, gap: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Two scores that share nearly all of their noise, the second `gap` weaker."""
    rng = np.random.default_rng(seed)
    labels = (rng.random(n) < 0.3).astype(np.int64)
    shared = rng.normal(size=n)
    return labels, shared + labels, shared + (1 - gap) * labels + 0.1 * rng.normal(size=n)


@given(rows=ROWS)
@settings(deadline=None, max_examples=60)
def test_a_weighted_area_is_the_area_of_repeated_customers(rows: list[tuple]) -> None:
    labels, scores, weights = (np.array(part) for part in zip(*rows, strict=True))
    told = np.repeat(labels, weights)
    found = areas(labels, scores.astype(np.float64), weights[None, :].astype(np.float64))[0]
    if len(np.unique(told)) < 2:
        assert np.isnan(found)
    else:
        assert found == pytest.approx(roc_auc_score(told, np.repeat(scores, weights)))


def test_the_difference_is_that_of_the_two_areas() -> None:
    labels, one, two = twins(2_000, 0, 0.2)
    found = measure_auc_difference(labels, one, two, seed=0, against="two")
    first, second = (discrimination.measure_auc(labels, scores) for scores in (one, two))
    assert found.value == pytest.approx(first.value - second.value)  # type: ignore[operator]
    assert found.scope == {"against": "two"}
    back = measure_auc_difference(labels, two, one, seed=0)
    assert (back.value, back.low) == (-found.value, -found.high)  # type: ignore[operator]


def test_a_planted_difference_is_found_where_single_areas_overlap() -> None:
    labels, one, two = twins(3_000, 1, 0.08)
    found = measure_auc_difference(labels, one, two, seed=0)
    first, second = (discrimination.measure_auc(labels, scores) for scores in (one, two))
    assert first.low < second.high  # type: ignore[operator]
    assert found.low > 0  # type: ignore[operator]


def test_equal_models_are_told_apart_once_in_twenty() -> None:
    rng, missed = np.random.default_rng(2), 0
    for _ in range(60):
        labels = (rng.random(300) < 0.3).astype(np.int64)
        signal = labels + rng.normal(size=300)
        one, two = (signal + 0.5 * rng.normal(size=300) for _ in range(2))
        found = measure_auc_difference(labels, one, two, seed=0)
        missed += not found.low <= 0 <= found.high  # type: ignore[operator]
    assert missed <= 8


def test_a_model_does_not_differ_from_itself() -> None:
    labels, one, _ = twins(500, 3, 0.1)
    found = measure_auc_difference(labels, one, one, seed=0)
    assert (found.value, found.low, found.high) == (0.0, 0.0, 0.0)


def test_the_seed_is_the_only_chance() -> None:
    labels, one, two = twins(500, 4, 0.1)
    found = [measure_auc_difference(labels, one, two, seed=seed) for seed in (0, 0, 1)]
    assert found[0] == found[1]
    assert found[0].low != found[2].low


def test_one_class_is_inconclusive_and_other_customers_are_refused() -> None:
    none = measure_auc_difference(np.zeros(9, dtype=np.int64), np.ones(9), np.ones(9), seed=0)
    assert (none.value, none.outcome) == (None, Outcome.INCONCLUSIVE)
    with pytest.raises(UsageError, match="same customers"):
        measure_auc_difference(np.array([0, 1]), np.ones(2), np.ones(3), seed=0)
