from __future__ import annotations

import numpy as np
import pytest

from decisions.features import FeatureSpec
from governance.measurement import Measurement
from training import evaluation
from training.evaluation import OutOfFold, evaluate, out_of_fold
from training.recipes import CHALLENGER, CHAMPION, Recipe

Design = tuple[np.ndarray, np.ndarray]


def scored(recipe: Recipe, spec: FeatureSpec, design: Design) -> OutOfFold:
    return out_of_fold(lambda: recipe.estimator(spec.signs, seed=0), *design, seed=0)


def named(measured: tuple[Measurement, ...]) -> dict[str, Measurement]:
    return {found.measure: found for found in measured}


@pytest.fixture(scope="module")
def champion(uci_spec: FeatureSpec, uci_design: Design) -> OutOfFold:
    return scored(CHAMPION, uci_spec, uci_design)


def test_the_champion_reaches_its_figures_on_the_real_customers(champion: OutOfFold) -> None:
    found = named(evaluate(champion, seed=0))
    assert found["discrimination.auc"].value >= 0.784  # type: ignore[operator]
    assert found["discrimination.ks"].value >= 0.433  # type: ignore[operator]
    assert found["calibration.brier"].value <= 0.1345  # type: ignore[operator]
    assert found["calibration.ece"].value <= found["calibration.ece_floor"].value  # type: ignore[operator]
    assert 0.95 <= found["calibration.slope"].value <= 1.05  # type: ignore[operator]
    assert not evaluation.verdict(tuple(found.values())).is_sigmoid_needed


def test_the_challenger_reaches_its_figures_on_the_real_customers(
    uci_spec: FeatureSpec, uci_design: Design
) -> None:
    found = named(evaluate(scored(CHALLENGER, uci_spec, uci_design), seed=0))
    assert found["discrimination.auc"].value >= 0.778  # type: ignore[operator]
    assert found["discrimination.ks"].value >= 0.43  # type: ignore[operator]
    assert found["calibration.ece"].value <= found["calibration.ece_floor"].value  # type: ignore[operator]
    assert 0.95 <= found["calibration.slope"].value <= 1.05  # type: ignore[operator]


def test_every_number_has_n_and_interval(champion: OutOfFold) -> None:
    for found in evaluate(champion, seed=0):
        assert found.n == 30_000
        assert found.low < found.value < found.high  # type: ignore[operator]


def test_the_same_seed_measures_the_same(champion: OutOfFold) -> None:
    assert evaluate(champion, seed=5) == evaluate(champion, seed=5)


class Memory:
    """An estimator that knows the rows it was fitted on and nothing else."""

    def fit(self, features: np.ndarray, labels: np.ndarray) -> Memory:
        self.known = dict(zip(features[:, 0].tolist(), labels.tolist(), strict=True))
        return self

    def predict_proba(self, features: np.ndarray) -> np.ndarray:
        seen = np.array([self.known.get(key, 0.5) for key in features[:, 0].tolist()])
        return np.column_stack([1 - seen, seen])


def test_no_row_is_scored_by_a_model_that_saw_it() -> None:
    rng, ticks = np.random.default_rng(0), []
    labels = (rng.random(500) < 0.3).astype(np.int64)
    features = np.arange(500, dtype=np.float64)[:, None]
    result = out_of_fold(Memory, features, labels, seed=0, done=lambda: ticks.append(1))
    assert set(result.probability.tolist()) == {0.5}
    assert np.bincount(result.fold).tolist() == [100] * 5
    assert len(ticks) == 5


def test_the_sigmoid_of_a_fold_is_fitted_on_the_other_folds() -> None:
    rng = np.random.default_rng(1)
    probability, fold = rng.uniform(0.05, 0.95, 2_000), np.arange(2_000) % 5
    labels = (rng.random(2_000) < probability).astype(np.int64)
    whole = OutOfFold(labels=labels, probability=probability, fold=fold).with_sigmoid()
    turned = labels.copy()
    turned[fold == 3] = 1 - turned[fold == 3]
    again = OutOfFold(labels=turned, probability=probability, fold=fold).with_sigmoid()
    assert (again.probability[fold == 3] == whole.probability[fold == 3]).all()
    assert not (again.probability[fold == 0] == whole.probability[fold == 0]).any()


def test_a_sigmoid_mends_a_shifted_probability() -> None:
    rng = np.random.default_rng(2)
    truth = rng.beta(2, 6, 10_000)
    labels = (rng.random(10_000) < truth).astype(np.int64)
    shifted = truth / (truth + (1 - truth) * 0.4)
    off = OutOfFold(labels=labels, probability=shifted, fold=np.arange(10_000) % 5)
    assert evaluation.verdict(evaluate(off, seed=0)).is_sigmoid_needed
    assert not evaluation.verdict(evaluate(off.with_sigmoid(), seed=0)).is_sigmoid_needed
