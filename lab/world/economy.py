"""What a month does to everybody: regimes, feasts, drift and planted breaks, as tables by month.

Feasts are dates, not months: the Spring Festival moves between January and February, and a model
that learned "January" is wrong next year. A lift is spread over the days of the feast's window and
falls on the months that hold them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lab.world.anchors import Floats
from lab.world.settings import CATEGORIES, RegimeEffect, WorldSettings

# Shares of a month's purchases by kind of shopper (rows) and category; the last row is a firm,
# whose purchases are working capital and not consumption.
_BASKETS = np.array(
    [
        [0.34, 0.14, 0.22, 0.06, 0.14, 0.10],
        [0.18, 0.16, 0.42, 0.08, 0.08, 0.08],
        [0.20, 0.28, 0.16, 0.20, 0.06, 0.10],
        [0.00, 0.00, 0.00, 0.00, 0.00, 1.00],
    ]
)
FIRM = len(_BASKETS) - 1
_BEYOND = 36
"""Months after the recorded ones; true probabilities look into them."""

Months = NDArray[np.datetime64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Economy:
    """Tables by month.

    Parameters
    ----------
    months : ndarray of datetime64[M], shape (n_months,)
    risk : ndarray of float64, shape (n_months, n_segments)
        Added to the logit of being late.
    spending : ndarray of float64, shape (n_months, n_profiles)
        Factor on purchases.
    income : ndarray of float64, shape (n_months, n_segments)
        Factor on income or takings.
    """

    months: Months
    risk: Floats
    spending: Floats
    income: Floats
    regimes: tuple[str, ...]


def forecast(settings: WorldSettings) -> Economy:
    """Return the economy of the recorded months of a world and of three years after them."""
    months = np.datetime64(settings.starts_on, "M") + np.arange(settings.months + _BEYOND)
    starts = [turn.from_month for turn in settings.schedule]
    ruling = np.searchsorted(starts, np.arange(len(months)), side="right") - 1
    names = tuple(settings.schedule[turn].regime for turn in ruling)
    rules = [settings.regimes[name] for name in names]
    age = np.maximum(np.arange(len(months)) - settings.drift.from_month + 1, 0)
    lifts, bonus = _feasts(settings, months)
    basket = _BASKETS * (1.0 + lifts[:, None, :])
    online = CATEGORIES.index("online")
    basket[:, :FIRM, online] *= (1.0 + settings.drift.online * age)[:, None]
    volume = basket.sum(axis=2)
    # Feasts move consumers; firms are moved by the economy alone.
    volume[:, FIRM] = 1.0
    factor = np.array([rule.spending for rule in rules]) * (1.0 + settings.drift.spending * age)
    income = np.array([rule.income for rule in rules])
    risk = _risk(rules) + (settings.drift.risk_logit * age)[:, None]
    for planted in settings.breaks:
        if planted.kind == "risk":
            risk[planted.from_month :] += planted.amount
        else:
            factor[planted.from_month :] *= planted.amount
    return Economy(
        months=months,
        risk=risk,
        spending=volume * factor[:, None],
        income=np.stack([income * (1.0 + bonus), income], axis=1),
        regimes=names,
    )


def _risk(rules: list[RegimeEffect]) -> Floats:
    return np.array([[rule.risk_logit, rule.sme_risk_logit] for rule in rules])


def _feasts(settings: WorldSettings, months: Months) -> tuple[Floats, Floats]:
    """Return the lift of every month and category, and the lift of incomes."""
    lifts, bonus = np.zeros((len(months), len(CATEGORIES))), np.zeros(len(months))
    for season in settings.seasons:
        length = season.days_before + season.days_after + 1
        for day in season.days:
            window = np.datetime64(day, "D") - season.days_before + np.arange(length)
            share = (window.astype("datetime64[M]")[None, :] == months[:, None]).mean(axis=1)
            bonus += share * season.income_lift
            for category, lift in season.lifts.items():
                lifts[:, CATEGORIES.index(category)] += share * lift
    return lifts, bonus
