from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from training import figures
from training.evaluation import OutOfFold
from training.figures import SMALLEST_GROUP, Effect, measure_effects
from training.lift import measure_lift


def result(probability: np.ndarray, seed: int = 0) -> OutOfFold:
    rng = np.random.default_rng(seed)
    labels = (rng.random(len(probability)) < probability).astype(np.int64)
    return OutOfFold(labels=labels, probability=probability, fold=np.arange(len(labels)) % 5)


@given(
    probability=st.lists(st.integers(0, 12), min_size=20, max_size=400),
    wanted=st.integers(1, 60),
)
@settings(deadline=None)
def test_no_point_stands_for_fewer_than_twenty_customers(
    probability: list[int], wanted: int
) -> None:
    told = np.array(probability) / 12
    groups = figures._groups(result(told), wanted)
    assert min(len(rows) for rows in groups) >= SMALLEST_GROUP
    assert sorted(np.concatenate(groups).tolist()) == list(range(len(told)))
    for before, after in itertools.pairwise(groups):
        assert told[before].max() < told[after].min()


def test_the_same_candidate_gives_the_same_pictures(tmp_path: Path) -> None:
    told = result(np.random.default_rng(1).beta(2, 6, 500))
    effects = (Effect(name="arrears", sign=1, change=0.2), Effect(name="free", sign=0, change=0.0))
    drawn = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        paths = figures.draw(tmp_path / name, told, effects)
        drawn.append({key: path.read_bytes() for key, path in paths.items()})
    assert drawn[0] == drawn[1]
    assert set(drawn[0]) == {"reliability", "separation", "directions"}


def test_the_pictures_of_separation_and_direction_say_how_many_and_how_sure() -> None:
    told = result(np.random.default_rng(1).beta(2, 6, 500))
    separation = figures._separation(told)
    assert "n = 500" in separation.get_suptitle()
    assert "95 % interval" in separation.axes[0].get_title()
    (axes,) = figures._directions((Effect(name="arrears", sign=1, change=0.2),), 500).axes
    assert "n = 500" in axes.get_title()


def test_lift_is_a_picture_and_the_same_bytes_again(tmp_path: Path) -> None:
    told = result(np.random.default_rng(1).beta(2, 6, 500))
    table = measure_lift(told.labels, told.probability)
    first, second = (figures.draw_lift(tmp_path / f"lift{again}.png", table) for again in (1, 2))
    assert first.read_bytes()[:4] == b"\x89PNG"
    assert first.read_bytes() == second.read_bytes()


class Steep:
    """An estimator of one feature: the probability is that feature."""

    def predict_proba(self, features: np.ndarray) -> np.ndarray:
        return np.column_stack([1 - features[:, 0], features[:, 0]])


def test_an_effect_is_the_move_from_the_fifth_to_the_ninety_fifth_percentile() -> None:
    grid = np.column_stack([np.linspace(0, 1, 101), np.linspace(0, 1, 101)])
    moved, idle = measure_effects(Steep(), grid, ("moved", "idle"), (1, 0), seed=0)
    assert moved.change == pytest.approx(0.9)
    assert idle.change == 0.0
