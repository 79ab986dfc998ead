"""The validator's own arithmetic agrees with scikit-learn's and knows noise from error."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import brier_score_loss, roc_auc_score

from governance.outcome import Outcome
from monitoring.calibration import measure_calibration
from monitoring.discrimination import delong, measure_discrimination


def _world(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:  # type: ignore[type-arg]
    generator = np.random.default_rng(seed)
    score = generator.beta(2, 7, n)
    return score, generator.random(n) < score


def test_area_and_brier_equal_those_of_scikit_learn() -> None:
    score, defaulted = _world(4000, 1)
    score = score.round(2)
    area, _ = measure_discrimination(score, defaulted)
    assert area.value == pytest.approx(roc_auc_score(defaulted, score), abs=1e-12)
    found = {m.measure: m.value for m in measure_calibration(score.clip(0.01), defaulted, seed=1)}
    assert found["calibration.brier"] == pytest.approx(
        brier_score_loss(defaulted, score.clip(0.01)), abs=1e-12
    )


def test_the_area_interval_covers_the_truth() -> None:
    truth = roc_auc_score(*reversed(_world(400_000, 2)))
    covered = []
    for seed in range(200):
        _, interval = delong(*_world(600, 10 + seed))
        covered.append((interval.low or 0) <= truth <= (interval.high or 1))
    assert np.mean(covered) >= 0.91


def test_a_calibrated_model_is_found_calibrated() -> None:
    score, defaulted = _world(20_000, 5)
    found = {m.measure: m for m in measure_calibration(score, defaulted, seed=1)}
    for measure, truth in (("observed_over_expected", 1.0), ("slope", 1.0), ("intercept", 0.0)):
        measured = found[f"calibration.{measure}"]
        assert (measured.low or 0) <= truth <= (measured.high or 0)
    assert (found["calibration.ece"].value or 0) < (found["calibration.ece_floor"].value or 0)


def test_a_reweighted_model_is_found_miscalibrated() -> None:
    score, defaulted = _world(20_000, 4)
    inflated = 3 * score / (1 + 2 * score)
    found = {m.measure: m for m in measure_calibration(inflated, defaulted, seed=1)}
    assert (found["calibration.observed_over_expected"].high or 9) < 0.9
    assert (found["calibration.ece"].value or 0) > 5 * (found["calibration.ece_floor"].value or 0)


@pytest.mark.parametrize("defaulted", [np.zeros(500, bool), np.ones(500, bool)])
def test_without_both_outcomes_nothing_is_claimed(defaulted: np.ndarray) -> None:  # type: ignore[type-arg]
    score = np.linspace(0.01, 0.5, 500)
    measured = (
        *measure_discrimination(score, defaulted),
        *measure_calibration(score, defaulted, seed=1),
    )
    assert {m.outcome for m in measured} == {Outcome.INCONCLUSIVE}
    assert {m.value for m in measured} == {None}
