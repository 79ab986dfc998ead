"""Raw tables from a world: nobody twice, nothing before it was known, no truth in them."""

from __future__ import annotations

from collections import Counter
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from decisions import features, scoring
from decisions.features import FeatureSpec
from governance.contract import Purpose
from governance.errors import UsageError
from governance.measures.discrimination import measure_auc
from governance.outcome import Outcome
from lab.world import population, records, simulation, snapshot, statements
from lab.world.population import Use
from lab.world.settings import WorldSettings
from lab.world.simulation import WorldState
from lab.world.snapshot import KNOWN_ON, OUTCOME, Shape, StudyDay
from privacy import gate, keyring
from privacy.feature_table import FeatureTable
from privacy.raw_table import packaged_contract
from training import evaluation
from training.recipes import CHAMPION

SEEN = date(2024, 9, 30)
LATER = date(2026, 12, 31)


def day(as_of: date = SEEN, known_on: date = LATER) -> StudyDay:
    return StudyDay(as_of=as_of, horizon_months=12, known_on=known_on)


@pytest.fixture(scope="module")
def people(baseline: WorldSettings) -> pa.Table:
    return population.people(baseline)


@pytest.fixture(scope="module")
def taken(lived: list[WorldState], people: pa.Table) -> pa.Table:
    return snapshot.take(lived, people, Shape.CONSUMER, [day()])


def accounts_of(rows: pa.Table, people: pa.Table) -> np.ndarray:
    ids = people["customer_id"].combine_chunks()
    place = pa.compute.index_in(rows["customer_id"], value_set=ids)
    return people["account"].take(place).to_numpy()


def test_the_newest_month_is_the_one_that_was_asked_for(
    taken: pa.Table, people: pa.Table, lived: list[WorldState]
) -> None:
    panel = records.panel(lived).to_pandas()
    account = accounts_of(taken, people)
    accounts = records.applications(lived[0].traits).to_pandas()
    newest = panel[(panel.month == date(2024, 9, 1)) & (panel.status < 3)]
    consumers = accounts.account[accounts.segment == "consumer"]
    assert sorted(account) == sorted(set(newest.account) & set(consumers))
    for age, month in ((0, date(2024, 9, 1)), (5, date(2024, 4, 1))):
        then = panel[panel.month == month].set_index("account").loc[account]
        for name in ("status", "balance", "payment", "purchases", "income"):
            column = name if name == "status" else f"{name}_minor"
            assert np.array_equal(taken[f"{name}_m{age}"].to_numpy(), then[column].to_numpy())


def test_months_since_a_change_are_counted_from_the_panel(
    taken: pa.Table, people: pa.Table, lived: list[WorldState]
) -> None:
    panel = records.panel(lived).to_pandas()
    panel["before"] = panel.groupby("account").limit_minor.shift()
    rows = taken.to_pandas().assign(account=accounts_of(taken, people)).set_index("account")
    for column, moved in {
        "months_since_raise": panel[panel.limit_minor > panel.before],
        "months_since_cut": panel[panel.limit_minor < panel.before],
    }.items():
        moved = moved[moved.month <= date(2024, 9, 1)]
        last = moved.groupby("account").month.max().map(lambda m: 9 - m.month)
        expected = last.reindex(rows.index).fillna(rows.tenure_months)
        assert (rows[column] == expected).all()
        assert rows.index.isin(last.index).sum() > 50


def test_outcomes_that_were_not_known_yet_are_null(
    taken: pa.Table, people: pa.Table, lived: list[WorldState]
) -> None:
    found = records.outcomes(lived).to_pandas()
    found = found[(found.horizon_months == 12) & (found.as_of == SEEN)].set_index("account")
    assert taken[OUTCOME].to_pylist() == found.y.loc[accounts_of(taken, people)].tolist()
    assert sum(taken[OUTCOME].to_pylist()) > 20
    known_on = date(2025, 10, 31)
    assert set(taken[KNOWN_ON].to_pylist()) == {known_on}
    for seen_on, nulls in ((known_on, 0), (known_on - timedelta(days=1), taken.num_rows)):
        table = snapshot.take(lived, people, Shape.CONSUMER, [day(known_on=seen_on)])
        assert table[OUTCOME].null_count == table[KNOWN_ON].null_count == nulls


@pytest.mark.parametrize("shape", list(Shape))
def test_every_shape_is_what_its_contract_says_and_the_gate_takes_it(
    baseline: WorldSettings, tmp_path: Path, shape: Shape
) -> None:
    small = baseline.changed(accounts=800)
    on = snapshot.application_day(small) if shape is Shape.APPLICANT else SEEN
    raw = tmp_path / "raw" / "table.parquet"
    rows = snapshot.write(small, raw, shape, days=[day(on)])
    table = pq.read_table(raw)
    assert table.num_rows == rows > 50
    contract = packaged_contract(f"world_{shape}")
    assert {column.name for column in contract.columns} == set(table.column_names)
    if shape is Shape.APPLICANT:
        refused = table.filter(table["is_refused"])
        assert refused.num_rows > 50
        assert refused[OUTCOME].null_count == refused.num_rows
    released = gate.protect(
        raw,
        contract,
        keyring=keyring.create(tmp_path / "keyring"),
        out=tmp_path / "features",
        purpose=Purpose.TRAINING,
        vault=tmp_path / "vault",
    )
    ring = keyring.Keyring.open(tmp_path / "keyring")
    opened = FeatureTable.open(released.path, keyring=ring)
    assert opened.label == OUTCOME
    assert not {"name", "sex", "age", "customer_id"} & set(opened.schema.names)


def test_on_several_days_every_account_is_seen_once(
    baseline: WorldSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    days = [day(date(2024, 6, 30)), day(), day(date(2024, 12, 31))]
    small, raw = baseline.changed(accounts=900), tmp_path / "raw.parquet"
    snapshot.write(small, raw, Shape.CONSUMER, days=days)
    table = pq.read_table(raw)
    ids = table["customer_id"].to_pylist()
    assert len(set(ids)) == len(ids)
    counts = Counter(table["as_of"].to_pylist())
    assert set(counts) == {each.as_of for each in days}
    assert min(counts.values()) > 0.25 * len(ids)
    monkeypatch.setattr(snapshot, "ACCOUNTS_AT_ONCE", 400)
    snapshot.write(small, tmp_path / "blocks.parquet", Shape.CONSUMER, days=days)
    blocks = pq.read_table(tmp_path / "blocks.parquet")
    assert sorted(blocks["customer_id"].to_pylist()) == sorted(ids)


@pytest.mark.parametrize(
    ("shape", "days", "problem"),
    [
        (Shape.CONSUMER, [], "at least one day"),
        (Shape.CONSUMER, [day(), day()], "every day once"),
        (Shape.BUSINESS, [day(SEEN + timedelta(days=1))], "asks about each business on 2024-06-30"),
        (Shape.CONSUMER, [day(date(2024, 3, 31))], "2024-03-31 with a horizon of 12 months"),
        (Shape.APPLICANT, [day()], "each applicant on 2023-12-31"),
        (
            Shape.CONSUMER,
            [StudyDay(as_of=SEEN, horizon_months=11, known_on=LATER)],
            "with horizons",
        ),
    ],
)
def test_days_that_the_world_does_not_know_are_refused(
    baseline: WorldSettings, tmp_path: Path, shape: Shape, days: list[StudyDay], problem: str
) -> None:
    with pytest.raises(UsageError, match=problem):
        snapshot.write(baseline, tmp_path / "x.parquet", shape, days=days)
    assert list(tmp_path.iterdir()) == []


# --- Firms. ---


@pytest.fixture(scope="module")
def trading(baseline: WorldSettings) -> list[WorldState]:
    return simulation.live(baseline.changed(population={"sme_share": 1.0}))


@pytest.fixture(scope="module")
def firms(trading: list[WorldState]) -> pa.Table:
    everybody = population.people(trading[0].traits.settings)
    return snapshot.take(trading, everybody, Shape.BUSINESS, [day()])


def test_flows_are_the_sum_of_what_was_published_and_stocks_are_the_newest(
    trading: list[WorldState], firms: pa.Table
) -> None:
    filed = statements.statements(trading[0].traits).to_pandas()
    filed = filed[filed.published_on <= SEEN]
    everybody = population.people(trading[0].traits.settings)
    rows = firms.to_pandas().assign(account=accounts_of(firms, everybody)).set_index("account")
    for account, row in rows.iloc[::97].iterrows():
        mine = filed[filed.account == account].tail(4)
        assert row.statement_quarters == len(mine) == 2  # March and June are published, not Sept.
        assert row.statement_period_end == date(2024, 6, 30)
        assert row.revenue_minor == mine.revenue_minor.sum()
        assert row.debt_service_minor == mine.debt_service_minor.sum()
        assert row.revenue_newest_minor == mine.revenue_minor.iloc[-1]
        assert row.revenue_before_minor == mine.revenue_minor.iloc[-2]
        if row.segment == snapshot.LEGAL_PERSON:
            assert row.equity_minor + row.liabilities_minor == row.total_assets_minor
    is_trader = rows.segment == snapshot.SOLE_TRADER
    assert is_trader.mean() == pytest.approx(0.40, abs=0.05)
    assert rows.total_assets_minor[is_trader].isna().all()
    assert rows.revenue_minor.notna().all()


def test_a_statement_counts_from_the_day_it_was_published(trading: list[WorldState]) -> None:
    traits = trading[0].traits
    filed, account = statements.statements(traits), traits.account[~traits.is_refused]
    newest = {}
    for on in (date(2024, 5, 14), date(2024, 8, 13), date(2024, 8, 14)):
        found = statements.published(filed, account, on)
        newest[on] = set(found["statement_period_end"].to_pylist())
        if newest[on] == {None}:
            # Who has published nothing has no figures and no zeros.
            assert set(found["statement_quarters"].to_pylist()) == {0}
            assert found["revenue_minor"].null_count == len(account)
            assert statements.ratios(found)["altman_z"].null_count == len(account)
    assert newest == {
        date(2024, 5, 14): {None},
        date(2024, 8, 13): {date(2024, 3, 31)},
        date(2024, 8, 14): {date(2024, 6, 30)},
    }


def test_ratios_are_what_a_hand_computes() -> None:
    row = {"revenue": 900, "ebit": 100, "interest_paid": 5, "cash_flow": 80, "debt_service": 40}
    row |= {"working_capital": 200, "retained_earnings": 300, "equity": 400}
    row |= {"liabilities": 600, "total_assets": 1_000}
    columns = {f"{name}_minor": pa.array([value]) for name, value in row.items()}
    found = statements.ratios({**columns, "statement_quarters": pa.array([2])})
    # Two quarters are brought to a year: twice their EBIT.
    z = 6.56 * 0.2 + 3.26 * 0.3 + 6.72 * 0.2 + 1.05 * 400 / 600
    assert found["altman_z"][0].as_py() == pytest.approx(z)
    assert found["debt_service_coverage"][0].as_py() == 2.0
    assert found["monthly_revenue_minor"][0].as_py() == 150


def test_a_model_of_firms_comes_near_the_truth_and_never_above_it(
    trading: list[WorldState], firms: pa.Table
) -> None:
    """The true probability is computed here, by a test, and by nothing that trains."""
    spec = FeatureSpec.parse(features.packaged("world_business_features"))
    computed = features.compute(spec, firms, keep=(OUTCOME,))
    labels = computed[OUTCOME].to_numpy().astype(np.int64)
    result = evaluation.out_of_fold(
        lambda: CHAMPION.estimator(spec.signs, seed=0),
        scoring.design_matrix(spec, computed),
        labels,
        seed=0,
    )
    everybody = population.people(trading[0].traits.settings)
    chance = simulation.default_probability(trading[9], 12)[accounts_of(firms, everybody)]
    model, truth = measure_auc(labels, result.probability), measure_auc(labels, chance)
    assert model.outcome is truth.outcome is Outcome.INFO
    assert truth.value - 0.10 < model.value < truth.value
    assert model.low > 0.65


def test_no_module_outside_the_world_asks_for_the_truth() -> None:
    room = Path(simulation.__file__).parents[2]
    for name in ("training", "limits", "monitoring", "lab/backtest", "lab/optimizer"):
        for path in (room / name).rglob("*.py"):
            text = path.read_text(encoding="utf-8")
            for word in ("simulation.default_probability", "serious_within", ".frailty"):
                assert word not in text, path.name


def test_vintages_and_traders_are_drawn_by_luck_of_their_own(lived: list[WorldState]) -> None:
    drawn = lived[0].traits.luck(Use.VINTAGE)
    assert abs(np.corrcoef(drawn[:, 0], drawn[:, 1])[0, 1]) < 0.06
