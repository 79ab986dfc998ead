"""Pictures of a candidate, aggregated until no customer can be seen in them.

Every point stands for at least twenty customers; there are no row scatters, no extremes and no
score values on an axis that could be read back.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from governance.measurement import Measurement
from governance.measures.discrimination import measure_auc
from training.evaluation import Matrix, OutOfFold, predict

SMALLEST_GROUP = 20
SAMPLE_ROWS = 2_000

_INK, _SOFT, _GOOD, _BAD = "#1f3a5f", "#9aa5b1", "#2f7d5b", "#b3413b"
_POINTS = 60
_SIGN_COLORS = {1: _BAD, 0: _SOFT, -1: _GOOD}


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """How far one feature moves the mean default probability, from its 5th to 95th percentile."""

    name: str
    sign: int
    change: float


def measure_effects(
    estimator: Any, features: Matrix, names: Sequence[str], signs: Sequence[int], *, seed: int
) -> tuple[Effect, ...]:
    """Move one feature at a time for a sample of customers; return one effect per feature."""
    rng = np.random.default_rng([seed, 6])
    size = min(SAMPLE_ROWS, len(features))
    sample = features[rng.choice(len(features), size=size, replace=False)]
    effects = []
    for column, (name, sign) in enumerate(zip(names, signs, strict=True)):
        means = []
        for edge in np.quantile(features[:, column], [0.05, 0.95]):
            moved = sample.copy()
            moved[:, column] = edge
            means.append(float(predict(estimator, moved).mean()))
        effects.append(Effect(name=name, sign=sign, change=means[1] - means[0]))
    return tuple(effects)


def draw(folder: Path, result: OutOfFold, effects: Sequence[Effect]) -> Mapping[str, Path]:
    """Draw all figures below `folder` and return name to PNG file."""
    drawn = {
        "reliability": _reliability(result),
        "separation": _separation(result),
        "directions": _directions(effects, min(SAMPLE_ROWS, len(result.labels))),
    }
    return {name: _saved(figure, folder / f"{name}.png") for name, figure in drawn.items()}


def draw_lift(path: Path, table: Sequence[Measurement]) -> Path:
    """Draw the lift table of `training.lift.measure_lift` to `path`, a PNG file."""
    figure = Figure(figsize=(5.6, 4.2), layout="constrained")
    axes = figure.subplots()
    ratios = [found for found in table if found.measure == "lift.ratio"]
    parts = [found.scope.get("part", "") for found in ratios]
    axes.bar(parts, [found.value or 0.0 for found in ratios], color=_SOFT)
    axes.errorbar(parts, *_with_edges(ratios), fmt="none", ecolor=_INK, capsize=2)
    axes.axhline(1, color=_INK, linewidth=0.8)
    axes.set(xlabel="part of the customers, 1 = riskiest", ylabel="default rate over that of all")
    n = sum(found.n for found in ratios)
    axes.set_title(f"Lift, out-of-fold, n = {n:,} (95 % interval)")
    return _saved(figure, path)


def _with_edges(measured: Sequence[Measurement]) -> tuple[list[float], NDArray[np.float64]]:
    """Return values and their distances to the interval's edges, as error bars want them."""
    values = np.array([found.value or 0.0 for found in measured])
    edges = [(found.low, found.high) for found in measured]
    low = [value if edge[0] is None else edge[0] for value, edge in zip(values, edges, strict=True)]
    high = [
        value if edge[1] is None else edge[1] for value, edge in zip(values, edges, strict=True)
    ]
    return values.tolist(), np.clip([values - low, np.array(high) - values], 0, None)


def _saved(figure: Figure, path: Path) -> Path:
    # Without the library's version in it, the same figure is the same bytes.
    figure.savefig(path, dpi=110, metadata={"Software": None})
    return path


def _reliability(result: OutOfFold) -> Figure:
    figure = Figure(figsize=(5.2, 5.0), layout="constrained")
    axes = figure.subplots()
    groups = _groups(result, 15)
    expected = [float(result.probability[rows].mean()) for rows in groups]
    observed = np.array([float(result.labels[rows].mean()) for rows in groups])
    margin = [
        1.96 * np.sqrt(p * (1 - p) / len(rows)) for p, rows in zip(observed, groups, strict=True)
    ]
    axes.plot([0, 1], [0, 1], color=_SOFT, linewidth=1, label="perfectly calibrated")
    axes.errorbar(expected, observed, yerr=margin, fmt="o", color=_INK, markersize=4, capsize=2)
    axes.set(xlabel="mean default probability", ylabel="default rate (95 % interval)")
    axes.set_title(f"Reliability, out-of-fold, n = {len(result.labels):,}")
    axes.legend(frameon=False)
    return figure


def _separation(result: OutOfFold) -> Figure:
    figure = Figure(figsize=(9.6, 4.4), layout="constrained")
    roc, ks = figure.subplots(1, 2)
    groups = _groups(result, _POINTS)[::-1]
    events = np.array([int(result.labels[rows].sum()) for rows in groups])
    others = np.array([len(rows) for rows in groups]) - events
    hit, alarm = (
        np.concatenate([[0.0], np.cumsum(part) / part.sum()]) for part in (events, others)
    )
    share = np.concatenate([[0.0], np.cumsum(events + others) / len(result.labels)])
    roc.plot([0, 1], [0, 1], color=_SOFT, linewidth=1)
    roc.plot(alarm, hit, color=_INK)
    roc.set(xlabel="share of non-defaulters", ylabel="share of defaulters")
    area = measure_auc(result.labels, result.probability)
    roc.set_title(f"ROC, {_told('AUC', area)}", fontsize=10)
    ks.plot(share, hit, color=_BAD, label="defaulters")
    ks.plot(share, alarm, color=_GOOD, label="non-defaulters")
    widest = int(np.argmax(hit - alarm))
    ks.vlines(share[widest], alarm[widest], hit[widest], color=_SOFT, linestyle="--")
    ks.set(xlabel="riskiest share of customers", ylabel="share found")
    ks.set_title("Kolmogorov-Smirnov, the widest gap", fontsize=10)
    ks.legend(frameon=False)
    figure.suptitle(
        f"Separation, out-of-fold, n = {len(result.labels):,}, {events.sum():,} defaulted",
        fontsize=11,
    )
    return figure


def _told(name: str, found: Measurement) -> str:
    if found.value is None or found.low is None or found.high is None:
        return f"{name} undefined"
    return f"{name} {found.value:.3f} (95 % interval {found.low:.3f} to {found.high:.3f})"


def _directions(effects: Sequence[Effect], n: int) -> Figure:
    figure = Figure(figsize=(7.0, 1.2 + 0.2 * len(effects)), layout="constrained")
    axes = figure.subplots()
    ordered = sorted(effects, key=lambda effect: abs(effect.change))
    colors = [_SIGN_COLORS[effect.sign] for effect in ordered]
    axes.barh(
        [effect.name for effect in ordered], [effect.change for effect in ordered], color=colors
    )
    axes.axvline(0, color=_INK, linewidth=0.8)
    axes.tick_params(axis="y", labelsize=7)
    axes.set_xlabel(
        "change of the mean default probability, feature moved from 5th to 95th percentile"
    )
    axes.set_title(
        f"Directions, n = {n:,}: red may only raise, green may only lower, gray is free", fontsize=9
    )
    return figure


def _groups(result: OutOfFold, wanted: int) -> list[NDArray[np.intp]]:
    """Split customers by rising probability into groups of at least twenty, equal ties together."""
    parts = max(1, min(wanted, len(result.labels) // SMALLEST_GROUP))
    order = np.argsort(result.probability, kind="stable")
    ordered = result.probability[order]
    cuts = [len(order) * part // parts for part in range(1, parts)]
    edges = [0]
    # A cut moves left to the first of equal probabilities, so that one tie is never two groups.
    for edge in np.searchsorted(ordered, ordered[cuts], side="left").tolist():
        if edge - edges[-1] >= SMALLEST_GROUP and len(order) - edge >= SMALLEST_GROUP:
            edges.append(edge)
    return np.split(order, edges[1:])
