"""Pictures of a backtest: what each strategy came to, month by month, and the frontier.

All are of sums over thousands of simulated accounts; no point is a customer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from governance.measurement import Measurement
from training.backtest.frontier import FILED
from training.backtest.measures import ALL, by_key
from training.backtest.report import Report
from training.backtest.strategy import Strategy

_COLORS = {
    Strategy.STATIC: "#9aa5b1",
    Strategy.BLANKET: "#c98a1b",
    Strategy.RULE: "#1f3a5f",
    Strategy.OPTIMIZED: "#2f7d5b",
    Strategy.FREE: "#b3413b",
}
_INK, _SOFT, _CHOSEN = "#1f3a5f", "#9aa5b1", "#b3413b"
_MILLION = 1e6


def draw(folder: Path, report: Report) -> Mapping[str, Path]:
    """Draw the pictures of a report into `folder` and return name to PNG file."""
    drawn = {"seeds": seeds(report), "course": course(report)}
    if any("variant" in found.scope for found in report.evidence.measurements):
        drawn["frontier"] = frontier(report)
    paths = {name: folder / f"backtest-{name}.png" for name in drawn}
    for name, figure in drawn.items():
        # Without the library's version in it, the same figure is the same bytes.
        figure.savefig(paths[name], dpi=100, metadata={"Software": None})
    return paths


def seeds(report: Report) -> Figure:
    """Draw profit, losses and limits over static, seed by seed, with paired intervals."""
    figure = Figure(figsize=(10.4, 3.8), layout="constrained")
    panels = figure.subplots(1, 3)
    look = by_key(report.evidence.measurements)
    names = {
        "profit_over_static": ("Profit over static", None),
        "losses_over_static": ("Losses over static", 0.01),
        "limits_over_static": ("Limits at the end over static", 0.03),
    }
    moving = [each for each in report.question.strategies if each is not Strategy.STATIC]
    counts = ["" for _ in report.question.seeds]
    for axes, (name, (title, most)) in zip(panels, names.items(), strict=True):
        for place, strategy in enumerate(moving):
            found = [
                look(name, strategy=strategy.value, seed=str(seed))
                for seed in report.question.seeds
            ]
            _points(axes, [each for each in found if each], strategy, place, len(moving))
            counts = [f"\nn = {each.n:,}" if each else "" for each in found]
        axes.axhline(0, color=_SOFT, linewidth=0.8)
        if most is not None:
            axes.axhline(most, color=_CHOSEN, linewidth=0.8, linestyle=":")
        named = [f"{seed}{n}" for seed, n in zip(report.question.seeds, counts, strict=True)]
        axes.set_xticks(range(len(report.question.seeds)), named)
        axes.set(title=title, xlabel="seed")
        axes.yaxis.set_major_formatter(lambda value, _: f"{value:+.1%}")
    panels[0].legend(frameon=False, fontsize=8)
    figure.suptitle(
        "Simulated, the same luck under every strategy (95 % paired; dotted: the most meant)",
        fontsize=10,
    )
    return figure


def _points(axes: Axes, found: list[Measurement], strategy: Strategy, place: int, of: int) -> None:
    value = np.array([each.value or 0.0 for each in found])
    low = np.array([each.low if each.low is not None else 0.0 for each in found])
    high = np.array([each.high if each.high is not None else 0.0 for each in found])
    at = np.arange(len(found)) + (place - (of - 1) / 2) * 0.16
    edges = np.clip([value - low, high - value], 0, None)
    color = _COLORS[strategy]
    axes.errorbar(at, value, edges, fmt="o", ms=4, capsize=2, color=color, label=strategy.value)


def course(report: Report) -> Figure:
    """Draw profit over static, losses and limits by month, with the downturn shaded."""
    figure = Figure(figsize=(9.6, 6.6), layout="constrained")
    earned, lost, granted = figure.subplots(3, 1, sharex=True)
    static = report.courses[Strategy.STATIC]
    for strategy, lines in report.courses.items():
        more = np.cumsum(np.array(lines["profit"]) - np.array(static["profit"])) / _MILLION
        color = _COLORS[strategy]
        if strategy is not Strategy.STATIC:
            earned.plot(more, color=color, label=strategy.value)
        lost.plot(np.array(lines["losses"]) / _MILLION, color=color)
        granted.plot(np.array(lines["limits"]) / _MILLION, color=color, label=strategy.value)
    currency = report.files.policy.currency
    earned.set(title="Profit over static, added up", ylabel=f"{currency} M")
    lost.set(title="Written off in the month", ylabel=f"{currency} M")
    granted.set(title="Limits of open accounts", ylabel=f"{currency} M", xlabel="month")
    trial = report.question.trial
    for axes in (earned, lost, granted):
        axes.axvspan(
            trial.downturn - 0.5, _end_of_downturn(report) - 0.5, color=_CHOSEN, alpha=0.10, lw=0
        )
        axes.axvline(trial.downturn + trial.known_after, color=_SOFT, linestyle=":")
    earned.legend(frameon=False, fontsize=8, loc="upper left")
    # Limits may fall from the first month on, so no corner is free in every course.
    granted.legend(frameon=False, fontsize=8, loc="best")
    figure.suptitle(
        f"Simulated months of {report.accounts:,} accounts, seeds "
        f"{', '.join(map(str, report.question.seeds))}; shaded: downturn, dotted: the lender knows "
        "of it",
        fontsize=10,
    )
    return figure


def _end_of_downturn(report: Report) -> int:
    trial = report.question.trial
    later = [t.from_month for t in trial.filed.schedule if t.from_month > trial.downturn]
    return min([*later, trial.months])


def frontier(report: Report) -> Figure:
    """Draw profit against good customers cut for the variants of the rule, the filed one marked."""
    figure = Figure(figsize=(10.0, 5.2), layout="constrained")
    axes, key = figure.subplots(1, 2, width_ratios=(2.2, 1))
    spots = _spots(report)
    losses = np.array([spot.losses for spot in spots])
    drawn = axes.scatter(
        [spot.cut for spot in spots],
        [spot.profit for spot in spots],
        c=losses,
        cmap="Blues_r",
        s=[110 if spot.is_filed else 45 for spot in spots],
        marker="o",
        edgecolors=[_CHOSEN if spot.is_filed else _INK for spot in spots],
        linewidths=[2.5 if spot.is_filed else 0.8 for spot in spots],
        zorder=3,
    )
    for spot in spots:
        wide = np.abs(np.array(spot.cut_edges) - spot.cut)[:, None]
        high = np.abs(np.array(spot.profit_edges) - spot.profit)[:, None]
        axes.errorbar(spot.cut, spot.profit, high, wide, color=_SOFT, lw=0.6, zorder=1)
    bar = figure.colorbar(drawn, ax=axes, format=lambda value, _: f"{value:+.1%}")
    bar.set_label("losses over static (darker: fewer)")
    for cut, profit, names in _labels(spots):
        axes.annotate(names, (cut, profit), (8, -3), textcoords="offset points", fontsize=9)
    axes.axhline(0, color=_SOFT, linewidth=0.8)
    axes.set(
        xlabel="good customers cut at least once",
        ylabel="profit over static",
        title=f"Simulated, {report.accounts:,} accounts, 95 % intervals:\n"
        "what cutting good customers buys",
    )
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:+.1%}")
    axes.margins(x=0.12, y=0.08)
    key.axis("off")
    for place, spot in enumerate(spots):
        color = _CHOSEN if spot.is_filed else _INK
        line = 1 - (place + 1) / (len(spots) + 2)
        key.text(0, line, f"{place + 1}  {spot.name}", color=color, fontsize=9)
    return figure


@dataclass(frozen=True, slots=True)
class _Spot:
    name: str
    cut: float
    profit: float
    losses: float
    cut_edges: tuple[float, float]
    profit_edges: tuple[float, float]

    @property
    def is_filed(self) -> bool:
        return self.name == FILED


def _spots(report: Report) -> list[_Spot]:
    """Return the variants that can be drawn, and the optimizer beside them."""
    look = by_key(report.evidence.measurements)
    found = [dict(m.scope) for m in report.evidence.measurements if "variant" in m.scope]
    scopes = {scope["variant"]: scope for scope in found}
    seed = ALL if len(report.question.seeds) > 1 else str(report.question.seeds[0])
    scopes["optimized, as filed"] = {"strategy": Strategy.OPTIMIZED.value, "seed": seed}
    spots = []
    for name, scope in scopes.items():
        cut, profit, losses = (
            look(part, **scope)
            for part in ("good_customers_cut", "profit_over_static", "losses_over_static")
        )
        if cut and profit and losses and None not in (cut.value, profit.value, losses.value):
            spots.append(
                _Spot(
                    name=name,
                    cut=cut.value or 0.0,
                    profit=profit.value or 0.0,
                    losses=losses.value or 0.0,
                    cut_edges=_edges(cut),
                    profit_edges=_edges(profit),
                )
            )
    return spots


def _edges(found: Measurement) -> tuple[float, float]:
    """Return the interval of a number; the number itself where it has none."""
    value = found.value or 0.0
    return (
        value if found.low is None else found.low,
        value if found.high is None else found.high,
    )


def _labels(spots: Sequence[_Spot]) -> list[tuple[float, float, str]]:
    """Number the spots; those that lie on each other share one label."""
    wide = max((spot.cut for spot in spots), default=0.0) or 1.0
    high = np.ptp([spot.profit for spot in spots]) or 1.0
    groups: list[tuple[_Spot, list[int]]] = []
    for place, spot in enumerate(spots, start=1):
        for first, members in groups:
            near = abs(first.cut - spot.cut) / wide < 0.05
            if near and abs(first.profit - spot.profit) / high < 0.05:
                members.append(place)
                break
        else:
            groups.append((spot, [place]))
    return [(first.cut, first.profit, ", ".join(map(str, each))) for first, each in groups]
