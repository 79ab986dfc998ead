"""The telling of a study: one table for people."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from governance.measurement import Measurement
from registry.study import Recorded, Study


def print_study(console: Console, made: Study, recorded: Recorded) -> None:
    """Print what was found, and where it stands now."""
    document = made.document
    console.print(_family(document, made.headlines))
    state = "signed" if recorded.is_new else "signed before; nothing changed"
    runs = f"{len(recorded.run_ids)} child runs of version {document['version']}"
    console.print(
        f"{runs}, {state}: ledger entry {recorded.seq}, digest {recorded.digest[:12]}. "
        "Nothing was chosen by this; validation judges."
    )


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


def _numbers(item: Measurement) -> tuple[str, str]:
    value, low, high = (
        "undefined" if told is None else f"{told:.5f}" for told in (item.value, item.low, item.high)
    )
    return value, f"{low} – {high}"
