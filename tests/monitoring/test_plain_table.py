"""Anybody's file is read, or refused in one line that repeats no value."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.csv as csv
import pyarrow.parquet as pq
import pytest

from governance.errors import ContractError
from monitoring import plain_table

TABLE = pa.table(
    {
        "did": ["Raise", "cut", "hold", "cut", "review"],
        "bad": [0, 1, None, 0, 1],
        "by": ["a", "a", None, "b", "b"],
        "cents": [100, 250, 0, 50, 0],
    }
)


def test_words_codes_and_missing_values_become_counts() -> None:
    counts = plain_table.decisions(TABLE, action="did", outcome="bad", amount="cents", group="by")
    found = {(r["action"], r["outcome"], r["group"]): r for r in counts.table.to_pylist()}
    assert found["raise", "good", "a"]["amount_minor"] == 100
    assert found["hold", "pending", "unknown"]["n"] == 1
    assert counts.total() == 5


GRANTED = {
    "numbers": ([1, 0], None),
    "floats": ([1.0, 0.0], None),
    "flags": ([True, False], None),
    "digits": (["1", "0"], None),
    "true and false": (["TRUE", "False"], None),
    "yes and no": (["Yes", "no "], None),
    "letters": (["Y", "n"], None),
    "Chinese": (["是", "否"], None),
    "Chinese approvals": (["批准", "拒绝"], None),
    "approvals": (["approved", "Declined"], None),
    "a category": (["granted", "rejected"], pa.dictionary(pa.int8(), pa.string())),
    "only one of them": (["accept", "accept"], None),
    "our own word for no": (["approve", "refuse"], None),
}


@pytest.mark.parametrize("spelled", GRANTED)
def test_granted_is_a_raise_and_not_granted_is_a_refusal(spelled: str) -> None:
    values, kind = GRANTED[spelled]
    table = pa.table({"granted": pa.array(values, kind), "o": ["good", "bad"]})
    counts = plain_table.decisions(table, action="granted", outcome="o")
    found = {row["outcome"]: row["action"] for row in counts.table.to_pylist()}
    second = "raise" if values[0] == values[1] else "refuse"
    assert found == {"good": "raise", "bad": second}


@pytest.mark.parametrize(
    "values",
    [
        ["raise", "yes"],
        ["hold", "1"],
        ["approved", "cut"],
        ["approved", "maybe"],
        ["1", "2"],
        [1, -1],
        [1, 0.5],
        ["是", "也许"],
    ],
)
def test_two_ways_to_say_a_decision_in_one_column_are_refused(values: list[object]) -> None:
    table = pa.table({"did": pa.array(values), "o": ["good", "bad"]})
    with pytest.raises(ContractError, match="did must hold one of two things throughout") as told:
        plain_table.decisions(table, action="did", outcome="o")
    assert "maybe" not in str(told.value)


@pytest.mark.parametrize(
    ("bad", "good"), [(True, False), ("yes", "no"), ("Y", "N"), ("是", "否"), ("1", "0.0")]
)
def test_a_flag_of_default_is_a_bad_outcome(bad: object, good: object) -> None:
    table = pa.table({"did": ["hold", "cut"], "o": pa.array([bad, good])})
    counts = plain_table.decisions(table, action="did", outcome="o")
    found = {row["action"]: row["outcome"] for row in counts.table.to_pylist()}
    assert found == {"hold": "bad", "cut": "good"}


def test_rows_that_stand_for_several_customers_are_weighed() -> None:
    table = pa.table({"a": ["cut", "cut"], "o": ["good", "bad"], "n": [30, 70]})
    counts = plain_table.decisions(table, action="a", outcome="o", count="n")
    assert counts.where(outcome="bad").total() == 70


def test_parquet_and_csv_say_the_same(tmp_path: Path) -> None:
    pq.write_table(TABLE, tmp_path / "d.parquet")
    csv.write_csv(TABLE, tmp_path / "d.csv")
    asked = ("did", "bad")
    digests = {
        plain_table.decisions(plain_table.read(path, asked), action="did", outcome="bad").digest
        for path in tmp_path.iterdir()
    }
    assert len(digests) == 1


@pytest.mark.parametrize("name", ["empty.parquet", "empty.csv", "truncated.parquet", "none.csv"])
def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    if name.startswith("truncated"):
        pq.write_table(TABLE, path)
        path.write_bytes(path.read_bytes()[:-20])
    elif name.startswith("empty"):
        path.touch()
    problem = "no table" if name.startswith("none") else r"cannot be read as Parquet|0 bytes"
    with pytest.raises(ContractError, match=problem) as refused:
        plain_table.read(path, ("did",))
    assert "\n" not in str(refused.value)


def test_a_file_without_rows_is_refused(tmp_path: Path) -> None:
    pq.write_table(TABLE.slice(0, 0), tmp_path / "none.parquet")
    with pytest.raises(ContractError, match="no rows"):
        plain_table.read(tmp_path / "none.parquet", ("did",))


@pytest.mark.parametrize(
    ("column", "values"),
    [
        ("did", ["SECRETWORD"] * 5),
        ("did", ["cut", None, "cut", "cut", "cut"]),
        ("bad", [0, 1, 2, 0, 1]),
        ("bad", ["SECRETWORD"] * 5),
        ("cents", [1.5] * 5),
        ("cents", [-1] * 5),
        ("cents", [1, None, 1, 1, 1]),
    ],
)
def test_a_value_that_is_not_allowed_is_refused_and_not_repeated(
    column: str, values: list[object]
) -> None:
    table = TABLE.set_column(TABLE.column_names.index(column), column, pa.array(values))
    with pytest.raises(ContractError, match=column) as refused:
        plain_table.decisions(table, action="did", outcome="bad", amount="cents")
    assert "SECRETWORD" not in str(refused.value)


def test_a_missing_column_is_named_and_none_of_those_that_are_there() -> None:
    with pytest.raises(ContractError, match=r"lacks the columns x\.$"):
        plain_table.decisions(TABLE, action="x", outcome="bad")
