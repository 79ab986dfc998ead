from __future__ import annotations

import numpy as np
import pytest

from lab.world import climate, panel
from lab.world.panel import Chunk
from lab.world.settings import CATEGORIES, Break, Drift, WorldSettings

ONLINE = CATEGORIES.index("online")


def spending(world: WorldSettings) -> dict[str, float]:
    weather = climate.forecast(world)
    months = [str(month) for month in weather.months]
    return dict(zip(months, weather.spending[:, 0].tolist(), strict=True))


@pytest.fixture
def steady(baseline: WorldSettings) -> WorldSettings:
    return baseline.changed(drift=Drift())


def test_the_spring_festival_moves_with_its_date(baseline: WorldSettings) -> None:
    season = next(item for item in baseline.seasons if item.name == "春节")
    calm = ({"from_month": 0, "regime": "neutral"},)
    only = baseline.changed(seasons=(season,), drift=Drift(), schedule=calm)
    lift = {month: level - spending(only)["2024-06"] for month, level in spending(only).items()}
    # 27 days, from 20 before to 6 after: 10 February 2024 has 11 of them in January and 16 in
    # February, 29 January 2025 has 23 and 4.
    days = {"2024-01": 11, "2024-02": 16, "2025-01": 23, "2025-02": 4}
    a_day = sum(lift[month] for month in days) / sum(days.values())
    assert a_day > 0
    for month, held in days.items():
        assert lift[month] == pytest.approx(held * a_day, abs=2e-6)
    assert lift["2024-03"] == lift["2025-03"] == 0


def test_a_window_that_lies_in_one_month_lifts_it_whole(steady: WorldSettings) -> None:
    weather = climate.forecast(steady)
    amount = weather.spending[:, 0] * weather.basket[:, 0, ONLINE]
    # The 11 November window has 10 days before and 2 after: all of it in November, lift 1.10.
    assert amount[10] / amount[8] == pytest.approx(2.10, rel=1e-4)


def test_firms_keep_no_feasts(steady: WorldSettings) -> None:
    neutral = steady.changed(schedule=({"from_month": 0, "regime": "neutral"},))
    weather = climate.forecast(neutral)
    assert np.all(weather.spending[:, climate.FIRM] == 1)


def test_regimes_rule_from_their_month_to_the_next_turn(baseline: WorldSettings) -> None:
    names = climate.forecast(baseline).regimes
    assert names[11:13] == ("neutral", "downturn")
    assert names[19:21] == ("downturn", "boom")
    longer = climate.forecast(baseline, months=30)
    assert longer.regimes[:24] == names
    assert longer.regimes[29] == "boom"


def test_breaks_and_drift_start_in_their_month(steady: WorldSettings) -> None:
    plain = climate.forecast(steady)
    shock = Break(kind="risk", from_month=5, amount=0.7)
    broken = climate.forecast(steady.changed(breaks=(shock, shock)))
    moved = broken.risk - plain.risk
    assert not moved[:5].any()
    assert moved[5:] == pytest.approx(1.4)
    drifting = climate.forecast(steady.changed(drift=Drift(from_month=4, risk_logit=0.1)))
    moved = drifting.risk - plain.risk
    assert moved[3:7, 0] == pytest.approx([0.0, 0.1, 0.2, 0.3], abs=1e-6)


def test_november_is_bought_online(lived: Chunk, baseline: WorldSettings) -> None:
    rows = lived.panel.to_pandas()
    rows = rows[rows.purchases_minor > 0]
    share = (rows.purchases_online_minor / rows.purchases_minor).groupby(rows.month).mean()
    assert share.iloc[10] > 1.3 * share.iloc[8]


def test_regimes_order_the_default_rate(baseline: WorldSettings) -> None:
    rates = {}
    for regime in baseline.regimes:
        world = baseline.changed(
            months=13, schedule=({"from_month": 0, "regime": regime},), labels={"horizons": (12,)}
        )
        rates[regime] = panel.live(world, 0, 3_000).labels["y"].to_numpy().mean()
    assert rates["boom"] < rates["neutral"] < rates["downturn"]
