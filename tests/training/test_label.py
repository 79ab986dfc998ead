from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from governance.errors import ContractError, UsageError
from training import label
from training.label import LabelRule, Unknown, find_known

JANUARY, FEBRUARY = date(2026, 1, 15), date(2026, 2, 15)


def rows(failed: list[int | None], seen: list[date | None], month: list[date]) -> pa.Table:
    return pa.table(
        {
            "failed": pa.array(failed, pa.int64()),
            "seen": pa.array(seen, pa.date32()),
            "month": pa.array(month, pa.date32()),
        }
    )


def test_each_row_is_known_or_has_one_reason_why_not() -> None:
    table = rows(
        [None, 1, 0, 1, 0],
        [None, None, date(2026, 5, 2), date(2026, 3, 1), date(2026, 4, 16)],
        [JANUARY, JANUARY, JANUARY, FEBRUARY, JANUARY],
    )
    rule = LabelRule(observed_at="seen", cutoff=date(2026, 5, 1), vintage="month")
    known, unknown = find_known(table, "failed", rule, horizon_months=3)
    # The fourth row is a default that was known early; its window ran until 15 May.
    assert known.tolist() == [False, False, False, False, True]
    assert unknown == Unknown(missing=1, undated=1, later=1, immature=1)


def test_a_default_that_is_known_early_waits_for_its_window() -> None:
    # Learning from a running window would learn from its defaults alone.
    table = rows([1, 0], [date(2026, 1, 20), None], [JANUARY, JANUARY])
    rule = LabelRule(observed_at="seen", cutoff=date(2026, 2, 1), vintage="month")
    known, unknown = find_known(table, "failed", rule, horizon_months=12)
    assert not known.any()
    assert unknown.immature == 1


def test_without_a_rule_every_outcome_that_is_there_is_known() -> None:
    table = rows([1, None, 0], [None] * 3, [JANUARY] * 3)
    known, unknown = find_known(table, "failed", LabelRule(), horizon_months=3)
    assert known.tolist() == [True, False, True]
    assert unknown.describe().startswith(
        "1 rows are not learned from: 1 without an outcome. Those without an outcome are neither"
    )


@given(
    seen=st.lists(st.dates(date(2026, 1, 1), date(2026, 12, 31)) | st.none(), min_size=1),
    days=st.tuples(*[st.dates(date(2026, 1, 1), date(2026, 12, 31))] * 2),
)
def test_a_later_cutoff_never_knows_less(seen: list[date | None], days: tuple[date, date]) -> None:
    table = rows([0] * len(seen), seen, [date(2025, 12, 1)] * len(seen))
    earlier, later = (
        find_known(table, "failed", LabelRule(observed_at="seen", cutoff=day), horizon_months=1)[0]
        for day in sorted(days)
    )
    assert (earlier <= later).all()


@given(
    day=st.dates(date(2000, 1, 1), date(2050, 12, 31)),
    months=st.integers(min_value=1, max_value=36),
)
def test_a_window_ends_in_its_month_and_not_beyond(day: date, months: int) -> None:
    start = np.array([day], dtype="datetime64[D]")
    end = label.window_end(start, months)
    assert (end.astype("datetime64[M]") - start.astype("datetime64[M]"))[0] == months
    assert end[0].astype(object).day <= day.day


def test_an_outcome_before_its_row_is_refused() -> None:
    table = rows([1], [date(2026, 1, 1)], [JANUARY])
    rule = LabelRule(observed_at="seen", cutoff=date(2026, 5, 1), vintage="month")
    with pytest.raises(ContractError, match="its own future"):
        find_known(table, "failed", rule, horizon_months=3)


def test_an_outcome_that_was_known_after_the_data_were_acquired_is_refused() -> None:
    table = rows([1, 0, 1], [date(2026, 4, 1), date(2026, 6, 1), None], [JANUARY] * 3)
    rule = LabelRule(observed_at="seen", cutoff=date(2026, 7, 1))
    with pytest.raises(ContractError, match=r"In 1 rows .* after 2026-05-31, the declared day"):
        label.refuse_later_than(date(2026, 5, 31), table, rule)
    label.refuse_later_than(date(2026, 6, 1), table, rule)
    # What the cutoff leaves out anyway is no claim of the candidate.
    earlier = LabelRule(observed_at="seen", cutoff=date(2026, 5, 1))
    label.refuse_later_than(date(2026, 5, 31), table, earlier)


def test_days_are_days_and_every_vintage_is_there() -> None:
    table = rows([1, 0], [JANUARY, None], [JANUARY, FEBRUARY])
    assert np.isnat(label.days(table, "seen", may_be_null=True)).tolist() == [False, True]
    with pytest.raises(ContractError, match="empty in 1 rows"):
        label.days(table, "seen", may_be_null=False)
    with pytest.raises(ContractError, match="must be of days"):
        label.days(table, "failed", may_be_null=True)


def test_a_cutoff_and_a_day_column_belong_together() -> None:
    with pytest.raises(UsageError, match="--cutoff"):
        LabelRule(observed_at="seen")
    with pytest.raises(UsageError, match="--observed-at or --vintage"):
        LabelRule(cutoff=JANUARY)


def months_of(*told: tuple[str, int, int, int, int, int]) -> pa.Table:
    """Rows by month: known defaults, known others, later ones, empty ones, days after the first."""
    failed: list[int | None] = []
    seen: list[date | None] = []
    month: list[date] = []
    for name, bad, good, later, empty, day in told:
        count = bad + good + later + empty
        failed += [1] * bad + [0] * good + [0] * later + [None] * empty
        known = date(2026, 6, 1)
        seen += [known] * (bad + good) + [date(2026, 12, 1)] * later + [None] * empty
        month += [date.fromisoformat(f"{name}-01") + timedelta(days=day)] * count
    return rows(failed, seen, month)


OLD = (("2025-10", 40, 260, 0, 20, 5), ("2025-11", 35, 265, 0, 15, 9))


@pytest.mark.parametrize(
    "newest",
    [
        # Defaults are known when they happen; that there was none is known a month later.
        ("2026-03", 40, 0, 0, 280, 3),
        # The same month from an export that has the later days in it.
        ("2026-03", 40, 0, 260, 20, 3),
        # Of a dated export even a month that is not one-sided shows that it is not complete.
        ("2026-03", 40, 60, 200, 20, 3),
    ],
)
def test_a_month_whose_other_outcomes_are_awaited_is_not_learned_from(
    newest: tuple[str, int, int, int, int, int],
) -> None:
    rule = LabelRule(observed_at="seen", cutoff=date(2026, 7, 1), vintage="month")
    table = months_of(*OLD, newest)
    known, unknown = find_known(table, "failed", rule, horizon_months=3)
    assert unknown.awaited == newest[1] + newest[2]
    assert int(known.sum()) == 600
    assert unknown.total + 600 == table.num_rows
    assert unknown.as_lineage()["labels_awaited"] == str(unknown.awaited)
    assert "of a vintage month whose other outcomes are awaited" in unknown.describe()


@pytest.mark.parametrize(
    "newest",
    [
        # As many are refused as ever.
        ("2026-03", 40, 260, 0, 20, 3),
        # More are refused than ever: empty outcomes alone do not say that they are awaited.
        ("2026-03", 20, 130, 0, 170, 3),
        # Every accepted customer defaulted, and no more are empty than usual.
        ("2026-03", 300, 0, 0, 20, 3),
        # Too few to tell.
        ("2026-03", 10, 0, 0, 280, 3),
        # The window still runs; that is another reason.
        ("2026-05", 40, 0, 0, 280, 3),
    ],
)
def test_a_month_with_refused_customers_is_learned_from(
    newest: tuple[str, int, int, int, int, int],
) -> None:
    rule = LabelRule(observed_at="seen", cutoff=date(2026, 7, 1), vintage="month")
    table = months_of(*OLD, newest)
    known, unknown = find_known(table, "failed", rule, horizon_months=3)
    assert unknown.awaited == 0
    assert "labels_awaited" not in unknown.as_lineage()
    running = newest[1] if newest[0] == "2026-05" else 0
    assert int(known.sum()) == 600 + newest[1] + newest[2] - running


def test_a_month_that_cannot_be_compared_is_left_to_the_other_checks() -> None:
    rule = LabelRule(observed_at="seen", cutoff=date(2026, 7, 1), vintage="month")
    table = months_of(("2026-03", 40, 0, 0, 280, 3))
    assert find_known(table, "failed", rule, horizon_months=3)[1].awaited == 0


def test_what_was_known_on_the_cutoff_counts_and_a_day_later_does_not() -> None:
    table = rows([1, 0], [date(2026, 5, 1), date(2026, 5, 2)], [JANUARY, JANUARY])
    known, unknown = find_known(
        table, "failed", LabelRule(observed_at="seen", cutoff=date(2026, 5, 1)), horizon_months=3
    )
    assert known.tolist() == [True, False]
    assert unknown == Unknown(later=1)


def test_a_window_that_ends_on_the_cutoff_is_over() -> None:
    table = rows([1, 0], [None, None], [JANUARY, JANUARY + timedelta(days=1)])
    known, unknown = find_known(
        table, "failed", LabelRule(cutoff=date(2026, 4, 15), vintage="month"), horizon_months=3
    )
    assert known.tolist() == [True, False]
    assert unknown == Unknown(immature=1)


def test_an_outcome_of_the_very_day_of_its_row_is_not_before_it() -> None:
    table = rows([1], [JANUARY], [JANUARY])
    rule = LabelRule(observed_at="seen", cutoff=date(2026, 5, 1), vintage="month")
    assert find_known(table, "failed", rule, horizon_months=3)[0].all()


# Two months of which 80 of 100 have an outcome, and a third one at an edge.
USUAL = (("2025-10", 10, 70, 0, 20, 5), ("2025-11", 10, 70, 0, 20, 9))


@pytest.mark.parametrize(
    ("newest", "is_awaited"),
    [
        # 95 of 100 awaited outcomes are known: exactly complete.
        ((30, 65, 5, 0), False),
        ((30, 64, 6, 0), True),
        # 20 dated outcomes are the fewest whose share tells something.
        ((9, 9, 2, 0), True),
        ((9, 8, 2, 0), False),
        # 38 defaults of 40 are exactly 95 %, which is one-sided.
        ((38, 2, 0, 60), True),
        ((37, 3, 0, 60), False),
        ((20, 0, 0, 60), True),
        ((19, 0, 0, 60), False),
        # 95 % of the usual 80 of 100 is 76.
        ((75, 0, 0, 25), True),
        ((76, 0, 0, 24), False),
    ],
)
def test_a_month_is_awaited_exactly_below_its_edges(
    newest: tuple[int, int, int, int], *, is_awaited: bool
) -> None:
    bad, good, later, empty = newest
    table = months_of(*USUAL, ("2026-03", bad, good, later, empty, 3))
    rule = LabelRule(observed_at="seen", cutoff=date(2026, 7, 1), vintage="month")
    # A default may be told as 1, 1.0 or true.
    for kind in (pa.int64(), pa.float64(), pa.bool_()):
        told = table.set_column(0, "failed", table["failed"].cast(kind))
        unknown = find_known(told, "failed", rule, horizon_months=3)[1]
        assert unknown.awaited == (bad + good if is_awaited else 0)


@pytest.mark.parametrize(
    ("values", "kind"),
    [([0, 1], pa.int64()), ([0.0, 1.0], pa.float64()), ([False, True], pa.bool_())],
)
def test_an_outcome_may_be_a_number_or_a_statement(values: list[object], kind: pa.DataType) -> None:
    assert label.labels(pa.chunked_array([pa.array(values, kind)]), "x").tolist() == [0, 1]


@pytest.mark.parametrize("value", [0.5, -1.0, 2.0, float("nan")])
def test_an_outcome_between_or_beyond_is_refused(value: float) -> None:
    with pytest.raises(ContractError, match="other values than 0 and 1"):
        label.labels(pa.chunked_array([[0.0, value, 1.0]]), "x")
