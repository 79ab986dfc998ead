"""The registry's verbs: ``limitline <verb>``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from governance import command
from governance.command import AsJson, OnDay
from governance.errors import IntegrityError
from registry.finding_commands import app as finding_app
from registry.gate_commands import app as gate_app
from registry.gate_commands import lines_of
from registry.people_commands import app as people_app

Port = Annotated[int, typer.Option("--port", min=1, max=65535, help="Port on the loopback.")]

app = typer.Typer()
app.add_typer(finding_app, name="finding")
app.add_typer(people_app, name="people")
app.add_typer(gate_app)


@app.command()
@command.guarded
def serve(port: Port = 5000, as_json: AsJson = False) -> None:
    """Show the catalogue in MLflow's web page, on the loopback address only."""
    from registry import server

    home = command.load_home()
    links = server.links(home, port=port)
    lines = ["MLflow on the loopback address; Ctrl+C ends it.", *links]
    document = {"schema": "registry-serve/1", "links": links}
    command.emit(document, as_json=as_json, people=lines_of(lines))
    raise typer.Exit(server.serve(home, port=port))


@app.command()
@command.guarded
def freeze(
    reason: Annotated[str, typer.Option(help="Why raises stop, in a sentence.")],
    role: Annotated[str, typer.Option("--as", help="risk_approver or business_approver.")],
    on: OnDay = "",
    as_json: AsJson = False,
) -> None:
    """Stop all raises at once; one approver is enough, and cuts go on by policy."""
    from registry import freeze as freezing

    day = command.parse_day(on)
    made = freezing.freeze(command.load_home(), role=role, reason=reason, on=day)
    lines = [f"Raises are frozen from {made.frozen_on} by {made.by.name}: {made.id}."]
    document = {"schema": "registry-freeze/1", "freeze": made.as_document()}
    command.emit(document, as_json=as_json, people=lines_of(lines))


@app.command()
@command.guarded
def unfreeze(
    reason: Annotated[str, typer.Option(help="Why raises may go on, in a sentence.")],
    role: Annotated[str, typer.Option("--as", help="risk_approver or business_approver.")],
    freeze_id: Annotated[str, typer.Option("--freeze", help="Which, if there are several.")] = "",
    on: OnDay = "",
    as_json: AsJson = False,
) -> None:
    """Agree that raises go on; they do when both approver roles, two people, have agreed."""
    from registry import freeze as freezing

    home, day = command.load_home(), command.parse_day(on)
    found = freezing.unfreeze(home, role=role, reason=reason, on=day, freeze_id=freeze_id)
    agreed = ", ".join(sorted(person.role for person, _ in found.releases))
    end = f"is lifted from {found.lifted_on}" if found.lifted_on else "still holds until both agree"
    line = f"{found.id} {end}; agreed: {agreed}."
    document = {"schema": "registry-freeze/1", "freeze": found.as_document()}
    command.emit(document, as_json=as_json, people=lines_of([line]))


@app.command()
@command.guarded
def status(on: OnDay = "", port: Port = 5000, as_json: AsJson = False) -> None:
    """Say what happened, what was refused and why, and where to look; from the ledger."""
    from registry import status as state

    document = state.status(command.load_home(), command.parse_day(on), port=port)
    command.emit(document, as_json=as_json, people=lambda console: state.render(document, console))


@app.command()
@command.guarded
def reconcile(
    on: OnDay = "",
    repair: Annotated[bool, typer.Option("--repair", help="Put right what MLflow shows.")] = False,
    as_json: AsJson = False,
) -> None:
    """Hold all that MLflow shows against the ledger; finish what a killed run left."""
    from registry import reconciliation

    found = reconciliation.reconcile(command.load_home(), on=command.parse_day(on), repair=repair)
    lines = [*(f"put right: {line}" for line in found.repaired), *found.notes]
    lines = lines or ([] if found.problems else ["MLflow shows what the ledger says."])
    command.emit(found.as_document(), as_json=as_json, people=lines_of(lines))
    if found.problems:
        raise IntegrityError(" ".join(found.problems))


@app.command()
@command.guarded
def evidence(
    output: Annotated[
        Path | None, typer.Option(help="The zip to write; default: evidence.zip in the home.")
    ] = None,
    on: OnDay = "",
    as_json: AsJson = False,
) -> None:
    """Write the evidence pack that an outsider can check without this product."""
    from registry import evidence as pack

    home = command.load_home()
    target = output or home.home / "evidence.zip"
    found = pack.write_pack(home, target, on=command.parse_day(on))
    line = (
        f"{target}: {found['entries']} entries, {found['promotions']} promotions, verified offline."
    )
    lines = [
        line,
        f"Check it elsewhere: unzip it, then `python verify.py .` (root {found['root'][:16]}).",
    ]
    document = {"schema": "registry-evidence/1", "path": str(target), "root": found["root"]}
    command.emit(document, as_json=as_json, people=lines_of(lines))
