"""Counting is exact, mergeable, and one statement."""

from __future__ import annotations

import math

import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from monitoring.bins import FeatureBins, fit_bins
from monitoring.counts import reduce

AMOUNTS = FeatureBins(feature="amount", kind="number", edges=(10.0, 20.0), prototype=0.0)


def _cells(table: pa.Table, bins: object) -> dict[tuple[str, str], int]:
    rows = reduce(table, bins).table.to_pylist()  # type: ignore[arg-type]
    return {(row["feature"], row["bin"]): row["n"] for row in rows}


def test_every_row_falls_in_exactly_one_bin_of_every_column(uci: pa.Table) -> None:
    counts = reduce(uci, fit_bins(uci))
    for name in uci.column_names:
        assert counts.where(feature=name).total() == uci.num_rows


def test_missing_nan_prototype_edge_and_infinity_land_where_the_label_says() -> None:
    values = [None, math.nan, 0.0, -1.0, 9.99, 10.0, 19.9, 20.0, math.inf, -math.inf]
    bins = fit_bins(pa.table({"amount": [1.5] * 30})).model_copy(update={"features": (AMOUNTS,)})
    assert _cells(pa.table({"amount": values}), bins) == {
        ("amount", "missing"): 2,
        ("amount", "= 0"): 1,
        ("amount", "< 10"): 3,
        ("amount", "10 to 20"): 2,
        ("amount", ">= 20"): 2,
    }


def test_a_new_code_shows_as_other() -> None:
    bins = fit_bins(pa.table({"code": [1] * 20 + [2] * 20}))
    assert _cells(pa.table({"code": [1, 3, None, 4]}), bins) == {
        ("code", "1"): 1,
        ("code", "other"): 2,
        ("code", "missing"): 1,
    }


def test_a_quote_in_a_category_or_a_name_is_text_and_not_sql() -> None:
    table = pa.table({'o"d; --': ["it's"] * 10 + ['"'] * 10})
    assert set(_cells(table, fit_bins(table)).values()) == {10}


def test_a_column_that_is_missing_or_became_text_costs_only_itself() -> None:
    bins = fit_bins(pa.table({"a": [1.5, 2.5] * 20, "b": [1.5, 2.5] * 20, "c": [1, 2] * 20}))
    counted = _cells(pa.table({"a": ["x"] * 3, "c": [1, 1, 2]}), bins)
    assert counted == {("c", "1"): 2, ("c", "2"): 1}


def test_a_stream_of_batches_counts_like_the_table(uci: pa.Table) -> None:
    bins = fit_bins(uci)
    reader = pa.RecordBatchReader.from_batches(uci.schema, uci.to_batches(max_chunksize=777))
    assert reduce(reader, bins).digest == reduce(uci, bins).digest


@settings(max_examples=25, deadline=None)
@given(cut=st.integers(0, 200), seed=st.integers(0, 1000))
def test_counts_of_the_parts_add_up_to_the_counts_of_the_whole(cut: int, seed: int) -> None:
    values = np.random.default_rng(seed).lognormal(3, 2, 200).round(2)
    table = pa.table({"x": values, "y": (values.astype(int) % 4)})
    bins = fit_bins(table)
    parts = reduce(table.slice(0, cut), bins) + reduce(table.slice(cut), bins)
    assert parts.digest == reduce(table, bins).digest
