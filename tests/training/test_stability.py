from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from governance.errors import UsageError
from governance.outcome import Outcome
from training.recipes import Recipe
from training.stability import measure_learning, measure_seeds, measure_subsamples

QUICK = Recipe(name="quick", title="Quick", parameters={"max_iter": 10, "early_stopping": False})


def world(n: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(n, 3))
    odds = features.sum(axis=1) - 1
    return features, (rng.random(n) < 1 / (1 + np.exp(-odds))).astype(np.int64)


def quick(seed: int) -> object:
    return QUICK.estimator((0, 0, 0), seed=seed)


class Guess:
    """An estimator that answers by chance alone."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)

    def fit(self, features: np.ndarray, labels: np.ndarray) -> Guess:
        return self

    def predict_proba(self, features: np.ndarray) -> np.ndarray:
        told = self.rng.random(len(features))
        return np.column_stack([1 - told, told])


def test_a_guess_is_found_unstable_and_a_model_of_the_data_is_not() -> None:
    features, labels = world(1_500)
    _, guessed = measure_seeds(Guess, features, labels, seeds=range(5))
    area, learned = measure_seeds(
        lambda seed: LogisticRegression(), features, labels, seeds=range(5)
    )
    # Five uniform numbers have a mean standard deviation of 0.27 or so.
    assert guessed.value == pytest.approx(0.28, abs=0.03)
    assert learned.value < 0.02  # type: ignore[operator]
    assert area.low < area.value < area.high  # type: ignore[operator]
    assert area.value < 0.005  # type: ignore[operator]
    assert "5 areas" in area.reason


def test_a_single_split_moves_more_than_the_whole_sample() -> None:
    features, labels = world(1_500)
    seeds, _ = measure_seeds(quick, features, labels, seeds=range(4))
    splits = measure_subsamples(quick, features, labels, seed=0)
    assert splits.value > seeds.value  # type: ignore[operator]
    assert splits == measure_subsamples(quick, features, labels, seed=0)
    assert splits.n == 1_500


def test_more_customers_teach_more() -> None:
    features, labels = world(2_000)
    curve = measure_learning(quick, features, labels, seed=0, shares=(0.05, 1.0))
    assert [point.scope["rows"] for point in curve] == ["80", "1600"]
    assert curve[0].high < curve[1].low  # type: ignore[operator]
    assert {point.n for point in curve} == {2_000}


def test_the_whole_share_is_the_model_itself() -> None:
    features, labels = world(600)
    (whole,) = measure_learning(quick, features, labels, seed=3, shares=(1.0,))
    from training import discrimination, evaluation

    result = evaluation.out_of_fold(lambda: quick(3), features, labels, seed=3)
    assert whole.value == discrimination.measure_auc(labels, result.probability).value


def test_one_repetition_has_no_spread() -> None:
    features, labels = world(100)
    with pytest.raises(UsageError, match="1 seeds"):
        measure_seeds(quick, features, labels, seeds=(1,))
    with pytest.raises(UsageError, match="1 splits"):
        measure_subsamples(quick, features, labels, seed=0, splits=1)


def test_an_undefined_area_has_no_spread() -> None:
    features = np.zeros((60, 1))
    labels = np.zeros(60, dtype=np.int64)
    area, _ = measure_seeds(Guess, features, labels, seeds=(0, 1))
    assert area.outcome is Outcome.INCONCLUSIVE
