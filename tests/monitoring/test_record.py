"""A record shows no small cell, and a page shows only what the record holds."""

from __future__ import annotations

import re
from datetime import date

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from governance.appetite import RiskAppetite
from governance.counts import Counts
from governance.measurement import Measurement
from governance.outcome import Outcome
from monitoring import pages
from monitoring.bins import fit_bins
from monitoring.counts import reduce
from monitoring.drift import measure_drift
from monitoring.record import POOLED, Record, compare, judge

DAY = date(2005, 10, 1)


def _record(*measurements: Measurement, **more: object) -> Record:
    facts = {"window": "2005-09", "title": "Statements", "title_zh": "账单", "measured_on": DAY}
    return Record(subject={"table": "ab" * 32}, measurements=measurements, **{**facts, **more})  # type: ignore[arg-type]


def _canary_record(n: int) -> Record:
    generator = np.random.default_rng(n)
    amount = generator.lognormal(8, 1, n)
    amount[0], amount[1] = 98_765_432.25, 22_026.77123
    city = generator.choice(["north", "south"], n).astype(object)
    city[0] = "CANARYTOWN"
    table = pa.table({"amount": amount, "city": city.tolist()})
    bins = fit_bins(table)
    counts = reduce(table, bins)
    return _record(*measure_drift(counts, counts), comparisons=compare(counts, counts, bins))


@pytest.mark.parametrize("n", [40, 100, 1000, 20_000])
def test_a_unique_amount_and_a_lone_category_are_in_no_record_and_on_no_page(n: int) -> None:
    record = _canary_record(n)
    for text in (record.as_bytes().decode(), pages.render(record, evidently=True)):
        for canary in ("98765432", "98,765,432", "22026", "22,026", "CANARYTOWN"):
            assert canary not in text


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 40), st.integers(0, 40)), min_size=1, max_size=12).filter(
        lambda cells: all(sum(side) > 0 for side in zip(*cells, strict=True))
    )
)
def test_no_cell_of_one_to_nine_customers_is_ever_shown(cells: list[tuple[int, int]]) -> None:
    codes = [str(place) for place in range(len(cells))]
    bins = fit_bins(pa.table({"x": [code for code in codes for _ in range(10)]}))
    sides = [
        Counts.from_rows(
            {"feature": "x", "bin": code, "n": cell[side]}
            for code, cell in zip(codes, cells, strict=True)
        )
        for side in (0, 1)
    ]
    for shown in compare(sides[0], sides[1], bins):
        assert all(n == 0 or n >= 10 for n in (*shown.reference, *shown.current))
        # A bin that is missing alone could be computed from the window's total.
        held = {code for code, cell in zip(codes, cells, strict=True) if any(cell)}
        hidden = held - set(shown.labels)
        assert len(hidden) != 1 or len(held) == 1
        if POOLED in shown.labels:
            assert len(hidden) >= 2


def test_a_record_is_the_same_bytes_for_the_same_numbers() -> None:
    assert _canary_record(100).as_bytes() == _canary_record(100).as_bytes()


def test_a_record_without_any_measurement_cannot_tell() -> None:
    assert _record().outcome is Outcome.INCONCLUSIVE


def test_a_page_says_the_gravest_verdict_first_in_both_languages() -> None:
    breach = Measurement(
        measure="misjudgment.good_cut", value=0.3, low=0.2, high=0.4, n=100, outcome=Outcome.BREACH
    )
    calm = breach.judged(Outcome.PASS, "within")
    assert "<h1><span>BREACH</span>" in pages.render(_record(calm, breach), evidently=False)
    assert "越界" in pages.render(_record(calm, breach), evidently=False)
    assert "无需处理" in pages.render(_record(calm), evidently=False)


def test_a_page_loads_nothing_from_outside_and_runs_no_script() -> None:
    text = pages.render(_canary_record(1000), evidently=True)
    assert "default-src 'none'" in text
    assert not re.search(r"https?://|<script|<img|<link|@import|url\(", text)


def test_a_page_escapes_what_it_is_given() -> None:
    found = Measurement(
        measure="drift.stability_index", scope={"feature": "<b>x"}, n=1, reason="<i>"
    )
    text = pages.render(_record(found, title="<script>"), evidently=False)
    assert "<script>" not in text
    assert "<b>x" not in text
    assert "<i>" not in text


def test_undefined_is_said_and_never_shown_as_zero() -> None:
    found = Measurement(
        measure="fairness.cut_ratio",
        n=0,
        unit="ratio",
        outcome=Outcome.INCONCLUSIVE,
        reason="0 of 0",
    )
    text = pages.render(_record(found), evidently=False)
    assert "undefined" in text
    assert "0.000" not in text


def test_everything_that_was_measured_is_on_the_page_whatever_it_is_called() -> None:
    names = ["window.rows", "labels.unknown", "own.new_measure", "discrimination.auc"]
    found = [Measurement(measure=name, n=9, value=0.12345, reason=f"why {name}") for name in names]
    text = pages.render(_record(*found), evidently=False)
    for name in names:
        assert f"why {name}" in text


def test_rates_by_group_stand_in_one_table_of_the_attribute() -> None:
    rates = [
        Measurement(
            measure=f"fairness.{column}_rate",
            scope={"attribute": "sex", "group": group},
            value=value,
            n=n,
            unit="rate",
        )
        for column, group, value, n in (
            ("raise", "<=25", 0.25, 100),
            ("raise", "26+", 0.5, 400),
            ("cut", "<=25", 0.125, 100),
        )
    ]
    text = pages.render(_record(*rates), evidently=False)
    table = text[text.index("Rates by group") :].partition("</table>")[0]
    rows = [re.sub("<[^>]+>", " ", row).split() for row in table.split("<tr>")[2:4]]
    assert rows == [["&lt;=25", "25.00%", "12.50%", "100"], ["26+", "50.00%", "400"]]


def test_small_cells_of_the_decision_table_are_not_told() -> None:
    counts = Counts.from_rows(
        [
            {"action": "cut", "outcome": "good", "n": 7},
            {"action": "cut", "outcome": "bad", "n": 4321},
        ]
    )
    rate = Measurement(measure="misjudgment.good_cut", value=0.5, low=0.4, high=0.6, n=90)
    text = pages.render(_record(rate, decisions=counts), evidently=False)
    assert "4,321" in text
    assert '<td class="num">7</td>' not in text


def test_a_verdict_keeps_what_was_counted_beside_it() -> None:
    appetite = RiskAppetite.parse(
        'schema = "risk-appetite/1"\nid = "a"\nversion = "1"\n[[thresholds]]\nmeasure = "m.rate"\n'
        'at_most = 0.2\nkind = "house"\nowner = "o"\nsource = "s"\neffective_from = 2005-01-01\n'
    )
    found = Measurement(measure="m.rate", value=0.1, low=0.05, high=0.15, n=9, reason="1 of 9")
    [judged] = judge([found], appetite, DAY)
    assert (judged.outcome, judged.reason) == (Outcome.PASS, "within <= 0.2: 1 of 9")


def test_a_cell_of_ten_is_shown_and_a_window_with_a_withheld_cell_is_not() -> None:
    bins = fit_bins(pa.table({"x": ["a"] * 10 + ["b"] * 10}))

    def side(a: int, b: int | None) -> Counts:
        cells = {"a": a, "b": b}
        return Counts.from_rows({"feature": "x", "bin": k, "n": n} for k, n in cells.items())

    [shown] = compare(side(10, 10), side(10, 30), bins)
    assert (shown.labels, shown.reference, shown.current) == (("a", "b"), (10, 10), (10, 30))
    assert compare(side(40, None), side(40, 30), bins) == ()
    assert compare(side(40, 30), side(40, None), bins) == ()
