"""What is planted is found by simple counting; where nothing is planted, nothing is found."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow.compute as pc
import pytest

from lab.world import panel
from lab.world.panel import Chunk
from lab.world.settings import Bias, Break, WorldSettings

N = 3_000
MONTH = 9


def before_and_after(chunk: Chunk, world: WorldSettings) -> tuple[pd.DataFrame, pd.DataFrame]:
    rows = chunk.panel.to_pandas()
    first = pd.Timestamp(world.starts_on) + pd.DateOffset(months=MONTH)
    is_after = pd.to_datetime(rows.month) >= first
    return rows[~is_after].reset_index(drop=True), rows[is_after].reset_index(drop=True)


@pytest.mark.parametrize(
    "planted",
    [
        Break(kind="risk", from_month=MONTH, amount=0.8),
        Break(kind="spending", from_month=MONTH, amount=1.5),
        Break(kind="unit", from_month=MONTH, amount=1_000.0, column="income_minor"),
        Break(kind="missing", from_month=MONTH, amount=0.3, column="balance_minor"),
    ],
)
def test_a_break_is_seen_from_its_month_on_and_not_a_day_earlier(
    baseline: WorldSettings, lived: Chunk, planted: Break
) -> None:
    broken = panel.live(baseline.changed(breaks=(planted,)), 0, N)
    calm_before, calm_after = before_and_after(lived, baseline)
    before, after = before_and_after(broken, baseline)
    pd.testing.assert_frame_equal(before, calm_before, check_dtype=False)
    if planted.kind == "risk":
        assert (after.status > 0).mean() > (calm_after.status > 0).mean() + 0.05
    elif planted.kind == "spending":
        assert after.purchases_minor.mean() > 1.2 * calm_after.purchases_minor.mean()
    elif planted.kind == "unit":
        assert (after.income_minor == 1_000 * calm_after.income_minor).all()
    else:
        assert after.balance_minor.isna().mean() == pytest.approx(0.3, abs=0.02)
        assert after.drop(columns="balance_minor").equals(calm_after.drop(columns="balance_minor"))
        assert lived.panel["balance_minor"].null_count == 0


def refusals(chunk: Chunk) -> tuple[float, float]:
    """Women's share of refused less men's, and its standard error."""
    accounts = chunk.accounts.to_pandas()
    groups = accounts.groupby("sex").is_refused
    share, n = groups.mean(), groups.size()
    return share[2] - share[1], float(np.sqrt((share * (1 - share) / n).sum()))


def test_planted_bias_in_refusals_is_found_by_counting(baseline: WorldSettings) -> None:
    wronged = panel.live(baseline.changed(bias=Bias(refusal_logit=0.5), months=1), 0, N)
    gap, error = refusals(wronged)
    assert gap > 5 * error


def test_planted_bias_in_limits_is_found_by_counting(baseline: WorldSettings, lived: Chunk) -> None:
    wronged = panel.live(baseline.changed(bias=Bias(limit_share=0.8), months=1), 0, N)
    ratio = pc.divide(
        wronged.accounts["reference_limit_minor"].cast("float64"),
        lived.accounts["reference_limit_minor"].cast("float64"),
    ).to_numpy()
    is_woman = lived.accounts["sex"].to_numpy() == 2
    assert np.median(ratio[is_woman]) == pytest.approx(0.8, abs=0.02)
    assert np.all(ratio[~is_woman] == 1)


def test_the_wronged_are_no_riskier_than_before(baseline: WorldSettings, lived: Chunk) -> None:
    wronged = panel.live(baseline.changed(bias=Bias(refusal_logit=0.5)), 0, N)
    names = ["account", "as_of", "horizon_months", "frailty"]
    old, new = (
        chunk.oracle.to_pandas()[names].drop_duplicates("account").set_index("account").frailty
        for chunk in (lived, wronged)
    )
    both = old.index.intersection(new.index)
    assert (old[both] == new[both]).all()


def test_a_world_without_bias_treats_both_sexes_alike(
    baseline: WorldSettings, lived: Chunk
) -> None:
    fair = panel.live(baseline.changed(bias=Bias(code=1, refusal_logit=0.0, limit_share=1.0)), 0, N)
    assert fair.accounts.equals(lived.accounts)
    # Real rows of women have slightly safer limits and payments, so a small gap is no planted one.
    gap, error = refusals(lived)
    assert abs(gap) < 3 * error + 0.02


def test_a_world_without_breaks_or_turns_stays_as_it_is(baseline: WorldSettings) -> None:
    silent = baseline.changed(
        seasons=(), drift={}, schedule=({"from_month": 0, "regime": "neutral"},)
    )
    rows = panel.live(silent, 0, N).panel.to_pandas()
    by_month = rows.groupby("month")
    income = by_month.income_minor.median()
    assert income.max() / income.min() < 1.03
    late = (rows.status > 0).groupby(rows.month).mean()
    assert late.diff().abs().max() < 0.02
    assert rows.notna().all(axis=None)
