"""Bins betray nobody and cut the same way every time."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from governance.errors import ContractError
from monitoring.bins import MISSING, OTHER, fit_bins, round_significant


def test_an_extreme_amount_is_never_an_edge_even_in_a_small_table() -> None:
    for n in (30, 100, 1000, 20_000):
        amounts = np.random.default_rng(n).lognormal(8, 1, n)
        amounts[0] = 98_765_432.25
        [feature] = fit_bins(pa.table({"amount": amounts})).features
        assert max(feature.edges) < 1e6
        assert min(feature.edges) > amounts.min()


@pytest.mark.parametrize("n", [30, 100, 500, 20_000])
def test_nearly_ten_rows_lie_beyond_every_outermost_edge(n: int) -> None:
    amounts = np.random.default_rng(n).lognormal(8, 1, n)
    [feature] = fit_bins(pa.table({"amount": amounts})).features
    # Rounding to three digits may move an edge past a row or two.
    assert (amounts <= feature.edges[0]).sum() >= 8
    assert (amounts >= feature.edges[-1]).sum() >= 8


def test_edges_have_three_significant_digits() -> None:
    amounts = np.random.default_rng(1).lognormal(8, 1, 5000)
    [feature] = fit_bins(pa.table({"amount": amounts})).features
    assert all(edge == round_significant(edge) for edge in feature.edges)
    assert len(feature.edges) >= 12


def test_a_value_that_many_share_is_its_own_bin(uci: pa.Table) -> None:
    [feature] = fit_bins(uci, ["pay_amt1"]).features
    assert feature.prototype == 0
    assert feature.labels[:2] == (MISSING, "= 0")


def test_a_code_held_by_fewer_than_ten_rows_has_no_bin_of_its_own() -> None:
    table = pa.table({"city": ["north"] * 50 + ["CANARYTOWN"] + ["south"] * 12})
    assert fit_bins(table).labels("city") == (MISSING, OTHER, "north", "south")


def test_whole_numbers_with_few_values_are_codes_even_when_missing_made_them_floats() -> None:
    [feature] = fit_bins(pa.table({"code": [1.0] * 20 + [2.0] * 20 + [None] * 5})).features
    assert (feature.kind, feature.codes) == ("code", ("1", "2"))


def test_an_empty_column_gets_bins_that_say_nothing() -> None:
    [feature] = fit_bins(pa.table({"x": pa.array([None, None], pa.float64())})).features
    assert feature.labels == (MISSING, "any")


def test_names_that_differ_only_by_case_are_refused() -> None:
    with pytest.raises(ContractError, match="upper and lower case"):
        fit_bins(pa.table({"SEX": [1.5] * 30, "sex": [2.5] * 30}))


def test_a_column_that_was_named_and_is_missing_is_refused() -> None:
    with pytest.raises(ContractError, match="limit is missing"):
        fit_bins(pa.table({"x": [1]}), ["limit"])


@given(st.lists(st.floats(-1e9, 1e9), min_size=2, max_size=300))
def test_labels_are_distinct_and_edges_ascend(values: list[float]) -> None:
    [feature] = fit_bins(pa.table({"x": values})).features
    assert len(set(feature.labels)) == len(feature.labels)
    assert list(feature.edges) == sorted(set(feature.edges))
