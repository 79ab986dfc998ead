from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from governance.errors import UsageError
from registry import serialize
from training import evaluation, recipes
from training.recipes import CHALLENGER, CHAMPION, FLOOR, RECIPES, Recipe

SIGNS = (1, -1, 0, 1)


def world(n: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(n, 4)).round(2)
    odds = features[:, 0] - features[:, 1] + np.sin(3 * features[:, 2]) * features[:, 3] - 1
    return features, (rng.random(n) < 1 / (1 + np.exp(-odds))).astype(np.int64)


@pytest.fixture(scope="module", params=[CHAMPION, CHALLENGER], ids=["champion", "challenger"])
def fitted(request: pytest.FixtureRequest) -> tuple[Recipe, object]:
    features, labels = world(3_000)
    return request.param, evaluation.fit(request.param.estimator(SIGNS, seed=0), features, labels)


def test_no_customer_profits_from_a_worse_feature(fitted: tuple) -> None:
    features, _ = world(2_000, seed=1)
    before = evaluation.predict(fitted[1], features)
    for column, sign in enumerate(SIGNS):
        for step in (0.05, 0.7, 3.0):
            moved = features.copy()
            moved[:, column] += step
            change = (evaluation.predict(fitted[1], moved) - before) * sign
            assert sign == 0 or change.min() >= 0


def test_the_challenger_adds_up_and_the_champion_need_not(fitted: tuple) -> None:
    recipe, estimator = fitted
    features, _ = world(500, seed=2)
    moved = features.copy()
    moved[:, 2] = 0.5
    other = features.copy()
    other[:, 3] = 1.0
    both = moved.copy()
    both[:, 3] = 1.0
    odds = estimator.decision_function
    interaction = np.abs(odds(both) - odds(moved) - odds(other) + odds(features)).max()
    assert bool(interaction < 1e-9) is (recipe is CHALLENGER)


def test_the_number_of_threads_changes_nothing() -> None:
    features, labels = world(1_500)
    fits = []
    for threads in (1, 2):
        with threadpool_limits(limits=threads, user_api="openmp"):
            fits.append(CHAMPION.estimator(SIGNS, seed=0).fit(features, labels))
    one, two = (fit.predict_proba(features) for fit in fits)
    assert (one == two).all()


FIT = """
import sys
from pathlib import Path
import numpy as np
from registry import serialize
from training.recipes import RECIPES
rng = np.random.default_rng(0)
features = rng.normal(size=(2_000, 4)).round(2)
labels = (rng.random(2_000) < 1 / (1 + np.exp(-features[:, 0]))).astype(int)
fitted = RECIPES[sys.argv[1]].estimator((1, -1, 0, 1), seed=0).fit(features, labels)
print(getattr(getattr(fitted, "_bin_mapper", None), "n_threads", 0))
print(serialize.dump(fitted, Path(sys.argv[2])))
"""


@pytest.mark.parametrize("name", ["champion", "challenger"])
def test_the_canonical_digest_is_the_same_on_one_thread_and_on_two(
    name: str, tmp_path: Path
) -> None:
    told = []
    for threads in ("1", "2"):
        done = subprocess.run(
            [sys.executable, "-c", FIT, name, str(tmp_path / f"{threads}.skops")],
            capture_output=True,
            text=True,
            check=True,
            env={**os.environ, "OMP_NUM_THREADS": threads, "OMP_WAIT_POLICY": "PASSIVE"},
        )
        told.append(done.stdout.split())
    (one, digest), (two, again) = told
    if os.cpu_count() != 1:
        assert (one, two) == ("1", "2")  # Else nothing was compared.
    assert digest == again


def test_the_fitted_estimator_is_of_allowed_types(fitted: tuple, tmp_path: object) -> None:
    path = tmp_path / "model.skops"  # type: ignore[operator]
    serialize.dump(fitted[1], path)
    features, _ = world(100, seed=3)
    loaded = serialize.load(path)
    assert (evaluation.predict(loaded, features) == evaluation.predict(fitted[1], features)).all()


def test_no_recipe_reweights_classes_or_stops_early() -> None:
    for recipe in RECIPES.values():
        estimator = recipe.estimator(SIGNS, seed=0)
        assert not any(
            value for name, value in estimator.get_params().items() if "class_weight" in name
        )
        if recipe.family is recipes.Family.BOOSTING:
            assert recipe.parameters["early_stopping"] is False


def test_a_recipe_is_chosen_by_name_and_the_challenger_by_its_shorthand() -> None:
    assert recipes.choose(None, is_challenger=False) is CHAMPION
    assert recipes.choose(None, is_challenger=True) is CHALLENGER
    assert recipes.choose("challenger", is_challenger=True) is CHALLENGER
    assert recipes.choose("floor", is_challenger=False) is FLOOR
    with pytest.raises(UsageError, match="no recipe oracle; known: champion, challenger"):
        recipes.choose("oracle", is_challenger=False)
    with pytest.raises(UsageError, match="give one of the two"):
        recipes.choose("floor", is_challenger=True)


def test_the_floor_is_of_allowed_types_and_survives_its_file(tmp_path: Path) -> None:
    features, labels = world(2_000)
    # Most customers are never late: a feature that is nearly always zero has few distinct knots.
    features[:, 0] = np.where(features[:, 0] > 1.5, features[:, 0].round(), 0.0)
    fitted = evaluation.fit(FLOOR.estimator(SIGNS, seed=0), features, labels)
    serialize.dump(fitted, tmp_path / "floor.skops")
    loaded = serialize.load(tmp_path / "floor.skops")
    told = evaluation.predict(fitted, features)
    assert (evaluation.predict(loaded, features) == told).all()
    assert 0.05 < told.mean() < 0.95


def test_a_constant_column_teaches_the_floor_nothing_and_harms_nothing() -> None:
    features, labels = world(2_000)
    features[:, 2] = 7.0
    fitted = evaluation.fit(FLOOR.estimator(SIGNS, seed=0), features, labels)
    moved = features.copy()
    moved[:, 2] = 9.0
    told = evaluation.predict(fitted, features)
    assert np.isfinite(told).all()
    assert evaluation.predict(fitted, moved) == pytest.approx(told, abs=0.02)


def test_the_floor_ends_flat() -> None:
    features, labels = world(2_000)
    fitted = evaluation.fit(FLOOR.estimator(SIGNS, seed=0), features, labels)
    far = features[:2].copy()
    far[:, 1] = (features[:, 1].max(), 1e9)
    far[1, [0, 2, 3]] = far[0, [0, 2, 3]]
    first, second = evaluation.predict(fitted, far)
    assert first == second
