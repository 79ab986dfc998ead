"""The validator reads the version's own label rule and applies it in code of its own."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import event, given
from hypothesis import strategies as st

from governance.errors import ContractError
from monitoring.maturity import LabelRule, find
from training import label

DAY = date(2026, 1, 5)
LINEAGE = {
    "target": "failed",
    "label_observed_at": "seen",
    "label_cutoff": "2026-05-01",
    "vintage": "month",
    "horizon_months": "3",
}
LATER = date(2026, 7, 1)


def rows(failed: list[int | None], seen: list[date | None], month: list[date | None]) -> pa.Table:
    return pa.table(
        {
            "failed": pa.array(failed, pa.int64()),
            "seen": pa.array(seen, pa.date32()),
            "month": pa.array(month, pa.date32()),
        }
    )


def test_planted_immature_labels_are_masked_and_counted_by_reason() -> None:
    january, february = date(2026, 1, 15), date(2026, 2, 15)
    table = rows(
        [None, 1, 0, 1, 0],
        [None, None, date(2026, 5, 2), date(2026, 3, 1), date(2026, 4, 16)],
        [january, january, january, february, january],
    )
    found = find(table, LabelRule.of(LINEAGE, label=None, on=LATER))

    assert found.label.to_pylist() == [None, None, None, None, 0]
    assert found.is_running.tolist() == [False, False, False, True, False]
    assert list(found.unknown.values()) == [1, 1, 1, 1]
    assert [m.value for m in found.measure()] == [0.8, 0.2, 0.2, 0.2, 0.2]
    assert found.describe().startswith("4 of 5 sealed rows have no known outcome")
    assert found.not_evidenced == (found.describe(),)


@pytest.mark.parametrize(("missing", "is_enough"), [(1, True), (2, False)])
def test_outcomes_carry_a_figure_from_ninety_five_percent_on(
    missing: int, *, is_enough: bool
) -> None:
    """Rows whose window is running are left out of the count; their outcomes nobody waits for."""
    january, march = date(2026, 1, 15), date(2026, 3, 15)
    known: list[int | None] = [0] * (20 - missing)
    table = rows(
        [*known, *[None] * missing, *[None] * 50],
        [date(2026, 4, 16)] * 70,
        [january] * 20 + [march] * 50,
    )
    found = find(table, LabelRule.of(LINEAGE, label=None, on=LATER))
    assert found.is_left_out.tolist() == [False] * 20 + [True] * 50
    assert found.doubt == ("" if is_enough else found.doubt)
    assert ("only 90.0% of the decisions have matured" in found.doubt) is not is_enough


def test_a_lineage_without_a_rule_masks_nothing_that_is_there() -> None:
    table = rows([1, None, 0], [None] * 3, [None] * 3)
    old = find(table, LabelRule.of({}, label="failed", on=DAY))
    none = dict.fromkeys(("label_observed_at", "label_cutoff", "vintage"), "none")
    new = find(table, LabelRule.of({**none, "target": "failed"}, label=None, on=DAY))

    assert old.label.to_pylist() == new.label.to_pylist() == [1, None, 0]
    assert old.unknown == {"without an outcome": 1}
    assert find(table.slice(0, 1), LabelRule.of({}, label="failed", on=DAY)).not_evidenced == ()


def test_no_outcome_counts_that_came_after_the_day_of_the_validation() -> None:
    rule = LabelRule.of(LINEAGE, label=None, on=date(2026, 4, 20))
    table = rows([0, 0], [date(2026, 4, 16), date(2026, 4, 25)], [date(2026, 1, 15)] * 2)

    assert rule.cutoff == date(2026, 4, 20)
    assert find(table, rule).label.to_pylist() == [0, None]


@pytest.mark.parametrize(
    ("lineage", "table", "said"),
    [
        ({"vintage": "quarter"}, rows([1], [DAY], [DAY]), "reads quarter"),
        ({"vintage": "failed"}, rows([1], [DAY], [DAY]), "must be of days"),
        ({}, rows([1], [DAY], [None]), "empty in 1 sealed rows"),
    ],
)
def test_a_table_that_the_rule_cannot_read_is_refused(
    lineage: dict[str, str], table: pa.Table, said: str
) -> None:
    with pytest.raises(ContractError, match=said):
        find(table, LabelRule.of({**LINEAGE, **lineage}, label=None, on=LATER))


def test_a_version_and_a_table_without_an_outcome_cannot_be_validated() -> None:
    with pytest.raises(ContractError, match="no label"):
        LabelRule.of({}, label=None, on=DAY)


@given(st.integers(0, 2**32 - 1), st.integers(1, 14), st.booleans(), st.booleans())
def test_both_rooms_know_the_same_outcomes(
    seed: int, horizon: int, has_observed: bool, has_vintage: bool
) -> None:
    rng = np.random.default_rng(seed)
    n = 40
    month = [date(2024, 1, 1) + timedelta(days=int(d)) for d in rng.integers(0, 900, n)]
    seen = [
        day + timedelta(days=int(d)) for day, d in zip(month, rng.integers(0, 500, n), strict=True)
    ]
    failed = [None if rng.random() < 0.1 else int(rng.random() < 0.3) for _ in range(n)]
    days = [None if rng.random() < 0.1 else day for day in seen]
    table = rows(failed, days, list(month))
    cutoff = date(2026, 1, 31)
    named = {
        "observed_at": "seen" if has_observed else None,
        "vintage": "month" if has_vintage else None,
    }
    if not (has_observed or has_vintage):
        return
    known, unknown = label.find_known(
        table,
        "failed",
        label.LabelRule(target="failed", cutoff=cutoff, **named),
        horizon_months=horizon,
    )
    rule = LabelRule(target="failed", horizon_months=horizon, cutoff=cutoff, **named)
    found = find(table, rule)

    assert found.label.is_valid().to_numpy(zero_copy_only=False).tolist() == known.tolist()
    assert sum(found.unknown.values()) == unknown.total


@given(st.integers(0, 2**32 - 1), st.booleans(), st.booleans())
def test_both_rooms_leave_out_the_same_months_whose_outcomes_are_awaited(
    seed: int, has_observed: bool, is_snapshot: bool
) -> None:
    rng = np.random.default_rng(seed)
    n, cutoff = 400, date(2026, 1, 31)
    ages = rng.integers(0, 330, n)
    month = [date(2025, 1, 1) + timedelta(days=int(d)) for d in ages]
    failed = rng.random(n) < rng.choice([0.1, 0.5, 0.97])
    # Defaults are known when they happen, the others some time after the window of three months.
    slow = int(rng.integers(0, 120))
    wait = np.where(failed, rng.integers(0, 90, n), 90 + slow)
    seen = [day + timedelta(days=int(d)) for day, d in zip(month, wait, strict=True)]
    gone = (rng.random(n) < 0.1) | (is_snapshot & np.array([day > cutoff for day in seen]))
    table = rows(
        [None if lost else int(bad) for lost, bad in zip(gone, failed, strict=True)],
        [None if lost else day for lost, day in zip(gone, seen, strict=True)],
        list(month),
    )
    named = {"observed_at": "seen" if has_observed else None, "vintage": "month"}
    told = label.LabelRule(target="failed", cutoff=cutoff, **named)
    known, unknown = label.find_known(table, "failed", told, horizon_months=3)
    rule = LabelRule(target="failed", horizon_months=3, cutoff=cutoff, **named)
    found = find(table, rule)

    event(f"awaited: {unknown.awaited > 0}")
    assert found.label.is_valid().to_numpy(zero_copy_only=False).tolist() == known.tolist()
    assert sum(found.unknown.values()) == unknown.total
    reason = "of a vintage month whose other outcomes are awaited"
    assert found.unknown.get(reason, 0) == unknown.awaited


@pytest.mark.parametrize(
    ("day", "ends"),
    [
        (date(2025, 11, 30), date(2026, 2, 28)),  # February has no 30th
        (date(2025, 11, 28), date(2026, 2, 28)),
        (date(2026, 1, 15), date(2026, 4, 15)),
    ],
)
def test_a_window_is_over_on_its_last_day_and_not_a_day_before(day: date, ends: date) -> None:
    table = rows([1], [day], [day])
    for cutoff, is_running in ((ends, False), (ends - timedelta(days=1), True)):
        lineage = {**LINEAGE, "label_cutoff": cutoff.isoformat()}
        found = find(table, LabelRule.of(lineage, label=None, on=LATER))
        assert found.is_running.tolist() == [is_running]
        assert found.label.to_pylist() == [None if is_running else 1]


@pytest.mark.parametrize(
    ("known", "later", "is_awaited"),
    [(19, 1, False), (18, 2, True), (17, 2, False), (18, 1, False), (38, 2, False), (37, 3, True)],
)
def test_a_month_is_awaited_below_ninety_five_percent_of_twenty_outcomes(
    known: int, later: int, is_awaited: bool
) -> None:
    january, cutoff = date(2026, 1, 15), date(2026, 5, 1)
    seen = [cutoff] * known + [cutoff + timedelta(days=1)] * later
    table = rows([0] * (known + later), list(seen), [january] * (known + later))
    found = find(table, LabelRule.of(LINEAGE, label=None, on=LATER))
    assert found.label.is_valid().to_pylist() == [not is_awaited] * known + [False] * later


@pytest.mark.parametrize(
    ("good", "bad", "without", "is_awaited"),
    [
        (1, 19, 20, True),  # 95 % defaults, and half of the outcomes where another month has all
        (2, 18, 20, False),
        (1, 18, 20, False),  # nineteen tell nothing
        (0, 95, 5, False),  # 95 % of the outcomes are as many as elsewhere
        (0, 94, 6, True),
    ],
)
def test_a_month_of_defaults_is_awaited_where_other_months_have_more_outcomes(
    good: int, bad: int, without: int, is_awaited: bool
) -> None:
    january, february = date(2026, 1, 15), date(2026, 2, 1)
    outcomes: list[int | None] = [0] * good + [1] * bad + [None] * without
    n = len(outcomes)
    days = [date(2026, 4, 16)] * (n + 40)
    table = rows([*outcomes, *[0, 1] * 20], list(days), [january] * n + [february] * 40)
    found = find(table, LabelRule.of(LINEAGE, label=None, on=LATER))
    assert found.label.is_valid().to_pylist()[:n] == [
        outcome is not None and not is_awaited for outcome in outcomes
    ]
    assert found.label.is_valid().to_pylist()[n:] == [True] * 40
