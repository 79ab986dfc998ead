from __future__ import annotations

import numpy as np
import pytest

from governance.outcome import Outcome
from training import evaluation, fitted
from training.direction import measure_violations
from training.recipes import CHAMPION, SIMPLER

NAMES = ("arrears", "load", "free")


class Line:
    """A logistic line with these weights."""

    def __init__(self, *weights: float) -> None:
        self.weights = np.array(weights)

    def predict_proba(self, features: np.ndarray) -> np.ndarray:
        told = 1 / (1 + np.exp(-features @ self.weights))
        return np.column_stack([1 - told, told])


@pytest.fixture(scope="module")
def features() -> np.ndarray:
    rng = np.random.default_rng(0)
    return np.column_stack([rng.poisson(1.0, 400), rng.normal(size=(400, 2))]).astype(np.float64)


def test_a_model_that_keeps_its_promises_has_no_violation(features: np.ndarray) -> None:
    found = measure_violations(Line(1.0, -1.0, 5.0), features, NAMES, (1, -1, 0))
    assert (found.value, found.n) == (0.0, 800)
    assert "worst: none" in found.reason


def test_a_broken_promise_is_counted_and_named(features: np.ndarray) -> None:
    found = measure_violations(Line(1.0, 1.0, 0.0), features, NAMES, (1, -1, 0))
    # Everybody but the customers who are already among the worst twentieth looks safer.
    assert 375 <= found.value < 400  # type: ignore[operator]
    assert "load" in found.reason
    assert "arrears" not in found.reason


@pytest.mark.parametrize("recipe", [CHAMPION, SIMPLER], ids=["champion", "simpler"])
def test_a_recipe_keeps_what_the_spec_declares(features: np.ndarray, recipe: object) -> None:
    rng = np.random.default_rng(1)
    # The truth goes against the declared direction, so that only the constraint can keep it.
    labels = (rng.random(400) < 1 / (1 + np.exp(features[:, 0] - features[:, 1]))).astype(np.int64)
    made = evaluation.fit(recipe.estimator((1, 1, 0), seed=0), features, labels)  # type: ignore[attr-defined]
    assert measure_violations(made, features, NAMES, (1, 1, 0)).value == 0.0


def test_only_so_many_customers_are_asked_and_always_the_same(features: np.ndarray) -> None:
    many = np.repeat(features, 20, axis=0)
    first, again = (fitted._asked(many, seed=3) for _ in range(2))
    assert len(first) == fitted.ASKED_ROWS < len(many)
    assert np.array_equal(first, again)
    assert fitted._asked(features, seed=3) is features


def test_without_a_direction_nothing_was_promised(features: np.ndarray) -> None:
    for rows, signs in ((features, (0, 0, 0)), (features[:0], (1, 1, 1))):
        found = measure_violations(Line(1.0, 1.0, 1.0), rows, NAMES, signs)
        assert found.outcome is Outcome.INCONCLUSIVE
