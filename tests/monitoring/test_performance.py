"""The validator knows noise from error, and its interval of the area covers the truth."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from governance.measures.comparison import measure_accuracy
from governance.measures.discrimination import measure_auc
from governance.outcome import Outcome
from monitoring.performance import measure_performance


def _world(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:  # type: ignore[type-arg]
    generator = np.random.default_rng(seed)
    score = generator.beta(2, 7, n)
    return score, (generator.random(n) < score).astype(np.int64)


def test_the_area_interval_covers_the_truth() -> None:
    truth = roc_auc_score(*reversed(_world(400_000, 2)))
    covered = []
    for seed in range(200):
        score, defaulted = _world(600, 10 + seed)
        found = measure_auc(defaulted, score)
        covered.append((found.low or 0) <= truth <= (found.high or 1))
    assert np.mean(covered) >= 0.91


def test_a_calibrated_model_is_found_calibrated() -> None:
    score, defaulted = _world(20_000, 5)
    found = {m.measure: m for m in measure_performance(defaulted, score, seed=1)}
    for measure, truth in (("observed_over_expected", 1.0), ("slope", 1.0), ("intercept", 0.0)):
        measured = found[f"calibration.{measure}"]
        assert (measured.low or 0) <= truth <= (measured.high or 0)
    assert (found["calibration.ece"].value or 0) < (found["calibration.ece_floor"].value or 0)


def test_a_reweighted_model_is_found_miscalibrated() -> None:
    score, defaulted = _world(20_000, 4)
    inflated = 3 * score / (1 + 2 * score)
    found = {m.measure: m for m in measure_performance(defaulted, inflated, seed=1)}
    assert (found["calibration.observed_over_expected"].high or 9) < 0.9
    assert (found["calibration.ece"].value or 0) > 5 * (found["calibration.ece_floor"].value or 0)


@pytest.mark.parametrize("defaulted", [np.zeros(500, int), np.ones(500, int)])
def test_without_both_outcomes_nothing_is_claimed(defaulted: np.ndarray) -> None:  # type: ignore[type-arg]
    score = np.linspace(0.01, 0.5, 500)
    measured = measure_performance(defaulted, score, seed=1)
    assert {m.outcome for m in measured} == {Outcome.INCONCLUSIVE}
    assert {m.value for m in measured} == {None}


def test_too_few_known_outcomes_silence_every_figure_of_theirs() -> None:
    score, defaulted = _world(500, 3)
    measured = measure_performance(defaulted, score, seed=1, doubt="only 94 % have matured")
    assert {(m.value, m.outcome) for m in measured} == {(None, Outcome.INCONCLUSIVE)}
    assert {m.reason for m in measured} == {"only 94 % have matured"}
    paired = measure_accuracy(
        {"v": score, "a": score},
        defaulted == 1,
        version="v",
        seed=1,
        doubt="only 94 % have matured",
    )
    assert {(m.value, m.outcome) for m in paired} == {(None, Outcome.INCONCLUSIVE)}
