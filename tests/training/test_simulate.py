from __future__ import annotations

import json
import stat
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from governance.errors import UsageError
from limitline.commands import app
from training import source
from training.simulate import raw_table, simulate

LAYOUT = [
    *("customer_id", "name", "mobile", "resident_id", "bank_card", "address"),
    *("sex", "education", "marriage", "age", "limit_bal", "reference_limit"),
    *("pay_0", "pay_2", "pay_3", "pay_4", "pay_5", "pay_6"),
    *(f"bill_amt{month}" for month in range(1, 7)),
    *(f"pay_amt{month}" for month in range(1, 7)),
    "default_next_month",
]


@pytest.fixture(scope="module")
def everybody() -> pa.Table:
    return raw_table(seed=0)


def test_the_layout_is_as_declared(everybody: pa.Table) -> None:
    assert everybody.column_names == LAYOUT
    assert set(everybody.schema.types[:6]) == {pa.string()}
    assert set(everybody.schema.types[6:]) == {pa.int64()}


def test_behavior_stays_as_published(everybody: pa.Table) -> None:
    published = source.load()
    for name in published.column_names:
        assert everybody[name].equals(published[name])
    assert everybody["reference_limit"].equals(published["limit_bal"])


def test_a_smaller_table_is_a_sample_of_the_same_people(
    tmp_path: Path, everybody: pa.Table
) -> None:
    simulate(tmp_path / "raw.parquet", customers=500)
    few = pq.read_table(tmp_path / "raw.parquet").to_pylist()
    whole = {row["customer_id"]: row for row in everybody.to_pylist()}
    assert len(few) == 500
    assert all(whole[row["customer_id"]] == row for row in few)


def test_the_same_seed_is_the_same_file(tmp_path: Path) -> None:
    paths = [tmp_path / "one.parquet", tmp_path / "two.parquet", tmp_path / "other.parquet"]
    for path, seed in zip(paths, (3, 3, 4), strict=True):
        simulate(path, customers=100, seed=seed)
    one, two, other = (path.read_bytes() for path in paths)
    assert one == two
    assert one != other


@pytest.mark.parametrize("customers", [0, -1, 30_001])
def test_customers_who_do_not_exist_are_refused(tmp_path: Path, customers: int) -> None:
    with pytest.raises(UsageError, match="bundled data"):
        simulate(tmp_path / "raw.parquet", customers=customers)
    assert list(tmp_path.iterdir()) == []


def test_a_table_that_was_there_is_replaced_as_a_whole(tmp_path: Path) -> None:
    path = tmp_path / "raw" / "table.parquet"
    path.parent.mkdir()
    path.write_bytes(b"an older table")
    simulate(path, customers=10)
    assert pq.read_table(path).num_rows == 10
    assert [item.name for item in path.parent.iterdir()] == ["table.parquet"]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_the_verb_prints_one_document(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIMITLINE_HOME", str(tmp_path / "a home"))
    ran = CliRunner().invoke(app, ["simulate", "--customers", "20", "--json"])
    assert ran.exit_code == 0
    document = json.loads(ran.stdout)
    assert document["rows"] == 20
    assert document["identities"] == "simulated"
    assert Path(document["path"]) == tmp_path / "a home" / "raw" / "uci_credit.parquet"
    assert CliRunner().invoke(app, ["simulate", "--customers", "0"]).exit_code == 2
