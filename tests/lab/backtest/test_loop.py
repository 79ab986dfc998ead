from __future__ import annotations

import ast
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import lab.backtest
from governance.errors import ContractError
from lab.backtest import learner, loop
from lab.backtest.learner import Scorer
from lab.backtest.loop import Begun
from lab.backtest.strategy import Files, Strategy
from lab.backtest.trial import Trial
from lab.world.settings import WorldSettings

MakeFiles = Callable[..., Files]
MOVING = (Strategy.RULE, Strategy.OPTIMIZED)
ROOM = Path(lab.backtest.__file__).parent


@pytest.mark.parametrize("strategy", MOVING)
def test_a_policy_that_may_move_nothing_is_static_account_by_account(
    begun: Begun, trial: Trial, make_files: MakeFiles, still: dict[str, Any], strategy: Strategy
) -> None:
    files = make_files(still)
    static = loop.run(begun, trial, Strategy.STATIC, files)
    found = loop.run(begun, trial, strategy, files)
    assert (found.ledger.profit == static.ledger.profit).all()
    assert (found.end.cell == static.end.cell).all()
    assert (found.end.balance == static.end.balance).all()
    assert (found.limit == static.limit).all()
    assert not (found.ledger.raises | found.ledger.cuts).any()


def test_the_same_run_twice_is_the_same(begun: Begun, trial: Trial, make_files: MakeFiles) -> None:
    one, two = (loop.run(begun, trial, Strategy.OPTIMIZED, make_files()) for _ in range(2))
    assert (one.ledger.profit == two.ledger.profit).all()
    assert (one.limit == two.limit).all()
    assert one.ledger.raises.any()
    assert one.ledger.cuts.any()


def test_accounts_whose_limits_stayed_equal_lived_the_same_months(
    begun: Begun, trial: Trial, make_files: MakeFiles
) -> None:
    files = make_files()
    static = loop.run(begun, trial, Strategy.STATIC, files)
    rule = loop.run(begun, trial, Strategy.RULE, files)
    untouched = (rule.ledger.raises + rule.ledger.cuts) == 0
    assert 0 < untouched.sum() < len(untouched)
    assert (rule.ledger.profit[untouched] == static.ledger.profit[untouched]).all()
    assert (rule.ledger.profit[~untouched] != static.ledger.profit[~untouched]).any()


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
    assert raised.ledger.losses.sum() > 2 * static.ledger.losses.sum()
    assert raised.ledger.profit.sum() < static.ledger.profit.sum()
    careful = loop.run(begun, trial, Strategy.RULE, make_files())
    assert careful.ledger.profit.sum() > raised.ledger.profit.sum()


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
        assert (other.end.cell == static.end.cell).all()


def test_blanket_raises_everybody_every_six_months(
    begun: Begun, trial: Trial, make_files: MakeFiles
) -> None:
    run = loop.run(begun, trial, Strategy.BLANKET, make_files())
    assert run.ledger.raises.max() == 3
    assert not run.ledger.cuts.any()
    grown = run.limit[run.end.is_active] / begun.state.limit[run.end.is_active]
    assert grown.max() <= 1.1**3 + 1e-6


def test_a_cool_down_lets_that_much_time_pass(
    begun: Begun, trial: Trial, make_files: MakeFiles
) -> None:
    slow = make_files({"cool_down.cut_months": 12, "cool_down.raise_months": 12})
    quick = make_files({"cool_down.cut_months": 1, "cool_down.raise_months": 1})
    held, free = (loop.run(begun, trial, Strategy.RULE, files) for files in (slow, quick))
    assert held.ledger.cuts.max() <= 2
    assert held.ledger.raises.max() <= 2
    assert free.ledger.cuts.max() > 2
    assert free.ledger.raises.max() > 2


def test_a_sticky_band_is_the_band_of_the_review_before(
    begun: Begun, trial: Trial, make_files: MakeFiles
) -> None:
    loose, sticky = make_files({"bands.hysteresis": 0.0}), make_files({"bands.hysteresis": 5.0})
    one, two = (loop.run(begun, trial, Strategy.RULE, files) for files in (loose, sticky))
    assert not (one.limit == two.limit).all()


def test_the_dials_of_the_downturn_turn_when_it_is_known_and_not_before(
    begun: Begun, trial: Trial, make_files: MakeFiles
) -> None:
    numb = make_files({"macro": None})
    shut = make_files({"macro.downturn.raise_bands": []})
    deaf, heard = (loop.run(begun, trial, Strategy.RULE, files) for files in (numb, shut))
    course = [run.by_month["limits"] for run in (deaf, heard)]
    assert (course[0][:15] == course[1][:15]).all()
    assert (course[0][15:] > course[1][15:]).all()


def test_a_seasonal_uplift_is_drawn_on_and_gone_on_its_day(
    begun: Begun, trial: Trial, make_files: MakeFiles, still: dict[str, Any]
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
    plain, festive, brief = (
        make_files({**still, "seasons": seasons}) for seasons in ([], [season], [shorter])
    )
    without, with_, until = (
        loop.run(begun, trial, Strategy.RULE, each) for each in (plain, festive, brief)
    )
    more = with_.by_month["balances"] - without.by_month["balances"]
    assert (more[:6] == 0).all()
    assert (more[6:9] > 0).all()
    # A month less of it, and only that month and what comes after it are lived otherwise.
    less = with_.by_month["balances"] - until.by_month["balances"]
    assert (less[:8] == 0).all()
    assert less[8] > 0
    # The permanent limit never moved, and an uplift is no raise that a cool-down would count.
    assert (with_.limit == without.limit)[with_.end.is_active & without.end.is_active].all()
    assert not with_.ledger.raises.any()
    # After its day nobody may buy on it: limits in force are the permanent ones again.
    assert (with_.end.limit == without.end.limit).all()


def test_a_policy_without_firms_leaves_them_out(trial: Trial, make_files: MakeFiles) -> None:
    both = make_files()
    consumers = replace(
        both,
        policy=both.policy.model_copy(
            update={"caps": both.policy.caps[:1], "business": None},
        ),
    )
    begun = loop.begin(trial.lived(11, 300), consumers)
    assert not begun.state.book.segment.any()
    assert begun.left_out == int((loop.begin(trial.lived(11, 300), both).state.book.segment).sum())


def test_written_off_accounts_are_not_decided_on(
    begun: Begun, trial: Trial, make_files: MakeFiles
) -> None:
    run = loop.run(begun, trial, Strategy.BLANKET, make_files())
    gone = ~run.end.is_active
    assert gone.any()
    assert (run.limit[gone] == 0).all()
    assert run.ledger.raises[gone].min() < 3


def test_profit_is_what_the_page_says_it_is(
    begun: Begun, trial: Trial, make_files: MakeFiles
) -> None:
    free = make_files(economics={"capital.requirement": 0.0, "margin.other": 0.0})
    book = loop.run(begun, trial, Strategy.STATIC, free).ledger
    assert not book.funding.any()
    assert not book.other.any()
    assert book.profit == pytest.approx(book.interest + book.fees - book.losses)
    dear = loop.run(begun, trial, Strategy.STATIC, make_files()).ledger
    assert (dear.interest == book.interest).all()
    assert dear.funding.sum() > 0
    # 12 of the 15 percent that the world charges a year are left after funding.
    gross = loop.run(begun, trial, Strategy.STATIC, make_files(economics={"margin.interest": 0.15}))
    assert book.interest.sum() == pytest.approx(0.8 * gross.ledger.interest.sum())


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
    begun: Begun, trial: Trial, make_files: MakeFiles
) -> None:
    run = loop.run(
        begun,
        trial,
        Strategy.RULE,
        make_files({"experiment": {"bands": ["A", "B"], "multipliers": [1.0, 1.2]}}),
    )
    held_out = begun.state.book.arm == 1
    assert held_out.any()
    assert not (run.ledger.raises + run.ledger.cuts)[held_out].any()


def test_a_model_needs_enough_defaults(filed: WorldSettings, scorer: Scorer) -> None:
    with pytest.raises(ContractError, match="defaults among"):
        learner.learn(filed, scorer.spec, accounts=200)


def test_the_model_ranks_the_unseen_world_and_was_not_fitted_on_it(
    begun: Begun, trial: Trial, make_files: MakeFiles, scorer: Scorer
) -> None:
    run = loop.run(begun, trial, Strategy.RULE, make_files())
    assert scorer.subject["model_world"] != begun.state.book.settings.digest
    cut_rate = [float((run.ledger.cuts > 0)[part].mean()) for part in (run.is_bad, ~run.is_bad)]
    assert cut_rate[0] > 3 * cut_rate[1]


def test_the_loop_never_opens_the_oracle_or_asks_for_the_truth() -> None:
    for path in ROOM.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names: set[str] = set()
            if isinstance(node, ast.Import):
                names = {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                names = {f"{node.module}.{alias.name}" for alias in node.names}
            elif isinstance(node, ast.Attribute):
                names = {node.attr}
            words = {word for name in names for word in name.split(".")}
            assert not words & {"oracle", "truth", "open_oracle", "frailty", "borrowing"}, path.name


def test_losses_are_counted_in_whole_units_of_the_currency(
    begun: Begun, trial: Trial, make_files: MakeFiles
) -> None:
    run = loop.run(begun, trial, Strategy.STATIC, make_files())
    assert (run.ledger.losses == np.floor(run.ledger.losses)).all()
    assert run.by_month["losses"].sum() == pytest.approx(run.ledger.losses.sum())
    assert run.by_month["profit"].sum() == pytest.approx(run.ledger.profit.sum())
