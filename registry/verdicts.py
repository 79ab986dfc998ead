"""Verdicts: the gate's decision as a table for the terminal."""

from __future__ import annotations

from collections import Counter
from enum import StrEnum

from rich.console import Console
from rich.table import Table
from rich.text import Text

from governance.appetite import RiskAppetite
from governance.evidence import Decision
from governance.measurement import describe_scope
from registry.card import ORDER, numbers
from registry.judgement import unmeasured
from registry.record import waiver_key

COLORS = {"PASS": "green", "BREACH": "red", "INCONCLUSIVE": "yellow", "not judged": "dim"}


class Rows(StrEnum):
    """Which judged measurements are printed."""

    REQUIRED = "required"
    ALL = "all"


def render_decision(
    version: int, decision: Decision, appetite: RiskAppetite, console: Console, *, rows: Rows
) -> None:
    """Print the judged measurements, the gravest first, and whether the gate is open."""
    waived = {waiver_key(waiver) for waiver in decision.waived}
    shown = [
        item
        for item in decision.judged
        if rows is Rows.ALL or appetite.requires(item, decision.decided_on)
    ]
    table = Table(box=None, header_style="dim", pad_edge=False, padding=(0, 2, 0, 0))
    for name in ("outcome", "measure", "scope", "value [95 % interval]", "n"):
        table.add_column(name, overflow="fold", justify="right" if name == "n" else "left")
    for item in sorted(shown, key=lambda item: (ORDER.index(item.outcome), item.key)):
        outcome = Text(item.outcome.value, style=COLORS.get(item.outcome.value, ""))
        outcome.append(" waived" if item.key in waived else "", style="dim")
        scope = Text(describe_scope(item.scope))
        table.add_row(outcome, item.measure, scope, Text(numbers(item)), f"{item.n:,}")
    console.print(table)
    others = Counter(item.outcome.value for item in decision.judged if item not in shown)
    if others:
        said = ", ".join(f"{number} {name}" for name, number in sorted(others.items()))
        console.print(f"Not required for promotion: {said}; --all lists them.", markup=False)
    for line in unmeasured(version, decision):
        console.print(f"missing: {line}", markup=False, soft_wrap=True)
    word = "open" if decision.is_open else "closed"
    said = f"The gate is {word} for version {version}: {len(decision.refusals)} refusals, "
    said += f"{len(decision.waived)} answered by waivers. Decision {decision.digest[:12]}."
    console.print(said, markup=False)
