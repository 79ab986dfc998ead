"""The telling of a study: one table for people."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from governance.measurement import Measurement, describe_scope
from registry.study import Recorded, Study


def print_study(console: Console, made: Study, recorded: Recorded) -> None:
    """Print what was found, and where it stands now."""
    document = made.document
    if "dropped" in document:
        console.print(_necessity(document))
    elif any("against" in item.scope for item in made.headlines):
        console.print(_family(document, made.headlines))
    else:
        console.print(_measured(document, made.headlines))
    state = "signed" if recorded.is_new else "signed before; nothing changed"
    runs = f"{len(recorded.run_ids)} child runs of version {document['version']}"
    console.print(
        f"{runs}, {state}: ledger entry {recorded.seq}, digest {recorded.digest[:12]}. "
        "Nothing was chosen by this; validation judges."
    )


def _measured(document: Any, found: Sequence[Measurement]) -> Table:
    title = f"{document['study']} of version {document['version']}, out-of-fold, open customers"
    table = Table(title=title)
    for heading in ("measure", "scope", "value", "95 % interval", "n"):
        # What a row is about is folded and never cut off.
        table.add_column(heading, overflow="fold")
    for item in found:
        value, interval = _numbers(item)
        scope = Text(describe_scope(item.scope))
        table.add_row(item.measure, scope, value, interval, f"{item.n:,}")
    return table


def _family(document: Any, found: Sequence[Measurement]) -> Table:
    """Return one row per alternative: how well it separates, and the difference to the version."""
    whose = f"version {document['version']}, out-of-fold, n = {document['rows']:,}"
    table = Table(title=f"alternatives of {whose}; 95 % intervals, differences are paired")
    for heading in ("alternative", "AUC", "minus the version's"):
        table.add_column(heading)
    columns: dict[str, dict[bool, str]] = {}
    for item in found:
        value, interval = _numbers(item)
        told = columns.setdefault(item.scope["alternative"], {})
        told["against" in item.scope] = f"{value} ({interval})"
    for name, told in columns.items():
        table.add_row(Text(name), told.get(False, ""), told.get(True, ""))
    return table


def _necessity(document: Any) -> Table:
    luck, _ = _numbers(document["luck"])
    title = (
        f"Without one feature, out-of-fold, n = {document['rows']:,}; "
        f"a refit under another seed moves the log loss by up to {luck}"
    )
    columns = ("taken out", "log loss costs", "95 % interval", "AUC costs", "95 % interval")
    table = Table(*columns, "outcome", "protected", "why it is there", title=title)
    for row in document["dropped"]:
        cells = [text for item in row["measurements"] for text in _numbers(item)]
        name = f"group {row['name']}" if row["is_group"] else row["name"]
        why = f"{len(row['features'])} features" if row["is_group"] else row["why"]
        protected = "named like one" if row["is_protected"] else "no"
        table.add_row(name, *cells, Text(row["told"]), protected, Text(why))
    return table


def _numbers(item: Measurement) -> tuple[str, str]:
    value, low, high = (
        "undefined" if told is None else f"{told:.5f}" for told in (item.value, item.low, item.high)
    )
    return value, f"{low} – {high}"
