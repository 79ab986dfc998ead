"""Options that several verbs of the monitoring room share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Appetite = Annotated[Path | None, typer.Option(help="Risk appetite; the demonstration's.")]
Decisions = Annotated[Path, typer.Option(help="Parquet or CSV of decisions, anybody's.")]
Action = Annotated[
    str,
    typer.Option(
        help="Column: raise, hold, cut, refuse, review; or 1, yes = raise, 0, no = refuse."
    ),
]
Result = Annotated[
    str, typer.Option(help="Column: good, bad, pending; or 0, 1 or yes = bad, missing.")
]
Count = Annotated[
    str | None, typer.Option(help="Column of counts, if a row stands for several customers.")
]
