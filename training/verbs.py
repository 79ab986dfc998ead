"""Verbs of the training room beside fitting: cut a table from a world."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from governance import command
from governance.errors import UsageError
from training.terminal import progress

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
    """Add these verbs to the room's commands."""
    app.command()(snapshot)


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
