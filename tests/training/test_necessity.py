from __future__ import annotations

import numpy as np
import pytest

from limits.features import FeatureSpec
from training import necessity
from training.necessity import Asked, Dropped, Necessity, Verdict
from training.recipes import Recipe

QUICK = Recipe(
    name="quick",
    title="Quick",
    parameters={"max_iter": 40, "max_leaf_nodes": 4, "max_features": 0.7, "early_stopping": False},
)
HEAD = """
schema = "feature-spec/1"
id = "planted"
version = "1"
title = "Planted"
horizon_months = 1
currency = "TWD"
current_limit_column = "line"
"""
TAIL = """
[inputs]
current_limit_minor = "line"
balance_minor = "line"
utilization = "line"
months_delinquent = "line"
months_since_raise = "line"
months_since_cut = "line"
segment = "'consumer'"
"""
FEATURES = {
    "strong": "a",
    "useless": "b",
    "twin": "c",
    "other_twin": "c",
    "constant": "d",
    "client_age": "e",
}


def planted(n: int = 3_000, seed: int = 0) -> Asked:
    """One feature that matters, one that does not, and one that comes twice."""
    rng = np.random.default_rng(seed)
    columns = rng.normal(size=(n, 6))
    columns[:, 3] = columns[:, 2] + rng.normal(0, 0.01, n)
    columns[:, 4] = 7.0
    odds = 1.2 * columns[:, 0] + 0.9 * columns[:, 2] - 1
    labels = (rng.random(n) < 1 / (1 + np.exp(-odds))).astype(np.int64)
    text = HEAD + "".join(
        f'\n[[features]]\nname = "{name}"\nsql = "{name}"\nsources = ["{name}"]\nsign = 0\n'
        f'reason_group = "{group}"\nwhy = "Why {name}."\n'
        for name, group in FEATURES.items()
    )
    spec = FeatureSpec.parse(text + TAIL)
    return Asked(recipe=QUICK, spec=spec, features=columns, labels=labels, seed=0)


@pytest.fixture(scope="module")
def found() -> Necessity:
    return necessity.measure_necessity(planted())


def named(found: Necessity) -> dict[tuple[str, bool], Dropped]:
    return {(item.name, item.is_group): item for item in found.dropped}


def test_a_feature_that_carries_the_outcome_is_needed(found: Necessity) -> None:
    strong = named(found)[("strong", False)]
    assert strong.verdict is Verdict.NEEDED
    assert strong.log_loss.low > found.luck.value  # type: ignore[operator]
    assert strong.auc.low > 0  # type: ignore[operator]
    assert strong.why == "Why strong."


def test_noise_and_a_constant_are_not_shown_to_be_needed(found: Necessity) -> None:
    for name in ("useless", "constant", "client_age"):
        item = named(found)[(name, False)]
        assert item.told == "not shown to be needed"
        assert item.alike == ()


def test_twins_are_redundant_with_each_other_and_needed_together(found: Necessity) -> None:
    assert named(found)[("twin", False)].told == "redundant with other_twin"
    assert named(found)[("other_twin", False)].told == "redundant with twin"
    together = named(found)[("c", True)]
    assert together.features == ("twin", "other_twin")
    assert together.verdict is Verdict.NEEDED
    # A group of one feature is that feature.
    assert [item.name for item in found.dropped if item.is_group] == ["c"]


def test_every_number_has_n_and_interval_and_luck_is_said(found: Necessity) -> None:
    assert found.luck.value > 0  # type: ignore[operator]
    assert found.luck.low <= found.luck.value <= found.luck.high  # type: ignore[operator]
    for item in found.dropped:
        for measured in (item.log_loss, item.auc):
            assert measured.n == 3_000
            assert measured.low <= measured.value <= measured.high  # type: ignore[operator]
            assert set(measured.scope.values()) == {item.name}


def test_what_is_named_like_a_protected_attribute_is_marked(found: Necessity) -> None:
    marked = [item.name for item in found.dropped if item.is_protected]
    assert marked == ["client_age"]


def test_a_clean_world_of_noise_needs_nothing() -> None:
    asked = planted(1_500, seed=5)
    rng = np.random.default_rng(1)
    noise = rng.permutation(asked.labels)
    steps: list[str] = []
    blind = Asked(
        recipe=asked.recipe, spec=asked.spec, features=asked.features, labels=noise, seed=0
    )
    found = necessity.measure_necessity(blind, done=steps.append)
    assert not any(item.verdict is Verdict.NEEDED for item in found.dropped)
    assert len(steps) == necessity.steps(asked.spec)
