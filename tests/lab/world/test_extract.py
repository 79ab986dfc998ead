"""Raw tables from a world: nobody twice, nothing before it was published, no truth in them."""

from __future__ import annotations

from collections import Counter
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from governance.errors import IntegrityError, UsageError
from governance.measures.discrimination import measure_auc
from governance.outcome import Outcome
from lab.world import applicants, business, edition, extract, oracle, panel, persons
from lab.world.extract import Shape
from lab.world.panel import Chunk
from lab.world.settings import WorldSettings, packaged
from lab.world.snapshot import Moment
from limits import features, scoring
from limits.features import FeatureSpec
from privacy import keyring
from privacy.contract_files import packaged as packaged_contract
from training import evaluation
from training.recipes import CHAMPION

SEEN = date(2024, 9, 30)
LATER = date(2026, 12, 31)


def moment(as_of: date = SEEN) -> Moment:
    return Moment(as_of=as_of, horizon_months=12, known_on=LATER)


@pytest.fixture(scope="module")
def firms() -> WorldSettings:
    settings = WorldSettings.parse(packaged())
    population = settings.population.model_copy(update={"sme_share": 1.0})
    return settings.changed(accounts=3_000, population=population.model_dump())


@pytest.fixture(scope="module")
def trading(firms: WorldSettings) -> Chunk:
    return panel.live(firms, 0, firms.accounts)


@pytest.fixture(scope="module")
def taken(firms: WorldSettings, trading: Chunk) -> pa.Table:
    return business.take(trading, persons.block(firms, 0, firms.accounts), firms, moment())


def accounts_of(rows: pa.Table, settings: WorldSettings) -> list[int]:
    people = persons.block(settings, 0, settings.accounts)
    place = pa.compute.index_in(
        rows["customer_id"], value_set=people["customer_id"].combine_chunks()
    )
    return people["account"].take(place).to_pylist()


def test_flows_are_the_sum_of_what_was_published_and_stocks_are_the_newest(
    firms: WorldSettings, trading: Chunk, taken: pa.Table
) -> None:
    told = trading.statements.to_pandas().sort_values(["account", "period_end"])
    told = told[told.published_on <= SEEN]
    rows = taken.to_pandas().assign(account=accounts_of(taken, firms)).set_index("account")
    for account, row in rows.iloc[::97].iterrows():
        mine = told[told.account == account].tail(4)
        assert row.statement_quarters == len(mine) == 2  # March and June are published, not Sept.
        assert row.statement_period_end == date(2024, 6, 30)
        assert row.revenue_minor == mine.revenue_minor.sum()
        assert row.debt_service_minor == mine.debt_service_minor.sum()
        assert row.revenue_newest_minor == mine.revenue_minor.iloc[-1]
        assert row.revenue_before_minor == mine.revenue_minor.iloc[-2]
        if row.segment == business.LEGAL_PERSON:
            assert row.total_assets_minor == mine.total_assets_minor.iloc[-1]
            assert row.equity_minor + row.liabilities_minor == row.total_assets_minor


def test_a_statement_counts_from_the_day_it_was_published(
    firms: WorldSettings, trading: Chunk
) -> None:
    is_known = {}
    for day in (date(2024, 8, 13), date(2024, 8, 14)):
        account = trading.accounts["account"].to_numpy()
        at = Moment(as_of=day, horizon_months=12, known_on=LATER)
        found = business._figures(
            trading.statements, account, at, np.zeros(len(account), dtype=np.bool_)
        )
        is_known[day] = set(found["statement_period_end"].drop_null().to_pylist())
    assert is_known == {
        date(2024, 8, 13): {date(2024, 3, 31)},
        date(2024, 8, 14): {date(2024, 6, 30)},
    }


def test_who_has_published_nothing_has_no_figures_and_no_zeros(
    firms: WorldSettings, trading: Chunk
) -> None:
    account = trading.accounts["account"].to_numpy()
    before = moment(date(2024, 5, 14))
    found = business._figures(
        trading.statements, account, before, np.zeros(len(account), dtype=np.bool_)
    )
    for name, column in found.items():
        if name == "statement_quarters":
            assert set(column.to_pylist()) == {0}
        else:
            assert column.null_count == len(account), name


def test_sole_traders_have_takings_and_no_balance_sheet(taken: pa.Table) -> None:
    is_trader = np.array(taken["segment"].to_pylist()) == business.SOLE_TRADER
    assert 0.35 < is_trader.mean() < 0.45
    for name in business.STOCKS:
        assert (~taken[f"{name}_minor"].is_valid().to_numpy() == is_trader).all()
    for name in business.FLOWS:
        assert taken[f"{name}_minor"].null_count == 0


@pytest.mark.parametrize("shape", list(Shape))
def test_every_shape_is_what_its_contract_says_and_holds_no_truth(
    baseline: WorldSettings, tmp_path: Path, shape: Shape
) -> None:
    small = baseline.changed(accounts=800)
    day = applicants.day(small) if shape is Shape.APPLICANT else SEEN
    raw = tmp_path / "raw" / "table.parquet"
    rows = extract.write(small, raw, shape, moments=[moment(day)])
    table = pq.read_table(raw)
    assert table.num_rows == rows > 50
    contract = packaged_contract(f"world_{shape}")
    assert {column.name for column in contract.columns} == set(table.column_names)
    hidden = {"true_default_probability", "true_outcome", "frailty", "uci_row", "account"}
    assert not hidden & set(table.column_names)
    if shape is Shape.APPLICANT:
        refused = table.filter(table["is_refused"])
        assert refused.num_rows > 50
        assert refused["is_90_days_late"].null_count == refused.num_rows


def test_on_several_days_every_account_is_seen_once_whatever_the_order(
    baseline: WorldSettings, tmp_path: Path
) -> None:
    days = [date(2024, 6, 30), SEEN, date(2024, 12, 31)]
    small = baseline.changed(accounts=900)
    raw = tmp_path / "raw.parquet"
    extract.write(small, raw, Shape.CONSUMER, moments=[moment(day) for day in days])
    table = pq.read_table(raw)
    ids = table["customer_id"].to_pylist()
    assert len(set(ids)) == len(ids)
    counts = Counter(table["as_of"].to_pylist())
    assert set(counts) == set(days)
    assert min(counts.values()) > 0.25 * len(ids)


@pytest.mark.parametrize(
    ("shape", "days", "problem"),
    [
        (Shape.CONSUMER, [], "at least one day"),
        (Shape.CONSUMER, [SEEN, SEEN], "every day once"),
        (Shape.BUSINESS, [SEEN + timedelta(days=1)], "was asked for; the world baseline asks on"),
        (Shape.APPLICANT, [SEEN], "Applicants of the world baseline are seen on"),
    ],
)
def test_days_that_the_world_does_not_know_are_refused(
    baseline: WorldSettings, tmp_path: Path, shape: Shape, days: list[date], problem: str
) -> None:
    with pytest.raises(UsageError, match=problem):
        extract.write(baseline, tmp_path / "x.parquet", shape, moments=[moment(d) for d in days])
    assert list(tmp_path.iterdir()) == []


def test_a_world_is_lived_again_from_its_own_settings(
    baseline: WorldSettings, tmp_path: Path
) -> None:
    small = baseline.changed(accounts=60, months=8)
    place = edition.publish(small, tmp_path / "w", keyring=keyring.create(tmp_path / "k")).path
    assert edition.read_settings(place) == small
    facts = place / edition.FACTS
    facts.write_text(facts.read_text().replace('"seed":0', '"seed":1'))
    with pytest.raises(IntegrityError, match="was altered"):
        edition.read_settings(place)
    with pytest.raises(UsageError, match="no world"):
        edition.read_settings(tmp_path / "nowhere")


def test_a_model_of_firms_comes_near_the_truth_and_never_above_it(
    firms: WorldSettings, trading: Chunk, taken: pa.Table, tmp_path: Path
) -> None:
    """The oracle is opened here, by a test with the audit key, and by nothing that trains."""
    spec = FeatureSpec.parse(features.packaged("world_business_features"))
    computed = features.compute(spec, taken, keep=("is_90_days_late",))
    labels = computed["is_90_days_late"].to_numpy().astype(np.int64)
    result = evaluation.out_of_fold(
        lambda: CHAMPION.estimator(spec.signs, seed=0),
        scoring.design_matrix(spec, computed),
        labels,
        seed=0,
    )
    ring = keyring.create(tmp_path / "keyring")
    place = edition.publish(firms, tmp_path / "world", keyring=ring).path
    told = oracle.open_oracle(place, keyring=ring).read_all().to_pandas()
    told = told[(told.as_of == SEEN) & (told.horizon_months == 12)].set_index("account")
    chance = told.true_default_probability.loc[accounts_of(taken, firms)].to_numpy()
    model = measure_auc(labels, result.probability)
    truth = measure_auc(labels, chance)
    assert model.outcome is truth.outcome is Outcome.INFO
    assert truth.value - 0.10 < model.value < truth.value
    assert model.low > 0.65
