"""The registry's verbs: ``limitline <verb>``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from governance import command
from governance.command import AsJson, OnDay
from governance.errors import IntegrityError
from registry.gate_commands import app as gate_app
from registry.gate_commands import lines_of

if TYPE_CHECKING:
    from registry.ledger import Entry
    from registry.offline import Person

people_app = typer.Typer(
    no_args_is_help=True, help="Who may sign: list, add, rotate and revoke keys."
)

AsRole = Annotated[str, typer.Option("--as", help="The role of the key.")]
Name = Annotated[str, typer.Option(help="Who holds the key.")]
Reason = Annotated[str, typer.Option(help="Why, in a sentence; the root signs it.")]


@people_app.callback()
def people(as_json: AsJson = False) -> None:
    """Who may sign what is the root's word in the ledger; nothing else changes it."""


@people_app.command("list")
@command.guarded
def list_people(as_json: AsJson = False) -> None:
    """List every key that was ever listed: whose it is, how much it signed, whether it counts."""
    from registry import offline, rules
    from registry.record import Record

    keys = rules.signers(Record.load(command.load_home()).history)
    command.emit(
        {"schema": "registry-people/1", "keys": keys},
        as_json=as_json,
        people=lambda out: out.print(
            "\n".join(map(offline.told_signer, keys)), markup=False, soft_wrap=True
        ),
    )


@people_app.command("add")
@command.guarded
def add_person(
    role: AsRole,
    name: Name,
    public_key: Annotated[str, typer.Option(help="32 bytes of Ed25519, base64.")],
    reason: Reason,
    as_json: AsJson = False,
) -> None:
    """List one more person in a role, who made the key elsewhere and keeps it."""
    from registry import people as roll

    home = command.load_home()
    _told(roll.add(home, role, name=name, public_key=public_key, reason=reason), "added", as_json)


@people_app.command("rotate")
@command.guarded
def rotate_key(role: AsRole, name: Name, reason: Reason, as_json: AsJson = False) -> None:
    """Make a new key for a role of this keyring and revoke the old one."""
    from registry import people as roll

    _told(roll.rotate(command.load_home(), role, name=name, reason=reason), "added", as_json)


@people_app.command("revoke")
@command.guarded
def revoke_key(
    key: Annotated[str, typer.Argument(help="How the key id begins.")],
    reason: Reason,
    as_json: AsJson = False,
) -> None:
    """Let a key sign nothing from here on; what it signed stays signed."""
    from registry import people as roll

    _told(roll.revoke(command.load_home(), key, reason=reason), "revoked", as_json)


def _told(person: Person, event: str, as_json: AsJson) -> None:
    said = {"event": event, "name": person.name, "role": person.role, "key_id": person.key_id}
    command.emit(
        {"schema": "registry-people/1", **said},
        as_json=as_json,
        people=lambda out: out.print(
            f"{event}: {person.name} as {person.role}, key {person.key_id}.",
            markup=False,
            soft_wrap=True,
        ),
    )


finding_app = typer.Typer(
    no_args_is_help=True, help="List findings and close them, by two signatures."
)


@finding_app.callback()
def finding(as_json: AsJson = False) -> None:
    """List what monitoring found, and close what was put right: two people, two roles."""


@finding_app.command("list")
@command.guarded
def list_findings(on: OnDay = "", as_json: AsJson = False) -> None:
    """List the findings that are open on a day, and who has agreed to close them."""
    from registry import findings
    from registry.record import Record

    home, day = command.load_home(), command.parse_day(on)
    record = Record.load(home)
    rows = [
        {**held.model_dump(mode="json"), "agreed": _agreed(findings.closings(record, held.id))}
        for held in findings.open_findings(home, day)
    ]
    lines = [
        f"{row['id']}  {row['severity']}  since {row['opened_on']}  {row['text']}" for row in rows
    ]
    document = {"schema": "registry-findings/1", "on": day.isoformat(), "findings": rows}
    text = "\n".join([*lines, f"{len(rows)} open findings."])
    command.emit(document, as_json=as_json, people=lambda out: out.print(text, markup=False))


@finding_app.command("close")
@command.guarded
def close_finding(
    finding_id: Annotated[str, typer.Argument(metavar="ID", help="The id of the finding.")],
    reason: Annotated[str, typer.Option(help="What was done about it, in a sentence.")],
    role: Annotated[
        str, typer.Option("--as", help="validator, risk_approver or business_approver.")
    ],
    on: OnDay = "",
    as_json: AsJson = False,
) -> None:
    """Sign that a finding may be closed; it is once two people in two roles have."""
    from registry import findings
    from registry.record import Record

    home, day = command.load_home(), command.parse_day(on)
    held = findings.close_finding(home, finding_id, on=day, note=reason, role=role)
    agreed = _agreed(findings.closings(Record.load(home), finding_id))
    end = (
        f"is closed from {held.closed_on}" if held.closed_on else "stays open until a second agrees"
    )
    document = {
        "schema": "registry-finding/1",
        "finding": held.model_dump(mode="json"),
        "agreed": agreed,
    }
    text = f"{finding_id} {end}; agreed: {', '.join(agreed)}."
    command.emit(document, as_json=as_json, people=lambda out: out.print(text, markup=False))


def _agreed(entries: tuple[Entry, ...]) -> list[str]:
    return sorted({entry.statement.person.role for entry in entries})


app = typer.Typer()
app.add_typer(finding_app, name="finding")
app.add_typer(people_app, name="people")
app.add_typer(gate_app)


Port = Annotated[int, typer.Option("--port", min=1, max=65535, help="Port on the loopback.")]


@app.command()
@command.guarded
def serve(port: Port = 5000, as_json: AsJson = False) -> None:
    """Show the catalogue in MLflow's web page, on the loopback address only."""
    from registry import server
    from registry.record import Record

    home = command.load_home()
    links = server.links(Record.load(home).versions(), port=port)
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
    from registry import findings as freezing

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
    from registry import findings as freezing

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
