"""The page that people open: one static HTML file per record, verdict first, no outside resource.

It is written for whoever is on call and for auditors: what is wrong, how surely, for whom, and
where the signed numbers are. Everything on it comes from a record, which holds no row and no small
cell.
"""

from __future__ import annotations

import html
import importlib.resources
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from governance.measurement import Measurement, describe_scope
from governance.outcome import Outcome, worst
from monitoring import picture
from monitoring.bins import MINIMUM_CELL
from monitoring.coverage import Coverage
from monitoring.names import name_of
from monitoring.record import Record

if TYPE_CHECKING:
    from monitoring.tick import Done

_VERDICTS = {
    Outcome.BREACH: ("BREACH", "越界", "Something lies outside the risk appetite."),
    Outcome.INCONCLUSIVE: ("CANNOT TELL", "无法判断", "Not enough to judge; this is not a pass."),
    Outcome.PASS: ("PASS", "正常", "Everything that is judged lies within the risk appetite."),
    Outcome.INFO: ("SHOWN", "仅展示", "Shown; no threshold speaks about it."),
}


# Below this, a column that nobody judges is not worth a line of its own.
_CALM_PSI = 0.005


@dataclass(frozen=True, slots=True)
class _Section:
    title: str
    title_zh: str
    prefixes: tuple[str, ...]
    lead: str


_SECTIONS = (
    _Section(
        "Model checks",
        "模型检查",
        ("discrimination.", "calibration.", "stability.", "soundness."),
        "Whether the default probability ranks, is true to its level, and keeps its promises.",
    ),
    _Section(
        "Drift",
        "数据漂移",
        ("drift.",),
        "Whether a column's distribution moved, by how much, and whether that is more than noise.",
    ),
    _Section(
        "Misjudgment",
        "误判",
        ("misjudgment.",),
        "Good customers cut and bad customers raised, by the outcome that is known by now.",
    ),
    _Section(
        "Fairness",
        "公平性",
        ("fairness.",),
        "Each group's rate over that of one fixed reference group; 1 is equal treatment.",
    ),
)


def render(record: Record, *, evidently: bool) -> str:
    """Return the page of a record.

    Parameters
    ----------
    evidently : bool
        Whether ``evidently.html`` lies beside the page and may be linked.
    """
    parts = [_head(record), _attention(record)]
    parts += [_section(section, record) for section in _SECTIONS]
    parts.append(_foot(record, evidently))
    body = "\n".join(part for part in parts if part)
    return _framed(f"{record.title} - Limitline", body)


def overview(windows: Sequence[Done]) -> str:
    """Return the page that lists every judged window, the newest first."""
    rows = "".join(
        f"<tr><td>{_pill(w.outcome)}</td>"
        f'<td><a href="{_text(w.name)}/index.html">{_text(w.title)}</a></td>'
        f'<td class="num">{w.breaches or ""}</td><td>{w.due_on}</td><td>{w.done_on}</td>'
        f'<td class="num">{w.revision}</td></tr>'
        for w in reversed(windows)
    )
    gravest = worst(w.outcome for w in windows)
    word, chinese, _ = _VERDICTS[gravest]
    head = "<th>verdict<th>window<th class=num>breaches<th>due<th>judged<th class=num>revision"
    body = (
        f'<header class="{gravest.value}"><div class="wide"><p class="kicker">Limitline</p>'
        f'<h1><span>{word}</span> <span lang="zh">{chinese}</span></h1>'
        f'<h2>Watch, {len(windows)} windows · <span lang="zh">监控总览</span></h2></div></header>'
        f"<section><table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></section>"
    )
    return _framed("Watch - Limitline", body)


def numbers(measurement: Measurement) -> str:
    """Write value and interval for people; undefined is said and never shown as 0."""
    if measurement.value is None:
        return "undefined"
    if measurement.unit == "minor":
        return f"{measurement.value / 100:,.0f}"
    if measurement.unit == "count":
        return f"{measurement.value:,.0f}"
    text = _number(measurement.value, measurement.unit)
    if measurement.low is None or measurement.high is None:
        return text
    low, high = (_number(end, measurement.unit) for end in (measurement.low, measurement.high))
    return f"{text} <small>{low} to {high}</small>"


def _number(value: float, unit: str) -> str:
    return f"{value:.2%}" if unit == "rate" else f"{value:.3f}"


def _head(record: Record) -> str:
    word, chinese, meaning = _VERDICTS[record.outcome]
    chips = "".join(
        f'<span class="chip {outcome.value}">{len(found)} {_text(_VERDICTS[outcome][0].lower())}'
        f" {_VERDICTS[outcome][1]}</span>"
        for outcome in (Outcome.BREACH, Outcome.INCONCLUSIVE, Outcome.PASS, Outcome.INFO)
        if (found := record.with_outcome(outcome))
    )
    return (
        f'<header class="{record.outcome.value}"><div class="wide"><p class="kicker">Limitline · '
        f"{_text(record.window)} · measured on {record.measured_on}</p>"
        f'<h1><span>{word}</span> <span lang="zh">{chinese}</span></h1>'
        f'<h2>{_text(record.title)} · <span lang="zh">{_text(record.title_zh)}</span></h2>'
        f'<p>{meaning}</p><p class="chips">{chips}</p></div></header>'
    )


def _attention(record: Record) -> str:
    """List what needs somebody, the gravest first; if nothing does, say that."""
    silent = record.with_outcome(Outcome.INCONCLUSIVE)
    # What is merely undefined comes last: nobody can act on a withheld cell.
    silent = tuple(sorted(silent, key=lambda m: m.value is None))
    urgent = (*record.with_outcome(Outcome.BREACH), *silent)
    if not urgent:
        return (
            '<section><p class="calm">Nothing needs attention. '
            '<span lang="zh">无需处理。</span></p></section>'
        )
    items = "".join(
        f'<li class="{m.outcome.value}"><b>{_text(name_of(m.measure)[0])}</b> '
        f'{_scope(m)}<br><span class="value">{numbers(m)}</span><br>'
        f"<small>{_text(m.reason)}</small></li>"
        for m in urgent[:12]
    )
    more = f"<p>and {len(urgent) - 12} more below.</p>" if len(urgent) > 12 else ""
    return (
        '<section><h3>Needs attention <span lang="zh">需要处理</span></h3>'
        f'<ul class="urgent">{items}</ul>{more}</section>'
    )


def _section(section: _Section, record: Record) -> str:
    found = [m for prefix in section.prefixes for m in record.about(prefix)]
    if not found:
        return ""
    folded = [m for m in found if _is_folded(m)]
    open_rows = sorted((m for m in found if m not in folded), key=_gravity)
    heading = f'{section.title} <span lang="zh">{section.title_zh}</span>'
    parts = [f'<section><h3>{heading}</h3><p class="lead">{section.lead}</p>']
    if open_rows:
        parts.append(_table(open_rows))
    if folded:
        summary = f"<summary>{len(folded)} more that no threshold speaks about</summary>"
        parts.append(f"<details>{summary}{_table(folded)}</details>")
    if section.prefixes == ("drift.",):
        parts.append(f'<p class="lead">{_text(Coverage.of(found).line)}.</p>')
    if section.prefixes == ("drift.",) and record.comparisons:
        panels = "".join(picture.histogram(comparison) for comparison in record.comparisons)
        key = '<span class="key old">before</span> <span class="key new">this window</span>'
        parts.append(f'<p class="legend">{key}</p><div class="panels">{panels}</div>')
    if section.prefixes == ("misjudgment.",):
        parts.append(_decisions(record))
    return "".join([*parts, "</section>"])


def _is_folded(measurement: Measurement) -> bool:
    """Tell whether a row is only background: rates behind a ratio, columns nobody judges."""
    is_group_rate = measurement.measure.startswith("fairness.") and measurement.unit == "rate"
    is_calm = measurement.outcome is Outcome.INFO and measurement.measure.startswith("drift.")
    return is_group_rate or (is_calm and (measurement.high or 0.0) < _CALM_PSI)


def _gravity(measurement: Measurement) -> int:
    """Order rows by verdict, the gravest first; rows of one verdict keep their order."""
    return (Outcome.BREACH, Outcome.INCONCLUSIVE, Outcome.PASS, Outcome.INFO).index(
        measurement.outcome
    )


def _table(measurements: Sequence[Measurement]) -> str:
    head = "<th>verdict<th>measure<th>about<th><th class=num>value, 95 %<th class=num>n<th>why"
    rows = "".join(_row(measurement) for measurement in measurements)
    table = f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"
    return f'<div class="scroll">{table}</div>'


def _row(measurement: Measurement) -> str:
    outcome = measurement.outcome
    name, chinese = name_of(measurement.measure)
    cells = (
        f"<td>{_pill(outcome)}</td>",
        f'<td>{_text(name)}<br><small lang="zh">{chinese}</small></td>',
        f"<td>{_scope(measurement)}</td><td>{picture.interval(measurement)}</td>",
        f'<td class="num">{numbers(measurement)}</td><td class="num">{measurement.n:,}</td>',
        f"<td><small>{_text(measurement.reason)}</small></td>",
    )
    return f"<tr>{''.join(cells)}</tr>"


def _decisions(record: Record) -> str:
    """Show decisions by outcome; what is below ten is not told apart."""
    if record.decisions is None:
        return ""
    outcomes = [str(value) for value in record.decisions.values("outcome")]
    rows = []
    for action in record.decisions.values("action"):
        cells = [record.decisions.where(action=action, outcome=o).total() for o in outcomes]
        shown = [
            f"{n:,}" if n is not None and (n >= MINIMUM_CELL or n == 0) else "-" for n in cells
        ]
        rows.append(
            f"<tr><td>{_text(str(action))}</td>"
            + "".join(f'<td class="num">{cell}</td>' for cell in shown)
            + "</tr>"
        )
    head = "<th>decision" + "".join(f"<th class=num>{_text(o)}" for o in outcomes)
    return (
        f'<table class="small"><thead><tr>{head}</tr></thead><tbody>{"".join(rows)}</tbody></table>'
    )


def _foot(record: Record, evidently: bool) -> str:
    notes = "".join(f"<li>{_text(note)}</li>" for note in record.notes)
    digests = "".join(
        f"<li>{_text(role)} <code>{_text(digest)}</code></li>"
        for role, digest in sorted(record.subject.items())
    )
    links = '<a href="record.json">record.json</a>, the numbers of this page'
    if evidently:
        links += ' · <a href="evidently.html">evidently.html</a>, the same in Evidently'
    noted = f'<h3>Notes <span lang="zh">说明</span></h3><ul>{notes}</ul>' if notes else ""
    return (
        f"<section>{noted}<h3>What was looked at "
        f'<span lang="zh">数据来源</span></h3><ul class="digests">{digests}</ul><p>{links}</p>'
        "<p><small>Counts only: no customer's row is on this page, and cells of fewer than ten "
        "customers are pooled.</small></p></section>"
    )


def _pill(outcome: Outcome) -> str:
    return f'<span class="pill {outcome.value}">{_VERDICTS[outcome][0].lower()}</span>'


def _scope(measurement: Measurement) -> str:
    scope = dict(measurement.scope)
    if not scope:
        return ""
    if set(scope) == {"attribute", "group"}:
        return _text(f"{scope['attribute']} {scope['group']}")
    return _text(", ".join(scope.values()) if len(scope) == 1 else describe_scope(scope))


def _framed(title: str, body: str) -> str:
    style = (importlib.resources.files("monitoring") / "page.css").read_text(encoding="utf-8")
    return _FRAME.format(title=_text(title), style=style, body=body)


def _text(value: str) -> str:
    return html.escape(value, quote=True)


_FRAME = """<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width, initial-scale=1"><title>{title}</title>
<style>{style}</style></head><body>
{body}
</body></html>
"""
