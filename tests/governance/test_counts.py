"""Counts merge like sums, and what was withheld stays withheld."""

from __future__ import annotations

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from governance.counts import Counts
from governance.errors import ContractError

cells = st.lists(
    st.fixed_dictionaries(
        {
            "group": st.sampled_from(["a", "b", None]),
            "action": st.sampled_from(["raise", "cut"]),
            "n": st.one_of(st.integers(0, 50), st.none()),
        }
    ),
    min_size=1,
    max_size=12,
)


def test_a_sum_over_cells() -> None:
    counts = Counts.from_rows(
        [
            {"group": "a", "action": "raise", "n": 3},
            {"group": "a", "action": "cut", "n": 1},
            {"group": "b", "action": "cut", "n": 5},
        ]
    )
    assert counts.total() == 3 + 1 + 5
    assert counts.where(group="a").total() == 3 + 1
    assert counts.where(action=["cut"]).total() == 1 + 5
    assert counts.where(group="c").total() == 0
    assert counts.by("action").where(action="cut").total() == 1 + 5
    assert counts.values("group") == ["a", "b"]


@given(cells, cells, cells)
def test_merging_is_associative_and_order_does_not_matter(
    one: list[dict[str, object]], two: list[dict[str, object]], three: list[dict[str, object]]
) -> None:
    schema = pa.schema([("group", pa.string()), ("action", pa.string()), ("n", pa.int64())])
    a, b, c = (Counts(pa.Table.from_pylist(rows, schema)) for rows in (one, two, three))
    assert ((a + b) + c).digest == (a + (b + c)).digest == (c + b + a).digest


def test_a_withheld_cell_makes_every_sum_over_it_unknown() -> None:
    counts = Counts.from_rows([{"group": "a", "n": 20}, {"group": "b", "n": None}])
    assert counts.total() is None
    assert counts.where(group="a").total() == 20
    assert (counts + counts).where(group="b").total() is None


def test_money_adds_up_beside_the_counts() -> None:
    rows = [{"g": "a", "n": 1, "amount_minor": 5}, {"g": "a", "n": 2, "amount_minor": 7}]
    counts = Counts.from_rows(rows, ("n", "amount_minor"))
    assert (counts.total(), counts.total("amount_minor")) == (3, 12)


def test_two_spellings_of_one_column_are_refused() -> None:
    with pytest.raises(ContractError, match="upper and lower case"):
        Counts.from_rows([{"SEX": 1, "sex": 2, "n": 1}])


def test_counts_of_different_shape_do_not_add() -> None:
    with pytest.raises(ContractError, match="cannot be added"):
        Counts.from_rows([{"a": 1, "n": 1}]) + Counts.from_rows([{"b": 1, "n": 1}])


def test_a_table_without_counts_is_refused() -> None:
    with pytest.raises(ContractError, match="n; they are missing"):
        Counts.from_rows([{"a": 1}])


def test_there_is_one_row_for_each_key_and_withheld_wins() -> None:
    rows = [{"g": "a", "n": 1}, {"g": "b", "n": 2}, {"g": "a", "n": 3}, {"g": "b", "n": None}]
    counts = Counts.from_rows(rows)
    found = {row["g"]: row["n"] for row in counts.table.to_pylist()}
    assert counts.table.num_rows == 2
    assert found == {"a": 4, "b": None}
    assert counts.by().table.to_pylist() == [{"n": None}]
    assert (counts + counts).table.num_rows == 2


def test_counts_of_nobody_keep_their_shape_and_sum_to_nothing() -> None:
    nobody = Counts.from_rows([{"g": "a", "n": 1}]).where(g="b")
    assert nobody.table.num_rows == 0
    assert (nobody.keys, nobody.additive, nobody.total()) == (("g",), ("n",), 0)
    assert (nobody + Counts.from_rows([{"g": "a", "n": 1}])).total() == 1


def test_sums_that_leave_64_bits_are_refused_and_the_last_that_fits_is_right() -> None:
    most = 2**63 - 1
    rows = {"k": ["a", "a"], "n": [1, 1], "amount": [most - 5, 5]}
    fits = Counts(pa.table(rows), ("n", "amount"))
    assert fits.total("amount") == most
    rows["amount"] = [most - 5, 6]
    with pytest.raises(ContractError, match="column amount do not fit 64 bits"):
        Counts(pa.table(rows), ("n", "amount"))
    with pytest.raises(ContractError, match="column amount do not fit 64 bits"):
        fits + fits


def test_the_values_of_a_key_are_sorted_and_nulls_come_last() -> None:
    counts = Counts.from_rows([{"g": name, "n": 1} for name in ("b", None, "a")])
    assert counts.values("g") == ["a", "b", None]
