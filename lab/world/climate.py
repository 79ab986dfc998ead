"""What a month does to everybody: economy, feasts, drift and planted breaks, as tables by month.

Feasts are dates, not months: the Spring Festival moves between January and February, and a model
that learned "January" is wrong next year. A lift is spread over the days of the feast's window and
falls on the months that hold them.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from lab.world.draws import Reals
from lab.world.settings import (
    CATEGORIES,
    Break,
    Fault,
    Regime,
    Season,
    Segment,
    WorldSettings,
)

SEGMENTS = tuple(Segment)
PROFILES = 4
_ONLINE = CATEGORIES.index("online")

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
FIRM = PROFILES - 1

Floats = NDArray[np.float64]
Months = NDArray[np.datetime64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Climate:
    """Tables by month.

    Parameters
    ----------
    months : ndarray of datetime64[M], shape (n_months,)
    risk : ndarray of float32, shape (n_months, n_segments)
        Added to the logit of being late.
    spending : ndarray of float32, shape (n_months, n_profiles)
        Factor on purchases.
    basket : ndarray of float32, shape (n_months, n_profiles, n_categories)
        Shares of a month's purchases.
    income : ndarray of float32, shape (n_months, n_segments)
        Factor on income or takings.
    """

    months: Months
    risk: Reals
    spending: Reals
    basket: Reals
    income: Reals
    regimes: tuple[str, ...]


def forecast(settings: WorldSettings, *, months: int | None = None) -> Climate:
    """Return the climate of the world, or of more months than it records."""
    return _forecast(settings.model_dump_json(by_alias=True), months or settings.months)


def calendar(settings: WorldSettings) -> Months:
    """Return the calendar months that the world records."""
    return np.datetime64(settings.starts_on, "M") + np.arange(settings.months)


@lru_cache(maxsize=16)
def _forecast(text: str, months: int) -> Climate:
    settings = WorldSettings.model_validate_json(text)
    marked = np.datetime64(settings.starts_on, "M") + np.arange(months)
    names = _regimes(settings, months)
    rules = [settings.regimes[name] for name in names]
    lifts, bonus = _feasts(settings.seasons, marked)
    basket = _BASKETS[None, :, :] * (1.0 + lifts[:, None, :])
    basket[:, :FIRM, _ONLINE] *= 1.0 + _drifted(settings, months, settings.drift.online)[:, None]
    volume = basket.sum(axis=2)
    factor = np.array([rule.spending for rule in rules])
    factor = factor * (1.0 + _drifted(settings, months, settings.drift.spending))
    factor = factor * _broken(settings.breaks, Fault.SPENDING, months)
    # Feasts move consumers; firms are moved by the economy alone.
    volume[:, FIRM] = 1.0
    income = np.array([rule.income for rule in rules])
    return Climate(
        months=marked,
        risk=_single(_risk(settings, rules, months)),
        spending=_single(volume * factor[:, None]),
        basket=_single(basket / basket.sum(axis=2, keepdims=True)),
        income=_single(np.stack([income * (1.0 + bonus), income], axis=1)),
        regimes=names,
    )


def _regimes(settings: WorldSettings, months: int) -> tuple[str, ...]:
    starts = [turn.from_month for turn in settings.schedule]
    ruling = np.searchsorted(starts, np.arange(months), side="right") - 1
    return tuple(settings.schedule[turn].regime for turn in ruling)


def _risk(settings: WorldSettings, rules: list[Regime], months: int) -> Floats:
    by_segment = np.array([[rule.risk_logit, rule.sme_risk_logit] for rule in rules])
    shared = _drifted(settings, months, settings.drift.risk_logit)
    shared = shared + _broken(settings.breaks, Fault.RISK, months)
    return by_segment + shared[:, None]


def _drifted(settings: WorldSettings, months: int, per_month: float) -> Floats:
    return per_month * np.maximum(np.arange(months) - settings.drift.from_month + 1, 0)


def _broken(breaks: tuple[Break, ...], kind: Fault, months: int) -> Floats:
    """Add up planted logits, or multiply planted factors, from their months on."""
    adds = kind is Fault.RISK
    total = np.full(months, 0.0 if adds else 1.0)
    for planted in breaks:
        if planted.kind is kind:
            total[planted.from_month :] += planted.amount if adds else 0.0
            total[planted.from_month :] *= 1.0 if adds else planted.amount
    return total


def _feasts(seasons: tuple[Season, ...], marked: Months) -> tuple[Floats, Floats]:
    """Return the lift of every month and category, and the lift of incomes."""
    lifts, bonus = np.zeros((len(marked), len(CATEGORIES))), np.zeros(len(marked))
    for season in seasons:
        length = season.days_before + season.days_after + 1
        for day in season.days:
            window = np.datetime64(day, "D") - season.days_before + np.arange(length)
            held = window.astype("datetime64[M]")[None, :] == marked[:, None]
            share = held.mean(axis=1)
            bonus += share * season.income_lift
            for category, lift in season.lifts.items():
                lifts[:, CATEGORIES.index(category)] += share * lift
    return lifts, bonus


def _single(values: Floats) -> Reals:
    return np.round(values, 6).astype(np.float32)
