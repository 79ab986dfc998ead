"""The verb ``limitline ownership``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from governance import command
from governance.command import AsJson, Encoding, OnDay
from governance.errors import Breach, Inconclusive, UsageError

if TYPE_CHECKING:
    from rich.console import Console


@command.guarded
def ownership(
    vintage: Annotated[str, typer.Option(metavar="YYYY-MM", help="A vintage of the log.")] = "",
    suggestions: Annotated[
        Path | None, typer.Option(help="What a partner suggested: Parquet or CSV.")
    ] = None,
    decisions: Annotated[
        Path | None, typer.Option(help="Bring your own: a table of decisions.")
    ] = None,
    key: Annotated[
        str, typer.Option(metavar="COL", help="Bring your own: the column both tables share.")
    ] = "",
    appetite: Annotated[
        Path | None, typer.Option(help="Risk appetite with the tolerances; the demo's if left out.")
    ] = None,
    excess: Annotated[
        float | None, typer.Option(min=0, max=1, help="Instead of the appetite: equal limits.")
    ] = None,
    influence: Annotated[
        float | None, typer.Option(min=0, max=1, help="Instead of the appetite: rank correlation.")
    ] = None,
    list_file: Annotated[
        Path | None,
        typer.Option("--list", help="Where the decisions equal to the suggestion go, by row: CSV."),
    ] = None,
    on: OnDay = "",
    encoding: Encoding = "",
    as_json: AsJson = False,
) -> None:
    """Show that limits are computed here and not copied; 13 they are not, 14 cannot tell."""
    from decisions import ownership as owning
    from decisions import printing
    from decisions.agreement import EXCESS, INFLUENCE
    from decisions.tolerance import Tolerance
    from governance.table import PlainFile
    from privacy.keyring import Keyring
    from registry.judgement import read_appetite

    if list_file is not None and suggestions is None:
        raise UsageError("--list needs --suggestions: without them nothing is equal to anything.")
    if bool(vintage) == bool(decisions):
        raise UsageError("Give --vintage, or --decisions with --suggestions and --key.")
    given = {EXCESS: excess, INFLUENCE: influence}
    held = Tolerance(
        appetite=read_appetite(appetite),
        # The lines of the month that was decided, and not those of the day that looks back.
        on=command.parse_day(on or (f"{vintage}-01" if vintage else "")),
        given={name: value for name, value in given.items() if value is not None},
    )
    proposed = (
        PlainFile(path=suggestions, what="table of suggestions", encoding=encoding).read()
        if suggestions
        else None
    )
    if decisions is not None:
        if proposed is None or not key:
            raise UsageError("Your own --decisions need --suggestions and --key.")
        decided = PlainFile(path=decisions, what="table of decisions", encoding=encoding).read()
        found = owning.of_tables(decided, proposed, key=key, tolerance=held)
    else:
        home = command.load_home()
        ring = Keyring.open(home.keyring)
        found = owning.of_vintage(home, vintage, keyring=ring, suggested=proposed, tolerance=held)
    about: dict[str, Any] = {"vintage": vintage} if vintage else {}
    if list_file is not None:
        about["listed"] = owning.write_list(found, list_file)
    document = owning.document(found.measurements, held, about)

    def show(out: Console) -> None:
        printing.measured(out, "Own computation", document)
        if list_file is not None:
            out.print(f"{document['listed']['rows']:,} equal limits: {list_file}", markup=False)

    command.emit(document, as_json=as_json, people=show)
    _leave_with(document["outcome"], "That limits are computed here was not shown")


def _leave_with(outcome: str, text: str) -> None:
    if outcome == "BREACH":
        raise Breach(f"{text}: a measurement is outside its tolerance.")
    if outcome == "INCONCLUSIVE":
        raise Inconclusive(f"{text}: a measurement cannot tell.")
