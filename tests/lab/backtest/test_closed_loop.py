from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from decisions import features, scoring
from decisions.features import FeatureSpec
from governance.errors import ContractError
from lab.backtest import closed_loop as loop
from lab.backtest import default_model
from lab.backtest.closed_loop import MONEY, WarmedUp
from lab.backtest.default_model import DefaultModel
from lab.backtest.strategy import ReviewedFiles, ReviewedLimits, Strategy
from lab.backtest.trial import DEVELOPMENT_SEEDS, REPORT_SEEDS, Trial
from lab.world import account_file, population, simulation, snapshot, statements
from lab.world.settings import WorldSettings
from lab.world.snapshot import Shape, StudyDay
from tests.lab.backtest.conftest import SEED

MakeFiles = Callable[..., ReviewedFiles]
MOVING = (Strategy.RULE, Strategy.OPTIMIZED)


@pytest.mark.parametrize("strategy", MOVING)
def test_a_policy_that_may_move_nothing_is_static_account_by_account(
    begun: WarmedUp, trial: Trial, make_files: MakeFiles, still: dict[str, Any], strategy: Strategy
) -> None:
    files = make_files(still)
    static = loop.run(begun, trial, Strategy.STATIC, files)
    found = loop.run(begun, trial, strategy, files)
    assert (found.profit == static.profit).all()
    for name in MONEY:
        assert (found.money[name] == static.money[name]).all()
    assert (found.limit == static.limit).all()
    assert not (found.raises | found.cuts).any()


def test_the_same_run_twice_is_the_same(
    begun: WarmedUp, trial: Trial, make_files: MakeFiles
) -> None:
    one, two = (loop.run(begun, trial, Strategy.OPTIMIZED, make_files()) for _ in range(2))
    assert (one.profit == two.profit).all()
    assert (one.limit == two.limit).all()
    assert one.raises.any()
    assert one.cuts.any()


def test_accounts_whose_limits_stayed_equal_lived_the_same_months(
    begun: WarmedUp, trial: Trial, make_files: MakeFiles
) -> None:
    files = make_files()
    static = loop.run(begun, trial, Strategy.STATIC, files)
    rule = loop.run(begun, trial, Strategy.RULE, files)
    untouched = (rule.raises + rule.cuts) == 0
    assert 0 < untouched.sum() < len(untouched)
    assert (rule.profit[untouched] == static.profit[untouched]).all()
    assert (rule.profit[~untouched] != static.profit[~untouched]).any()


def test_raising_the_riskiest_loses_where_limits_drive_risk(
    filed: WorldSettings, make_files: MakeFiles
) -> None:
    """Planted: risk answers strongly to limits, so who raises everybody pays for the riskiest."""
    harsh = filed.changed(response={**filed.response.model_dump(), "risk_per_log_limit": 3.0})
    trial = Trial(filed=harsh, months=24)
    everybody = {f"matrix.{band}": [1.3] * 4 for band in "ABCDEF"}
    loose = {**everybody, "envelope": None, "business": None, "affordability": None}
    files = make_files({**loose, "early_warning.cut_to": 1.0})
    begun = loop.begin(trial.lived(11, 800), files)
    static = loop.run(begun, trial, Strategy.STATIC, files)
    raised = loop.run(begun, trial, Strategy.RULE, files)
    assert raised.money["losses"].sum() > 2 * static.money["losses"].sum()
    assert raised.profit.sum() < static.profit.sum()
    careful = loop.run(begun, trial, Strategy.RULE, make_files())
    assert careful.profit.sum() > raised.profit.sum()


def test_without_an_effect_on_risk_no_policy_changes_who_falls_behind(
    filed: WorldSettings, make_files: MakeFiles
) -> None:
    calm = filed.changed(response={"risk_per_log_limit": 0.0, "borrowing_riskiest": 0.0})
    trial, files = Trial(filed=calm, months=24), make_files()
    begun = loop.begin(trial.lived(11, 400), files)
    static, rule, blanket = (
        loop.run(begun, trial, each, files)
        for each in (Strategy.STATIC, Strategy.RULE, Strategy.BLANKET)
    )
    for other in (rule, blanket):
        assert (other.is_bad == static.is_bad).all()


def test_blanket_raises_everybody_every_six_months(
    begun: WarmedUp, trial: Trial, make_files: MakeFiles
) -> None:
    run = loop.run(begun, trial, Strategy.BLANKET, make_files())
    assert run.raises.max() == 3
    assert not run.cuts.any()
    grown = run.limit / begun.states[-1].limit
    assert 1.2 < grown.max() <= 1.1**3 + 1e-6


def test_a_cool_down_lets_that_much_time_pass(
    begun: WarmedUp, trial: Trial, make_files: MakeFiles
) -> None:
    slow = make_files({"cool_down.cut_months": 12, "cool_down.raise_months": 12})
    quick = make_files({"cool_down.cut_months": 1, "cool_down.raise_months": 1})
    held, free = (loop.run(begun, trial, Strategy.RULE, files) for files in (slow, quick))
    assert held.cuts.max() <= 2
    assert held.raises.max() <= 2
    assert free.cuts.max() > 2
    assert free.raises.max() > 2


def test_a_sticky_band_is_the_band_of_the_review_before(
    begun: WarmedUp, trial: Trial, make_files: MakeFiles
) -> None:
    loose, sticky = make_files({"bands.hysteresis": 0.0}), make_files({"bands.hysteresis": 5.0})
    one, two = (loop.run(begun, trial, Strategy.RULE, files) for files in (loose, sticky))
    assert not (one.limit == two.limit).all()


@pytest.mark.parametrize(("months", "is_equal"), [(15, True), (18, False)])
def test_the_dials_of_the_downturn_turn_when_it_is_known_and_not_before(
    filed: WorldSettings, begun: WarmedUp, make_files: MakeFiles, months: int, is_equal: bool
) -> None:
    """It begins in month 12 and is known in month 15, when limits are decided again."""
    trial = Trial(filed=filed, months=24)
    object.__setattr__(trial, "months", months)
    numb = make_files({"macro": None})
    shut = make_files({"macro.downturn.raise_bands": []})
    deaf, heard = (loop.run(begun, trial, Strategy.RULE, files) for files in (numb, shut))
    assert (deaf.limit == heard.limit).all() == is_equal
    assert (deaf.limit >= heard.limit).all()


def test_a_seasonal_uplift_is_drawn_on_and_is_no_raise(
    begun: WarmedUp, trial: Trial, make_files: MakeFiles, still: dict[str, Any]
) -> None:
    season = {
        "name": "Feast",
        "starts_on": trial.day(6),
        "ends_on": trial.day(7),
        "expires_on": trial.day(8),
        "uplift": 0.5,
        "bands": ["A", "B", "C", "D", "E"],
    }
    shorter = {**season, "expires_on": trial.day(7)}
    without, longest, brief = (
        loop.run(begun, trial, Strategy.RULE, make_files({**still, "seasons": seasons}))
        for seasons in ([], [season], [shorter])
    )
    earned = [run.money["other"].sum() for run in (without, brief, longest)]
    assert earned[0] < earned[1] < earned[2]
    # The permanent limit never moved, and an uplift is no raise that a cool-down would count.
    open_in_both = (longest.limit > 0) & (without.limit > 0)
    assert (longest.limit == without.limit)[open_in_both].all()
    assert not longest.raises.any()


def test_an_uplift_runs_to_its_last_day_unless_the_limit_was_cut(begun: WarmedUp) -> None:
    ends = np.datetime64("2024-08-01")
    uplift = np.full(len(begun.history.limit), 100_000)
    before = ReviewedLimits(history=begun.history, uplift=uplift, expires=ends)
    limit = begun.history.limit.copy()
    limit[0] -= 100_000
    after = ReviewedLimits(history=begun.history.moved(limit), uplift=uplift * 0)
    kept = loop._continued(before, after, date(2024, 8, 1))
    assert kept.uplift[:2].tolist() == [0, 100_000]
    assert (loop._in_force(date(2024, 8, 1), kept) == limit + kept.uplift).all()
    assert (loop._in_force(date(2024, 8, 2), kept) == limit).all()
    assert not loop._continued(before, after, date(2024, 8, 2)).uplift.any()


def test_a_policy_without_firms_leaves_them_out(trial: Trial, make_files: MakeFiles) -> None:
    both = make_files()
    consumers = replace(
        both,
        policy=both.policy.model_copy(
            update={"caps": both.policy.caps[:1], "business": None},
        ),
    )
    begun = loop.begin(trial.lived(11, 300), consumers)
    assert not begun.states[0].traits.segment.any()
    everybody = loop.begin(trial.lived(11, 300), both).states[0].traits
    assert begun.left_out == int(everybody.segment.sum()) > 0


def test_written_off_accounts_are_not_decided_on(
    begun: WarmedUp, trial: Trial, make_files: MakeFiles
) -> None:
    run = loop.run(begun, trial, Strategy.BLANKET, make_files())
    gone = run.limit == 0
    assert gone.any()
    assert (run.money["losses"][gone] > 0).mean() > 0.9
    assert run.raises[gone].min() < 3


def test_profit_is_what_the_page_says_it_is(
    begun: WarmedUp, trial: Trial, make_files: MakeFiles
) -> None:
    free = make_files(economics={"capital.requirement": 0.0, "margin.other": 0.0})
    run = loop.run(begun, trial, Strategy.STATIC, free)
    money = run.money
    assert not money["funding"].any()
    assert not money["other"].any()
    assert run.profit == pytest.approx(money["interest"] + money["fees"] - money["losses"])
    assert (money["losses"] == np.floor(money["losses"])).all()
    dear = loop.run(begun, trial, Strategy.STATIC, make_files()).money
    assert (dear["interest"] == money["interest"]).all()
    assert dear["funding"].sum() > 0
    # 12 of the 15 percent that the world charges a year are left after funding.
    gross = loop.run(begun, trial, Strategy.STATIC, make_files(economics={"margin.interest": 0.15}))
    assert money["interest"].sum() == pytest.approx(0.8 * gross.money["interest"].sum())


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"currency": "CNY"}, "CNY"),
        ({"automation": {"refusal": "review"}}, "refuses_automation"),
    ],
)
def test_files_that_cannot_be_lived_together_are_refused(
    make_files: MakeFiles, changes: dict[str, Any], says: str
) -> None:
    with pytest.raises(ContractError, match=says):
        make_files(changes)


def test_economics_in_another_currency_are_refused(make_files: MakeFiles) -> None:
    with pytest.raises(ContractError, match="counts in USD"):
        make_files(economics={"currency": "USD"})


def test_a_policy_for_other_segments_is_refused(make_files: MakeFiles) -> None:
    caps = [{"segment": "student", "cap_minor": 1, "effective_from": "2024-01-01"}]
    caps[0] |= {"kind": "house", "source": "a test"}
    with pytest.raises(ContractError, match="no cap for consumer or sme"):
        make_files({"caps": caps, "business": None})


def test_arms_of_an_experiment_are_those_of_the_world(
    begun: WarmedUp, trial: Trial, make_files: MakeFiles
) -> None:
    run = loop.run(
        begun,
        trial,
        Strategy.RULE,
        make_files({"experiment": {"bands": ["A", "B"], "multipliers": [1.0, 1.2]}}),
    )
    held_out = begun.states[0].traits.arm == 1
    assert held_out.any()
    assert not (run.raises + run.cuts)[held_out].any()


def test_a_model_needs_enough_defaults(filed: WorldSettings, model: DefaultModel) -> None:
    with pytest.raises(ContractError, match="defaults among"):
        default_model.learn(filed, model.spec, accounts=200)


def test_the_model_ranks_the_unseen_world_and_was_not_fitted_on_it(
    begun: WarmedUp, trial: Trial, make_files: MakeFiles
) -> None:
    run = loop.run(begun, trial, Strategy.RULE, make_files())
    cut_rate = [float((run.cuts > 0)[part].mean()) for part in (run.is_bad, ~run.is_bad)]
    assert cut_rate[0] > 3 * cut_rate[1]
    assert default_model.MODEL_SEED not in (SEED, *REPORT_SEEDS, *DEVELOPMENT_SEEDS)


def test_months_since_a_change_count_from_that_change(begun: WarmedUp) -> None:
    history = begun.history
    assert (history.since_raise == begun.states[0].traits.tenure_months + 6).all()
    limit = history.limit.copy()
    limit[0] += 100_000
    limit[1] -= 100_000
    moved = history.moved(limit)
    assert (moved.since_raise[0], moved.since_cut[1]) == (0, 0)
    assert moved.since_cut[0] == history.since_cut[0]
    later = moved.month_later()
    assert (later.since_raise[0], later.since_cut[1]) == (1, 1)


def test_the_book_of_the_loop_is_the_one_that_the_gate_would_take(filed: WorldSettings) -> None:
    world = filed.changed(accounts=400, seed=3)
    states = simulation.live(world)
    day = StudyDay(as_of=date(2024, 9, 30), horizon_months=12, known_on=date(2025, 12, 31))
    people = population.people(world)
    taken = snapshot.take(states, people, Shape.CONSUMER, [day])
    place = pa.compute.index_in(
        taken["customer_id"], value_set=people["customer_id"].combine_chunks()
    )
    seen, filings = states[:10], statements.statements(states[0].traits)
    history = account_file.history_of(seen)
    book = default_model.known(seen, history, place.to_numpy(), filings, on=date(2024, 10, 1))
    shared = [name for name in taken.column_names if name in book.column_names]
    assert len(shared) == 9 + 5 * 6 - 1
    for name in shared:
        assert taken[name].to_pylist() == book[name].to_pylist(), name
    assert not {"sex", "age", "education", "marriage", "frailty"} & set(book.column_names)
    # No feature moves when every limit is raised.
    spec = FeatureSpec.parse(features.packaged("world_features"))
    at = book.column_names.index("limit_minor")
    more = book.set_column(at, "limit_minor", pa.array(book["limit_minor"].to_numpy() * 2))
    one, two = (scoring.design_matrix(spec, features.compute(spec, each)) for each in (book, more))
    assert (one == two).all()
