"""Terminal: measurements as tables for a person at the command line."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Literal

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from governance.measurement import Measurement, describe_scope
from governance.outcome import Outcome
from governance.output import texts

_MOST_PLACES = 4
_COLORS = {
    Outcome.PASS: "green",
    Outcome.BREACH: "red",
    Outcome.INCONCLUSIVE: "yellow",
    Outcome.INFO: "dim",
}
Column = tuple[str, Literal["left", "right"]]


def show(
    out: Console, title: str, found: Sequence[Measurement], *, hidden: tuple[str, ...] = ()
) -> None:
    """Print measurements as a table, rates by group as tables of groups, then why not all passed.

    Measurements whose name starts with one of `hidden`, and undefined ones, are left to the page.
    """
    shown = [m for m in found if m.value is not None and not texts.is_group_rate(m)]
    shown = [m for m in shown if not hidden or not m.measure.startswith(hidden)]
    heads: list[Column] = [("verdict", "left"), ("measure", "left"), ("about", "left")]
    table = table_of(title, [*heads, ("value, 95 %", "right"), ("n", "right")])
    for m in shown:
        ends = texts.interval(m)
        value = f"{texts.number(m)} ({ends})" if ends else texts.number(m)
        name = texts.name_of(m.measure)[0]
        about = escape(", ".join(m.scope.values()))
        table.add_row(colored(m.outcome), escape(name), about, value, f"{m.n:,}")
    out.print(table)
    _show_groups(out, found)
    for outcome in (Outcome.BREACH, Outcome.INCONCLUSIVE):
        _show_reasons(out, outcome, [m for m in found if m.outcome is outcome])
    left = sum(m.value is None or bool(hidden and m.measure.startswith(hidden)) for m in found)
    if left:
        out.print(f"{left} more measurements are on the page.")


def table_of(title: str, columns: Sequence[Column]) -> Table:
    """Return an empty table; what stands right is a number and is not wrapped."""
    table = Table(title=escape(title), title_justify="left")
    for name, side in columns:
        table.add_column(escape(name), justify=side, no_wrap=side == "right" or name == "verdict")
    return table


def colored(outcome: Outcome) -> str:
    """Write a verdict in its color."""
    return f"[{_COLORS[outcome]}]{outcome.value}[/]"


def _show_groups(out: Console, found: Sequence[Measurement]) -> None:
    for attribute, groups in texts.by_group(found).items():
        names = list(dict.fromkeys(name for rates in groups.values() for name in rates))
        rates_of: list[Column] = [(texts.name_of(name)[0], "right") for name in names]
        title = f"{texts.texts()['headings']['groups'][0]}: {attribute}"
        table = table_of(title, [("group", "left"), *rates_of, ("n", "right")])
        for group, rates in groups.items():
            cells = [texts.number(rates[name]) if name in rates else "" for name in names]
            table.add_row(escape(group), *cells, f"{max(m.n for m in rates.values()):,}")
        out.print(table)


def _show_reasons(out: Console, outcome: Outcome, found: Sequence[Measurement]) -> None:
    reasons: dict[str, list[str]] = defaultdict(list)
    for m in found:
        # The verdict alone: "outside [0.8, 1.25]"; what was counted is in the table.
        reasons[m.reason.partition(": ")[0]].append(f"{m.measure} {describe_scope(m.scope)}")
    for reason, places in reasons.items():
        more = f" and {len(places) - _MOST_PLACES} more" if len(places) > _MOST_PLACES else ""
        told = f"{outcome.value}: {reason}: {'; '.join(places[:_MOST_PLACES])}{more}"
        out.print(told, markup=False, soft_wrap=True)
