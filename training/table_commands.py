"""Commands on tables: reports that are made on a protected one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from governance import command
from governance.settings import Settings

if TYPE_CHECKING:
    from privacy.feature_table import FeatureTable


def register(app: typer.Typer) -> None:
    """Add these commands to the room's commands."""
    app.command()(vintages)


@command.guarded
def vintages(
    vintage: Annotated[str, typer.Option(help="Column with the day that a row describes.")],
    spec: Annotated[Path, typer.Option(help="Feature spec.")],
    contract: Annotated[str, typer.Option(help="Contract id whose latest table is taken.")],
    features: Annotated[
        Path | None, typer.Option(help="Folder of a feature table; default: the latest one.")
    ] = None,
    target: Annotated[
        str | None, typer.Option(help="Outcome column; default: the contract's label.")
    ] = None,
    event_on: Annotated[
        str | None, typer.Option(help="Column with the day on which an outcome became known.")
    ] = None,
    watched_until: Annotated[
        str, typer.Option(metavar="YYYY-MM-DD", help="Last day of the records; default: today.")
    ] = "",
    appetite: Annotated[
        Path | None, typer.Option(help="Risk appetite (TOML) to judge by; default: nothing judges.")
    ] = None,
    on: command.OnDay = "",
    pictures: Annotated[Path | None, typer.Option(help="Draw into this folder as well.")] = None,
    seed: Annotated[int, typer.Option(help="Seed of folds and trees.")] = 0,
    as_json: command.AsJson = False,
) -> None:
    """Report discrimination, calibration and defaults of each vintage, and how defaults season."""
    from governance.appetite import RiskAppetite
    from training import vintage_report as report
    from training.evaluation import FOLDS

    home = command.load_home()
    declared = RiskAppetite.load(appetite) if appetite else None
    asked = report.Asked(
        spec_text=command.read_text(spec),
        target=target,
        vintage=vintage,
        event_on=event_on,
        watched_until=command.parse_day(watched_until),
        thresholds=declared.in_force(command.parse_day(on)) if declared else (),
    )
    table = _table(home, features, contract)
    with command.progress("vintages", FOLDS) as done:
        found = report.measure(table, asked, seed=seed, done=done)
    drawn = (
        report.draw(found, pictures, name=table.about.get("data_title", table.contract_id))
        if pictures
        else {}
    )
    document = report.as_document(found, table, drawn)
    command.emit(document, as_json=as_json, people=lambda console: report.show(console, found))


def _table(home: Settings, features: Path | None, contract: str) -> FeatureTable:
    """Open the named table, or the latest one that was released for training."""
    from governance.contract import Purpose
    from privacy import gate
    from privacy.feature_table import FeatureTable
    from privacy.keyring import Keyring

    ring = Keyring.open(home.keyring)
    place = features or gate.latest(
        home.features, contract_id=contract, purpose=Purpose.TRAINING, keyring=ring
    )
    return FeatureTable.open(place, keyring=ring)
