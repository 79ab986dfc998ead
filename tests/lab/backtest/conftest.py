"""A small world, a default model that was fitted on another one, and policies to live in it."""

from __future__ import annotations

import copy
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pytest

from lab.backtest import learner, loop
from lab.backtest.learner import Scorer
from lab.backtest.loop import Begun
from lab.backtest.strategy import Files
from lab.backtest.trial import Trial
from lab.optimizer import economics as prices
from lab.optimizer.economics import Economics
from lab.world.settings import WorldSettings, packaged
from limits import features
from limits import policy as policies
from limits.features import FeatureSpec
from limits.policy import LimitPolicy
from training import recipes

ACCOUNTS = 500
SEED = 11

MakeFiles = Callable[..., Files]


def changed(text: str, changes: Mapping[str, Any]) -> dict[str, Any]:
    """A declared file with other values at dotted places; None takes a section out."""
    document = copy.deepcopy(tomllib.loads(text))
    for place, value in changes.items():
        *path, last = place.split(".")
        part = document
        for name in path:
            part = part[name]
        if value is None:
            part.pop(last, None)
        else:
            part[last] = value
    return document


@pytest.fixture(scope="session")
def filed() -> WorldSettings:
    return WorldSettings.parse(packaged())


@pytest.fixture(scope="session")
def spec() -> FeatureSpec:
    return FeatureSpec.parse(features.packaged("world_features"))


@pytest.fixture(scope="session")
def scorer(filed: WorldSettings, spec: FeatureSpec) -> Scorer:
    quick = replace(recipes.CHAMPION, parameters={**recipes.CHAMPION.parameters, "max_iter": 40})
    return learner.learn(filed, spec, accounts=4_000, recipe=quick)


@pytest.fixture(scope="session")
def make_files(scorer: Scorer) -> MakeFiles:
    def make(
        policy: Mapping[str, Any] | None = None, economics: Mapping[str, Any] | None = None
    ) -> Files:
        rules = changed(policies.packaged("world_demo"), policy or {})
        terms = changed(prices.packaged("world"), economics or {})
        return Files(
            policy=LimitPolicy.model_validate(rules),
            economics=Economics.model_validate(terms),
            scorer=scorer,
        )

    return make


# A policy under which nothing may move, whoever asks.
BANDS = ("A", "B", "C", "D", "E", "F")
STILL: dict[str, Any] = {
    **{f"matrix.{band}": [1.0] * 4 for band in BANDS},
    **{f"envelope.bands.{band}": {"least": 1.0, "most": 1.0} for band in BANDS},
    "early_warning.cut_to": 1.0,
    "business": None,
}


@pytest.fixture(scope="session")
def still() -> dict[str, Any]:
    return STILL


@pytest.fixture(scope="session")
def trial(filed: WorldSettings) -> Trial:
    return Trial(filed=filed, months=24)


@pytest.fixture(scope="session")
def begun(trial: Trial, make_files: MakeFiles) -> Begun:
    return loop.begin(trial.lived(SEED, ACCOUNTS), make_files())
