from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import date
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from decisions.features import FeatureSpec
from governance.contract import ColumnContract, Purpose
from governance.errors import ContractError, IntegrityError, KeyringError
from governance.settings import Settings
from privacy.feature_table import FeatureTable, Part, TableFacts
from privacy.keyring import Keyring
from tests.planting import write_unchecked
from training import label, sample
from training.label import LabelRule
from training.sample import Sample, SampleQuestion

Release = Callable[..., Path]
Shops = Callable[..., pa.Table]


@pytest.fixture
def read(home: Settings, shop_spec: str) -> Callable[..., Sample]:
    def from_folder(path: Path, target: str | None = None, spec: str = shop_spec) -> Sample:
        table = FeatureTable.open(path, keyring=Keyring.open(home.keyring))
        question = SampleQuestion(spec=FeatureSpec.parse(spec), rule=LabelRule(target=target))
        return sample.read(table, question)

    return from_folder


def labeled(table: pa.Table, labels: object, kind: pa.DataType | None = None) -> pa.Table:
    position = table.column_names.index("failed")
    return table.set_column(position, "failed", pa.array(labels, kind))


def test_a_sample_is_the_open_part_in_the_order_of_the_spec(
    home: Settings, release: Release, make_shops: Shops, read: Callable[..., Sample]
) -> None:
    path = release(make_shops(600))
    found = read(path)
    ring = Keyring.open(home.keyring)
    visible = FeatureTable.open(path, keyring=ring).read()
    everybody = FeatureTable.open(path, keyring=ring, part=Part.ALL)
    assert visible.num_rows < everybody.num_rows == 600
    assert found.features.shape == (visible.num_rows, 3)
    assert found.features.dtype == np.float64
    assert (found.features[:, 0] == visible["late"].to_numpy()).all()
    assert (found.features[:, 2] == visible["turnover"].to_numpy()).all()
    assert (found.labels == visible["failed"].to_numpy()).all()
    assert found.target == "failed"
    told = found.as_lineage()
    assert (told["data_rows"], told["data_rows_read"]) == (str(visible.num_rows),) * 2
    # Every customer has one row, so nobody counts customers beside them.
    assert "data_customers" not in told


def constant(value: int) -> Callable[[pa.Table], pa.Table]:
    return lambda table: labeled(table, [value] * table.num_rows, pa.int64())


def few_events(table: pa.Table) -> pa.Table:
    return labeled(table, [1] * 10 + [0] * (table.num_rows - 10), pa.int64())


def two_is_a_label(table: pa.Table) -> pa.Table:
    return labeled(table, [number % 3 for number in range(table.num_rows)], pa.int64())


def unknown_outcomes(table: pa.Table) -> pa.Table:
    return labeled(
        table,
        [None if number % 50 == 0 else number % 2 for number in range(table.num_rows)],
        pa.int64(),
    )


def test_customers_without_an_outcome_are_counted_and_never_good(
    home: Settings, release: Release, make_shops: Shops, read: Callable[..., Sample]
) -> None:
    path = release(unknown_outcomes(make_shops(600)))
    outcomes = FeatureTable.open(path, keyring=Keyring.open(home.keyring)).read()["failed"]
    assert outcomes.null_count > 0
    found = read(path)
    assert found.labels.tolist() == outcomes.drop_null().to_pylist()
    assert found.unknown.missing == found.unknown.total == outcomes.null_count
    assert found.as_lineage()["labels_missing"] == str(outcomes.null_count)
    assert found.as_lineage()["data_events"] == str(pc.sum(outcomes).as_py())


Dealt = Callable[[str, list[int | None]], Path]


@pytest.fixture
def dealt(home: Settings, release: Release, make_shops: Shops) -> Dealt:
    """Release a column whose values the open customers have in this order; the rest have none."""
    rows = make_shops(600)
    visible = FeatureTable.open(release(rows), keyring=Keyring.open(home.keyring)).read()
    place = {value: number for number, value in enumerate(visible["turnover"].to_pylist())}

    def deal(name: str, values: list[int | None]) -> Path:
        given = dict(zip(place, values, strict=False))
        column = [given.get(value) for value in rows["turnover"].to_pylist()]
        at = rows.column_names.index(name) if name in rows.column_names else rows.num_columns
        kept = rows.drop_columns([name]) if name in rows.column_names else rows
        return release(kept.add_column(at, name, pa.array(column, pa.int64())))

    return deal


@pytest.mark.parametrize(
    ("events", "others", "problem"),
    [
        (20, 180, None),
        (180, 20, None),
        (20, 179, "There are 199 rows to learn from; at least 200"),
        (19, 181, "is 1 for 19 and 0 for 181 customers; at least 20 of each"),
        (181, 19, "is 1 for 181 and 0 for 19 customers; at least 20 of each"),
        (0, 200, "is 0 for every customer"),
        (200, 0, "is 1 for every customer"),
    ],
)
def test_exactly_the_fewest_customers_are_enough(
    dealt: Dealt, read: Callable[..., Sample], events: int, others: int, problem: str | None
) -> None:
    path = dealt("failed", [1] * events + [0] * others)
    if problem is None:
        found = read(path)
        assert (len(found.labels), int(found.labels.sum())) == (events + others, events)
        return
    with pytest.raises(ContractError, match=problem):
        read(path)


def infinite_turnover(table: pa.Table) -> pa.Table:
    rows = pa.array(np.arange(table.num_rows))
    spoiled = pc.if_else(pc.less(rows, 40), float("inf"), table["turnover"])
    return table.set_column(table.column_names.index("turnover"), "turnover", spoiled)


def nothing_owed_on_nothing(table: pa.Table) -> pa.Table:
    position = table.column_names.index("first_line")
    return table.set_column(position, "first_line", pa.array([0.0] * table.num_rows))


def missing_turnover(table: pa.Table) -> pa.Table:
    rows = pa.array(np.arange(table.num_rows))
    spoiled = pc.if_else(pc.less(rows, 40), pa.scalar(None, pa.float64()), table["turnover"])
    return table.set_column(table.column_names.index("turnover"), "turnover", spoiled)


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (constant(0), "is 0 for every customer"),
        (constant(1), "is 1 for every customer"),
        (few_events, "at least 20 of each"),
        (two_is_a_label, "other values than 0 and 1"),
        (lambda table: table.slice(0, 150), "at least 200"),
        (lambda table: table.drop_columns(["turnover"]), "needs turnover"),
        (nothing_owed_on_nothing, "load"),
        (missing_turnover, "turnover"),
    ],
    ids=[
        *("all good", "all bad", "few events", "three labels", "few rows"),
        *("missing column", "infinite feature", "missing values"),
    ],
)
def test_a_sample_that_cannot_be_learned_from_is_refused(
    release: Release,
    make_shops: Shops,
    read: Callable[..., Sample],
    spoil: Callable[[pa.Table], pa.Table],
    says: str,
) -> None:
    with pytest.raises(ContractError, match=says):
        read(release(spoil(make_shops(600))))


def test_an_infinite_value_in_a_column_is_refused(
    release: Release, make_shops: Shops, read: Callable[..., Sample]
) -> None:
    # Whether the gate or the feature spec stops it, nothing is fitted on it.
    with pytest.raises(ContractError, match="turnover"):
        read(release(infinite_turnover(make_shops(600))))


@pytest.mark.parametrize("target", ["nobody_knows", "customer_pseudonym", "assignment"])
def test_an_unknown_target_is_refused(
    release: Release, make_shops: Shops, read: Callable[..., Sample], target: str
) -> None:
    with pytest.raises(ContractError, match=f"no outcome column {target}.*failed"):
        read(release(make_shops(600)), target)


def test_an_outcome_among_the_features_is_refused(
    release: Release, make_shops: Shops, read: Callable[..., Sample], shop_spec: str
) -> None:
    path = release(make_shops(600))
    with pytest.raises(ContractError, match="reads late, the outcome itself"):
        read(path, "late")
    leaking = shop_spec.replace('sql = "turnover"', 'sql = "turnover - failed"')
    leaking = leaking.replace('sources = ["turnover"]', 'sources = ["turnover", "failed"]')
    with pytest.raises(ContractError, match="reads failed, the outcome itself"):
        read(path, spec=leaking)


def test_a_table_released_for_another_purpose_is_refused(
    release: Release, make_shops: Shops, read: Callable[..., Sample]
) -> None:
    with pytest.raises(ContractError, match="released for decision"):
        read(release(make_shops(600), Purpose.DECISION))


def test_a_table_without_a_label_asks_for_a_target(
    release: Release, make_shops: Shops, read: Callable[..., Sample]
) -> None:
    with pytest.raises(ContractError, match="--target"):
        read(release(make_shops(600).drop_columns(["failed"])))


def test_a_text_is_no_outcome(
    release: Release, make_shops: Shops, read: Callable[..., Sample]
) -> None:
    with pytest.raises(ContractError, match="must be 0 and 1"):
        label.labels(pa.chunked_array([["yes", "no"]]), "answer")


def test_an_altered_table_and_a_missing_ring_are_refused(
    home: Settings, release: Release, make_shops: Shops, read: Callable[..., Sample]
) -> None:
    path = release(make_shops(600))
    content = bytearray((path / "open.parquet").read_bytes())
    content[len(content) // 2] ^= 1
    (path / "open.parquet").write_bytes(content)
    with pytest.raises(IntegrityError, match=r"open\.parquet .* was altered"):
        read(path)
    (home.keyring / "kek.key").unlink()
    with pytest.raises(KeyringError, match="no key file"):
        read(path)


@pytest.fixture
def panel(home: Settings, release: Release, make_shops: Shops, tmp_path: Path) -> FeatureTable:
    """A table in which every customer comes twice; the second row is a year newer and riskier."""
    ring = Keyring.open(home.keyring)
    rows = FeatureTable.open(release(make_shops(600)), keyring=ring, part=Part.ALL).read()
    twice = []
    for year, late in ((2024, 0), (2025, 1)):
        month = pa.array([date(year, 1, 1)] * rows.num_rows, pa.date32())
        shifted = pc.add(rows["late"], pa.scalar(late, pa.int64()))
        position = rows.column_names.index("late")
        twice.append(rows.set_column(position, "late", shifted).append_column("month", month))
    both = pa.concat_tables(twice)
    facts = TableFacts(contract=with_month(both), purpose=Purpose.TRAINING, source="panel")
    batches = both.select(facts.schema.names).combine_chunks().to_batches()
    path = write_unchecked(batches, facts, keyring=ring, out=tmp_path / "panel")
    return FeatureTable.open(path, keyring=ring)


def with_month(rows: pa.Table) -> ColumnContract:
    types = {"int64": "int64", "double": "float64", "date32[day]": "date32"}
    kept = [name for name in rows.column_names if name not in ("customer_pseudonym", "assignment")]
    usual = {"sensitivity": "C1", "why": "Simulated.", "action": "keep", "purposes": ["training"]}
    columns = [
        {**usual, "name": name, "type": types[str(rows[name].type)], "role": "feature"}
        for name in kept
    ]
    shop = {"name": "shop", "type": "string", "role": "subject_id", "action": "pseudonymize"}
    return ColumnContract.model_validate(
        {
            "schema": "column-contract/1",
            "id": "panel",
            "version": "1",
            "title": "Panel",
            "source": "simulated",
            "columns": [{**usual, "purposes": [], **shop}, *columns],
        }
    )


def test_no_customer_is_learned_from_twice(panel: FeatureTable, shop_spec: str) -> None:
    spec = FeatureSpec.parse(shop_spec)
    with pytest.raises(ContractError, match="a customer in two folds"):
        sample.read(panel, SampleQuestion(spec=spec, rule=LabelRule(target="failed")))
    rule = LabelRule(target="failed", vintage="month")
    found = sample.read(panel, SampleQuestion(spec=spec, rule=rule))
    assert len(found.labels) == found.superseded == panel.num_rows // 2
    assert found.as_lineage()["data_rows_superseded"] == str(found.superseded)
    # The newer row of each customer is the one that stays: everybody is late in it.
    assert (found.features[:, 0] >= 1).all()
    assert (found.vintage == np.datetime64("2025-01-01")).all()


def test_an_older_known_row_stands_in_for_a_newer_unknown_one(
    panel: FeatureTable, shop_spec: str
) -> None:
    rule = LabelRule(target="failed", vintage="month", cutoff=date(2025, 6, 1))
    found = sample.read(panel, SampleQuestion(spec=FeatureSpec.parse(shop_spec), rule=rule))
    assert found.unknown.immature == panel.num_rows // 2
    assert found.superseded == 0
    assert (found.vintage == np.datetime64("2024-01-01")).all()


def test_rows_that_equal_another_customers_are_counted(
    home: Settings, release: Release, make_shops: Shops, shop_spec: str
) -> None:
    once = make_shops(400)
    again = once.set_column(0, "shop", pa.array([f"twin {number}" for number in range(400)]))
    path = release(pa.concat_tables([once, again]))
    table = FeatureTable.open(path, keyring=Keyring.open(home.keyring))
    found = sample.read(table, SampleQuestion(spec=FeatureSpec.parse(shop_spec)))
    twins = len(found.labels) - len(np.unique(found.features, axis=0))
    assert found.identical == twins > 150


def test_a_handful_of_customers_has_no_segment_of_its_own(
    home: Settings, release: Release, make_shops: Shops, shop_spec: str
) -> None:
    rows = make_shops(600)
    codes = pa.array([7 if number < 10 else number % 2 for number in range(600)], pa.int64())
    path = release(rows.append_column("branch", codes))
    table = FeatureTable.open(path, keyring=Keyring.open(home.keyring))
    found = sample.read(table, SampleQuestion(spec=FeatureSpec.parse(shop_spec), segment="branch"))
    assert found.segment is not None
    assert set(found.segment.tolist()) == {"0", "1", sample.SMALL_SEGMENTS}


def test_a_segment_of_exactly_twenty_customers_has_its_name(
    dealt: Dealt, home: Settings, shop_spec: str
) -> None:
    path = dealt("branch", [7] * 20 + [8] * 19 + [None] * 30 + [1] * 600)
    table = FeatureTable.open(path, keyring=Keyring.open(home.keyring))
    found = sample.read(table, SampleQuestion(spec=FeatureSpec.parse(shop_spec), segment="branch"))
    assert found.segment is not None
    assert Counter(found.segment[:69].tolist()) == {
        "7": 20,
        sample.SMALL_SEGMENTS: 19,
        sample.NO_SEGMENT: 30,
    }


def test_exactly_twenty_segments_are_broken_down(
    dealt: Dealt, home: Settings, shop_spec: str
) -> None:
    question = SampleQuestion(spec=FeatureSpec.parse(shop_spec), segment="branch")
    ring = Keyring.open(home.keyring)
    found = sample.read(
        FeatureTable.open(dealt("branch", [n % 20 for n in range(600)]), keyring=ring), question
    )
    assert found.segment is not None
    assert len(set(found.segment.tolist())) == 20
    more = FeatureTable.open(dealt("branch", [n % 21 for n in range(600)]), keyring=ring)
    with pytest.raises(ContractError, match="branch has 21 values; at most 20"):
        sample.read(more, question)


def test_a_number_with_a_fraction_is_no_segment_and_a_feature_of_its_name_is_in_the_way(
    release: Release, make_shops: Shops, home: Settings, shop_spec: str
) -> None:
    table = FeatureTable.open(release(make_shops(600)), keyring=Keyring.open(home.keyring))
    spec = FeatureSpec.parse(shop_spec)
    with pytest.raises(ContractError, match="The segment owed is double"):
        sample.read(table, SampleQuestion(spec=spec, segment="owed"))
    with pytest.raises(ContractError, match="turnover is asked for as it stands, and the feature"):
        sample.read(table, SampleQuestion(spec=spec, segment="turnover"))
