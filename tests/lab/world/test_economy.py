from __future__ import annotations

import numpy as np
import pytest

from lab.world import economy, records, simulation
from lab.world.settings import Break, Drift, WorldSettings

NEUTRAL = ({"from_month": 0, "regime": "neutral"},)


def spending(world: WorldSettings) -> dict[str, float]:
    found = economy.forecast(world)
    months = [str(month) for month in found.months]
    return dict(zip(months, found.spending[:, 0].tolist(), strict=True))


@pytest.fixture
def steady(baseline: WorldSettings) -> WorldSettings:
    return baseline.changed(drift=Drift(), schedule=NEUTRAL)


def test_the_spring_festival_moves_with_its_date(steady: WorldSettings) -> None:
    season = next(item for item in steady.seasons if item.name == "春节")
    found = spending(steady.changed(seasons=(season,)))
    lift = {month: level - found["2024-06"] for month, level in found.items()}
    # 27 days, from 20 before to 6 after: 10 February 2024 has 11 of them in January and 16 in
    # February, 29 January 2025 has 23 and 4.
    days = {"2024-01": 11, "2024-02": 16, "2025-01": 23, "2025-02": 4}
    a_day = sum(lift[month] for month in days) / sum(days.values())
    assert a_day > 0
    for month, held in days.items():
        assert lift[month] == pytest.approx(held * a_day, abs=2e-6)
    assert lift["2024-03"] == lift["2025-03"] == 0


def test_a_window_that_lies_in_one_month_lifts_it_whole(steady: WorldSettings) -> None:
    november = next(item for item in steady.seasons if item.name == "双11")
    found = spending(steady.changed(seasons=(november,)))
    # All 13 days lie in November: online (0.22 of this basket) by 1.10, household (0.14) by 0.40.
    assert found["2024-11"] == pytest.approx(1 + 0.22 * 1.10 + 0.14 * 0.40)
    assert found["2024-10"] == pytest.approx(1.0)


def test_firms_keep_no_feasts(steady: WorldSettings) -> None:
    assert np.all(economy.forecast(steady).spending[:, economy.FIRM] == 1)


def test_regimes_rule_from_their_month_to_the_next_turn(baseline: WorldSettings) -> None:
    found = economy.forecast(baseline)
    assert found.regimes[11:13] == ("neutral", "downturn")
    assert found.regimes[19:21] == ("downturn", "boom")
    assert found.regimes[29] == "boom"
    assert found.risk[12].tolist() == [0.35, 0.55]


def test_breaks_and_drift_start_in_their_month(steady: WorldSettings) -> None:
    plain = economy.forecast(steady)
    shock = Break(kind="risk", from_month=5, amount=0.7)
    moved = economy.forecast(steady.changed(breaks=(shock, shock))).risk - plain.risk
    assert not moved[:5].any()
    assert moved[5:] == pytest.approx(1.4)
    drifting = economy.forecast(steady.changed(drift=Drift(from_month=4, risk_logit=0.1)))
    moved = drifting.risk - plain.risk
    assert moved[3:7, 0] == pytest.approx([0.0, 0.1, 0.2, 0.3])
    spree = Break(kind="spending", from_month=5, amount=1.5)
    ratio = economy.forecast(steady.changed(breaks=(spree,))).spending / plain.spending
    assert (ratio[:5] == 1).all()
    assert ratio[5:] == pytest.approx(1.5)


def test_regimes_order_the_default_rate(baseline: WorldSettings) -> None:
    rates = {}
    for regime in baseline.regimes:
        world = baseline.changed(months=13, schedule=({"from_month": 0, "regime": regime},))
        rates[regime] = records.measure_outcomes(simulation.live(world), -1, 12).y.mean()
    assert rates["boom"] < rates["neutral"] < rates["downturn"]
