from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from lab.world import panel
from lab.world.panel import Chunk
from lab.world.settings import CATEGORIES, WorldSettings

TABLES = ("accounts", "panel", "events", "labels", "statements", "oracle")


@pytest.fixture(scope="module")
def rows(lived: Chunk) -> pd.DataFrame:
    return lived.panel.to_pandas()


@pytest.mark.parametrize("at_once", [1_000, 777])
def test_many_chunks_are_the_same_world_as_one(
    baseline: WorldSettings, lived: Chunk, at_once: int
) -> None:
    parts = list(panel.chunks(baseline, at_once=at_once))
    assert len(parts) == -(-baseline.accounts // at_once)
    for name in TABLES:
        whole = pa.concat_tables(getattr(part, name) for part in parts).combine_chunks()
        assert whole.equals(getattr(lived, name).combine_chunks()), name


def test_another_seed_is_another_world(baseline: WorldSettings, lived: Chunk) -> None:
    other = panel.live(baseline.changed(seed=1), 0, 500)
    assert not other.panel.equals(lived.panel.slice(0, other.panel.num_rows))


def test_balances_roll_forward_from_month_to_month(rows: pd.DataFrame) -> None:
    flow = rows.purchases_minor + rows.interest_minor + rows.fee_minor
    flow -= rows.payment_minor + rows.charged_off_minor
    before = rows.groupby("account").balance_minor.shift()
    known = before.notna()
    assert (rows.balance_minor[known] == before[known] + flow[known]).all()
    assert (rows.payment_minor[known] <= before[known]).all()


def test_a_basket_is_the_purchases(rows: pd.DataFrame) -> None:
    parts = rows[[f"purchases_{name}_minor" for name in CATEGORIES]]
    assert (parts.sum(axis=1) == rows.purchases_minor).all()
    assert (parts >= 0).all(axis=None)


def test_who_pays_in_full_owes_only_what_was_bought(rows: pd.DataFrame) -> None:
    full = rows[rows.status == -1]
    assert (full.balance_minor == full.purchases_minor).all()
    idle = rows[rows.status == -2]
    assert not idle.purchases_minor.any()
    assert not idle.balance_minor.any()


def test_the_refused_have_an_application_and_nothing_else(lived: Chunk) -> None:
    accounts = lived.accounts.to_pandas()
    refused = set(accounts.account[accounts.is_refused])
    assert 0.05 < len(refused) / len(accounts) < 0.25
    for name in ("panel", "events", "labels", "statements"):
        assert not refused & set(getattr(lived, name)["account"].to_pylist()), name
    truth = lived.oracle.to_pandas()
    applied = truth[truth.is_refused & (truth.as_of == truth.as_of.min())]
    # Who is 90 days late elsewhere on the day he applies is not asked whether he will be.
    assert set(applied.account) <= refused
    assert len(set(applied.account)) > 0.9 * len(refused)
    assert applied.true_outcome.notna().all()


def test_some_of_the_refused_are_accepted_as_an_experiment(
    baseline: WorldSettings, lived: Chunk
) -> None:
    accounts = lived.accounts.to_pandas()
    assert not (accounts.is_refused & accounts.is_accepted_anyway).any()
    curious = baseline.changed(population={"accepted_anyway": 0.5})
    tried = panel.live(curious, 0, curious.accounts).accounts.to_pandas()
    turned_away = tried.is_refused | tried.is_accepted_anyway
    assert 0.4 < tried[turned_away].is_accepted_anyway.mean() < 0.6
    # The old rule turns away the very same customers; the experiment only opens the door.
    assert set(accounts.account[accounts.is_refused]) <= set(tried.account[turned_away])


def test_an_account_has_every_month_until_it_is_written_off(
    baseline: WorldSettings, rows: pd.DataFrame
) -> None:
    months = rows.groupby("account").month
    assert (months.nunique() == months.size()).all()
    last = rows.groupby("account").tail(1)
    is_gone = last.charged_off_minor > 0
    lengths = months.size().to_numpy()
    assert (lengths[~is_gone.to_numpy() & (last.status < 4).to_numpy()] == baseline.months).all()
    assert is_gone.any()
    assert (last.status[is_gone] == 4).all()
    earlier = rows.drop(last.index)
    assert not earlier.charged_off_minor.any()


def test_events_are_the_changes_of_the_panel(lived: Chunk, rows: pd.DataFrame) -> None:
    before = rows.groupby("account").limit_minor.shift()
    changed = rows[before.notna() & (before != rows.limit_minor)]
    events = lived.events.to_pandas()
    assert len(events) == len(changed)
    merged = events.merge(
        changed, left_on=["account", "effective_on"], right_on=["account", "month"]
    )
    assert len(merged) == len(events)
    assert (merged.limit_after_minor == merged.limit_minor).all()
    assert (
        (events.action == "raise") == (events.limit_after_minor > events.limit_before_minor)
    ).all()
    assert (events.noticed_on < events.effective_on).all()


def test_the_hold_out_never_moves_and_the_experiment_moves_by_chance(lived: Chunk) -> None:
    events = lived.events.to_pandas()
    assert "hold_out" not in set(events.arm)
    explored = events[events.arm == "explore"].merge(lived.accounts.to_pandas(), on="account")
    ratio = explored.limit_after_minor / explored.reference_limit_minor
    assert len(ratio) > 50
    assert ratio.between(0.8, 1.21).all()


def test_statements_balance_and_retained_earnings_carry_equity(lived: Chunk) -> None:
    found = lived.statements.to_pandas()
    assert len(found) > 500
    assert (found.total_assets_minor == found.equity_minor + found.liabilities_minor).all()
    moved = found.groupby("account")[["equity_minor", "retained_earnings_minor"]].diff().dropna()
    assert (moved.equity_minor == moved.retained_earnings_minor).all()
    assert (found.liabilities_minor > 0).all()
    assert (found.debt_service_minor >= found.interest_paid_minor).all()
    assert (found.published_on > found.period_end).all()


def test_statements_know_something_about_risk(baseline: WorldSettings) -> None:
    firms = baseline.changed(population={"sme_share": 1.0, "refused_share": 0.0})
    chunk = panel.live(firms, 0, firms.accounts)
    found = chunk.statements.to_pandas().groupby("account").sum(numeric_only=True)
    margin = found.ebit_minor / found.revenue_minor
    frailty = chunk.oracle.to_pandas().groupby("account").frailty.first()
    both = pd.concat([margin, frailty], axis=1).dropna()
    assert np.corrcoef(both.to_numpy().T)[0, 1] < -0.3


@pytest.mark.parametrize(
    "changes",
    [
        {"accounts": 1, "months": 1},
        {"accounts": 5, "months": 2, "labels": {"every_months": 12, "horizons": (24,)}},
        {"accounts": 50, "population": {"refused_share": 1.0, "accepted_anyway": 0.0}},
        {"accounts": 50, "population": {"refused_share": 1.0, "accepted_anyway": 1.0}},
        {"accounts": 50, "population": {"refused_share": 0.0, "sme_share": 1.0, "explore": 1.0}},
        {"accounts": 20, "delinquency": {"shift": 50.0, "charge_off_months": 1}},
        {"accounts": 20, "delinquency": {"shift": -50.0, "pseudo_count": 0.0}},
        {"accounts": 5, "months": 40},
        {"accounts": 5, "seed": 2**63 - 1},
    ],
)
def test_worlds_at_the_edge_are_lived_and_recorded(
    baseline: WorldSettings, changes: dict[str, object]
) -> None:
    world = baseline.changed(**changes)
    chunk = panel.live(world, 0, world.accounts)
    assert chunk.accounts.num_rows == world.accounts
    accepted = world.accounts - chunk.accounts["is_refused"].to_numpy(zero_copy_only=False).sum()
    assert chunk.panel.num_rows <= accepted * world.months
    assert (chunk.panel.num_rows > 0) == (accepted > 0)
    chance = chunk.oracle["true_default_probability"].to_numpy()
    assert np.all((chance >= 0) & (chance <= 1))
    for name in TABLES:
        assert getattr(chunk, name).num_rows >= 0
