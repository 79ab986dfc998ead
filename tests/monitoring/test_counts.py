"""Counting is exact, mergeable, and one statement."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections import Counter
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from governance.inference import MARKER, VALUE
from monitoring.bins import MISSING, Bins, FeatureBins, fit_bins
from monitoring.columns import Scale, countable
from monitoring.counts import reduce

AMOUNTS = FeatureBins(feature="amount", scale=Scale.NUMBER, edges=("10", "20"), codes=("0", "15"))


def _cells(table: pa.Table, bins: Bins) -> dict[tuple[str, str], int]:
    rows = reduce(table, bins).table.to_pylist()
    return {(row["feature"], row["bin"]): row["n"] for row in rows}


def test_every_row_falls_in_exactly_one_bin_of_every_column(uci: pa.Table) -> None:
    counts = reduce(uci, fit_bins(uci))
    for name in uci.column_names:
        assert counts.where(feature=name).total() == uci.num_rows


def test_missing_nan_own_value_edge_and_infinity_land_where_the_label_says() -> None:
    values = [None, math.nan, 0.0, -0.0, -1.0, 9.99, 10.0, 15.0, 15.5, 20.0, math.inf, -math.inf]
    assert _cells(pa.table({"amount": values}), Bins(features=(AMOUNTS,))) == {
        ("amount", "missing"): 2,
        ("amount", "< 0"): 2,
        ("amount", "= 0"): 2,
        ("amount", "0 to 10"): 1,
        ("amount", "10 to 15"): 1,
        ("amount", "= 15"): 1,
        ("amount", "15 to 20"): 1,
        ("amount", ">= 20"): 2,
    }


def test_a_bin_says_where_it_lies() -> None:
    table = pa.table({"amount": [None, -1.0, 0.0, 5.0, 15.0, 17.0, 30.0]})
    found = {
        row["bin"]: row["at"] for row in reduce(table, Bins(features=(AMOUNTS,))).table.to_pylist()
    }
    inner = {"= 0": 0, "0 to 10": 5, "= 15": 15, "15 to 20": 17.5}
    assert {label: found[label] for label in inner} == inner
    assert found["missing"] is None
    assert found["< 0"] < 0
    assert found[">= 20"] > 20


@pytest.mark.parametrize(
    "kind",
    [pa.int64(), pa.uint64(), pa.float64(), pa.decimal128(30, 2), pa.decimal256(50, 2)],
    ids=str,
)
def test_bins_of_every_kind_of_number_equal_a_search_by_exact_decimals(kind: pa.DataType) -> None:
    drawn = np.random.default_rng(5).integers(0, 60, 3000) ** 2 * 7
    table = pa.table({"x": pa.array([int(v) for v in drawn], pa.int64()).cast(kind)})
    bins = fit_bins(table)
    [feature] = bins.features
    below = [Decimal(text) for text, is_above in feature.cuts if not is_above]
    above = [Decimal(text) for text, is_above in feature.cuts if is_above]
    expected = Counter(
        feature.labels[2 + bisect_right(below, value) + bisect_left(above, value)]
        for value in (Decimal(int(v)) for v in drawn)
    )
    assert {label: n for (_, label), n in _cells(table, bins).items()} == expected


def test_numbers_beyond_two_to_the_fifty_third_are_told_apart() -> None:
    table = pa.table({"x": pa.array([2**53, 2**53 + 1, 2**53 + 2] * 20, pa.int64())})
    assert set(_cells(table, fit_bins(table)).values()) == {20}
    wide = pa.table({"x": pa.array([2**64 - 1, 2**64 - 2] * 20, pa.uint64())})
    assert set(_cells(wide, fit_bins(wide)).values()) == {20}


def test_a_grade_is_the_same_in_32_and_in_64_bits_and_as_a_decimal() -> None:
    grades = ["0.1", "0.35", "0.7"] * 20
    wide = pa.table({"x": [float(grade) for grade in grades]})
    bins = fit_bins(wide)
    narrow = pa.table({"x": wide["x"].cast(pa.float32())})
    decimal = pa.table({"x": pa.array([Decimal(grade) for grade in grades])})
    assert _cells(wide, bins) == _cells(narrow, bins) == _cells(decimal, bins)


def test_a_code_without_a_bin_shows_as_other() -> None:
    bins = fit_bins(pa.table({"code": [1] * 20 + [2] * 20}))
    assert _cells(pa.table({"code": [1, 3, None, 4]}), bins) == {
        ("code", "1"): 1,
        ("code", "other"): 2,
        ("code", "missing"): 1,
    }


def test_a_marker_stands_beside_the_values_and_is_neither_missing_nor_a_value() -> None:
    kind = pa.struct([(VALUE, pa.float64()), (MARKER, pa.string())])
    rows = [(float(k), None) for k in range(100)] + [(None, "-")] * 10 + [(None, "?"), (None, None)]
    column = pa.array([{VALUE: v, MARKER: m} for v, m in rows] + [None], kind)
    table = pa.table({"income": column})
    found = _cells(table, fit_bins(table))
    assert found["income", '"-"'] == 10
    assert found["income", "other"] == 1
    assert found["income", "missing"] == 2
    assert sum(found.values()) == 113


def test_of_what_has_no_bins_presence_is_counted() -> None:
    table = pa.table({"x": pa.array([[1], None, [2, 3]])})
    assert _cells(table, fit_bins(table)) == {("x", "present"): 2, ("x", "missing"): 1}
    empty = pa.table({"x": pa.nulls(3)})
    assert _cells(empty, fit_bins(empty)) == {("x", MISSING): 3}


def test_an_untyped_empty_column_is_missing_values_of_the_other_sides_type() -> None:
    bins = fit_bins(pa.table({"x": ["a"] * 20}))
    assert _cells(pa.table({"x": pa.nulls(5)}), bins) == {("x", MISSING): 5}


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
    generator = np.random.default_rng(seed)
    values = generator.lognormal(3, 2, 200).round(2)
    table = pa.table(
        {
            "x": values,
            "y": values.astype(int) % 4,
            "day": pa.array(values.astype(int) % 90, pa.int32()).cast(pa.date32()),
            "word": pa.array(generator.choice(["a", "b", "other", None], 200).tolist()),
        }
    )
    bins = fit_bins(table.slice(0, 150), current=table.slice(50))
    parts = reduce(table.slice(0, cut), bins) + reduce(table.slice(cut), bins)
    assert parts.digest == reduce(table, bins).digest


def test_a_column_is_read_the_same_however_it_is_stored() -> None:
    words = pa.array(["a", None, "b", "b"])
    kinds = [words, words.cast(pa.large_string()), words.cast(pa.string_view())]
    for stored in (*kinds, words.dictionary_encode()):
        found = countable(stored)
        assert (found.scale, found.values.to_pylist()) == (Scale.TEXT, words.to_pylist())
    numbers = pa.array([5, None, 5, 5])
    for encoded in (numbers.dictionary_encode(), pa.compute.run_end_encode(numbers)):
        assert countable(encoded).values.to_pylist() == numbers.to_pylist()
    flags = pa.ExtensionArray.from_storage(pa.bool8(), pa.array([1, 0], pa.int8()))
    assert countable(flags).values.to_pylist() == [1, 0]


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_moments_and_times_are_microseconds_in_every_unit(unit: str) -> None:
    seconds = pa.array([1_700_000_000, None], pa.int64()).cast(pa.timestamp("s"))
    expected = [1_700_000_000_000_000, None]
    assert countable(seconds.cast(pa.timestamp(unit))).values.to_pylist() == expected
    zoned = seconds.cast(pa.timestamp(unit, "UTC"))
    assert countable(zoned).values.to_pylist() == expected
    lasting = pa.array([90], pa.duration(unit))
    per = {"s": 1_000_000, "ms": 1_000, "us": 1, "ns": 0.001}[unit]
    assert countable(lasting).values.to_pylist() == [int(90 * per)]
