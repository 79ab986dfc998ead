"""Every statistic equals what an outside library computes, ties and small numbers included."""

from __future__ import annotations

import numpy as np
import pytest
import statsmodels.api as sm
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn.calibration import calibration_curve
from sklearn.metrics import brier_score_loss, log_loss, roc_auc_score
from statsmodels.stats.proportion import confint_proportions_2indep

from governance.measurement import Measurement
from governance.measures import calibration, discrimination
from governance.measures.comparison import measure_accuracy
from governance.measures.intervals import clopper_pearson
from governance.outcome import Outcome
from governance.proportion import newcombe, wilson
from monitoring.performance import measure_performance

Rows = tuple[np.ndarray, np.ndarray]  # type: ignore[type-arg]


def book(seed: int, n: int = 3_000, *, decimals: int = 9) -> Rows:
    """Return outcomes and probabilities that are somewhat wrong, with ties if rounded."""
    rng = np.random.default_rng(seed)
    truth = rng.beta(2, 7, n)
    wrong = 1 / (1 + np.exp(-(1.3 * np.log(truth / (1 - truth)) + 0.2)))
    return (rng.random(n) < truth).astype(np.int64), wrong.round(decimals).clip(0.001, 0.999)


@pytest.mark.parametrize("decimals", [9, 2, 1])
@pytest.mark.parametrize("seed", range(3))
def test_figures_equal_those_of_scikit_learn_and_scipy(seed: int, decimals: int) -> None:
    labels, score = book(seed, decimals=decimals)
    found = {m.measure: m.value for m in measure_performance(labels, score, seed=1)}
    events, others = score[labels == 1], score[labels == 0]
    assert found["discrimination.auc"] == pytest.approx(roc_auc_score(labels, score), abs=1e-12)
    distance = stats.ks_2samp(events, others, method="asymp").statistic
    assert found["discrimination.ks"] == pytest.approx(distance, abs=1e-12)
    assert found["calibration.brier"] == pytest.approx(brier_score_loss(labels, score), abs=1e-12)
    assert calibration.measure_log_loss(labels, score).value == pytest.approx(
        log_loss(labels, score), abs=1e-12
    )
    assert found["calibration.ece"] == pytest.approx(_ece(labels, score), abs=1e-12)


def _ece(labels: np.ndarray, score: np.ndarray) -> float:  # type: ignore[type-arg]
    """Return the calibration error from scikit-learn's curve and its own bins."""
    observed, expected = calibration_curve(labels, score, n_bins=15, strategy="quantile")
    edges = np.percentile(score, np.linspace(0, 100, 16))
    sizes = np.bincount(np.searchsorted(edges[1:-1], score), minlength=15)
    return float(np.abs(observed - expected) @ sizes[sizes > 0] / len(score))


@pytest.mark.parametrize("seed", range(3))
def test_the_calibration_line_equals_that_of_statsmodels(seed: int) -> None:
    labels, score = book(seed)
    fitted = sm.Logit(labels, sm.add_constant(np.log(score / (1 - score)))).fit(disp=False)
    slope, intercept = calibration.measure_calibration_line(labels, score)
    for found, place in ((intercept, 0), (slope, 1)):
        assert found.value == pytest.approx(fitted.params[place], abs=1e-6)
        assert (found.low, found.high) == pytest.approx(fitted.conf_int()[place], abs=1e-5)


def test_delongs_variance_is_that_of_its_definition() -> None:
    """Every pair is compared one by one, as the paper writes it."""
    labels, score = book(7, 300, decimals=1)
    events, others = score[labels == 1], score[labels == 0]
    won = (events[:, None] > others) + 0.5 * (events[:, None] == others)
    variance = won.mean(axis=1).var(ddof=1) / len(events) + won.mean(axis=0).var(ddof=1) / len(
        others
    )
    area = won.mean()
    middle, spread = np.log(area / (1 - area)), 1.959964 * np.sqrt(variance) / (area * (1 - area))
    found = discrimination.measure_auc(labels, score)
    ends = [1 / (1 + np.exp(-(middle + side * spread))) for side in (-1, 1)]
    assert (found.low, found.high) == pytest.approx(ends, abs=1e-6)


RATES = st.integers(1, 400).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))


@given(RATES)
@settings(max_examples=80)
def test_intervals_of_a_rate_equal_those_of_scipy(seen: tuple[int, int]) -> None:
    test = stats.binomtest(*seen)
    assert wilson(*seen) == pytest.approx(test.proportion_ci(method="wilson"), abs=1e-9)
    assert clopper_pearson(*seen) == pytest.approx(test.proportion_ci(method="exact"), abs=1e-9)


@given(RATES, RATES)
@settings(max_examples=80)
def test_the_interval_of_a_difference_equals_that_of_statsmodels(
    one: tuple[int, int], other: tuple[int, int]
) -> None:
    theirs = confint_proportions_2indep(*one, *other, compare="diff", method="newcomb")
    found = newcombe(*one, other_events=other[0], other_n=other[1])
    assert found == pytest.approx(theirs, abs=1e-9)


@pytest.mark.parametrize("decimals", [9, 2, 1])
def test_no_figure_depends_on_the_order_of_the_rows(decimals: int) -> None:
    labels, score = book(1, decimals=decimals)
    first = _told(measure_performance(labels, score, seed=1))
    by_outcome = np.lexsort((labels, score))
    for order in (by_outcome, by_outcome[::-1], np.random.default_rng(0).permutation(len(score))):
        again = _told(measure_performance(labels[order], score[order], seed=1))
        assert again == pytest.approx(first, abs=1e-12)
        accuracy = measure_accuracy({"v": score[order]}, labels[order] == 1, version="v", seed=1)
        for found in accuracy:
            assert found.value == pytest.approx(first[found.measure], abs=1e-12)


def _told(found: tuple[Measurement, ...]) -> dict[str, float | None]:
    return {m.measure: m.value for m in found}


def test_two_values_that_cancel_each_other_are_two_bins() -> None:
    """Half is told 10 % and is 20 %, half is told 20 % and is 10 %: the error is 10 %."""
    score = np.repeat([0.1, 0.2], [900, 100])
    labels = np.concatenate([np.arange(900) < 180, np.arange(100) < 10]).astype(np.int64)
    assert calibration.measure_calibration_error(labels, score, seed=0).value == pytest.approx(0.1)


def test_the_noise_floor_is_the_95th_percentile_of_perfect_models() -> None:
    _, score = book(3)
    found = calibration.measure_noise_floor(score, seed=5)
    rng = np.random.default_rng(11)
    drawn = [_ece((rng.random(len(score)) < score).astype(np.int64), score) for _ in range(1_500)]
    low, middle, high = np.quantile(drawn, [0.90, 0.95, 0.98])
    assert found.value == pytest.approx(middle, rel=0.04)
    assert low < (found.value or 0) < high
    rng, score = np.random.default_rng([5, 5]), np.sort(score)
    same = [_ece((rng.random(len(score)) < score).astype(np.int64), score) for _ in range(200)]
    assert found.value == pytest.approx(float(np.quantile(same, 0.95)), abs=1e-12)


@pytest.mark.parametrize(
    ("defaults", "others", "is_told"),
    [(10, 90, True), (9, 91, False), (90, 10, True), (91, 9, False)],
)
def test_ten_of_either_class_are_enough_and_nine_are_not(
    defaults: int, others: int, *, is_told: bool
) -> None:
    labels = np.repeat([1, 0], [defaults, others])
    score = np.random.default_rng(2).uniform(0.05, 0.9, len(labels))
    found = measure_performance(labels, score, seed=1)
    assert {m.outcome is Outcome.INCONCLUSIVE for m in found} == {not is_told}
    assert {m.value is None for m in found} == {not is_told}


def test_a_constant_score_ranks_nobody_and_has_no_line() -> None:
    labels = np.repeat([1, 0], [30, 70])
    found = {m.measure: m for m in measure_performance(labels, np.full(100, 0.3), seed=1)}
    assert found["discrimination.auc"].value == 0.5
    assert found["discrimination.ks"].value == 0.0
    assert found["calibration.observed_over_expected"].value == pytest.approx(1.0)
    assert found["calibration.ece"].value == pytest.approx(0.0)
    assert found["calibration.slope"].outcome is Outcome.INCONCLUSIVE


def test_a_perfect_separation_of_a_few_is_not_certain() -> None:
    for labels in (np.array([0] * 90 + [1] * 10), np.array([1] * 90 + [0] * 10)):
        found = discrimination.measure_auc(labels, np.arange(100.0))
        reach = stats.binomtest(10, 10).proportion_ci(method="exact").low
        if labels[0] == 0:
            assert (found.value, found.high) == (1.0, 1.0)
            assert found.low == pytest.approx(reach)
        else:
            assert (found.value, found.low) == (0.0, 0.0)
            assert found.high == pytest.approx(1 - reach)


def test_no_default_expected_is_no_ratio() -> None:
    found = calibration.measure_observed_over_expected(np.array([0, 1]), np.zeros(2))
    assert (found.value, found.outcome) == (None, Outcome.INCONCLUSIVE)
    assert (found.unit, found.n) == ("ratio", 2)
