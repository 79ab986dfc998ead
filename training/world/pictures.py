"""Pictures of a simulated world, for its page: every one says "simulated" and shows aggregates.

Every point stands for at least twenty accounts; where fewer are left, nothing is drawn.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pyarrow.compute as pc
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from governance.proportion import QUANTILE, wilson
from training.calibration import margin_of_mean
from training.world import climate, evolution, fidelity, panel
from training.world.anchors import CODES
from training.world.evolution import MINOR
from training.world.fidelity import Fidelity
from training.world.panel import Chunk
from training.world.settings import CATEGORIES, Regime, Turn, WorldSettings

SMALLEST_GROUP = 20
ACCOUNTS = 20_000
QUARTERS = 4

_INK, _SOFT, _GOOD, _BAD, _WARM = "#1f3a5f", "#9aa5b1", "#2f7d5b", "#b3413b", "#c98a1b"
_CATEGORY_COLORS = ("#1f3a5f", "#b3413b", "#c98a1b", "#2f7d5b", "#7a5c99", "#9aa5b1")
_GROUPS = 20
_RAISE, _RAISED_IN, _FOLLOWED = 1.2, 6, 24

Floats = NDArray[np.float64]


def draw(folder: Path, settings: WorldSettings) -> Mapping[str, Path]:
    """Draw the world's pictures below `folder` and return name to PNG file.

    Worlds of more than 20,000 accounts are drawn from their first 20,000.
    """
    small = settings.changed(accounts=min(settings.accounts, ACCOUNTS))
    chunk = panel.live(small, 0, small.accounts)
    drawn = {
        "movement": movement(fidelity.measure(small)),
        "calendar": calendar(chunk, small),
        "truth": truth(chunk),
        "response": response(small),
    }
    paths = {name: folder / f"world-{name}.png" for name in drawn}
    for name, figure in drawn.items():
        # Without the library's version in it, the same figure is the same bytes.
        figure.savefig(paths[name], dpi=110, metadata={"Software": None})
    return paths


def movement(found: Fidelity) -> Figure:
    """Draw persistence and the shares of states, simulated beside real."""
    figure = Figure(figsize=(9.6, 4.0), layout="constrained")
    stay, states = figure.subplots(1, 2)
    late = np.arange(len(found.real.persistence))
    real_n, simulated_n = found.real.persistence_n, found.simulated.persistence_n
    for moved, kind in (
        (found.real, (-0.2, _SOFT, "UCI, real")),
        (found.simulated, (0.2, _INK, "simulated")),
    ):
        _bars(stay, kind, moved.persistence, QUANTILE * np.tile(moved.persistence_error, (2, 1)))
    counts = [
        f"{k}\n{one:,}\n{two:,}" for k, one, two in zip(late, real_n, simulated_n, strict=True)
    ]
    stay.set(
        xticks=late,
        xticklabels=counts,
        ylim=(0, 1),
        xlabel="of the three earlier months, late in\n(below: n real, n simulated account-months)",
        ylabel="late again next month",
        title="Who is late stays late",
    )
    stay.legend(frameon=False, loc="upper left")
    place = np.arange(len(CODES))
    real, simulated = found.marginal_n
    lead = (-0.2, _SOFT, f"UCI, August, real, n = {real:,}")
    _bars(states, lead, found.real_marginal, _reach(found.real_marginal, real))
    lead = (0.2, _INK, f"simulated, month 6, n = {simulated:,}")
    _bars(states, lead, found.simulated_marginal, _reach(found.simulated_marginal, simulated))
    names = ["no use", "in full", "revolving", "2", "3", "4+"]
    states.set(xticks=place, xticklabels=names, ylabel="share of accounts", title="Status")
    states.set_ylim(0, 0.75)
    states.legend(frameon=False, loc="upper right")
    figure.suptitle(
        "Simulated delinquency beside the real rows it is anchored on, 95 % intervals", fontsize=11
    )
    return figure


def _bars(axes: Axes, kind: tuple[float, str, str], shares: Floats, reach: Floats) -> None:
    """Draw shares with what their intervals reach; `kind` is the shift, the color and the label."""
    shift, color, label = kind
    place = np.arange(len(shares)) + shift
    axes.bar(place, shares, 0.38, color=color, label=label)
    axes.errorbar(place, shares, reach, fmt="none", color=_WARM, capsize=2, lw=1)


def _reach(shares: Floats, n: int) -> Floats:
    """Return how far Wilson's intervals reach below and above shares of n, ``(2, n_shares)``."""
    ends = np.array([wilson(round(share * n), n) for share in shares.tolist()])
    reach: Floats = np.clip([shares - ends[:, 0], ends[:, 1] - shares], 0.0, None)
    return reach


def calendar(chunk: Chunk, settings: WorldSettings) -> Figure:
    """Draw purchases by category and lateness by month, with regimes and feasts."""
    weather = climate.forecast(settings)
    months = weather.months[: settings.months]
    spent, late, rows = _by_month(chunk)
    figure = Figure(figsize=(9.6, 5.4), layout="constrained")
    figure.suptitle(f"Simulated, {len(chunk.accounts):,} accounts", fontsize=11)
    money, risk = figure.subplots(2, 1, sharex=True)
    for place, category in enumerate(CATEGORIES):
        money.plot(spent[:, place], color=_CATEGORY_COLORS[place], label=category)
    money.set(ylabel="mean per account, by category", title="Purchases of consumers")
    money.legend(frameon=False, fontsize=8, ncols=3, loc="upper left")
    money.set_ylim(0, float(np.nanmax(spent)) * 1.35)
    risk.plot(late, color=_BAD)
    spread = QUANTILE * np.sqrt(late * (1 - late) / rows)
    risk.fill_between(np.arange(len(late)), late - spread, late + spread, color=_BAD, alpha=0.25)
    risk.set(
        ylabel="share of accounts late",
        title="Lateness with its 95 % interval, and the planted regimes",
    )
    ruled = np.array(weather.regimes[: len(months)])
    for name, color in (("downturn", _BAD), ("boom", _GOOD)):
        for month in np.flatnonzero(ruled == name):
            label = name if month == np.flatnonzero(ruled == name)[0] else None
            risk.axvspan(month - 0.5, month + 0.5, color=color, alpha=0.12, lw=0, label=label)
    if set(ruled) & {"downturn", "boom"}:
        risk.legend(frameon=False, loc="upper left")
    shown = np.arange(0, len(months), max(1, len(months) // 8))
    risk.set_xticks(shown, [str(months[place]) for place in shown])
    return figure


def truth(chunk: Chunk) -> Figure:
    """Draw how often accounts failed, by what their true probability was."""
    figure = Figure(figsize=(5.2, 4.6), layout="constrained")
    axes = figure.subplots()
    known = chunk.oracle.filter(chunk.oracle["true_outcome"].is_valid())
    longest = int(max(chunk.oracle["horizon_months"].to_numpy(), default=0))
    is_long = known["horizon_months"].to_numpy() == longest
    chance = known["true_default_probability"].to_numpy()[is_long]
    happened = known["true_outcome"].to_numpy()[is_long]
    order = np.argsort(chance, kind="stable")
    groups = [rows for rows in np.array_split(order, _GROUPS) if len(rows) >= SMALLEST_GROUP]
    expected = np.array([chance[rows].mean() for rows in groups])
    observed = np.array([happened[rows].mean() for rows in groups])
    top = float(max([0.05, *expected, *observed])) * 1.05
    axes.plot([0, top], [0, top], color=_SOFT, linewidth=1)
    # Windows of one account overlap, so the intervals draw accounts and not rows.
    account = known["account"].to_numpy()[is_long]
    reach = [margin_of_mean(happened[rows].astype(np.float64), account[rows]) for rows in groups]
    axes.errorbar(expected, observed, reach, fmt="o", color=_INK, ms=4, capsize=2, lw=1)
    axes.set(
        xlabel=f"true probability of 90 days late in {longest} months",
        ylabel="share that was, 95 % interval",
        title=f"Simulated, n = {len(chance):,} windows of {len(np.unique(account)):,} accounts:\n"
        "the truth under seal holds",
    )
    return figure


def response(settings: WorldSettings) -> Figure:
    """Draw the debt that a raise of every limit by 20 % causes, by quarter of risk."""
    still = settings.changed(
        regimes={"neutral": Regime()},
        schedule=(Turn(from_month=0, regime="neutral"),),
        breaks=(),
        months=_RAISED_IN + _FOLLOWED,
    )
    shares, spread = measure_response(still)
    month = np.arange(1, _FOLLOWED + 1)
    figure = Figure(figsize=(5.6, 4.4), layout="constrained")
    axes = figure.subplots()
    names = ("safest quarter", "second", "third", "riskiest quarter")
    for part, color in enumerate((_GOOD, _SOFT, _WARM, _BAD)):
        middle, reach = shares[:, part], spread[:, part]
        axes.plot(month, middle, color=color, label=names[part])
        axes.fill_between(month, middle - reach, middle + reach, color=color, alpha=0.2, lw=0)
    axes.set(
        xlabel="months after the raise",
        ylabel="more debt per unit of more limit",
        title=f"Simulated, {settings.accounts:,} accounts: what a limit causes\n"
        "(paired, 95 % intervals)",
    )
    axes.set_ylim(0, float(shares.max()) * 1.4)
    axes.legend(frameon=False)
    return figure


def measure_response(settings: WorldSettings) -> tuple[Floats, Floats]:
    """Return more debt per more limit, shape ``(24, 4)``: by month after a raise and risk quarter.

    Both worlds have the same luck; the only difference is the limits. Beside it stands how far its
    95 % interval reaches: that of a ratio of two sums over the same accounts.
    """
    plain = raised = evolution.start(settings)
    limits = plain.limit_minor
    higher = np.minimum(np.floor(limits * _RAISE / MINOR) * MINOR, evolution.LARGEST_LIMIT * MINOR)
    quarter = np.argsort(np.argsort(plain.book.frailty)) * QUARTERS // len(limits)
    shares, spread = np.zeros((_FOLLOWED, QUARTERS)), np.zeros((_FOLLOWED, QUARTERS))
    for month in range(_RAISED_IN + _FOLLOWED):
        given = limits if month < _RAISED_IN else higher.astype(np.int64)
        plain = evolution.advance(plain, month, limits)
        raised = evolution.advance(raised, month, given)
        if month >= _RAISED_IN:
            both = plain.is_active & raised.is_active
            debt, room = (
                (raised.balance - plain.balance) * both,
                (raised.limit - plain.limit) * both,
            )
            more = np.maximum(np.bincount(quarter, room, QUARTERS), 1.0)
            share = np.bincount(quarter, debt, QUARTERS) / more
            apart = np.bincount(quarter, (debt - share[quarter] * room) ** 2, QUARTERS)
            shares[month - _RAISED_IN] = share
            spread[month - _RAISED_IN] = QUANTILE * np.sqrt(apart) / more
    return shares, spread


def _by_month(chunk: Chunk) -> tuple[Floats, Floats, Floats]:
    """Return consumers' mean purchases by month and category, the share late, and of how many.

    A month in which too few accounts are left is nan.
    """
    days = chunk.panel["month"].to_numpy().astype("datetime64[M]")
    month = (days - days.min()).astype(np.int64) if len(days) else np.zeros(0, dtype=np.int64)
    # Firms have no basket; all they draw is in the last category.
    consumers = chunk.accounts.filter(pc.equal(chunk.accounts["segment"], "consumer"))
    is_consumer = np.isin(chunk.panel["account"].to_numpy(), consumers["account"].to_numpy())
    spent = np.stack(
        [
            np.bincount(month, chunk.panel[f"purchases_{name}_minor"].to_numpy() * is_consumer)
            for name in CATEGORIES
        ],
        axis=1,
    )
    late = np.bincount(month, chunk.panel["status"].to_numpy() > 0)
    buyers, rows = (_enough(month[kept]) for kept in (is_consumer, slice(None)))
    return spent / MINOR / buyers[:, None], late / rows, rows


def _enough(month: NDArray[np.int64]) -> Floats:
    """Return how many rows each month has, nan where they are too few to be shown."""
    rows = np.bincount(month).astype(np.float64)
    rows[rows < SMALLEST_GROUP] = np.nan
    return rows
