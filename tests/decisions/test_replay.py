"""A comparison of decisions says what differs, and a null is nothing but a null."""

from __future__ import annotations

import pyarrow as pa
import pytest

from decisions import replay
from privacy.feature_table import PSEUDONYM


def decisions(**changed: list[object]) -> pa.Table:
    columns = {
        PSEUDONYM: [b"a", b"b", b"c"],
        "band": ["A", "B", None],
        "limit_after_minor": [100, 200, 300],
    }
    return pa.table(columns | changed)


@pytest.mark.parametrize(
    ("logged", "again"),
    [
        (["A", "B", None], ["A", "B", "A"]),  # nobody had a band, and now somebody has
        (["A", "B", "A"], ["A", "B", None]),
        (["A", "B", None], ["A", "C", None]),
    ],
)
def test_one_band_that_came_out_differently_is_one_difference(
    logged: list[object], again: list[object]
) -> None:
    found = replay.differences(decisions(band=logged), decisions(band=again))
    assert found == {"band": 1}


def test_the_same_decisions_differ_in_nothing_nulls_included() -> None:
    assert replay.differences(decisions(), decisions()) == {}


def test_a_cent_is_a_difference_and_every_column_counts_its_own() -> None:
    again = decisions(limit_after_minor=[101, 200, 301], band=["A", "B", "B"])
    assert replay.differences(decisions(), again) == {"band": 1, "limit_after_minor": 2}


@pytest.mark.parametrize("rows", [0, 2, 4])
def test_decisions_that_are_not_as_many_differ_all(rows: int) -> None:
    more = pa.concat_tables([decisions(), decisions()]).slice(0, rows)
    assert replay.differences(decisions(), more) == {PSEUDONYM: 3}
