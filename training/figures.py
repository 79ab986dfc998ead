"""Pictures of a candidate, aggregated until no customer can be seen in them.

Every point stands for at least twenty customers; there are no row scatters, no extremes and no
score values on an axis that could be read back. The same figures are the same bytes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from decisions.features import FeatureSpec
from governance.measurement import Measurement
from governance.measures.discrimination import Z95, measure_auc
from training.evaluation import Matrix, OutOfFold, predict

SMALLEST_GROUP = 20
SAMPLE_ROWS = 2_000

_INK, _SOFT, _GOOD, _BAD = "#1f3a5f", "#9aa5b1", "#2f7d5b", "#b3413b"
_POINTS = 60
_SIGN_COLORS = {1: _BAD, 0: _SOFT, -1: _GOOD}


def draw(folder: Path, result: OutOfFold, measured: Sequence[Measurement]) -> Mapping[str, Path]:
    """Draw reliability, separation, lift and vintages below `folder`; return name to PNG file.

    Parameters
    ----------
    measured : sequence of Measurement
        Lift and breakdown; without vintages there is no picture of them.
    """
    drawn = {"reliability": _reliability(result), "separation": _separation(result)}
    if ratios := [found for found in measured if found.measure == "lift.ratio"]:
        drawn["lift"] = _lift(ratios)
    by_vintage = [one for one in measured if "vintage" in one.scope and one.value is not None]
    if by_vintage:
        drawn["vintages"] = _vintages(by_vintage)
    return {name: _saved(figure, folder / f"{name}.png") for name, figure in drawn.items()}


def draw_directions(
    path: Path, estimator: Any, features: Matrix, spec: FeatureSpec, *, seed: int
) -> Path:
    """Draw how far each feature moves the mean default probability to `path`, a PNG file."""
    changes = measure_effects(estimator, features, seed=seed)
    return _saved(_directions(changes, spec, min(SAMPLE_ROWS, len(features))), path)


def _directions(changes: Sequence[float], spec: FeatureSpec, n: int) -> Figure:
    figure = Figure(figsize=(7.0, 1.2 + 0.2 * len(changes)), layout="constrained")
    axes = figure.subplots()
    order = sorted(range(len(changes)), key=lambda column: abs(changes[column]))
    axes.barh(
        [spec.names[column] for column in order],
        [changes[column] for column in order],
        color=[_SIGN_COLORS[spec.signs[column]] for column in order],
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


def measure_effects(estimator: Any, features: Matrix, *, seed: int) -> list[float]:
    """Return how far each feature moves the mean default probability, from 5th to 95th percentile.

    One feature is moved at a time, for a seeded sample of the customers.
    """
    rng = np.random.default_rng([seed, 6])
    size = min(SAMPLE_ROWS, len(features))
    sample = features[rng.choice(len(features), size=size, replace=False)]
    changes = []
    for column in range(features.shape[1]):
        means = []
        for edge in np.quantile(features[:, column], [0.05, 0.95]):
            moved = sample.copy()
            moved[:, column] = edge
            means.append(float(predict(estimator, moved).mean()))
        changes.append(means[1] - means[0])
    return changes


def _lift(ratios: Sequence[Measurement]) -> Figure:
    figure = Figure(figsize=(5.6, 4.2), layout="constrained")
    axes = figure.subplots()
    parts = [found.scope.get("part", "") for found in ratios]
    axes.bar(parts, [found.value or 0.0 for found in ratios], color=_SOFT)
    _with_intervals(axes, parts, ratios, fmt="none", ecolor=_INK)
    axes.axhline(1, color=_INK, linewidth=0.8)
    axes.set(xlabel="part of the customers, 1 = riskiest", ylabel="default rate over that of all")
    n = sum(found.n for found in ratios)
    axes.set_title(f"Lift, out-of-fold, n = {n:,} (95 % interval)")
    return figure


def _vintages(measured: Sequence[Measurement]) -> Figure:
    figure = Figure(figsize=(8.0, 5.4), layout="constrained")
    upper, lower = figure.subplots(2, 1, sharex=True)
    order = sorted({one.scope["vintage"] for one in measured})
    for axes, measure, color, title in (
        (upper, "discrimination.auc", _INK, "AUC, out-of-fold"),
        (lower, "vintage.default_rate", _BAD, "default rate"),
    ):
        found = [one for one in measured if one.measure == measure]
        places = [order.index(one.scope["vintage"]) for one in found]
        _with_intervals(axes, places, found, fmt="o-", color=color)
        axes.set(ylabel=title)
    # A vintage's rate rests on the same customers as its area, so one number stands for both.
    counts = {o.scope["vintage"]: o.n for o in measured if o.measure == "vintage.default_rate"}
    ticks = [f"{name}\nn = {counts[name]:,}" if name in counts else name for name in order]
    lower.set_xticks(range(len(order)), ticks, rotation=45, ha="right", fontsize=8)
    lower.set_xlabel("vintage")
    lower.set_ylim(bottom=0)
    upper.set_title(f"Vintages, n = {sum(counts.values()):,} (95 % intervals)")
    return figure


def _with_intervals(
    axes: Axes, places: Sequence[Any], measured: Sequence[Measurement], **style: Any
) -> None:
    values = np.array([found.value or 0.0 for found in measured])
    low = [v if f.low is None else f.low for v, f in zip(values, measured, strict=True)]
    high = [v if f.high is None else f.high for v, f in zip(values, measured, strict=True)]
    edges = np.clip([values - low, np.array(high) - values], 0, None)
    axes.errorbar(places, values, edges, capsize=2, **style)


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
    sizes = np.array([len(rows) for rows in groups])
    margin = Z95 * np.sqrt(observed * (1 - observed) / sizes)
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
    told = "AUC undefined"
    if area.value is not None and area.low is not None and area.high is not None:
        told = f"AUC {area.value:.3f} (95 % interval {area.low:.3f} to {area.high:.3f})"
    roc.set_title(f"ROC, {told}", fontsize=10)
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
