from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import brier_score_loss, log_loss

from governance.measures import calibration
from governance.measures.calibration import (
    measure_brier,
    measure_calibration_error,
    measure_calibration_line,
    measure_log_loss,
    measure_noise_floor,
)
from governance.outcome import Outcome

ROWS = st.lists(st.tuples(st.integers(0, 1), st.floats(0.01, 0.99)), min_size=2, max_size=60)


def world(n: int, *, slope: float = 1.0, shift: float = 0.0, seed: int = 0) -> tuple:
    """Labels of a known truth, and probabilities whose log-odds are off by `slope` and `shift`."""
    rng = np.random.default_rng(seed)
    truth = rng.beta(2, 6, n)
    odds = calibration.log_odds(truth)
    told = 1 / (1 + np.exp(-(odds - shift) / slope))
    return (rng.random(n) < truth).astype(np.int64), told


@given(rows=ROWS)
@settings(deadline=None)
def test_losses_agree_with_scikit_learn(rows: list[tuple[int, float]]) -> None:
    labels, probability = (np.array(part) for part in zip(*rows, strict=True))
    assert measure_brier(labels, probability).value == pytest.approx(
        brier_score_loss(labels, probability)
    )
    assert measure_log_loss(labels, probability).value == pytest.approx(
        log_loss(labels, probability, labels=[0, 1])
    )


def test_certain_and_wrong_is_a_finite_loss() -> None:
    found = measure_log_loss(np.array([1, 0]), np.array([0.0, 1.0]))
    assert found.value == pytest.approx(-np.log(1e-15), rel=1e-3)


def test_the_error_is_as_worked_by_hand() -> None:
    # Two bins of equal probabilities: |0.5 * 4 - 1| = 1 and |0.9 * 4 - 4| = 0.4; 1.4 / 8 in all.
    labels = np.array([1, 0, 0, 0, 1, 1, 1, 1])
    probability = np.array([0.5] * 4 + [0.9] * 4)
    found = measure_calibration_error(labels, probability, seed=0)
    assert found.value == pytest.approx(0.175)


def test_a_perfect_model_stays_below_its_noise_floor_nineteen_times_in_twenty() -> None:
    above = 0
    for seed in range(100):
        labels, probability = world(2_000, seed=seed)
        error = measure_calibration_error(labels, probability, seed=0)
        floor = measure_noise_floor(probability, seed=0)
        above += error.value > floor.value  # type: ignore[operator]
    assert above <= 12


@pytest.mark.parametrize(("slope", "shift"), [(0.5, 0.0), (2.0, 0.0), (1.0, 0.7), (0.7, -0.5)])
def test_the_intervals_cover_the_planted_slope_and_intercept(slope: float, shift: float) -> None:
    hits = np.zeros(2)
    for seed in range(100):
        lines = measure_calibration_line(*world(2_000, slope=slope, shift=shift, seed=seed))
        for place, (found, truth) in enumerate(zip(lines, (slope, shift), strict=True)):
            hits[place] += found.low <= truth <= found.high  # type: ignore[operator]
    assert (hits >= 88).all()


def test_the_line_is_the_maximum_likelihood_of_a_logistic_regression() -> None:
    labels, probability = world(5_000, slope=0.8, shift=0.3)
    odds = calibration.log_odds(probability)[:, None]
    other = LogisticRegression(C=1e12, tol=1e-10).fit(odds, labels)
    slope, intercept = measure_calibration_line(labels, probability)
    assert slope.value == pytest.approx(other.coef_[0, 0], abs=1e-4)
    assert intercept.value == pytest.approx(other.intercept_[0], abs=1e-4)


@pytest.mark.parametrize(
    ("labels", "probability"),
    [
        ([0, 0, 0, 0], [0.1, 0.2, 0.3, 0.4]),
        ([0, 1, 0, 1], [0.2, 0.2, 0.2, 0.2]),
        ([0, 0, 1, 1], [0.1, 0.2, 0.8, 0.9]),
    ],
    ids=["one class", "constant", "separated"],
)
def test_a_line_without_a_maximum_is_inconclusive(
    labels: list[int], probability: list[float]
) -> None:
    for found in measure_calibration_line(np.array(labels), np.array(probability)):
        assert found.value is None
        assert found.outcome is Outcome.INCONCLUSIVE


def test_an_interval_holds_its_value_or_is_undefined() -> None:
    undefined = 0
    for seed in range(30):
        found = measure_calibration_error(*world(1_500, seed=seed), seed=0)
        undefined += found.low is None
        assert (found.low is None) is (found.high is None)
        assert found.low is None or found.low <= found.value <= found.high  # type: ignore[operator]
    # The worlds are perfectly calibrated, so that some errors are nothing but noise.
    assert 0 < undefined < 30


def test_the_floor_says_its_percentile_and_its_mean() -> None:
    _, probability = world(2_000)
    floor = measure_noise_floor(probability, seed=0)
    assert floor.low <= floor.value <= floor.high  # type: ignore[operator]
    mean = float(floor.reason.rpartition(" ")[2].rstrip("."))
    assert 0 < mean < floor.value  # type: ignore[operator]
    assert measure_noise_floor(probability, seed=0) == floor


def test_no_rows_are_inconclusive() -> None:
    none = np.array([], dtype=np.float64)
    for found in (
        measure_brier(none.astype(np.int64), none),
        measure_log_loss(none.astype(np.int64), none),
        measure_calibration_error(none.astype(np.int64), none, seed=0),
        measure_noise_floor(none, seed=0),
    ):
        assert found.value is None
        assert found.outcome is Outcome.INCONCLUSIVE
