"""Commands on tables: one is cut from a simulated world, reports are made on a protected one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from governance import command
from governance.errors import UsageError
from governance.settings import Settings
from training.terminal import progress, read_text

if TYPE_CHECKING:
    from privacy.feature_table import FeatureTable

World = Annotated[
    Path | None, typer.Option("--world", help="Folder of a world; default: raw/world-baseline.")
]
Of = Annotated[str, typer.Option("--of", help="consumer, business or applicant.")]
AsOf = Annotated[
    list[str] | None,
    typer.Option(
        "--as-of",
        metavar="YYYY-MM-DD",
        help="Day of the book; repeat it and every account is seen on one of the days.",
    ),
]
Horizon = Annotated[int, typer.Option(help="Months over which the outcome is asked.")]
KnownOn = Annotated[
    str,
    typer.Option(metavar="YYYY-MM-DD", help="Outcomes of a later day are left empty."),
]


def register(app: typer.Typer) -> None:
    """Add these commands to the room's commands."""
    app.command()(snapshot)
    app.command()(selection)
    app.command()(vintages)


@command.guarded
def snapshot(
    of: Of,
    world: World = None,
    as_of: AsOf = None,
    horizon: Horizon = 12,
    known_on: KnownOn = "9999-12-31",
    out: Annotated[
        Path | None, typer.Option(help="Parquet file; default: raw/<world>-<of>.parquet in home.")
    ] = None,
    as_json: command.AsJson = False,
) -> None:
    """Cut a raw table from a simulated world, one row per customer, for the release gate."""
    from training.world import applicants, edition, extract
    from training.world.snapshot import Moment

    if of not in list(extract.Shape):
        raise UsageError(f"--of is one of {', '.join(extract.Shape)}.")
    home = command.load_home()
    settings = edition.read_settings(world or home.raw / "world-baseline")
    shape = extract.Shape(of)
    days = [command.parse_day(text) for text in as_of or ()]
    if shape is extract.Shape.APPLICANT and not days:
        days = [applicants.day(settings)]
    known = command.parse_day(known_on)
    moments = [Moment(as_of=day, horizon_months=horizon, known_on=known) for day in sorted(days)]
    target = out or home.raw / f"{settings.id}-{shape}.parquet"
    with progress(f"{shape} of {settings.id}", settings.accounts) as done:
        rows = extract.write(
            settings,
            target,
            shape,
            moments=moments,
            done=lambda lived: done("accounts", lived),
        )
    document = {
        "schema": "limitline/training-snapshot/1",
        "path": str(target),
        "rows": rows,
        "of": shape.value,
        "as_of": [day.isoformat() for day in sorted(days)],
        "horizon_months": horizon,
        "known_on": known.isoformat(),
        "settings_digest": settings.digest,
        "contract": f"world_{shape}",
        "is_simulated": True,
    }
    command.emit(
        document,
        as_json=as_json,
        people=lambda console: console.print(
            f"{rows:,} simulated rows, contract world_{shape}: {target}",
            soft_wrap=True,
            markup=False,
        ),
    )


Refused = Annotated[str, typer.Option(help="Column that says who was turned away.")]
Explored = Annotated[
    str | None,
    typer.Option("--accepted-anyway", help="Column that says who was let in at random instead."),
]


@command.guarded
def selection(
    refused: Refused,
    spec: Annotated[Path, typer.Option(help="Feature spec of what is known at the application.")],
    features: Annotated[
        Path | None, typer.Option(help="Folder of a feature table; default: the latest one.")
    ] = None,
    contract: Annotated[
        str, typer.Option(help="Contract id whose latest table is taken without --features.")
    ] = "world-applicant",
    target: Annotated[
        str | None, typer.Option(help="Outcome column; default: the contract's label.")
    ] = None,
    accepted_anyway: Explored = None,
    clip: Annotated[float, typer.Option(help="Largest weight of an explored customer.")] = 5.0,
    uplift: Annotated[
        float, typer.Option(help="Assumed in parcelling: risk beyond the line against before it.")
    ] = 1.25,
    widest: Annotated[
        float, typer.Option(help="Worst-case bounds wider than this are INCONCLUSIVE.")
    ] = 0.10,
    seed: Annotated[int, typer.Option(help="Seed of folds, trees and draws.")] = 0,
    as_json: command.AsJson = False,
) -> None:
    """Report what the refused may hide: weights, scenarios and bounds; nothing is applied."""
    from limits.features import FeatureSpec
    from training.recipes import CHAMPION
    from training.selection import applications, study, telling
    from training.selection.intake import Rules

    if clip < 1 or uplift <= 0 or not 0 < widest <= 1:
        raise UsageError("--clip is at least 1, --uplift above 0, --widest a share up to 1.")
    home = command.load_home()
    table = _table(home, features, contract)
    declared, outcome = FeatureSpec.parse(read_text(spec)), target or table.label
    if outcome is None:
        raise UsageError("The contract names no label; say which column is the outcome.")
    columns = applications.Columns(target=outcome, refused=refused, explored=accepted_anyway)
    matrix, people = applications.read(table, declared, columns)
    rules = Rules(clip=clip, uplift=uplift, widest=widest)
    with progress("selection", study.STEPS) as done:
        found = study.measure(
            lambda: CHAMPION.estimator(declared.signs, seed=seed),
            matrix,
            people,
            rules,
            seed=seed,
            done=done,
        )
    document = telling.as_document(found, table, declared, rules)
    command.emit(document, as_json=as_json, people=lambda console: telling.show(console, found))


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
        spec_text=read_text(spec),
        target=target,
        vintage=vintage,
        event_on=event_on,
        watched_until=command.parse_day(watched_until),
        thresholds=declared.in_force(command.parse_day(on)) if declared else (),
    )
    table = _table(home, features, contract)
    with progress("vintages", FOLDS) as done:
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

    place = features or gate.latest(home.features, contract_id=contract, purpose=Purpose.TRAINING)
    return FeatureTable.open(place, keyring=Keyring.open(home.keyring))
