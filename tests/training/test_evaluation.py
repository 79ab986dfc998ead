"""Out-of-fold evaluation, calibration of a candidate, lift and declared directions."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from decisions.features import FeatureSpec
from governance.measurement import Measurement
from governance.measures import calibration
from governance.measures.calibration import (
    measure_calibration_error,
    measure_calibration_line,
    measure_noise_floor,
)
from governance.outcome import Outcome
from training import evaluation
from training.evaluation import (
    OutOfFold,
    evaluate,
    judge_calibration,
    measure_lift,
    measure_violations,
    out_of_fold,
)
from training.recipes import CHALLENGER, CHAMPION, SIMPLER, Recipe

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
    assert not evaluation.judge_calibration(tuple(found.values())).is_sigmoid_needed


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
    assert evaluation.judge_calibration(evaluate(off, seed=0)).is_sigmoid_needed
    assert not evaluation.judge_calibration(evaluate(off.with_sigmoid(), seed=0)).is_sigmoid_needed


def world(n: int, *, slope: float = 1.0, shift: float = 0.0, seed: int = 0) -> tuple:
    """Labels of a known truth, and probabilities whose log-odds are off by `slope` and `shift`."""
    rng = np.random.default_rng(seed)
    truth = rng.beta(2, 6, n)
    odds = calibration.log_odds(truth)
    told = 1 / (1 + np.exp(-(odds - shift) / slope))
    return (rng.random(n) < truth).astype(np.int64), told


def number(name: str, value: float | None) -> Measurement:
    return Measurement(measure=f"calibration.{name}", value=value, n=1_000)


@pytest.mark.parametrize(
    ("slope", "error", "floor", "is_needed"),
    [
        (1.0, 0.007, 0.008, False),
        (0.9, 0.007, 0.008, False),
        (1.1, 0.008, 0.008, False),
        (0.89, 0.001, 0.008, True),
        (1.11, 0.001, 0.008, True),
        (1.0, 0.0081, 0.008, True),
        (None, 0.001, 0.008, True),
        (1.0, None, 0.008, True),
    ],
)
def test_a_sigmoid_is_fitted_only_where_it_is_needed(
    slope: float | None, error: float | None, floor: float, is_needed: bool
) -> None:
    numbers = {"slope": slope, "ece": error, "ece_floor": floor}
    verdict = judge_calibration([number(name, value) for name, value in numbers.items()])
    assert verdict.is_sigmoid_needed is is_needed
    assert ("undefined" in verdict.reason) is (slope is None or error is None)
    # Nothing that is undefined lies outside a range.
    assert slope is not None or "outside" not in verdict.reason


def test_a_too_confident_world_is_found_and_a_clean_one_is_not() -> None:
    def verdict(slope: float) -> bool:
        labels, probability = world(20_000, slope=slope)
        return judge_calibration(
            [
                measure_calibration_line(labels, probability)[0],
                measure_calibration_error(labels, probability, seed=0),
                measure_noise_floor(probability, seed=0),
            ]
        ).is_sigmoid_needed

    assert verdict(0.6)
    assert not verdict(1.0)


def test_the_table_is_as_worked_by_hand() -> None:
    # Ten customers, four defaults: three among the riskier five, one among the safer five.
    labels = np.array([1, 1, 0, 1, 0, 0, 1, 0, 0, 0])
    told = np.linspace(0.9, 0.1, 10)
    ratio, captured, second, whole = measure_lift(labels, told, parts=2)
    assert ratio.value == pytest.approx((3 / 5) / 0.4)
    assert captured.value == pytest.approx(3 / 4)
    assert second.value == pytest.approx((1 / 5) / 0.4)
    assert whole.value == 1.0
    assert (ratio.n, captured.n) == (5, 4)
    # Wilson's interval of 3 in 5 is 0.2307 to 0.8824.
    assert ratio.low == pytest.approx(0.2307 / 0.4, abs=1e-3)
    assert ratio.high == pytest.approx(0.8824 / 0.4, abs=1e-3)


@given(st.lists(st.tuples(st.integers(0, 1), st.integers(0, 9)), min_size=10, max_size=80))
def test_the_parts_add_up_to_the_whole(rows: list[tuple[int, int]]) -> None:
    labels, told = (np.array(part) for part in zip(*rows, strict=True))
    table = measure_lift(labels, told / 10)
    if len(np.unique(labels)) < 2:
        assert [found.outcome for found in table] == [Outcome.INCONCLUSIVE]
        return
    ratios, captured = table[::2], table[1::2]
    assert sum(found.n for found in ratios) == len(labels)
    mean = sum(found.value * found.n for found in ratios) / len(labels)  # type: ignore[operator]
    assert mean == pytest.approx(1.0)
    shares = [found.value for found in captured]
    assert shares == sorted(shares)  # type: ignore[type-var]
    assert shares[-1] == 1.0


def test_too_few_customers_are_inconclusive() -> None:
    (found,) = measure_lift(np.array([0, 1]), np.array([0.1, 0.9]))
    assert found.outcome is Outcome.INCONCLUSIVE
    assert "fewer than 10" in found.reason


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
    first, again = (evaluation.drawn_rows(many, seed=3) for _ in range(2))
    assert len(first) == evaluation.DIRECTION_ROWS < len(many)
    assert np.array_equal(first, again)
    assert evaluation.drawn_rows(features, seed=3) is features


def test_without_a_direction_nothing_was_promised(features: np.ndarray) -> None:
    for rows, signs in ((features, (0, 0, 0)), (features[:0], (1, 1, 1))):
        found = measure_violations(Line(1.0, 1.0, 1.0), rows, NAMES, signs)
        assert found.outcome is Outcome.INCONCLUSIVE
