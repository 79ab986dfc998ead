from __future__ import annotations

import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from governance.errors import IntegrityError
from training import source

DATA = Path(source.__file__).parent / "data" / "uci_credit_default.parquet"


@pytest.fixture(scope="module")
def table() -> pa.Table:
    return source.load()


@pytest.mark.parametrize(
    ("column", "mean", "deviation"),
    [
        ("limit_bal", 167_484.3227, 129_747.6616),
        ("age", 35.4855, 9.2179),
        ("bill_amt1", 51_223.3309, None),
        ("pay_amt1", 5_663.5805, None),
        ("pay_0", -0.0167, None),
    ],
)
def test_the_published_statistics_hold(
    table: pa.Table, column: str, mean: float, deviation: float | None
) -> None:
    assert pc.mean(table[column]).as_py() == pytest.approx(mean, abs=5e-5)
    if deviation is not None:
        assert pc.stddev(table[column], ddof=1).as_py() == pytest.approx(deviation, abs=5e-5)


def test_the_published_counts_hold(table: pa.Table) -> None:
    def count(name: str, value: int) -> int:
        return pc.sum(pc.equal(table[name], value)).as_py()

    assert (table.num_rows, table.num_columns) == (30_000, 24)
    assert count("default_next_month", 1) == 6_636
    assert count("sex", 2) == 18_112
    assert [count("education", code) for code in range(7)] == [
        14,
        10_585,
        14_030,
        4_917,
        123,
        280,
        51,
    ]
    assert [count("marriage", code) for code in range(4)] == [54, 13_659, 15_964, 323]
    assert sum(table[name].null_count for name in table.column_names) == 0
    assert set(table.schema.types) == {pa.int64()}


def test_the_content_digest_is_of_the_content_and_not_of_the_file(tmp_path: Path) -> None:
    raw = pq.read_table(DATA)
    pq.write_table(raw, tmp_path / "other.parquet", compression="none", use_dictionary=False)
    assert source.content_digest(pq.read_table(tmp_path / "other.parquet")) == source.CONTENT_DIGEST


def test_swapped_codes_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    raw = pq.read_table(DATA)
    swapped = pc.subtract(3, raw["SEX"]).cast(raw["SEX"].type)
    position = raw.column_names.index("SEX")
    (tmp_path / "data").mkdir()
    pq.write_table(raw.set_column(position, "SEX", swapped), tmp_path / "data" / DATA.name)
    monkeypatch.setattr(source, "files", lambda package: tmp_path)
    with pytest.raises(IntegrityError, match="content digest"):
        source.load()
    shutil.copy(DATA, tmp_path / "data" / DATA.name)
    assert source.load().num_rows == 30_000


def test_the_notice_names_source_license_and_changes() -> None:
    notice = (DATA.parent / "NOTICE").read_text(encoding="utf-8")
    for said in ("Yeh", "2009", "data set 350", "CC BY 4.0", "Changes: ", source.CONTENT_DIGEST):
        assert said in notice
