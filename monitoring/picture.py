"""Small inline pictures of aggregates: plain SVG, drawn from counts, no library and no script."""

from __future__ import annotations

import html
import math

from governance.measurement import Measurement
from governance.outcome import Outcome
from monitoring.record import Comparison

_COLORS = {
    Outcome.BREACH: "#b3261e",
    Outcome.INCONCLUSIVE: "#a15c00",
    Outcome.PASS: "#1c7a4a",
    Outcome.INFO: "#56657a",
}
_WIDTH, _HEIGHT = 150, 22
_PANEL_WIDTH, _PANEL_HEIGHT, _AXIS = 340, 120, 16


def interval(measurement: Measurement) -> str:
    """Draw value and interval on a line; ratios on a logarithmic one with 1 in the middle."""
    if measurement.value is None or measurement.low is None or measurement.high is None:
        return ""
    numbers = (measurement.low, measurement.value, measurement.high)
    if min(numbers) < 0:
        return ""
    if measurement.unit in ("ratio", "coefficient") and min(numbers) > 0:
        # Half and double are equally far from equal; what lies beyond 3 sticks to the edge.
        low, value, high = (_clip(0.5 + math.log(x) / (2 * math.log(3))) for x in numbers)
        middle = f'<line x1="{_x(0.5)}" x2="{_x(0.5)}" y1="3" y2="19" stroke="#b9c4d0"/>'
    else:
        top = max(0.1 if measurement.unit == "psi" else 1.0, measurement.high)
        low, value, high = (_clip(x / top) for x in numbers)
        middle = ""
    color = _COLORS[measurement.outcome]
    return (
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" width="{_WIDTH}" height="{_HEIGHT}" role="img" '
        f'aria-label="interval">'
        f'<line x1="{_x(0)}" x2="{_x(1)}" y1="11" y2="11" stroke="#e3e7ec"/>{middle}'
        f'<line x1="{_x(low)}" x2="{_x(high)}" y1="11" y2="11" stroke="{color}" stroke-width="4" '
        f'stroke-linecap="round" opacity=".45"/><circle cx="{_x(value)}" cy="11" r="4.5" '
        f'fill="{color}"/></svg>'
    )


def histogram(comparison: Comparison) -> str:
    """Draw the shares of one column before and now, bin by bin."""
    sides = (comparison.reference, comparison.current)
    shares = [[n / max(sum(counts), 1) for n in counts] for counts in sides]
    top = max([*shares[0], *shares[1], 1e-9])
    step = _PANEL_WIDTH / len(comparison.labels)
    bar = step * 0.36
    drawn = []
    for place, label in enumerate(comparison.labels):
        drawn.append(f"<g><title>{html.escape(_hint(label, place, shares))}</title>")
        for side, color in ((0, "#b9c4d0"), (1, "#2f6fb2")):
            height = (_PANEL_HEIGHT - _AXIS - 4) * shares[side][place] / top
            left = place * step + step * 0.12 + side * bar
            drawn.append(
                f'<rect x="{left:.1f}" y="{_PANEL_HEIGHT - _AXIS - height:.1f}" width="{bar:.1f}" '
                f'height="{height:.1f}" fill="{color}"/>'
            )
        drawn.append(f"{_tick(label, place, step, len(comparison.labels))}</g>")
    base = _PANEL_HEIGHT - _AXIS
    return (
        f"<figure><figcaption>{html.escape(comparison.feature.replace('_', ' '))}</figcaption>"
        f'<svg viewBox="0 0 {_PANEL_WIDTH} {_PANEL_HEIGHT}" role="img" '
        f'aria-label="{html.escape(comparison.feature)} before and in this window">'
        f'{"".join(drawn)}<line x1="0" x2="{_PANEL_WIDTH}" y1="{base}" y2="{base}" '
        'stroke="#e3e7ec"/></svg></figure>'
    )


def _hint(label: str, place: int, shares: list[list[float]]) -> str:
    return f"{label}: {shares[0][place]:.1%} before, {shares[1][place]:.1%} now"


def _tick(label: str, place: int, step: float, bins: int) -> str:
    """Write a bin's label if there is room: all short ones, or first, middle and last."""
    is_shown = bins <= 12 and len(label) * 6 <= step
    if not is_shown and place not in (0, bins // 2, bins - 1):
        return ""
    anchor = "start" if place == 0 else "end" if place == bins - 1 else "middle"
    x = {"start": 0.0, "end": float(_PANEL_WIDTH), "middle": (place + 0.5) * step}[anchor]
    if is_shown:
        anchor, x = "middle", (place + 0.5) * step
    return (
        f'<text x="{x:.0f}" y="{_PANEL_HEIGHT - 3}" font-size="10" fill="#5d6877" '
        f'text-anchor="{anchor}">{html.escape(label)}</text>'
    )


def _x(share: float) -> float:
    return round(6 + share * (_WIDTH - 12), 1)


def _clip(share: float) -> float:
    return min(max(share, 0.0), 1.0)
