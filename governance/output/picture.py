"""Pictures: where the lines and bars of a small drawing lie; templates draw them as SVG."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from governance.measurement import Measurement

WIDTH, HEIGHT = 150, 22
PANEL_WIDTH, PANEL_HEIGHT, AXIS = 340, 120, 16


@dataclass(frozen=True, slots=True, kw_only=True)
class IntervalPicture:
    """An interval on a line of `WIDTH`; `middle` is where a ratio would be 1."""

    low: float
    value: float
    high: float
    middle: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """One bar of a histogram."""

    x: float
    y: float
    width: float
    height: float
    side: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Tick:
    """The label of a bin below the axis."""

    x: float
    anchor: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BinPicture:
    """Both bars of one bin, what the pointer says over them, and its label if there is room."""

    hint: str
    bars: tuple[Bar, ...]
    tick: Tick | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Histogram:
    """The shares of one column before and now, bin by bin."""

    title: str
    bins: tuple[BinPicture, ...]


def interval(measurement: Measurement) -> IntervalPicture | None:
    """Place value and interval on a line; ratios on a logarithmic one with 1 in the middle."""
    if measurement.value is None or measurement.low is None or measurement.high is None:
        return None
    numbers = (measurement.low, measurement.value, measurement.high)
    if min(numbers) < 0:
        return None
    is_ratio = measurement.unit in ("ratio", "coefficient") and min(numbers) > 0
    if is_ratio:
        # Half and double are equally far from equal; what lies beyond 3 sticks to the edge.
        places = [0.5 + math.log(x) / (2 * math.log(3)) for x in numbers]
    else:
        top = max(0.1 if measurement.unit == "psi" else 1.0, measurement.high)
        places = [x / top for x in numbers]
    low, value, high = (_x(min(max(place, 0.0), 1.0)) for place in places)
    return IntervalPicture(low=low, value=value, high=high, middle=_x(0.5) if is_ratio else None)


def histogram(
    title: str, labels: Sequence[str], before: Sequence[int], now: Sequence[int]
) -> Histogram:
    """Place the bars of the shares of two count vectors over the same bins."""
    shares = [[n / max(sum(counts), 1) for n in counts] for counts in (before, now)]
    top = max([*shares[0], *shares[1], 1e-9])
    step = PANEL_WIDTH / max(len(labels), 1)
    return Histogram(
        title=title,
        bins=tuple(
            BinPicture(
                hint=f"{label}: {shares[0][place]:.1%} before, {shares[1][place]:.1%} now",
                bars=tuple(
                    _bar(
                        place * step + step * (0.12 + side * 0.36),
                        step,
                        shares[side][place] / top,
                        name,
                    )
                    for side, name in enumerate(("old", "new"))
                ),
                tick=_tick(label, place, step, len(labels)),
            )
            for place, label in enumerate(labels)
        ),
    )


def _bar(x: float, step: float, share: float, side: str) -> Bar:
    height = (PANEL_HEIGHT - AXIS - 4) * share
    y = PANEL_HEIGHT - AXIS - height
    return Bar(
        x=round(x, 1),
        y=round(y, 1),
        width=round(step * 0.36, 1),
        height=round(height, 1),
        side=side,
    )


def _tick(label: str, place: int, step: float, bins: int) -> Tick | None:
    """Write a bin's label if there is room: all short ones, or first, middle and last."""
    if bins <= 12 and len(label) * 6 <= step:
        return Tick(x=round((place + 0.5) * step), anchor="middle", text=label)
    if place == 0:
        return Tick(x=0, anchor="start", text=label)
    if place == bins - 1:
        return Tick(x=PANEL_WIDTH, anchor="end", text=label)
    if place == bins // 2:
        return Tick(x=round((place + 0.5) * step), anchor="middle", text=label)
    return None


def _x(share: float) -> float:
    return round(6 + share * (WIDTH - 12), 1)
