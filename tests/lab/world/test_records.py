"""What a lender records: tables that add up, and a folder that is whole."""

from __future__ import annotations

import json
import stat
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from governance.errors import IntegrityError, UsageError
from lab.world import population, records, simulation, statements
from lab.world.settings import WorldSettings
from lab.world.simulation import WorldState


@pytest.fixture(scope="module")
def rows(lived: list[WorldState]) -> pd.DataFrame:
    return records.panel(lived).to_pandas()


@pytest.mark.parametrize("cut", [1, 1_000, 2_999])
def test_two_parts_are_the_same_world_as_one(
    baseline: WorldSettings, lived: list[WorldState], cut: int
) -> None:
    parts = [simulation.live(baseline, 0, cut), simulation.live(baseline, cut)]
    for table in (
        records.panel,
        lambda states: records.applications(states[0].traits),
        lambda states: statements.statements(states[0].traits),
    ):
        whole = pa.concat_tables(table(part) for part in parts).combine_chunks()
        assert whole.equals(table(lived).combine_chunks())


def test_another_seed_is_another_world(baseline: WorldSettings, rows: pd.DataFrame) -> None:
    other = records.panel(simulation.live(baseline.changed(seed=1), 0, 500)).to_pandas()
    assert not other.equals(rows.iloc[: len(other)])


def test_balances_roll_forward_from_month_to_month(rows: pd.DataFrame) -> None:
    flow = rows.purchases_minor + rows.interest_minor + rows.fee_minor
    flow -= rows.payment_minor + rows.charged_off_minor
    before = rows.groupby("account").balance_minor.shift()
    known = before.notna()
    assert (rows.balance_minor[known] == before[known] + flow[known]).all()
    assert (rows.payment_minor[known] <= before[known]).all()


def test_who_pays_in_full_owes_only_what_was_bought(rows: pd.DataFrame) -> None:
    full = rows[rows.status == -1]
    assert (full.balance_minor == full.purchases_minor).all()
    idle = rows[rows.status == -2]
    assert not idle.purchases_minor.any()
    assert not idle.balance_minor.any()


def test_the_refused_have_an_application_and_nothing_else(lived: list[WorldState]) -> None:
    accounts = records.applications(lived[0].traits).to_pandas()
    refused = set(accounts.account[accounts.is_refused])
    assert 0.05 < len(refused) / len(accounts) < 0.25
    tables = (
        records.panel(lived),
        records.outcomes(lived),
        statements.statements(lived[0].traits),
    )
    for table in tables:
        assert not refused & set(table["account"].to_pylist())


def test_an_account_has_every_month_until_it_is_written_off(
    baseline: WorldSettings, rows: pd.DataFrame
) -> None:
    months = rows.groupby("account").month
    assert (months.nunique() == months.size()).all()
    last = rows.groupby("account").tail(1).set_index("account")
    is_gone = last.charged_off_minor > 0
    assert is_gone.any()
    assert (last.status[is_gone] == 4).all()
    assert (months.size()[~is_gone & (last.status < 4)] == baseline.months).all()
    assert rows.charged_off_minor.astype(bool).sum() == is_gone.sum()


def test_outcomes_can_be_counted_again_from_the_panel(
    lived: list[WorldState], rows: pd.DataFrame
) -> None:
    found = records.outcomes(lived).to_pandas().sample(400, random_state=0)
    serious = rows[rows.status >= 3].groupby("account").month.apply(list).to_dict()
    for label in found.itertuples():
        first = pd.Timestamp(label.as_of)
        last = first + pd.DateOffset(months=label.horizon_months)
        hits = [m for m in serious.get(label.account, []) if first < pd.Timestamp(m) <= last]
        assert label.y == int(bool(hits))


def test_an_outcome_is_known_when_its_window_and_the_delay_are_over(
    baseline: WorldSettings,
) -> None:
    labels = {**baseline.labels.model_dump(), "delay_months": 2}
    states = simulation.live(baseline.changed(labels=labels, accounts=300))
    found = records.outcomes(states).to_pandas()
    as_of, seen = (pd.to_datetime(found[name]) for name in ("as_of", "observed_at"))
    months = (seen.dt.year - as_of.dt.year) * 12 + seen.dt.month - as_of.dt.month
    assert (months == found.horizon_months + 2).all()


def test_windows_beyond_the_recorded_months_have_no_outcome(lived: list[WorldState]) -> None:
    found = records.outcomes(lived).to_pandas()
    latest = found.groupby("horizon_months").as_of.max()
    assert latest[3] == date(2025, 9, 30)
    assert latest[12] == date(2024, 12, 31)
    # The first question is asked on the day before the first month: the day of the application.
    assert found.as_of.min() == date(2023, 12, 31)
    assert not found.duplicated(["account", "as_of", "horizon_months"]).any()
    with pytest.raises(UsageError, match="ends within 12 months"):
        records.measure_outcomes(lived, 12, 12)


def test_statements_balance_and_retained_earnings_carry_equity(lived: list[WorldState]) -> None:
    found = statements.statements(lived[0].traits).to_pandas()
    assert len(found) > 500
    assert (found.total_assets_minor == found.equity_minor + found.liabilities_minor).all()
    moved = found.groupby("account")[["equity_minor", "retained_earnings_minor"]].diff().dropna()
    assert (moved.equity_minor == moved.retained_earnings_minor).all()
    assert (found.debt_service_minor >= found.interest_paid_minor).all()
    assert (found.published_on > found.period_end).all()


def test_statements_know_something_about_risk(baseline: WorldSettings) -> None:
    firms = population.enroll(baseline.changed(population={"sme_share": 1.0, "refused_share": 0.0}))
    found = statements.statements(firms).to_pandas().groupby("account").sum(numeric_only=True)
    margin = found.ebit_minor / found.revenue_minor
    assert np.corrcoef(margin, firms.frailty)[0, 1] < -0.3


@pytest.mark.parametrize(
    "changes",
    [
        {"accounts": 1, "months": 1, "labels": {"horizons": (1,)}},
        {"accounts": 50, "population": {"refused_share": 1.0, "accepted_anyway": 0.0}},
        {"accounts": 50, "population": {"refused_share": 1.0, "accepted_anyway": 1.0}},
        {"accounts": 50, "population": {"refused_share": 0.0, "sme_share": 1.0, "explore": 1.0}},
        {"accounts": 20, "delinquency": {"shift": 50.0, "charge_off_months": 1}},
        {"accounts": 20, "delinquency": {"shift": -50.0, "pseudo_count": 0.0}},
        {"accounts": 5, "months": 40},
        {"accounts": 5, "months": 2, "labels": {"horizons": (24,)}},
        {"accounts": 5, "seed": 2**63 - 1},
    ],
)
def test_worlds_at_the_edge_are_lived_and_published(
    baseline: WorldSettings, tmp_path: Path, changes: dict[str, object]
) -> None:
    world = baseline.changed(**changes)
    written = records.publish(world, tmp_path / "world")
    accepted = world.accounts - int(population.enroll(world).is_refused.sum())
    assert written["accounts"] == written["identities"] == world.accounts
    assert (written["panel"] > 0) == (accepted > 0)
    assert written["panel"] <= accepted * world.months


def test_a_published_world_explains_itself_and_is_never_overwritten(
    baseline: WorldSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small, place = baseline.changed(accounts=400, months=6), tmp_path / "raw" / "world"
    monkeypatch.setattr(records, "ACCOUNTS_AT_ONCE", 150)
    heard: list[int] = []
    written = records.publish(small, place, done=heard.append)
    assert heard == [150, 150, 100]
    assert stat.S_IMODE(place.stat().st_mode) == 0o700
    facts = json.loads((place / records.FACTS).read_bytes())
    assert facts["is_simulated"] is True
    assert pq.read_table(place / "panel.parquet").equals(records.panel(simulation.live(small)))
    hidden = {"frailty", "row", "borrowing", "true_default_probability"}
    for name, count in written.items():
        table = pq.read_table(place / f"{name}.parquet")
        assert table.num_rows == count
        assert not hidden & set(table.column_names)
    assert records.read_settings(place) == small
    with pytest.raises(UsageError, match="already"):
        records.publish(small, place)
    text = (place / records.FACTS).read_text()
    (place / records.FACTS).write_text(text.replace('"seed":0', '"seed":1'))
    with pytest.raises(IntegrityError, match="was altered"):
        records.read_settings(place)
    with pytest.raises(UsageError, match="no world"):
        records.read_settings(tmp_path / "nowhere")


def test_a_world_that_fails_leaves_nothing(baseline: WorldSettings, tmp_path: Path) -> None:
    def stop(_: int) -> None:
        raise KeyboardInterrupt("half-way")

    with pytest.raises(KeyboardInterrupt, match="half-way"):
        records.publish(baseline.changed(accounts=50), tmp_path / "raw" / "world", done=stop)
    assert list((tmp_path / "raw").iterdir()) == []
