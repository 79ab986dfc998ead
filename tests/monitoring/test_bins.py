"""Bins betray nobody, join no values that hold mass, and cut the same way every time."""

from __future__ import annotations

import datetime
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from governance.errors import ContractError
from monitoring.bins import MISSING, OTHER, FeatureBins, fit_bins
from monitoring.columns import Scale


def _fit(values: object, current: object = None) -> FeatureBins:
    before, now = (None if v is None else pa.table({"x": v}) for v in (values, current))
    assert before is not None
    [feature] = fit_bins(before, current=now).features
    return feature


def _numbers(texts: tuple[str, ...]) -> list[float]:
    return [float(text) for text in texts]


@pytest.mark.parametrize("n", [30, 100, 1000, 20_000])
def test_no_edge_is_an_extreme_amount_or_computed_from_one(n: int) -> None:
    amounts = np.random.default_rng(n).lognormal(8, 1, n)
    calm = _fit(amounts)
    amounts[np.argmax(amounts)] = 98_765_432.25
    amounts[np.argmin(amounts)] = -98_765_432.25
    assert _fit(amounts).edges == calm.edges
    assert max(_numbers(calm.edges)) < 1e7


@pytest.mark.parametrize("n", [30, 100, 500, 20_000])
def test_nearly_ten_rows_lie_beyond_every_outermost_quantile(n: int) -> None:
    amounts = np.random.default_rng(n).lognormal(8, 1, n)
    edges = _numbers(_fit(amounts).edges)
    # Four edges on each side lie beyond; rounding may move a quantile past a row or two.
    assert (amounts <= edges[4]).sum() >= 8
    assert (amounts >= edges[-5]).sum() >= 8


def test_four_edges_on_each_side_lie_where_the_reference_ends_and_far_beyond() -> None:
    amounts = np.random.default_rng(2).lognormal(8, 1, 20_000)
    edges, median = np.array(_numbers(_fit(amounts).edges)), np.median(amounts)
    reach = (edges[[*range(4), *range(-4, 0)]] - median) / (edges[[4] * 4 + [-5] * 4] - median)
    assert reach == pytest.approx([28, 10, 4, 2, 2, 4, 10, 28], rel=0.05)
    assert (amounts < edges[0]).sum() == 0
    assert (amounts >= edges[-1]).sum() == 0


def test_no_edge_lies_beyond_an_end_that_is_the_middle() -> None:
    # Most hold exactly zero, and below zero is nobody: the lower end of the others lies above it.
    paid = [0.0] * 6000 + list(np.random.default_rng(3).lognormal(8, 1, 4000))
    edges = np.array(_numbers(_fit(paid).edges))
    assert edges[0] > 0
    # Fifteen quantiles have ten rows beyond, and four edges lie beyond the upper end.
    assert len(edges) == 15 + 4


def test_an_edge_is_rounded_to_three_digits_where_three_tell_neighbors_apart() -> None:
    amounts = np.random.default_rng(1).lognormal(8, 1, 5000)
    quantiles = [Decimal(text) for text in _fit(amounts).edges[4:-4]]
    assert all(len(q.normalize().as_tuple().digits) <= 3 for q in quantiles)
    assert len(quantiles) >= 15
    assert not set(map(float, quantiles)) & set(amounts.tolist())


@pytest.mark.parametrize("offset", [20_240_101, 1_700_000_000, 2**60, 2**63 - 10**7])
def test_a_large_offset_keeps_its_edges(offset: int) -> None:
    steps = np.random.default_rng(3).integers(0, 10**6, 5000)
    feature = _fit(pa.array([offset + int(step) for step in steps], pa.int64()))
    assert len(feature.edges) >= 15
    inner = np.array([int(text) - offset for text in feature.edges[9:-9]])
    shares = np.diff(np.searchsorted(np.sort(steps), inner)) / 5000
    assert shares.max() < 0.13


def test_an_edge_of_an_offset_column_is_no_exact_value_of_a_row() -> None:
    values = 1e9 + np.random.default_rng(4).random(5000)
    assert not set(_numbers(_fit(values).edges)) & set(values.tolist())


@pytest.mark.parametrize("k", [3, 6, 20, 21, 60])
@pytest.mark.parametrize("kind", ["float", "whole", "decimal", "day"])
def test_values_that_hold_a_hundredth_are_bins_of_their_own(k: int, kind: str) -> None:
    drawn = np.random.default_rng(k).integers(0, k, 6000).tolist()
    made = {
        "float": lambda v: 0.01 + v / 7,
        "whole": lambda v: 100_000 + 5 * v,
        "decimal": lambda v: Decimal(v) / 4,
        "day": lambda v: datetime.date(2024, 1, 31) + datetime.timedelta(days=v),
    }[kind]
    assert len(_fit(pa.array([made(v) for v in drawn])).codes) == k


def test_a_hundredth_is_enough_and_less_is_not() -> None:
    spread = [float(k) + 0.5 for k in range(4950)]
    assert _fit([0.25] * 50 + spread).codes == ("0.25",)
    assert _fit([0.25] * 49 + spread).codes == ()


def test_a_value_that_only_the_current_side_holds_often_has_a_bin_too() -> None:
    spread = [float(k) + 0.5 for k in range(5000)]
    assert _fit(spread, [999_999.0] * 50 + spread[:4950]).codes == ("999999",)
    assert _fit(["a"] * 500, ["a"] * 480 + ["b"] * 15 + ["c"] * 5).codes == ("a", "b")
    assert _fit([1] * 500, [1] * 480 + [7] * 20).codes == ("1", "7")


def test_ten_rows_are_needed_for_a_name_however_large_their_share() -> None:
    assert _fit(["a"] * 50, ["b"] * 9 + ["a"] * 11).codes == ("a",)
    assert _fit(["a"] * 50, ["b"] * 10 + ["a"] * 10).codes == ("a", "b")


def test_codes_below_a_hundredth_are_named_by_the_reference_up_to_forty() -> None:
    rare = [f"code {k:02d}" for k in range(60) for _ in range(10 + k)]
    feature = _fit([*rare, *["often"] * 90_000])
    assert len(feature.codes) == 40
    assert {"often", "code 59"} <= set(feature.codes)
    assert "code 00" not in feature.codes


def test_more_than_twenty_values_are_cut_and_twenty_are_codes() -> None:
    assert _fit([k for k in range(20) for _ in range(10)]).edges == ()
    rare = [k for k in range(21) for _ in range(10)] + [50] * 5000
    assert _fit(rare).edges != ()


def test_a_code_held_by_fewer_than_ten_rows_has_no_bin_of_its_own() -> None:
    table = pa.table({"city": ["north"] * 50 + ["CANARYTOWN"] + ["south"] * 12})
    assert fit_bins(table).labels("city") == (MISSING, OTHER, "north", "south")


def test_whole_numbers_with_few_values_are_codes_even_when_missing_made_them_floats() -> None:
    feature = _fit([1.0] * 20 + [2.0] * 20 + [None] * 5)
    assert (feature.scale, feature.codes, feature.edges) == (Scale.NUMBER, ("1", "2"), ())


def test_a_code_that_is_called_like_another_bin_is_not_that_bin() -> None:
    feature = _fit(["other"] * 20 + ["missing"] * 20 + ["present"] * 20 + ['"other"'] * 20)
    assert len(set(feature.labels)) == 6
    assert feature.labels[:2] == (MISSING, OTHER)


def test_days_and_times_are_called_what_people_call_them() -> None:
    day, moment = (
        datetime.date(2024, 2, 29),
        datetime.datetime(2024, 2, 29, 8, 30, tzinfo=datetime.UTC),
    )
    assert _fit([day] * 20).labels[2:] == ("2024-02-29",)
    assert _fit(pa.array([moment] * 20, pa.timestamp("ns"))).labels[2:] == ("2024-02-29 08:30:00",)
    assert _fit([datetime.time(8, 30)] * 20).labels[2:] == ("8:30:00",)
    assert _fit(pa.array([2**62] * 20, pa.timestamp("us"))).labels[2:] == (f"{2**62} microseconds",)


def test_an_empty_column_gets_bins_that_say_nothing() -> None:
    assert _fit(pa.array([None, None], pa.float64())).labels == (MISSING, OTHER)


def test_a_column_that_is_empty_in_the_reference_is_cut_by_the_current_side() -> None:
    assert _fit(pa.nulls(50), pa.array(["a"] * 50)).codes == ("a",)


def test_a_column_that_is_new_has_bins_after_the_others() -> None:
    bins = fit_bins(pa.table({"a": [1] * 20}), current=pa.table({"b": [2] * 20, "a": [1] * 20}))
    assert bins.names == ("a", "b")


def test_names_that_differ_only_by_case_are_refused() -> None:
    with pytest.raises(ContractError, match="upper and lower case"):
        fit_bins(pa.table({"SEX": [1.5] * 30, "sex": [2.5] * 30}))
    with pytest.raises(ContractError, match="upper and lower case"):
        fit_bins(pa.table({"SEX": [1] * 30}), current=pa.table({"sex": [1] * 30}))


def test_a_column_twice_or_without_a_name_is_refused() -> None:
    twice = pa.Table.from_arrays([pa.array([1]), pa.array([2])], names=["a", "a"])
    with pytest.raises(ContractError, match="are the same"):
        fit_bins(twice)
    with pytest.raises(ContractError, match="position 2 has no name"):
        fit_bins(pa.table({"a": [1], "": [2]}))


def test_a_column_that_was_named_and_is_missing_is_refused() -> None:
    with pytest.raises(ContractError, match="limit is missing"):
        fit_bins(pa.table({"x": [1]}), ["limit"])


@given(st.lists(st.floats(allow_nan=True), min_size=2, max_size=300))
def test_labels_are_distinct_and_bins_ascend(values: list[float]) -> None:
    feature = _fit(pa.array(values, pa.float64()))
    assert len(set(feature.labels)) == len(feature.labels)
    edges = [Decimal(text) for text in feature.edges]
    assert edges == sorted(set(edges))
    places = [cell.at for cell in feature.cells if cell.at is not None]
    assert places == sorted(places)
    assert np.isfinite(places).all()
