from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from governance.errors import UsageError
from governance.measurement import Measurement
from governance.outcome import Outcome
from lab.backtest import comparison
from lab.backtest.closed_loop import MONEY, LivedStrategy
from lab.backtest.comparison import Contest, measure_over, measure_share
from lab.backtest.strategy import ReviewedFiles, Strategy
from lab.backtest.trial import REPORT_SEEDS, Trial

MakeFiles = Callable[..., ReviewedFiles]
SCOPE = {"strategy": "rule", "seed": "101"}


def test_a_paired_share_is_worked_by_hand() -> None:
    """Three accounts earned 10, 20, 30 and now earn 11, 20, 32: 3 more of 60."""
    base = np.array([10.0, 20.0, 30.0])
    more = np.array([1.0, 0.0, 2.0])
    found = measure_over("profit_over_static", base + more, base, SCOPE)
    assert found.value == pytest.approx(0.05)
    left = more - 0.05 * base
    spread = 1.959964 * math.sqrt(3) * left.std() / 60
    assert (found.low, found.high) == pytest.approx((0.05 - spread, 0.05 + spread))
    assert (found.n, found.measure) == (3, "backtest.profit_over_static")


def test_more_than_a_loss_is_more() -> None:
    """Of -60 to -54 is a gain of a tenth, not a loss of one."""
    base = np.array([-10.0, -20.0, -30.0])
    assert measure_over("profit_over_static", base * 0.9, base, SCOPE).value == pytest.approx(0.1)


def test_equal_lives_differ_by_exactly_nothing() -> None:
    base = np.random.default_rng(0).normal(1, 5, 500)
    found = measure_over("profit_over_static", base, base.copy(), SCOPE)
    assert (found.value, found.low, found.high) == (0.0, 0.0, 0.0)


def test_the_interval_holds_what_a_second_sample_gives() -> None:
    """Planted: 4 % more on average; 95 of 100 intervals hold it, give or take chance."""
    rng, hits = np.random.default_rng(1), 0
    for _ in range(400):
        base = rng.gamma(2.0, 50.0, 300)
        found = measure_over("x", base * rng.normal(1.04, 0.3, 300), base, SCOPE)
        assert found.low is not None
        assert found.high is not None
        hits += found.low <= 0.04 <= found.high
    assert 0.91 <= hits / 400 <= 0.98


@pytest.mark.parametrize("n", [0, 3])
def test_a_share_of_nothing_is_inconclusive(n: int) -> None:
    found = measure_over("profit_over_static", np.ones(n), np.zeros(n), SCOPE)
    assert (found.value, found.outcome) == (None, Outcome.INCONCLUSIVE)
    nobody = np.zeros(0, np.bool_)
    assert measure_share("good_customers_cut", nobody, SCOPE).outcome is Outcome.INCONCLUSIVE


def lived(**columns: list[float]) -> LivedStrategy:
    n = len(columns["raises"])
    return LivedStrategy(
        money={name: np.full(n, 1.0) for name in MONEY},
        limit=np.ones(n),
        **{name: np.array(values) for name, values in columns.items()},
    )


def test_good_and_bad_are_those_of_the_static_strategy() -> None:
    good = [False, False, True, True]
    static = lived(raises=[0] * 4, cuts=[0] * 4, is_bad=good)
    rule = lived(raises=[1, 0, 2, 0], cuts=[0, 1, 1, 0], is_bad=[True] * 4)
    found = comparison.measure({(Strategy.STATIC, 7): static, (Strategy.RULE, 7): rule})
    values = {
        m.measure.removeprefix("backtest."): m.value
        for m in found
        if SCOPE["strategy"] in m.scope.values()
    }
    assert (values["good_customers_cut"], values["bad_customers_cut"]) == (0.5, 0.5)
    assert (values["good_customers_raised"], values["bad_customers_raised"]) == (0.5, 0.5)
    # Interest, fees and other margin less losses and funding: 1 an account, in minor units.
    assert values["profit"] == 400


def over(
    measure: str, value: float | None, low: float | None = None, high: float | None = None
) -> Measurement:
    scope = {"strategy": "optimized", "seed": "101"}
    name = f"backtest.{measure}"
    return Measurement(measure=name, scope=scope, value=value, low=low, high=high, n=2_000)


@pytest.mark.parametrize(
    ("found", "outcome"),
    [
        (over("profit_over_rule", 0.02, 0.01, 0.03), Outcome.PASS),
        (over("profit_over_rule", 0.02, -0.01, 0.05), Outcome.INCONCLUSIVE),
        (over("profit_over_rule", -0.001, -0.01, 0.008), Outcome.INCONCLUSIVE),
        (over("profit_over_rule", -0.02, -0.03, -0.01), Outcome.BREACH),
        (over("profit_over_rule", 0.0, 0.0, 0.0), Outcome.BREACH),
        (over("losses_over_static", 0.01), Outcome.PASS),
        (over("losses_over_static", 0.011), Outcome.BREACH),
        (over("limits_over_static", 0.031), Outcome.BREACH),
        (over("limits_over_static", None), Outcome.INFO),
    ],
)
def test_targets_judge_what_they_speak_about(found: Measurement, outcome: Outcome) -> None:
    assert [each.outcome for each in comparison.judge([found])] == [outcome]


@pytest.mark.parametrize("name", ["profit_over_rule", "losses_over_static"])
def test_a_handful_of_accounts_can_tell_nothing(name: str) -> None:
    # One account has an interval of no width, whatever it earned.
    for n, is_enough in ((1, False), (199, False), (200, True)):
        few = over(name, 0.0, 0.0, 0.0).model_copy(update={"n": n})
        (judged,) = comparison.judge([few])
        assert (judged.outcome is not Outcome.INCONCLUSIVE) is is_enough


@pytest.mark.parametrize("measure", ["losses_over_static", "profit_over_static"])
def test_targets_do_not_speak_about_blanket_raises(measure: str) -> None:
    scope = {"strategy": "blanket", "seed": "101"}
    assert comparison.judge([over(measure, 0.5).model_copy(update={"scope": scope})]) == ()


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("nonsense", "no strategy nonsense"),
        ("static", "at least one strategy that moves limits"),
        ("rule,nonsense", "no strategy nonsense"),
    ],
)
def test_strategies_that_compare_nothing_are_refused(text: str, problem: str) -> None:
    with pytest.raises(UsageError, match=problem):
        comparison.chosen(text)
    assert comparison.chosen("optimized, rule")[0] is Strategy.STATIC


@pytest.fixture(scope="module")
def document(trial: Trial, make_files: MakeFiles) -> dict[str, Any]:
    contest = Contest(trial=trial, seeds=(11, 12), accounts=300)
    return comparison.compare(contest, make_files())


def test_the_same_contest_gives_the_same_document(
    trial: Trial, make_files: MakeFiles, document: dict[str, Any]
) -> None:
    contest = Contest(trial=trial, seeds=(11, 12), accounts=300)
    assert comparison.compare(contest, make_files()) == document


def test_every_seed_and_all_of_them_are_measured(document: dict[str, Any]) -> None:
    found = [Measurement.model_validate(each) for each in document["measurements"]]
    assert len({each.key for each in found}) == len(found)
    assert {each.scope["seed"] for each in found} == {"11", "12", "all"}
    profit = {
        each.scope["seed"]: each
        for each in found
        if each.measure == "backtest.profit" and each.scope["strategy"] == "rule"
    }
    assert profit["all"].n == profit["11"].n + profit["12"].n == document["accounts"]
    both = (profit["11"].value or 0) + (profit["12"].value or 0)
    assert profit["all"].value == pytest.approx(both, abs=1)
    # A sum of money over these accounts is exact; what chance would do is in the paired shares.
    drawn = [each for each in found if each.unit != "minor" and each.value is not None]
    assert [each.key for each in drawn if each.low is None or each.high is None] == []


def test_the_document_says_what_it_is_and_is_not(
    trial: Trial, make_files: MakeFiles, document: dict[str, Any]
) -> None:
    assert document["is_simulated"] is True
    assert document["policy"] == make_files().policy.stamp
    assert document["outcome"] in {"PASS", "BREACH", "INCONCLUSIVE"}
    assert any("simulated" in each for each in document["not_evidenced"])
    assert not any("dials" in each for each in document["not_evidenced"])
    small = Contest(trial=trial, seeds=(11,), accounts=60, strategies=comparison.chosen("rule"))
    numb = comparison.compare(small, make_files({"macro": None}))
    assert any("downturn" in each and "dials" in each for each in numb["not_evidenced"])


def test_envelope_earns_more_than_rule_and_rule_more_than_static_on_the_reported_seeds(
    trial: Trial, make_files: MakeFiles
) -> None:
    """The proof in small; `make proof` prints it for 30,000 applicants a seed."""
    moving = comparison.chosen("rule,optimized")
    contest = Contest(trial=trial, seeds=REPORT_SEEDS, accounts=3_000, strategies=moving)
    found = {
        (each["measure"].removeprefix("backtest."), each["scope"]["seed"]): each
        for each in comparison.compare(contest, make_files())["measurements"]
        if each["scope"]["strategy"] == ("rule" if "static" in each["measure"] else "optimized")
    }
    for seed in map(str, REPORT_SEEDS):
        assert found["profit_over_static", seed]["value"] > 0
        assert found["profit_over_rule", seed]["value"] > 0
    for name in ("profit_over_static", "profit_over_rule"):
        assert found[name, "all"]["low"] > 0
