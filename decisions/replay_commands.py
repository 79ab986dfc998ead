"""The verbs ``limitline replay`` with its kit."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from decisions.options import Vintage
from governance import command
from governance.command import AsJson
from governance.errors import IntegrityError


@command.guarded
def replay(
    vintage: Vintage,
    sample: Annotated[int, typer.Option(help="How many decisions to make again.")] = 100,
    seed: Annotated[int, typer.Option(help="Seed of the sample.")] = 0,
    row: Annotated[
        int, typer.Option(help="One decision: its row in the vintage, from 0.", min=-1)
    ] = -1,
    kit: Annotated[
        Path | None,
        typer.Option(help="Instead: pack a new folder in which another machine can replay."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Make a sample of logged decisions again and compare, to the cent; exit 15 if one differs."""
    from decisions import replay as replaying
    from privacy.keyring import Keyring

    if kit is not None:
        _pack_kit(vintage, kit, as_json=as_json)
        return

    settings = command.load_home()
    keyring = Keyring.open(settings.keyring)
    with command.stderr.status("Verifying the model and replaying decisions ..."):
        if row < 0:
            found = replaying.replay(settings, vintage, keyring=keyring, sample=sample, seed=seed)
        else:
            found = replaying.replay_one(settings, vintage, row, keyring=keyring)
    document = {
        "schema": "replay/2",
        "vintage": found.vintage,
        "model": found.model,
        "decisions": found.decisions,
        "differing": found.differing,
        "differing_rows": list(found.rows),
        "other_code": found.other_code,
    }
    said = "all equal to the cent" if found.is_equal else f"NOT equal: {found.differing}"
    line = f"{found.decisions:,} decisions of {vintage} made again: {said}\nModel {found.model}"
    if found.rows:
        line += (
            f"\nRows that differ, the first {len(found.rows)}: {', '.join(map(str, found.rows))}"
        )
    if found.other_code:
        line += f"\nOther code: {found.other_code}"
    command.emit(document, as_json=as_json, people=lambda out: out.print(line))
    if not found.is_equal:
        raise IntegrityError(
            f"Replayed decisions of {vintage} differ from the log: {found.differing}. "
            f"{found.other_code.capitalize() or 'The code is the one that decided'}."
        )


def _pack_kit(vintage: str, output: Path, *, as_json: bool) -> None:
    """Pack what another machine needs to replay a vintage: no vault, no other table or key."""
    from decisions import replay_kit as packing
    from privacy.keyring import Keyring

    settings = command.load_home()
    keyring = Keyring.open(settings.keyring)
    with command.stderr.status("Packing the replay kit ..."):
        kit = packing.pack(settings, vintage, output, keyring=keyring)
    document = {
        "schema": "replay-kit/1",
        "vintage": vintage,
        "path": str(kit.path),
        "files": list(kit.files),
        "keys": kit.keys,
    }
    lines = [
        f"{len(kit.files)} files and {kit.keys} keys in {kit.path}. There, with this product:",
        f"LIMITLINE_HOME={kit.path} limitline replay --vintage {vintage} --sample 10000",
    ]
    command.emit(
        document, as_json=as_json, people=lambda out: out.print("\n".join(lines), markup=False)
    )
