from __future__ import annotations

from datetime import date

import numpy as np
import pyarrow as pa
import pytest

from lab.backtest import diary
from lab.backtest.diary import Diary
from lab.backtest.filings import Filings
from lab.backtest.loop import Begun
from lab.world import evolution, incumbent, panel, persons, snapshot
from lab.world.settings import WorldSettings
from lab.world.snapshot import Moment
from limits import features, scoring
from limits.features import FeatureSpec

N = 400
PROTECTED = {"sex", "age", "education", "marriage"}


@pytest.fixture(scope="module")
def book(filed: WorldSettings) -> pa.Table:
    """The loop's book after nine months under the incumbent rule, accepted accounts only."""
    world = filed.changed(accounts=N, seed=3)
    state = evolution.start(world)
    seen = Diary.begin(state)
    for month in range(9):
        state = evolution.advance(state, month, incumbent.limits(state))
        seen = seen.noted(state).moved(state.limit_minor)
    rows = np.flatnonzero(state.is_active & ~state.book.is_refused & (seen.status[:, 0] < 3))
    filings = Filings.of(state.book)
    return diary.table(seen, state, rows, on=date(2024, 10, 1), filings=filings)


def test_the_book_of_the_loop_is_the_one_that_the_gate_would_take(
    filed: WorldSettings, book: pa.Table
) -> None:
    world = filed.changed(
        accounts=N, seed=3, labels={**filed.labels.model_dump(), "every_months": 1}
    )
    chunk = panel.live(world, 0, N)
    people = pa.concat_tables(persons.people(world))
    moment = Moment(as_of=date(2024, 9, 30), horizon_months=3, known_on=date(2025, 12, 31))
    taken = snapshot.take(chunk, people, world, moment)
    assert taken.num_rows == book.num_rows
    # Months since a change are counted to the day of the decision here, and to the last day of the
    # newest month there: the loop decides a day later, which is the next month.
    shared = [
        name
        for name in taken.column_names
        if name in book.column_names and not name.startswith("months_since_")
    ]
    assert len(shared) == 6 + 5 * 6
    for name in shared:
        assert taken[name].to_pylist() == book[name].to_pylist(), name


def test_the_book_holds_no_protected_attribute_and_nothing_of_the_oracle(book: pa.Table) -> None:
    assert not PROTECTED & set(book.column_names)
    assert not {"frailty", "borrowing", "true_default_probability", "row"} & set(book.column_names)


def test_a_spec_for_uci_and_one_for_the_world_see_the_same_customers(
    book: pa.Table, spec: FeatureSpec
) -> None:
    uci = features.compute(FeatureSpec.parse(features.packaged("uci_features")), book)
    world = features.compute(spec, book)
    for name in ("dlq_m0", "dlq_max_6m", "util_now", "util_trend", "payratio_min", "zero_pay_cnt"):
        assert uci[name].to_numpy() == pytest.approx(world[name].to_numpy()), name
    # UCI counts in whole units; the world in minor ones.
    assert uci["bill_now"].to_numpy() * 100 == pytest.approx(world["bill_now"].to_numpy())
    assert uci["current_limit_minor"].equals(world["current_limit_minor"])


def test_no_feature_moves_when_every_limit_is_raised(book: pa.Table, spec: FeatureSpec) -> None:
    more = pa.array(book["limit_minor"].to_numpy() * 2)
    place = book.column_names.index("limit_minor")
    raised = book.set_column(place, "limit_minor", more)
    before, after = (scoring.design_matrix(spec, features.compute(spec, t)) for t in (book, raised))
    assert (before == after).all()


def test_months_since_a_change_count_from_that_change(begun: Begun) -> None:
    seen, state = begun.seen, begun.state
    assert (seen.since_raise == state.book.tenure_months + 6).all()
    limit = seen.limit.copy()
    limit[0] += 100_000
    limit[1] -= 100_000
    moved = seen.moved(limit)
    assert (moved.since_raise[0], moved.since_cut[1]) == (0, 0)
    assert moved.since_cut[0] == seen.since_cut[0]
    later = moved.noted(evolution.advance(state, state.month, limit))
    assert (later.since_raise[0], later.since_cut[1]) == (1, 1)


def test_firms_are_known_by_what_they_had_published_on_the_day(begun: Begun) -> None:
    filings, firms = begun.filings, np.flatnonzero(begun.state.book.segment == 1)
    consumers = np.flatnonzero(begun.state.book.segment == 0)
    early, late = (filings.columns(firms, day) for day in (date(2023, 8, 1), date(2024, 6, 1)))
    assert early["altman_z"].null_count == len(firms)
    assert late["altman_z"].null_count == 0
    assert filings.columns(consumers, date(2024, 6, 1))["altman_z"].null_count == len(consumers)
    first = filings.columns(firms, date(2023, 11, 20))["monthly_revenue_minor"].to_pylist()
    assert first != late["monthly_revenue_minor"].to_pylist()
