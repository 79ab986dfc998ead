"""A small world, a default model that was fitted on another one, and policies to live in it."""

from __future__ import annotations

import copy
import tomllib
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from decisions import features
from decisions import policy as policies
from decisions.features import FeatureSpec
from decisions.policy import LimitPolicy
from lab.backtest import closed_loop, default_model
from lab.backtest.closed_loop import WarmedUp
from lab.backtest.default_model import DefaultModel
from lab.backtest.strategy import ReviewedFiles
from lab.backtest.trial import Trial
from lab.optimizer import economics as prices
from lab.optimizer.economics import Economics
from lab.world.settings import WorldSettings, packaged

ACCOUNTS = 500
SEED = 11

MakeFiles = Callable[..., ReviewedFiles]


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
def model(filed: WorldSettings, spec: FeatureSpec) -> DefaultModel:
    return default_model.learn(filed, spec, accounts=4_000)


@pytest.fixture(scope="session")
def make_files(model: DefaultModel) -> MakeFiles:
    def make(
        policy: Mapping[str, Any] | None = None, economics: Mapping[str, Any] | None = None
    ) -> ReviewedFiles:
        rules = changed(policies.packaged("world_demo"), policy or {})
        terms = changed(prices.packaged("world"), economics or {})
        return ReviewedFiles(
            policy=LimitPolicy.model_validate(rules),
            economics=Economics.model_validate(terms),
            model=model,
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
def begun(trial: Trial, make_files: MakeFiles) -> WarmedUp:
    return closed_loop.begin(trial.lived(SEED, ACCOUNTS), make_files())
