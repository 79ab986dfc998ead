"""The bundled data are the published ones, and the identities put on them belong to nobody."""

from __future__ import annotations

import json
import re
import shutil
import stat
from datetime import date
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from governance.errors import ContractError, IntegrityError, UsageError
from limitline.commands import app
from training import demo_data
from training.demo_data import make_identities, raw_table, simulate

DATA = Path(demo_data.__file__).parent / "data" / "uci_credit_default.parquet"


@pytest.fixture(scope="module")
def table() -> pa.Table:
    return demo_data.load()


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
    assert (
        demo_data.content_digest(pq.read_table(tmp_path / "other.parquet"))
        == demo_data.CONTENT_DIGEST
    )


def test_swapped_codes_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    raw = pq.read_table(DATA)
    swapped = pc.subtract(3, raw["SEX"]).cast(raw["SEX"].type)
    position = raw.column_names.index("SEX")
    (tmp_path / "data").mkdir()
    pq.write_table(raw.set_column(position, "SEX", swapped), tmp_path / "data" / DATA.name)
    monkeypatch.setattr(demo_data, "files", lambda package: tmp_path)
    with pytest.raises(IntegrityError, match="content digest"):
        demo_data.load()
    shutil.copy(DATA, tmp_path / "data" / DATA.name)
    assert demo_data.load().num_rows == 30_000


def test_the_notice_names_source_license_and_changes() -> None:
    notice = (DATA.parent / "NOTICE").read_text(encoding="utf-8")
    for said in ("Yeh", "2009", "data set 350", "CC BY 4.0", "Changes: ", demo_data.CONTENT_DIGEST):
        assert said in notice


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
    published = demo_data.load()
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


DAYS = st.dates(date(1990, 1, 1), date(2030, 12, 31))
CUSTOMERS = st.lists(st.tuples(st.integers(1, 2), st.integers(18, 110)), min_size=1, max_size=40)


def is_resident_id(text: str) -> bool:
    """The check of GB 11643-1999 from the standard's formula: the sum of a_i W_i is 1 mod 11."""
    values = [10 if character == "X" else int(character) for character in text]
    weights = [2 ** (18 - place) % 11 for place in range(1, 19)]
    return len(text) == 18 and sum(v * w for v, w in zip(values, weights, strict=True)) % 11 == 1


def is_luhn(text: str) -> bool:
    total = 0
    for place, character in enumerate(reversed(text)):
        digit = int(character) * (1 + place % 2)
        total += digit - 9 if digit > 9 else digit
    return total % 10 == 0


def made(sexes: list[int], ages: list[int], on: str = "2005-09-30", seed: int = 0) -> pa.Table:
    sex, age = np.array(sexes, dtype=np.int64), np.array(ages, dtype=np.int64)
    return make_identities(sex=sex, age=age, observed_on=on, seed=seed)


def test_the_oracles_know_the_published_examples() -> None:
    assert is_resident_id("11010519491231002X")
    assert is_resident_id("440524188001010014")
    assert not is_resident_id("110105194912310021")
    assert is_luhn("79927398713")
    assert not is_luhn("79927398710")


@given(customers=CUSTOMERS, on=DAYS, seed=st.integers(0, 2**32))
@settings(max_examples=60, deadline=None)
def test_every_number_is_valid_in_form_and_impossible_by_construction(
    customers: list[tuple[int, int]], on: date, seed: int
) -> None:
    sexes, ages = map(list, zip(*customers, strict=True))
    for row, sex, age in zip(
        made(sexes, ages, on.isoformat(), seed).to_pylist(), sexes, ages, strict=True
    ):
        assert re.fullmatch(r"C\d{9}", row["customer_id"])
        assert re.fullmatch(r"100\d{8}", row["mobile"])
        assert re.fullmatch(r"9999\d{12,15}", row["bank_card"])
        assert is_luhn(row["bank_card"])
        resident = row["resident_id"]
        assert re.fullmatch(r"999999\d{11}[\dX]", resident)
        assert is_resident_id(resident)
        assert int(resident[16]) % 2 == sex % 2
        born = date(int(resident[6:10]), int(resident[10:12]), int(resident[12:14]))
        assert on.year - born.year - ((on.month, on.day) < (born.month, born.day)) == age


@pytest.fixture(scope="module")
def crowd() -> pa.Table:
    rng = np.random.default_rng(0)
    return made(rng.integers(1, 3, 60_000).tolist(), rng.integers(21, 80, 60_000).tolist())


def test_no_number_can_belong_to_anybody(crowd: pa.Table) -> None:
    # Area codes of provinces start with 1 to 6, of Taiwan, Hong Kong and Macau with 7 and 8.
    assert {text[0] for text in crowd["resident_id"].to_pylist()} == {"9"}
    assert not any(re.match(r"1[3-9]", text) for text in crowd["mobile"].to_pylist())
    # Schemes own 2 to 6 (Mastercard, American Express, Visa, Discover, UnionPay).
    assert {text[:4] for text in crowd["bank_card"].to_pylist()} == {"9999"}
    assert all("模拟省虚构市" in text and "虚拟路" in text for text in crowd["address"].to_pylist())


def test_nobody_shares_a_number(crowd: pa.Table) -> None:
    for name in ("customer_id", "mobile", "resident_id", "bank_card"):
        assert len(crowd[name].unique()) == crowd.num_rows
    assert {len(text) for text in crowd["bank_card"].to_pylist()} == {16, 17, 18, 19}


def test_the_seed_decides_everything() -> None:
    sexes, ages = [1, 2] * 50, list(range(20, 70)) * 2
    assert made(sexes, ages, seed=1).equals(made(sexes, ages, seed=1))
    other = made(sexes, ages, seed=2)
    for name in other.column_names:
        assert not made(sexes, ages, seed=1)[name].equals(other[name])


def test_names_follow_the_sex() -> None:
    names = made([1] * 400 + [2] * 400, [30] * 800)["name"].to_pylist()
    men, women = ({name[1:] for name in part} for part in (names[:400], names[400:]))
    assert len(men & women) < len(men) / 2


def test_no_customers_are_no_identities() -> None:
    assert made([], []).num_rows == 0


def test_too_many_equal_birthdays_are_refused() -> None:
    with pytest.raises(ContractError, match="share a birthday"):
        made([1] * 300_000, [30] * 300_000)
