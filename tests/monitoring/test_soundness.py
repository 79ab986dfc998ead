"""A model that rewards worse behavior, or a higher limit, is found out."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from decisions import features, scoring
from decisions.features import FeatureSpec
from monitoring.performance import measure_feedback, measure_monotonicity


@pytest.fixture(scope="module")
def rows(uci: pa.Table) -> pa.Table:
    table = uci.slice(0, 2000)
    return table.append_column("reference_limit", table["limit_bal"])


@pytest.fixture(scope="module")
def spec() -> FeatureSpec:
    return FeatureSpec.parse(features.packaged("uci_features"))


class Frozen:
    """Scores with fixed weights and fixed scales, so that one customer never moves another."""

    def __init__(self, weights: np.ndarray, center: np.ndarray, scale: np.ndarray) -> None:  # type: ignore[type-arg]
        self.weights, self.center, self.scale = weights, center, scale

    def predict_proba(self, X: np.ndarray) -> np.ndarray:  # type: ignore[type-arg]  # noqa: N803
        risk = 1 / (1 + np.exp(-((X - self.center) / self.scale) @ self.weights))
        return np.column_stack([1 - risk, risk])


def _model(spec: FeatureSpec, rows: pa.Table, weights: np.ndarray) -> Frozen:  # type: ignore[type-arg]
    matrix = scoring.design_matrix(spec, features.compute(spec, rows))
    return Frozen(weights, matrix.mean(axis=0), matrix.std(axis=0) + 1)


def test_a_model_that_follows_the_declared_directions_has_no_violation(
    spec: FeatureSpec, rows: pa.Table
) -> None:
    model = _model(spec, rows, 0.1 * np.array(spec.signs, float))
    matrix = scoring.design_matrix(spec, features.compute(spec, rows))
    found = measure_monotonicity(model, spec, matrix)
    assert (found.value, found.n) == (0.0, 2000)


def test_one_weight_against_its_declared_direction_is_found_and_named(
    spec: FeatureSpec, rows: pa.Table
) -> None:
    weights = 0.1 * np.array(spec.signs, float)
    place = spec.names.index("util_now")
    weights[place] *= -1
    matrix = scoring.design_matrix(spec, features.compute(spec, rows))
    found = measure_monotonicity(_model(spec, rows, weights), spec, matrix)
    assert found.value is not None
    assert found.value > 1000
    assert "worst: util_now" in found.reason


def test_a_model_that_does_not_see_the_limit_has_no_feedback(
    spec: FeatureSpec, rows: pa.Table
) -> None:
    model = _model(spec, rows, 0.1 * np.array(spec.signs, float))
    scored = scoring.score(model, spec, rows)
    assert measure_feedback(model, spec, rows, as_scored=scored).value == 0.0


def test_a_limit_that_leaks_into_the_probability_is_found(rows: pa.Table) -> None:
    leaking = FeatureSpec.parse(features.packaged("uci_features_limit_leak"))
    weights = np.zeros(len(leaking.names))
    weights[[i for i, f in enumerate(leaking.features) if "limit_bal" in f.sources]] = -0.5
    model = _model(leaking, rows, weights)
    scored = scoring.score(model, leaking, rows)
    found = measure_feedback(model, leaking, rows, as_scored=scored)
    assert (found.value or 0) > 0.5
