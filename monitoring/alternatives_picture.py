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
from governance.outcome import Outcome
from monitoring.alternatives import Judged, of_model
from monitoring.counted_pairs import EVENTS
from monitoring.paired_fairness import WORST_RATIO
from monitoring.verdict import Verdict

_INK, _SOFT = "#1f3a5f", "#9aa5b1"
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
        f"Alternatives to version {judged.version}: separation against equality, n = {n:,} sealed "
        "(95 % intervals; 1 = every group treated like the reference)",
        fontsize=10,
    )
    out = io.BytesIO()
    # Without the library's version in it, the same figure is the same bytes.
    figure.savefig(out, format="png", dpi=110, metadata={"Software": None})
    return out.getvalue()


def _attributes(judged: Judged) -> list[str]:
    """Return the attributes that the risk appetite speaks about, or all if it names none."""
    gains = [found for found in judged.measurements if found.measure == WORST_RATIO]
    every = sorted({found.scope["attribute"] for found in gains})
    scopes = [line["scope"] for line in judged.lines]
    named = {scope.get("attribute") for scope in scopes if isinstance(scope, dict)}
    return [name for name in every if name in named] or every


def _panel(axes: Axes, judged: Judged, attribute: str, of: str) -> None:
    axes.set_title(f"{attribute.replace('_', ' ')}: {_TITLES[of]}", fontsize=9)
    axes.set_xlabel("ratio of the worst-treated group", fontsize=8)
    axes.tick_params(labelsize=8)
    axes.grid(color="#e3e7ec", linewidth=0.6)
    drawn = 0
    for place, name in enumerate(_names(judged)):
        scope = {"alternative": name, "attribute": attribute, "of": of}
        area = of_model(judged.measurements, _AUC, alternative=name)
        ratio = of_model(judged.measurements, WORST_RATIO, **scope)
        drawn += _point(axes, area, ratio, place)
    if not drawn:
        axes.text(0.5, 0.5, "too few customers", ha="center", transform=axes.transAxes, color=_SOFT)


def _point(axes: Axes, area: Measurement | None, ratio: Measurement | None, place: int) -> bool:
    if area is None or ratio is None or area.value is None or ratio.value is None:
        return False
    color, shape, size = _style(place)
    edges = [_edges(found) for found in (ratio, area)]
    is_known = ratio.outcome is not Outcome.INCONCLUSIVE
    axes.errorbar(
        ratio.value,
        area.value,
        xerr=edges[0],
        yerr=edges[1],
        fmt=shape,
        ms=size,
        color=color,
        # A hollow point leaves out a group that is too small, and says nothing about the worst.
        markerfacecolor=color if is_known else "white",
        elinewidth=1.4 if place == 0 else 0.7,
        alpha=1.0 if place == 0 else 0.9,
        zorder=3 if place == 0 else 2,
    )
    if place == 0:
        axes.axvline(ratio.value, color=_INK, lw=0.7, ls=":")
        axes.axhline(area.value, color=_INK, lw=0.7, ls=":")
    return True


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
        label = f"{name}: {verdict.value if verdict else 'the version that is judged'}"
        mark = Line2D([], [], color=color, marker=shape, ms=min(size, 9), ls="", label=label)
        if verdict is Verdict.FOUND:
            mark.set_label(f"{label}  ◀")
        handles.append(mark)
    return handles
