"""The default model of a backtest: fitted on an earlier simulated world, never on the tested one.

The earlier world has another seed and a neutral economy, and its limits were moved by the incumbent
rule of thumb. Outcomes are those that a lender would have had: 90 days late within the horizon, of
accounts that were accepted. The true probability is never asked for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
import pyarrow as pa

from decisions import features, scoring
from decisions.features import FeatureSpec
from decisions.scoring import Estimator
from governance.errors import ContractError
from lab.backtest.trial import MODEL_SEED, WARM_UP, month_start
from lab.world import account_file, records, simulation, statements
from lab.world.account_file import HISTORY, LimitHistory
from lab.world.anchors import Integers
from lab.world.population import ARMS, Use
from lab.world.settings import RegimeEffect, RegimeTurn, WorldSettings
from lab.world.simulation import WorldState
from training import evaluation, recipes

ACCOUNTS = 20_000
FEWEST_DEFAULTS = 50
REVOLVING_SHARE = "revolving_share"


@dataclass(frozen=True, slots=True, kw_only=True)
class DefaultModel:
    """A default model with the features that it reads and where it comes from."""

    spec: FeatureSpec
    estimator: Estimator
    origin: str


def learn(filed: WorldSettings, spec: FeatureSpec, *, accounts: int = ACCOUNTS) -> DefaultModel:
    """Fit the champion's recipe on a neutral world that ends before the tested one begins.

    Raises
    ------
    ContractError
        If the earlier world has fewer than 50 defaults or fewer than 50 others.
    """
    states = simulation.live(_earlier(filed, spec.horizon_months, accounts))
    found = records.measure_outcomes(states, WARM_UP - 1, spec.horizon_months)
    rows = np.flatnonzero(found.is_asked & ~states[0].traits.is_refused)
    seen, y = states[: WARM_UP + 1], found.y[rows]
    defaults = int(y.sum())
    if min(defaults, len(y) - defaults) < FEWEST_DEFAULTS:
        raise ContractError(
            f"The earlier world has {defaults} defaults among {len(y)} accounts; a model "
            f"needs {FEWEST_DEFAULTS} of either. Give the model more accounts."
        )
    filings = statements.statements(states[0].traits)
    on = month_start(states[0].traits.settings.starts_on, WARM_UP)
    table = known(seen, account_file.history_of(seen), rows, filings, on=on)
    matrix = scoring.design_matrix(spec, features.compute(spec, table))
    return DefaultModel(
        spec=spec,
        estimator=evaluation.fit(recipes.CHAMPION.estimator(spec.signs, seed=0), matrix, y),
        origin=(
            f"{recipes.CHAMPION.title}, fitted on {len(y):,} simulated accounts of an earlier "
            f"neutral world (seed {MODEL_SEED}), {defaults / len(y):.2%} of them 90 days late "
            f"within {spec.horizon_months} months"
        ),
    )


def _earlier(filed: WorldSettings, horizon: int, accounts: int) -> WorldSettings:
    months = WARM_UP + horizon
    # One month more, because the last outcome is known only after the delay.
    return filed.changed(
        seed=MODEL_SEED,
        accounts=accounts,
        months=months,
        starts_on=month_start(filed.starts_on, -months - filed.labels.delay_months - WARM_UP),
        regimes={"neutral": filed.regimes.get("neutral", RegimeEffect())},
        schedule=(RegimeTurn(from_month=0, regime="neutral"),),
        breaks=(),
    )


def known(
    states: Sequence[WorldState],
    history: LimitHistory,
    rows: Integers,
    filings: pa.Table,
    *,
    on: date,
) -> pa.Table:
    """Return what is on file of the accounts `rows` on a day, with the ratios of firms by then."""
    traits = states[0].traits
    table = account_file.on_file(states, history, rows)
    status = np.stack([state.status[rows] for state in states[-HISTORY:]])
    lot = traits.luck(Use.VINTAGE)[rows, 2] * 2**32
    added = {
        REVOLVING_SHARE: pa.array((status >= 0).mean(axis=0)),
        "arm": records.words(ARMS, traits.arm[rows]),
        "assignment": pa.array(lot.astype(np.uint32)),
        "previous_band": records.words(history.bands, history.band[rows]),
        "previous_probability": pa.array(history.probability[rows], from_pandas=True),
        **statements.ratios(statements.published(filings, traits.account[rows], on)),
    }
    for name, column in added.items():
        table = table.append_column(name, column)
    return table
