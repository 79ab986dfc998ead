from __future__ import annotations

from datetime import date

import pytest

from decisions.engine import Regime
from governance.errors import ContractError, UsageError
from lab.backtest.trial import (
    DEVELOPMENT_SEEDS,
    MODEL_SEED,
    REPORT_SEEDS,
    WARM_UP,
    Trial,
    checked_seeds,
)
from lab.world import economy
from lab.world.settings import RegimeTurn, WorldSettings


def test_seeds_of_tuning_model_and_report_have_nothing_in_common() -> None:
    assert not set(REPORT_SEEDS) & {*DEVELOPMENT_SEEDS, MODEL_SEED}
    assert checked_seeds(REPORT_SEEDS) == REPORT_SEEDS


@pytest.mark.parametrize(
    ("seeds", "problem"),
    [
        ((), "give at least one"),
        ((7, 7), "different whole numbers"),
        ((-1,), "from 0 up"),
        ((1, 101), "The seeds 1 were used to tune"),
        ((MODEL_SEED,), f"The seeds {MODEL_SEED} were used to tune"),
    ],
)
def test_seeds_that_show_nothing_new_are_refused(seeds: tuple[int, ...], problem: str) -> None:
    with pytest.raises(UsageError, match=problem):
        checked_seeds(seeds)


@pytest.mark.parametrize(
    ("asked", "problem"),
    [
        ({"months": 0}, "takes 1 to 120 months"),
        ({"months": 121}, "takes 1 to 120 months"),
        ({"every": 0}, "every so many months, at least once in the trial"),
        ({"every": 30}, "every so many months, at least once in the trial"),
    ],
)
def test_a_trial_of_no_months_or_no_review_is_refused(
    filed: WorldSettings, asked: dict[str, int], problem: str
) -> None:
    with pytest.raises(UsageError, match=problem):
        Trial(**({"filed": filed, "months": 24} | asked))  # type: ignore[arg-type]


def test_a_world_without_a_downturn_that_becomes_known_is_refused(filed: WorldSettings) -> None:
    calm = filed.changed(schedule=(RegimeTurn(from_month=0, regime="neutral"),))
    with pytest.raises(ContractError, match="no downturn"):
        Trial(filed=calm, months=24)
    # It begins in month 12 and is known in month 15, which 15 months do not reach.
    with pytest.raises(ContractError, match="no downturn"):
        Trial(filed=filed, months=15)
    assert Trial(filed=filed, months=16).downturn == 12


def test_a_regime_that_no_policy_has_dials_for_is_refused(filed: WorldSettings) -> None:
    strange = filed.changed(
        regimes={**filed.regimes, "war": {"risk_logit": 1.0}},
        schedule=(*filed.schedule, RegimeTurn(from_month=22, regime="war")),
    )
    with pytest.raises(ContractError, match="no limit policy has dials"):
        Trial(filed=strange, months=24)


def test_six_months_are_lived_before_the_trial_and_the_calendar_stays(filed: WorldSettings) -> None:
    trial = Trial(filed=filed, months=24)
    lived = trial.lived(101, 300)
    assert (lived.seed, lived.accounts, lived.months) == (101, 300, 24 + WARM_UP)
    assert trial.day(0) == filed.starts_on == date(2024, 1, 1)
    filed_months, lived_months = economy.forecast(filed), economy.forecast(lived)
    assert (lived_months.months[WARM_UP:] == filed_months.months).all()
    assert (lived_months.risk[WARM_UP : WARM_UP + 24] == filed_months.risk[:24]).all()
    assert set(lived_months.regimes[:WARM_UP]) == {"neutral"}


def test_the_lender_learns_of_a_turn_three_months_late(filed: WorldSettings) -> None:
    trial = Trial(filed=filed, months=24)
    assert [trial.known_regime(month) for month in (0, 12, 14)] == [Regime.NEUTRAL] * 3
    assert [trial.known_regime(month) for month in (15, 22)] == [Regime.DOWNTURN] * 2
    assert trial.known_regime(23) is Regime.BOOM
