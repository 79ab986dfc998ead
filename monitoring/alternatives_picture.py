"""The picture of a judgement: accuracy against the worst-treated group's ratio, model by model.

Every point is a model measured on all sealed customers; none is a customer.
"""

from __future__ import annotations

import io
from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from governance.measurement import Measurement
from monitoring.alternatives import Judged, of_model
from monitoring.counted_pairs import EVENTS
from monitoring.paired_accuracy import AUC_DIFFERENCE
from monitoring.paired_fairness import GAIN, WORST_RATIO

_INK, _SOFT, _ZONE = "#1f3a5f", "#9aa5b1", "#d55e00"
# Chosen to be told apart by people who see no red or no green; the shape tells them apart again.
_COLORS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#8c6d1f", "#56b4e9", "#7f3c8d", "#4d4d4d")
_SHAPES = "osD^vPX<"
_TITLES = {"approve": "kept or raised", "raise": "raised", "cut": "cut or refused"}
_AUC = "discrimination.auc"


def draw(judged: Judged) -> bytes:
    """Draw one panel for each attribute with a line and each event; return a PNG file.

    The same judgement gives the same bytes.
    """
    attributes = _attributes(judged)
    figure = Figure(figsize=(11.2, 1.9 + 3.0 * len(attributes)), layout="constrained")
    panels = figure.subplots(len(attributes), len(EVENTS), sharey=True, squeeze=False)
    for row, attribute in zip(panels, attributes, strict=True):
        for axes, of in zip(row, EVENTS, strict=True):
            _panel(axes, judged, attribute, of)
        row[0].set_ylabel("AUC on sealed customers")
    figure.legend(
        handles=_legend(judged), loc="outside lower center", ncols=2, frameon=False, fontsize=8
    )
    n = max((found.n for found in judged.measurements if found.measure == _AUC), default=0)
    figure.suptitle(
        f"Alternatives to version {judged.version} on {n:,} sealed customers: separation against "
        "equality (1 = every group treated like the reference)\n"
        "Bars: 95 % paired interval of the difference to the version. Shaded: less discriminatory "
        "at no measurable loss, only if both whole bars lie there. Hollow: a group left out",
        fontsize=9,
    )
    out = io.BytesIO()
    # Without the library's version in it, the same figure is the same bytes.
    figure.savefig(out, format="png", dpi=110, metadata={"Software": None})
    return out.getvalue()


def _attributes(judged: Judged) -> list[str]:
    """Return the attributes that the risk appetite speaks about, or all if it names none."""
    gains = [found for found in judged.measurements if found.measure == WORST_RATIO]
    every = sorted({found.scope["attribute"] for found in gains})
    return [name for name in every if judged.limit(GAIN, name) is not None] or every


def _panel(axes: Axes, judged: Judged, attribute: str, of: str) -> None:
    axes.set_title(f"{attribute.replace('_', ' ')}: {_TITLES[of]}", fontsize=9)
    axes.set_xlabel("ratio of the worst-treated group", fontsize=8)
    axes.tick_params(labelsize=8)
    axes.grid(color="#e3e7ec", linewidth=0.6)
    about = {"attribute": attribute, "of": of}
    found = judged.measurements
    area = of_model(found, _AUC, alternative=judged.itself)
    ratio = of_model(found, WORST_RATIO, alternative=judged.itself, **about)
    origin = (_value(ratio), _value(area))
    if origin[0] is None or origin[1] is None:
        axes.text(0.5, 0.5, "too few customers", ha="center", transform=axes.transAxes, color=_SOFT)
        return
    base = (origin[0], origin[1])
    for place, name in enumerate(_names(judged)[1:], 1):
        gain = of_model(found, GAIN, alternative=name, **about)
        loss = of_model(found, AUC_DIFFERENCE, alternative=name)
        _point(axes, (gain, loss), base, place)
    _version(axes, ratio, base)
    _zone(axes, judged, attribute, base)


def _point(
    axes: Axes,
    paired: tuple[Measurement | None, Measurement | None],
    base: tuple[float, float],
    place: int,
) -> None:
    """Draw an alternative where it is, with the intervals of its differences to the version."""
    gain, loss = paired
    if gain is None or loss is None or gain.value is None or loss.value is None:
        return
    color, shape, size = _style(place)
    axes.errorbar(
        base[0] + gain.value,
        base[1] + loss.value,
        xerr=_edges(gain),
        yerr=_edges(loss),
        fmt=shape,
        ms=size,
        color=color,
        # A hollow point leaves out a group that is too small, and says nothing about the worst.
        markerfacecolor="white" if _leaves_out(gain) else color,
        elinewidth=0.8,
        zorder=2,
    )


def _version(axes: Axes, ratio: Measurement | None, base: tuple[float, float]) -> None:
    """Mark the version where the lines cross; a hollow star leaves a group out."""
    color, shape, size = _style(0)
    inside = "white" if ratio is not None and _leaves_out(ratio) else color
    axes.plot(*base, shape, ms=size, color=color, markerfacecolor=inside, zorder=3)
    axes.axvline(base[0], color=_INK, lw=0.7, ls=":")
    axes.axhline(base[1], color=_INK, lw=0.7, ls=":")


def _zone(axes: Axes, judged: Judged, attribute: str, base: tuple[float, float]) -> None:
    """Shade where an alternative is found, if its whole interval lies there."""
    gain, loss = (judged.limit(name, attribute) for name in (GAIN, AUC_DIFFERENCE))
    if gain is None or loss is None:
        return
    (left, right), (low, high) = axes.get_xlim(), axes.get_ylim()
    edge, floor = base[0] + gain, base[1] + loss
    right = max(right, edge + 0.15 * (edge - left))
    low, high = min(low, floor - 0.1 * (high - floor)), max(high, base[1] + 0.004)
    axes.fill_between([edge, right], floor, high, color=_ZONE, alpha=0.16, lw=0, zorder=0)
    axes.set(xlim=(left, right), ylim=(low, high))


def _leaves_out(found: Measurement) -> bool:
    return "needed" in found.reason or "withheld" in found.reason


def _value(found: Measurement | None) -> float | None:
    return None if found is None else found.value


def _edges(found: Measurement) -> list[list[float]] | None:
    if found.value is None or found.low is None or found.high is None:
        return None
    return [[max(found.value - found.low, 0.0)], [max(found.high - found.value, 0.0)]]


def _names(judged: Judged) -> list[str]:
    return [judged.itself, *(found.alternative for found in judged.judgements)]


def _style(place: int) -> tuple[str, str, float]:
    if place == 0:
        return _INK, "*", 13.0
    at = place - 1
    return _COLORS[at % len(_COLORS)], _SHAPES[at % len(_SHAPES)], 5.0


def _legend(judged: Judged) -> Sequence[Line2D]:
    told = {found.alternative: found.verdict for found in judged.judgements}
    handles = []
    for place, name in enumerate(_names(judged)):
        color, shape, size = _style(place)
        verdict = told.get(name)
        label = f"{name}: {verdict.value}" if verdict else _itself(judged)
        handles.append(
            Line2D([], [], color=color, marker=shape, ms=min(size, 9), ls="", label=label)
        )
    return handles


def _itself(judged: Judged) -> str:
    area = of_model(judged.measurements, _AUC, alternative=judged.itself)
    if area is None or area.value is None or area.low is None or area.high is None:
        return f"{judged.itself}: the version that is judged"
    return f"{judged.itself}, judged: AUC {area.value:.3f} [{area.low:.3f}, {area.high:.3f}]"
