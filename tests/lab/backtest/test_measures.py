from __future__ import annotations

import math

import numpy as np
import pytest

from governance.measurement import Measurement
from governance.outcome import Outcome
from lab.backtest import measures, target
from lab.backtest.measures import Sheet, measure_mean, measure_over, measure_share

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
def test_a_share_of_nothing_cannot_be_told(n: int) -> None:
    found = measure_over("profit_over_static", np.ones(n), np.zeros(n), SCOPE)
    assert (found.value, found.outcome) == (None, Outcome.INCONCLUSIVE)
    nobody = np.zeros(0, np.bool_)
    assert measure_share("good_customers_cut", nobody, SCOPE).outcome is Outcome.INCONCLUSIVE
    assert measure_mean("changes_per_customer", np.zeros(0), SCOPE).value is None


def test_good_and_bad_are_told_apart() -> None:
    sheet = Sheet(
        profit=np.zeros(4),
        money={},
        limit=np.zeros(4),
        is_raised=np.array([True, False, True, False]),
        is_cut=np.array([False, True, True, False]),
        changes=np.array([1.0, 1.0, 3.0, 0.0]),
        is_good=np.array([True, True, False, False]),
    )
    found = {m.measure.removeprefix("backtest."): m.value for m in measures.people(sheet, SCOPE)}
    assert found["good_customers_cut"] == 0.5
    assert found["bad_customers_raised"] == 0.5
    assert found["changes_per_customer"] == 1.25


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
    assert [each.outcome for each in target.judge([found])] == [outcome]


@pytest.mark.parametrize("name", ["profit_over_rule", "losses_over_static"])
def test_a_handful_of_accounts_can_tell_nothing(name: str) -> None:
    # One account has an interval of no width, whatever it earned.
    for n, is_told in ((1, False), (199, False), (200, True)):
        few = over(name, 0.0, 0.0, 0.0).model_copy(update={"n": n})
        (judged,) = target.judge([few])
        assert (judged.outcome is not Outcome.INCONCLUSIVE) is is_told


def test_targets_do_not_speak_about_other_strategies() -> None:
    blanket = over("losses_over_static", 0.5).model_copy(
        update={"scope": {"strategy": "blanket", "seed": "101"}}
    )
    assert target.judge([blanket]) == ()
