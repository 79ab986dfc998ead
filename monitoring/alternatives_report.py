"""The verb that judges a version's alternatives: signs the judgement, draws it, shows it.

The picture sets accuracy against the ratio of the worst-treated group, model by model. Every point
is a model measured on all sealed customers; none is a customer.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from governance import command
from governance.command import AsJson, OnDay
from governance.measurement import Measurement

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from rich.console import Console

    from governance.settings import Settings
    from monitoring.alternatives import JudgedFamily

FOLDER = "alternatives"

_INK, _SOFT, _ZONE = "#1f3a5f", "#9aa5b1", "#d55e00"
# Chosen to be told apart by people who see no red or no green; the shape tells them apart again.
_COLORS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#8c6d1f", "#56b4e9", "#7f3c8d", "#4d4d4d")
_SHAPES = "osD^vPX<"
_TITLES = {"approve": "kept or raised", "raise": "raised", "cut": "cut or refused"}
_AUC = "discrimination.auc"


def register(app: typer.Typer) -> None:
    """Add the command to the room's commands."""
    app.command()(alternatives)


@command.guarded
def alternatives(
    version: Annotated[str, typer.Option(help="A version number, latest or champion.")] = "latest",
    on: OnDay = "",
    contract: Annotated[str, typer.Option(help="Contract id of the table.")] = "uci-credit",
    appetite: Annotated[
        Path | None, typer.Option(help="Risk appetite; the demonstration's if left out.")
    ] = None,
    mandate: Annotated[
        str | None, typer.Option(help="On whose order the audit vault is asked; it is logged.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder for picture and record; reports/ in home.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Judge, on sealed customers, whether a less discriminatory alternative would have done."""
    from monitoring import alternatives as judging
    from monitoring.watch import read_appetite

    settings = command.load_home()
    question = judging.FamilyQuestion(
        version=version,
        contract=contract,
        appetite=read_appetite(str(appetite) if appetite else "uci_demo"),
        on=command.parse_day(on),
        mandate=judging.MANDATE if mandate is None else mandate,
    )
    with command.stderr.status("Verifying the alternatives ...") as status:
        judged = judging.judge_alternatives(
            settings, question, done=lambda name: status.update(f"Judging: {name} is scored")
        )
        status.update("Signing")
        document = _publish(settings, judged, out)
    command.emit(document, as_json=as_json, people=lambda to: _print(to, judged, document))


def _publish(settings: Settings, judged: JudgedFamily, out: Path | None) -> dict[str, Any]:
    """Write picture, evidence and record, sign, and return what is printed."""
    from governance import canonical, durable
    from registry.alternatives import attest_alternatives
    from registry.signing import Role, Signer

    # The key comes first: a missing one should leave no folder behind.
    signer = Signer.open(settings.keyring, Role.VALIDATOR)
    place = out or settings.reports / FOLDER / f"version-{judged.version}"
    folder = durable.make_folder(place)
    written = {
        "alternatives.png": draw(judged),
        "evidence.json": canonical.dumps(judged.evidence.model_dump(by_alias=True)) + b"\n",
        "judgement.json": canonical.dumps(judged.as_signed()) + b"\n",
    }
    for name, data in written.items():
        durable.write_bytes(folder / name, data)
    entry = attest_alternatives(settings, judged.evidence, judged.as_signed(), signer=signer)
    return {
        "schema": "alternatives/1",
        **judged.as_signed(),
        "study_entry": judged.family.entry,
        "evidence": judged.evidence.digest,
        "entry": entry,
        "measurements": [found.as_json() for found in judged.measurements],
        "not_evidenced": list(judged.evidence.not_evidenced),
        "picture": str(folder / "alternatives.png"),
    }


def _print(out: Console, judged: JudgedFamily, document: dict[str, Any]) -> None:
    from rich.table import Table
    from rich.text import Text

    from monitoring.verdict import RULE

    title = f"Alternatives to version {judged.version}, sealed customers, 95 % paired intervals"
    table = Table(title=title, title_justify="left")
    for name in ("", "alternative", "AUC, minus the version's", "gain in equality, the gravest"):
        table.add_column(name, overflow="fold")
    colors = {"PASS": "green", "BREACH": "red", "INCONCLUSIVE": "yellow"}
    for found in judged.judgements:
        outcome = Text(found.outcome.value, style=colors[found.outcome.value])
        table.add_row(outcome, found.alternative, *_differences(judged, found.alternative))
    out.print(table)
    for found in judged.judgements:
        said = f"{found.alternative}: {found.verdict.value}: {found.why}."
        out.print(said, markup=False, soft_wrap=True)
    out.print(RULE, markup=False, style="dim")
    out.print(
        f"Nothing was chosen by this. Evidence {judged.evidence.digest[:16]}, ledger entry "
        f"{document['entry']}, about the study in entry {judged.family.entry}.",
        markup=False,
    )
    out.print(f"Picture: {document['picture']}", soft_wrap=True, markup=False)


def _differences(judged: JudgedFamily, name: str) -> tuple[str, str]:
    """Return the difference of the area and the largest gain that a line speaks about."""
    from governance.measures.comparison import AUC_DIFFERENCE
    from governance.outcome import Outcome
    from monitoring.paired_fairness import GAIN

    mine = [m for m in judged.measurements if m.scope.get("alternative") == name]
    area = next((m for m in mine if m.measure == AUC_DIFFERENCE), None)
    limited = [m for m in mine if m.measure == GAIN]
    gains = [m for m in limited if judged.limit(GAIN, m.scope["attribute"]) is not None]
    order = (Outcome.BREACH, Outcome.INCONCLUSIVE, Outcome.PASS, Outcome.INFO)
    gains.sort(key=lambda m: (order.index(m.outcome), -(m.value if m.value is not None else -9)))
    gravest = gains[0] if gains else None
    about = f"{gravest.scope['attribute']} {gravest.scope['of']} " if gravest else ""
    return _number(area), f"{about}{_number(gravest)}"


def _number(found: Measurement | None) -> str:
    if found is None or found.value is None:
        return "undefined"
    if found.low is None or found.high is None:
        return f"{found.value:+.3f}"
    return f"{found.value:+.3f} [{found.low:+.3f}, {found.high:+.3f}]"


def draw(judged: JudgedFamily) -> bytes:
    """Draw one panel for each attribute with a line and each event; return a PNG file.

    The same judgement gives the same bytes.
    """
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

    from monitoring.counted_pairs import EVENTS
    from monitoring.paired_fairness import GAIN, WORST_RATIO

    every = sorted({m.scope["attribute"] for m in judged.measurements if m.measure == WORST_RATIO})
    # The attributes that the risk appetite speaks about, or all if it names none.
    attributes = [name for name in every if judged.limit(GAIN, name) is not None] or every
    figure = Figure(figsize=(11.2, 1.9 + 3.0 * len(attributes)), layout="constrained")
    panels = figure.subplots(len(attributes), len(EVENTS), sharey=True, squeeze=False)
    for row, attribute in zip(panels, attributes, strict=True):
        for axes, of in zip(row, EVENTS, strict=True):
            _panel(axes, judged, attribute, of)
        row[0].set_ylabel("AUC on sealed customers")
    labels = [f"{judged.itself}: the version that is judged"]
    labels += [f"{found.alternative}: {found.verdict.value}" for found in judged.judgements]
    handles = [
        Line2D([], [], color=color, marker=shape, ms=min(size, 9), ls="", label=label)
        for label, (color, shape, size) in zip(labels, map(_style, range(len(labels))), strict=True)
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=2, frameon=False, fontsize=8)
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


def _panel(axes: Axes, judged: JudgedFamily, attribute: str, of: str) -> None:
    from governance.measures.comparison import AUC_DIFFERENCE
    from monitoring.alternatives import of_model
    from monitoring.paired_fairness import GAIN, WORST_RATIO

    axes.set_title(f"{attribute.replace('_', ' ')}: {_TITLES[of]}", fontsize=9)
    axes.set_xlabel("ratio of the worst-treated group", fontsize=8)
    axes.tick_params(labelsize=8)
    axes.grid(color="#e3e7ec", linewidth=0.6)
    about, found = {"attribute": attribute, "of": of}, judged.measurements
    area = of_model(found, _AUC, alternative=judged.itself)
    ratio = of_model(found, WORST_RATIO, alternative=judged.itself, **about)
    if area is None or ratio is None or area.value is None or ratio.value is None:
        axes.text(0.5, 0.5, "too few customers", ha="center", transform=axes.transAxes, color=_SOFT)
        return
    for place, one in enumerate(judged.judgements, 1):
        gain = of_model(found, GAIN, alternative=one.alternative, **about)
        loss = of_model(found, AUC_DIFFERENCE, alternative=one.alternative)
        if gain is None or loss is None or gain.value is None or loss.value is None:
            continue
        color, shape, size = _style(place)
        axes.errorbar(
            ratio.value + gain.value,
            area.value + loss.value,
            xerr=_edges(gain),
            yerr=_edges(loss),
            fmt=shape,
            ms=size,
            color=color,
            # A hollow point leaves out a group that is too small, and says nothing of the worst.
            markerfacecolor="white" if _leaves_out(gain) else color,
            elinewidth=0.8,
            zorder=2,
        )
    color, shape, size = _style(0)
    inside = "white" if _leaves_out(ratio) else color
    axes.plot(ratio.value, area.value, shape, ms=size, color=color, mfc=inside, zorder=3)
    axes.axvline(ratio.value, color=_INK, lw=0.7, ls=":")
    axes.axhline(area.value, color=_INK, lw=0.7, ls=":")
    _shade(
        axes,
        (judged.limit(GAIN, attribute), judged.limit(AUC_DIFFERENCE, attribute)),
        (ratio.value, area.value),
    )


def _shade(
    axes: Axes, limits: tuple[float | None, float | None], version: tuple[float, float]
) -> None:
    """Shade where an alternative is found, if its whole interval lies there."""
    gain, loss = limits
    if gain is None or loss is None:
        return
    (left, right), (low, high) = axes.get_xlim(), axes.get_ylim()
    edge, floor = version[0] + gain, version[1] + loss
    right = max(right, edge + 0.15 * (edge - left))
    low, high = min(low, floor - 0.1 * (high - floor)), max(high, version[1] + 0.004)
    axes.fill_between([edge, right], floor, high, color=_ZONE, alpha=0.16, lw=0, zorder=0)
    axes.set(xlim=(left, right), ylim=(low, high))


def _leaves_out(found: Measurement) -> bool:
    return "needed" in found.reason or "withheld" in found.reason


def _edges(found: Measurement) -> Sequence[Sequence[float]] | None:
    if found.value is None or found.low is None or found.high is None:
        return None
    return [[max(found.value - found.low, 0.0)], [max(found.high - found.value, 0.0)]]


def _style(place: int) -> tuple[str, str, float]:
    if place == 0:
        return _INK, "*", 13.0
    at = place - 1
    return _COLORS[at % len(_COLORS)], _SHAPES[at % len(_SHAPES)], 5.0
