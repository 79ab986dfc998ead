"""Every column has its place in the coverage, on the screen, on the page and in Evidently."""

from __future__ import annotations

import io
import re
from datetime import date
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from governance.measurement import Measurement
from governance.outcome import Outcome
from governance.output import picture, terminal, texts
from monitoring import pages
from monitoring.bins import fit_bins
from monitoring.counts import reduce
from monitoring.drift import MEASURE, measure_drift
from monitoring.record import Coverage, Record, compare


def _drift(name: str, outcome: Outcome, reason: str = "why") -> Measurement:
    return Measurement(
        measure=MEASURE, scope={"feature": name}, value=0.1, n=9, outcome=outcome, reason=reason
    )


FOUND = (
    _drift("a", Outcome.PASS),
    _drift("b", Outcome.BREACH),
    _drift("c", Outcome.INFO),
    _drift("d", Outcome.INCONCLUSIVE, "too few rows"),
    _drift("e", Outcome.INCONCLUSIVE, "Not looked at, but for whether a value is there"),
    Measurement(measure="window.rows", value=9.0, n=9, unit="count"),
)


def test_each_column_is_in_one_part_and_the_parts_add_up() -> None:
    coverage = Coverage.of(FOUND, left_out=["id"])
    assert coverage.as_json() == {
        "columns": 6,
        "judged": ["a", "b"],
        "shown": ["c"],
        "cannot_tell": {"d": "too few rows"},
        "not_looked_at": {
            "e": "Not looked at, but for whether a value is there",
            "id": "Left out on request",
        },
    }
    assert coverage.line == (
        "6 columns: 2 judged, 1 only shown (c), 1 cannot tell (d), 2 not looked at (e, id)"
    )


def test_a_line_names_ten_and_counts_the_rest() -> None:
    named = Coverage.of([_drift(f"x{k}", Outcome.INCONCLUSIVE) for k in range(12)]).line
    assert "x9 and 2 more)" in named
    assert "x10" not in named
    ten = Coverage.of([_drift(f"x{k}", Outcome.INCONCLUSIVE) for k in range(10)]).line
    assert "x9)" in ten


def _record(*columns: str) -> Record:
    table = pa.table({name: [k % 7 for k in range(3000)] for name in columns})
    table = table.append_column("list", pa.array([[1]] * 3000))
    bins = fit_bins(table)
    counts = reduce(table, bins)
    return Record(
        window="w",
        title="t",
        title_zh="",
        measured_on=date(2026, 1, 1),
        subject={},
        measurements=measure_drift(counts, counts),
        comparisons=compare(counts, counts, bins),
    )


def test_the_page_says_it() -> None:
    text = pages.render(_record("age"), evidently=False)
    assert "2 columns: 1 judged, 0 cannot tell, 1 not looked at (list)." in text


@pytest.mark.filterwarnings("ignore:numpy.core is deprecated:DeprecationWarning")
@pytest.mark.filterwarnings("ignore:.*deprecated.*:DeprecationWarning:litestar")
def test_evidently_shows_every_column_and_says_it(tmp_path: Path) -> None:
    from monitoring import report

    report.save(report.draw(_record("age", "pay")), tmp_path)
    text = (tmp_path / "evidently.html").read_text()
    assert "3 columns: 2 judged, 0 cannot tell, 1 not looked at (list)" in text
    for name in ("age", "pay", "list"):
        assert f"Stability index: {name}" in text


def test_the_picture_of_an_interval_is_scaled_and_never_cropped() -> None:
    found = Measurement(measure=MEASURE, value=0.2, low=0.1, high=0.3, n=9, unit="psi")
    drawn = picture.interval(found)
    assert drawn is not None
    assert (drawn.low, drawn.value, drawn.high) == (52.0, 98.0, 144.0)
    assert drawn.middle is None


def test_vanished_and_new_codes_are_bars_of_their_own_and_not_pooled() -> None:
    before = pa.table({"x": ["a"] * 500 + ["gone"] * 500 + ["few"] * 3})
    now = pa.table({"x": ["a"] * 500 + ["new"] * 500 + ["few"] * 3})
    bins = fit_bins(before, current=now)
    [shown] = compare(reduce(before, bins), reduce(now, bins), bins)
    cells = dict(zip(shown.labels, zip(shown.reference, shown.current, strict=True), strict=True))
    assert cells == {"gone": (500, 0), "new": (0, 500), "rare": (503, 503)}


@given(
    value=st.floats(1e-9, 1e4),
    low=st.floats(0, 1),
    high=st.floats(1, 3),
    unit=st.sampled_from(["psi", "rate", "ratio"]),
)
def test_an_interval_is_printed_so_that_it_holds_its_value(
    value: float, low: float, high: float, unit: str
) -> None:
    shown = Measurement(
        measure=MEASURE, scope={"feature": "x"}, value=value, low=value * low, high=value * high,
        n=9, unit=unit,
    )  # fmt: skip
    screen = io.StringIO()
    terminal.show(Console(file=screen, width=400), "t", [shown])
    printed = re.search(r"(\S+) \((\S+) to (\S+)\)", screen.getvalue())
    assert printed
    text, start, end = (float(re.sub("%|,", "", number)) for number in printed.groups())
    assert start <= text <= end
    ends = texts.interval(shown).split(" to ")
    text, start, end = (float(re.sub("%|,", "", told)) for told in (texts.number(shown), *ends))
    assert start <= text <= end
