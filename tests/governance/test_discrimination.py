from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from governance.measures.discrimination import measure_auc, measure_gini, measure_ks
from governance.outcome import Outcome

ROWS = st.lists(st.tuples(st.integers(0, 1), st.integers(0, 8)), min_size=2, max_size=60).filter(
    lambda rows: len({label for label, _ in rows}) == 2
)

# Hand-worked: pairs won by the defaulter, ties one half; largest gap of the two distributions.
TABLE = [
    ("perfect", [0, 0, 1, 1], [0.1, 0.2, 0.8, 0.9], 1.0, 1.0),
    ("reversed", [1, 1, 0, 0], [0.1, 0.2, 0.8, 0.9], 0.0, 1.0),
    ("all tied", [0, 1, 0, 1], [0.5, 0.5, 0.5, 0.5], 0.5, 0.0),
    ("three of four pairs", [0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8], 0.75, 0.5),
    ("one tie", [0, 0, 1], [0.1, 0.5, 0.5], 0.75, 0.5),
]


def split(rows: list[tuple[int, int]]) -> tuple[np.ndarray, np.ndarray]:
    labels, scores = zip(*rows, strict=True)
    return np.array(labels), np.array(scores, dtype=np.float64)


@pytest.mark.parametrize(("case", "labels", "scores", "auc", "ks"), TABLE)
def test_the_hand_worked_table_holds(
    case: str, labels: list[int], scores: list[float], auc: float, ks: float
) -> None:
    told = np.array(labels), np.array(scores)
    assert measure_auc(*told).value == pytest.approx(auc)
    assert measure_gini(*told).value == pytest.approx(2 * auc - 1)
    assert measure_ks(*told, seed=0).value == pytest.approx(ks)


@given(rows=ROWS)
@settings(deadline=None, max_examples=50)
def test_area_and_distance_agree_with_another_writing_of_them(rows: list[tuple[int, int]]) -> None:
    labels, scores = split(rows)
    assert measure_auc(labels, scores).value == pytest.approx(roc_auc_score(labels, scores))
    events, others = scores[labels == 1], scores[labels == 0]
    gaps = [abs((events <= cut).mean() - (others <= cut).mean()) for cut in scores]
    assert measure_ks(labels, scores, seed=0).value == pytest.approx(max(gaps))


@given(rows=ROWS)
@settings(deadline=None, max_examples=50)
def test_only_the_order_counts(rows: list[tuple[int, int]]) -> None:
    labels, scores = split(rows)
    assert measure_auc(labels, scores) == measure_auc(labels, np.exp(scores / 3))
    assert measure_ks(labels, scores, seed=1) == measure_ks(labels, scores**3, seed=1)


@given(rows=ROWS)
@settings(deadline=None, max_examples=50)
def test_the_value_lies_in_its_interval(rows: list[tuple[int, int]]) -> None:
    for found in (measure_auc(*split(rows)), measure_gini(*split(rows))):
        if found.low is not None and found.high is not None and found.value is not None:
            assert found.low <= found.value <= found.high


def test_the_interval_of_the_area_covers_the_truth() -> None:
    # Normal scores one standard deviation apart have the area Phi(1 / sqrt 2) = 0.76025.
    rng, hits = np.random.default_rng(0), 0
    for _ in range(300):
        labels = np.repeat([0, 1], [150, 100])
        found = measure_auc(labels, rng.normal(size=250) + labels)
        hits += bool(found.low <= 0.7602499 <= found.high)  # type: ignore[operator]
    assert 275 <= hits <= 297


@pytest.mark.parametrize("label", [0, 1])
def test_one_class_is_inconclusive_and_not_a_half(label: int) -> None:
    labels, scores = np.full(30, label), np.linspace(0, 1, 30)
    for found in (
        measure_auc(labels, scores),
        measure_gini(labels, scores),
        measure_ks(labels, scores, seed=0),
    ):
        assert found.value is None
        assert found.outcome is Outcome.INCONCLUSIVE
        assert "one class" in found.reason
