"""Options that several verbs of the room share, each declared and read in one place."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class Language(StrEnum):
    """The languages in which texts exist; another one is refused and not answered in English."""

    EN = "en"
    ZH = "zh"


AsOf = Annotated[
    str, typer.Option("--as-of", metavar="YYYY-MM-DD", help="Day of the decision; default: today.")
]
DemandIndex = Annotated[
    str, typer.Option(help="Demand on the day against an ordinary month (1.0), for seasons.")
]
InLanguage = Annotated[Language, typer.Option("--language", help="The language of the texts.")]
PolicyFile = Annotated[Path, typer.Argument(metavar="FILE", help="A limit policy.")]
Regime = Annotated[str, typer.Option(help="Macro regime: neutral, downturn or boom.")]
Vintage = Annotated[str, typer.Option(metavar="YYYY-MM", help="Month of the decisions.")]
