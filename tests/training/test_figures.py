from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from decisions.features import FeatureSpec
from training import breakdown, figures
from training.evaluation import OutOfFold, measure_lift
from training.figures import SMALLEST_GROUP, measure_effects


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


def test_the_same_candidate_gives_the_same_pictures(tmp_path: Path, shop_spec: str) -> None:
    told = result(np.random.default_rng(1).beta(2, 6, 500))
    month = np.datetime64("2026-01-15") + 31 * (np.arange(500) % 3)
    measured = (
        *measure_lift(told.labels, told.probability),
        *breakdown.by_vintage(told, month, seed=0),
    )
    grid = np.random.default_rng(2).uniform(size=(300, 3))
    spec, drawn = FeatureSpec.parse(shop_spec), []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        paths = dict(figures.draw(tmp_path / name, told, measured))
        path = tmp_path / name / "directions.png"
        paths["directions"] = figures.draw_directions(path, Steep(), grid, spec, seed=0)
        drawn.append({key: path.read_bytes() for key, path in paths.items()})
    assert drawn[0] == drawn[1]
    assert set(drawn[0]) == {"reliability", "separation", "lift", "vintages", "directions"}
    assert all(picture[:4] == b"\x89PNG" for picture in drawn[0].values())


def test_the_pictures_of_separation_and_direction_say_how_many_and_how_sure(shop_spec: str) -> None:
    told = result(np.random.default_rng(1).beta(2, 6, 500))
    separation = figures._separation(told)
    assert "n = 500" in separation.get_suptitle()
    assert "95 % interval" in separation.axes[0].get_title()
    (axes,) = figures._directions([0.2, 0.0, -0.1], FeatureSpec.parse(shop_spec), 500).axes
    assert "n = 500" in axes.get_title()


class Steep:
    """An estimator of one feature: the probability is that feature."""

    def predict_proba(self, features: np.ndarray) -> np.ndarray:
        return np.column_stack([1 - features[:, 0], features[:, 0]])


def test_an_effect_is_the_move_from_the_fifth_to_the_ninety_fifth_percentile() -> None:
    grid = np.column_stack([np.linspace(0, 1, 101), np.linspace(0, 1, 101)])
    moved, idle = measure_effects(Steep(), grid, seed=0)
    assert moved == pytest.approx(0.9)
    assert idle == 0.0
