"""The page of a backtest: one folder with a static page, its pictures and the evidence."""

from __future__ import annotations

import html
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from governance import canonical, durable
from governance.measurement import Measurement
from training.backtest.measures import ALL, by_key
from training.backtest.strategy import MEANING, Strategy

if TYPE_CHECKING:
    from rich.console import Console

    from training.backtest.report import Report

PAGE, EVIDENCE, PICTURES = "index.html", "evidence.json", ("seeds", "course", "frontier")

_COLUMNS = (
    ("profit", "profit, M"),
    ("profit_over_static", "profit over static"),
    ("losses_over_static", "losses over static"),
    ("limits_over_static", "limits over static"),
    ("good_customers_cut", "good cut"),
    ("bad_customers_raised", "bad raised"),
    ("changes_per_customer", "changes each"),
)
_VARIANT_COLUMNS = (
    "profit_over_static",
    "losses_over_static",
    "limits_over_static",
    "good_customers_cut",
)
_STYLE = """
body{font:15px/1.5 system-ui,sans-serif;color:#1c2530;margin:0;background:#f7f8f9}
header{background:#1f3a5f;color:#fff;padding:1.6rem 2rem}header p{margin:.3rem 0;max-width:84rem}
h1{margin:0;font-size:1.6rem}h2{font-size:1.15rem;margin:0 0 .6rem}
section{background:#fff;margin:1rem 2rem;padding:1.2rem 1.4rem;border:1px solid #dde2e7;
border-radius:6px;max-width:84rem;overflow-x:auto}
table{border-collapse:collapse;width:100%}th,td{text-align:left;padding:.3rem .45rem;
border-bottom:1px solid #e6eaee;vertical-align:top}.n{text-align:right;white-space:nowrap}
small{color:#5c6b7a}
th.n{white-space:normal}.n small{display:block}.s{min-width:13rem}img{max-width:100%;height:auto}
.PASS{color:#2f7d5b}.BREACH{color:#b3413b}.INCONCLUSIVE{color:#a36a00}
code{font-size:.8rem;word-break:break-all}tr.filed td{font-weight:600}
"""
_FRAME = """<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src 'self' data:; \
style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width, initial-scale=1"><title>{title}</title>
<style>{style}</style></head><body>
{body}
</body></html>
"""


def write(folder: Path, report: Report) -> Path:
    """Write page, pictures and evidence into the new folder `folder`, whole or not at all."""
    from training.backtest import pictures

    durable.make_folder(folder.parent)
    with durable.replacing_folder(folder) as place:
        drawn = pictures.draw(place, report)
        names = {name: path.name for name, path in drawn.items()}
        (place / PAGE).write_text(render(report, names), encoding="utf-8")
        (place / EVIDENCE).write_bytes(canonical.dumps(report.evidence) + b"\n")
    return folder / PAGE


def render(report: Report, pictures: Mapping[str, str]) -> str:
    """Return the page; `pictures` are file names beside it."""
    parts = [_head(report), _targets(report), _compared(report, _pooled(report))]
    if len(report.question.seeds) > 1:
        parts += [_compared(report, str(seed)) for seed in report.question.seeds]
    parts += [_picture(name, pictures[name]) for name in ("seeds", "course") if name in pictures]
    if "frontier" in pictures:
        parts.append(_picture("frontier", pictures["frontier"]) + _variants(report))
    parts += [_fair(report), _experiment(report), _foot(report)]
    title = f"Backtest of {report.files.policy.id} - Limitline"
    return _FRAME.format(title=_text(title), style=_STYLE, body="\n".join(filter(None, parts)))


def tell(console: Console, document: Mapping[str, Any]) -> None:
    """Print the summary that people read in a terminal."""
    from rich.table import Table

    found = [Measurement.model_validate(each) for each in document["measurements"]]
    look, seeds = by_key(found), [str(seed) for seed in document["seeds"]]
    console.print(
        f"Simulated. {document['policy']}: {document['accounts']:,} accounts, {document['months']} "
        f"months, downturn from month {document['downturn_from_month']}.",
        soft_wrap=True,
        markup=False,
    )
    shown = _COLUMNS[:5]
    for seed in [*seeds, ALL] if len(seeds) > 1 else seeds:
        title = f"{_where(seed)}, {_count(look, seed)}; with 95 % intervals"
        table = Table(title=title, title_justify="left", box=None, padding=(0, 1, 0, 0))
        for name in ("strategy", *(title for _, title in shown)):
            table.add_column(name)
        for strategy in document["strategies"]:
            cells = (look(name, strategy=strategy, seed=seed) for name, _ in shown)
            # On a line of 80 signs an interval has no room for words.
            told = ("\n".join(_parts(each)).replace("% to ", "…") for each in cells)
            told = (text.replace(" to ", "…") for text in told)
            table.add_row(strategy, *told)
        console.print(table, "")
    for each in document["targets"]:
        if each["outcome"] != "PASS" and each["scope"]["seed"] != ALL:
            scope = f"{each['scope']['strategy']}, seed {each['scope']['seed']}"
            console.print(
                f"{each['outcome']}: {each['measure']}, {scope}. {each['reason']}", markup=False
            )
    console.print(f"Targets: {document['outcome']}", markup=False)
    if "path" in document:
        console.print(f"Page: {document['path']}", soft_wrap=True, markup=False)
    if "attached" in document:
        at = document["attached"]
        console.print(f"Attached to version {at['version']}, ledger entry {at['entry']}.")


def _pooled(report: Report) -> str:
    return ALL if len(report.question.seeds) > 1 else str(report.question.seeds[0])


def _head(report: Report) -> str:
    trial, policy = report.question.trial, report.files.policy
    seeds = ", ".join(map(str, report.question.seeds))
    return (
        f"<header><h1>Closed-loop backtest of {_text(policy.title)}</h1>"
        f"<p>Simulated: {report.accounts:,} accounts in {_worlds(report)} (seeds "
        f"{seeds}), {trial.months} months, limits reviewed every {trial.every} months, a downturn "
        f"from month {trial.downturn} that the lender knows of {trial.known_after} months later. "
        "No figure is a forecast of a real portfolio.</p>"
        f"<p><small style='color:#cfd8e3'>{_text(report.files.scorer.origin)}.</small></p></header>"
    )


def _worlds(report: Report) -> str:
    count = len(report.question.seeds)
    return "1 world" if count == 1 else f"{count} worlds"


def _targets(report: Report) -> str:
    rows = []
    for found in report.targets:
        scope = found.scope
        if scope["seed"] == ALL:
            continue
        name = found.measure.removeprefix("backtest.").replace("_", " ")
        rows.append(
            f"<tr><td class={found.outcome.value}><b>{found.outcome.value}</b></td>"
            f"<td>{_text(scope['strategy'])}</td><td>{_text(scope['seed'])}</td><td>{name}</td>"
            f"<td class=n>{_number(found)}</td><td><small>{_text(found.reason)}</small></td></tr>"
        )
    head = "<th>outcome<th>strategy<th>seed<th>measure<th class=n>value, 95 % paired<th>meant"
    return _section(f"Targets: {report.outcome.value}", _table(head, rows))


def _compared(report: Report, seed: str) -> str:
    look = by_key(report.evidence.measurements)
    rows = []
    for strategy in report.question.strategies:
        cells = (look(name, strategy=strategy.value, seed=seed) for name, _ in _COLUMNS)
        told = "".join(f"<td class=n>{_number(each)}</td>" for each in cells)
        meaning = f"<small>{_text(MEANING[strategy])}</small>"
        rows.append(f"<tr><td class=s><b>{strategy.value}</b><br>{meaning}</td>{told}</tr>")
    head = "<th>strategy" + "".join(f"<th class=n>{title}" for _, title in _COLUMNS)
    title = f"Strategies, {_where(seed)}: {_count(look, seed)}"
    note = "<p><small>95 % intervals; of the shares over static paired, account by account. "
    note += "A profit is the sum over these accounts, without an interval."
    return _section(title, _table(head, rows) + note + "</small></p>")


def _where(seed: str) -> str:
    return "all seeds together" if seed == ALL else f"seed {seed}"


def _count(look: Callable[..., Measurement | None], seed: str) -> str:
    """Say how many accounts the numbers of a seed rest on, and how many of them were good."""
    scope = {"strategy": Strategy.STATIC.value, "seed": seed}
    whole, good = look("profit", **scope), look("good_customers_cut", **scope)
    if whole is None or good is None:
        return "no accounts"
    return f"n = {whole.n:,}, {good.n:,} of them good"


def _picture(name: str, file: str) -> str:
    return _section("", f'<img src="{_text(file)}" alt="{_text(name)} of the backtest">')


def _variants(report: Report) -> str:
    look = by_key(report.evidence.measurements)
    scopes = [dict(m.scope) for m in report.evidence.measurements if "variant" in m.scope]
    rows = []
    for scope in {scope["variant"]: scope for scope in scopes}.values():
        cells = "".join(f"<td class=n>{_number(look(n, **scope))}</td>" for n in _VARIANT_COLUMNS)
        kind = " class=filed" if scope["variant"] == "as filed" else ""
        rows.append(f"<tr{kind}><td>{_text(scope['variant'])}</td>{cells}</tr>")
    head = "<th>variant of the rule" + "".join(
        f"<th class=n>{name.replace('_', ' ')}" for name in _VARIANT_COLUMNS
    )
    return _section("The frontier", _table(head, rows))


def _fair(report: Report) -> str:
    rows = []
    for found in report.evidence.measurements:
        if not found.measure.endswith("_ratio") or found.scope.get("strategy") not in (
            Strategy.RULE.value,
            Strategy.OPTIMIZED.value,
        ):
            continue
        rows.append(
            f"<tr><td>{_text(found.scope['strategy'])}</td>"
            f"<td>{found.measure.removeprefix('backtest.').removesuffix('_ratio')}</td>"
            f"<td>{_text(found.scope['attribute'])} {_text(found.scope['group'])}</td>"
            f"<td class=n>{_number(found)}</td><td class=n>{found.n:,}</td></tr>"
        )
    head = "<th>strategy<th>action<th>group<th class=n>rate over the reference group<th class=n>n"
    lead = (
        "<p>Good simulated consumers; reference groups are women, and 26 to 35 years. No strategy "
        "reads sex or age.</p>"
    )
    return _section("Fairness", lead + _table(head, rows)) if rows else ""


def _experiment(report: Report) -> str:
    look = by_key(report.evidence.measurements)
    scope = {"strategy": Strategy.BLANKET.value, "seed": ALL}
    debt, risk = look("debt_per_limit", **scope), look("bad_customers_over_static", **scope)
    if debt is None or risk is None:
        return ""
    return _section(
        "What only an experiment identifies",
        "<p>How debt answers to a limit, and what a limit does to risk. Here both are known, "
        "because the same accounts were lived twice with the same luck: raising everybody left "
        f"{_number(debt)} more debt per unit of more limit, and {_number(risk)} more customers who "
        "were 90 days late. A lender has one life per customer; only a hold-out and an exploring "
        "arm in the policy tell these two numbers of a real book.</p>",
    )


def _foot(report: Report) -> str:
    notes = "".join(f"<li>{_text(note)}</li>" for note in report.evidence.not_evidenced)
    digests = "".join(
        f"<li>{_text(role)} <code>{digest}</code></li>"
        for role, digest in sorted(report.evidence.subject.items())
    )
    kept = ", ".join(f"{each.value} {count}" for each, count in report.kept_policy.items())
    return _section(
        "Not evidenced",
        f"<ul>{notes}</ul><h2>What was looked at</h2><ul>{digests}</ul><p>Reviews in which the "
        f"optimizer could recommend nothing and the rule decided: {kept or 'none'}.</p>"
        f'<p><a href="{EVIDENCE}">{EVIDENCE}</a>, the numbers of this page</p>',
    )


def _section(title: str, body: str) -> str:
    heading = f"<h2>{_text(title)}</h2>" if title else ""
    return f"<section>{heading}{body}</section>"


def _table(head: str, rows: Iterable[str]) -> str:
    return f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>"


def _number(found: Measurement | None) -> str:
    if found is not None and found.value is None:
        return "<small>undefined</small>"
    text, *interval = _parts(found)
    return " ".join([text, *(f"<small>{ends}</small>" for ends in interval)])


def _parts(found: Measurement | None) -> tuple[str, ...]:
    """Return a number and, if it has one, its interval."""
    if found is None or found.value is None:
        return ("",)
    text = _written(found.value, found)
    if found.low is None or found.high is None:
        return (text,)
    return text, f"{_written(found.low, found)} to {_written(found.high, found)}"


def _written(value: float, found: Measurement) -> str:
    if found.unit == "minor":
        return f"{value / 100 / 1e6:,.1f}"
    if found.unit in ("count", "ratio"):
        return f"{value:.2f}"
    return f"{value:+.2%}" if "_over_" in found.measure else f"{value:.1%}"


def _text(value: str) -> str:
    return html.escape(value, quote=True)
