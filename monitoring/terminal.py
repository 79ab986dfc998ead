"""Terminal: measurements and windows as tables for a person at the command line."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from rich.console import Console
from rich.table import Table

from governance.measurement import Measurement, describe_scope
from governance.outcome import Outcome
from monitoring.names import name_of

if TYPE_CHECKING:
    from monitoring.tick import Done


def show_windows(out: Console, windows: Sequence[Done], *, new: Sequence[str] = ()) -> None:
    """Print the judged windows; those that were judged just now are marked."""
    table = Table(title="Windows", title_justify="left")
    for name in ("window", "verdict", "breaches", "due", "judged", ""):
        table.add_column(name)
    for item in windows:
        verdict = _colored(item.outcome)
        fresh = "new" if item.name in new else "acknowledged" if item.is_acknowledged else ""
        breaches = str(item.breaches or "")
        table.add_row(item.name, verdict, breaches, str(item.due_on), str(item.done_on), fresh)
    out.print(table)


def show(
    out: Console, title: str, found: Sequence[Measurement], *, hidden: tuple[str, ...] = ()
) -> None:
    """Print measurements as a table, then why what did not pass did not.

    Measurements whose name starts with one of `hidden`, rates by group behind a ratio, and
    undefined ones are left to the page.
    """
    table = Table(title=title, title_justify="left")
    for name in ("verdict", "measure", "about", "value, 95 %", "n"):
        is_number = name in ("value, 95 %", "n")
        justify: Literal["left", "right"] = "right" if is_number else "left"
        table.add_column(name, justify=justify, no_wrap=is_number or name == "verdict")
    shown = [m for m in found if m.value is not None and not _is_group_rate(m)]
    shown = [m for m in shown if not hidden or not m.measure.startswith(hidden)]
    for m in shown:
        about = ", ".join(m.scope.values())
        table.add_row(_colored(m.outcome), name_of(m.measure)[0], about, _value(m), f"{m.n:,}")
    out.print(table)
    for outcome in (Outcome.BREACH, Outcome.INCONCLUSIVE):
        reasons: dict[str, list[str]] = defaultdict(list)
        for m in (m for m in found if m.outcome is outcome):
            # The verdict alone: "outside [0.8, 1.25]"; what was counted is in the table.
            reasons[m.reason.partition(": ")[0]].append(f"{m.measure} {describe_scope(m.scope)}")
        for reason, places in reasons.items():
            more = f" and {len(places) - 4} more" if len(places) > 4 else ""
            out.print(
                f"{outcome.value}: {reason}: {'; '.join(places[:4])}{more}",
                markup=False,
                soft_wrap=True,
            )
    if len(shown) < len(found):
        out.print(f"{len(found) - len(shown)} more measurements are on the page.")


def _is_group_rate(measurement: Measurement) -> bool:
    return measurement.measure.startswith("fairness.") and measurement.unit == "rate"


def _value(measurement: Measurement) -> str:
    if measurement.unit == "minor" and measurement.value is not None:
        return f"{measurement.value / 100:,.2f}"
    text = f"{measurement.value:,.4g}"
    if measurement.low is None or measurement.high is None:
        return text
    # As many digits for the ends as for the value: with fewer, an interval would not hold it.
    return f"{text} ({measurement.low:,.4g} to {measurement.high:,.4g})"


def _colored(outcome: Outcome) -> str:
    color = {"PASS": "green", "BREACH": "red", "INCONCLUSIVE": "yellow", "INFO": "dim"}
    return f"[{color[outcome.value]}]{outcome.value}[/]"
