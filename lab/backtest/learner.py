"""The default model of a backtest: fitted on an earlier simulated world, never on the tested one.

The earlier world has another seed and a neutral economy, and its limits were moved by the incumbent
rule of thumb. Labels are those that a lender would have had: 90 days late within the horizon, of
accounts that were accepted. The oracle is not opened.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from governance.errors import ContractError
from lab.backtest import diary
from lab.backtest.diary import Diary
from lab.backtest.filings import Filings
from lab.backtest.trial import MODEL_SEED, WARM_UP
from lab.world import book, chain, evolution, incumbent, outcomes
from lab.world.evolution import State
from lab.world.settings import Regime, Turn, WorldSettings
from limits import features, scoring
from limits.features import FeatureSpec
from limits.scoring import Estimator
from registry import serialize
from training import evaluation, recipes
from training.recipes import Recipe

ACCOUNTS = 20_000
FEWEST_DEFAULTS = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Scorer:
    """A default model with the features that it reads.

    Parameters
    ----------
    subject : mapping of str to str
        Role to digest, for the evidence.
    origin : str
        Where the model comes from, in one sentence.
    """

    spec: FeatureSpec
    estimator: Estimator
    subject: Mapping[str, str]
    origin: str


def learn(
    filed: WorldSettings,
    spec: FeatureSpec,
    *,
    accounts: int = ACCOUNTS,
    seed: int = MODEL_SEED,
    recipe: Recipe = recipes.CHAMPION,
) -> Scorer:
    """Fit a recipe on a neutral world that ends before the tested one begins.

    Raises
    ------
    ContractError
        If the earlier world has fewer than 50 defaults or fewer than 50 others.
    """
    earlier = _earlier(filed, spec.horizon_months, accounts=accounts, seed=seed)
    matrix, labels = _sample(earlier, spec)
    defaults = int(labels.sum())
    if min(defaults, len(labels) - defaults) < FEWEST_DEFAULTS:
        raise ContractError(
            f"The earlier world has {defaults} defaults among {len(labels)} accounts; a model "
            f"needs {FEWEST_DEFAULTS} of either. Give the model more accounts."
        )
    estimator = evaluation.fit(recipe.estimator(spec.signs, seed=0), matrix, labels)
    with tempfile.TemporaryDirectory() as folder:
        digest = serialize.dump(estimator, Path(folder) / "backtest.skops")
    return Scorer(
        spec=spec,
        estimator=estimator,
        subject={"model": digest, "features": spec.digest, "model_world": earlier.digest},
        origin=(
            f"{recipe.title}, fitted on {len(labels):,} simulated accounts of an earlier neutral "
            f"world (seed {seed}), {defaults / len(labels):.2%} of them 90 days late within "
            f"{spec.horizon_months} months"
        ),
    )


def accepted(settings: WorldSettings) -> State:
    """Return the accounts that the old rule let in, before the first month."""
    everybody = book.enroll(settings, 0, settings.accounts)
    return evolution.opened(everybody.take(~everybody.is_refused))


def _earlier(filed: WorldSettings, horizon: int, *, accounts: int, seed: int) -> WorldSettings:
    months = WARM_UP + horizon
    # One month more, because the last outcome is known only after the delay.
    start = np.datetime64(filed.starts_on, "M") - months - filed.labels.delay_months - WARM_UP
    return filed.changed(
        seed=seed,
        accounts=accounts,
        months=months,
        starts_on=start.astype("datetime64[D]").item(),
        regimes={"neutral": filed.regimes.get("neutral", Regime())},
        schedule=(Turn(from_month=0, regime="neutral"),),
        breaks=(),
    )


def _sample(
    settings: WorldSettings, spec: FeatureSpec
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return features as of the sixth month and the outcome over the horizon after it."""
    state = accepted(settings)
    seen, kept = Diary.begin(state), state
    lived = np.empty((len(state.book), 1 + settings.months), dtype=np.int8)
    lived[:, 0] = chain.state_of(state.cell)
    for month in range(settings.months):
        before, state = state, evolution.advance(state, month, incumbent.limits(state))
        lived[:, month + 1] = np.where(
            before.is_active, chain.state_of(state.cell), outcomes.CLOSED
        )
        if month < WARM_UP:
            seen = seen.noted(state).moved(state.limit_minor)
            kept = state
    found = outcomes.measure_outcomes(lived, settings.labels, WARM_UP - 1, spec.horizon_months)
    rows = np.flatnonzero(found.is_asked & kept.is_active)
    day = (np.datetime64(settings.starts_on, "M") + WARM_UP).astype("datetime64[D]").item()
    filings = Filings.of(state.book)
    computed = features.compute(spec, diary.table(seen, kept, rows, on=day, filings=filings))
    return scoring.design_matrix(spec, computed), found.y[rows]
