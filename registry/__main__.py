"""The registry's verbs: ``python -m registry <verb>``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from governance import command
from governance.command import AsJson, OnDay
from governance.errors import IntegrityError, UsageError
from governance.settings import Settings
from registry.finding_commands import app as finding_app

Version = Annotated[str, typer.Option("--version", help="A version number, latest or champion.")]
Port = Annotated[int, typer.Option("--port", min=1, max=65535, help="Port on the loopback.")]

app = command.room("registry", "Models, approvals and the ledger: who said what about which bytes.")
app.add_typer(finding_app, name="finding")


@app.command()
@command.guarded
def init(as_json: AsJson = False) -> None:
    """Make development keys for every role and begin the ledger; keep what exists."""
    from registry.ledger import Ledger
    from registry.signing import NOTICE, Role, Signer, create_people

    home = command.load_home()
    people = create_people(home.keyring)
    head = Ledger.open(home.ledger, Signer.open(home.keyring, Role.LEDGER), people=people).verify()
    keys = {person.role: person.key_id for person in people.by_key.values()}
    document = {"schema": "registry-init/1", "keys": keys, "notice": NOTICE, "entries": head.size}
    lines = [
        f"Keys for {len(keys)} roles in {home.keyring}; {NOTICE}.",
        f"Ledger in {home.ledger}.",
    ]
    command.emit(document, as_json=as_json, people=_lines(lines))


@app.command()
@command.guarded
def serve(port: Port = 5000, as_json: AsJson = False) -> None:
    """Show the catalogue in MLflow's web page, on the loopback address only."""
    from registry import server

    home = command.load_home()
    links = server.links(home, port=port)
    lines = ["MLflow on the loopback address; Ctrl+C ends it.", *links]
    document = {"schema": "registry-serve/1", "links": links}
    command.emit(document, as_json=as_json, people=_lines(lines))
    raise typer.Exit(server.serve(home, port=port))


@app.command()
@command.guarded
def gate(
    version: Version,
    on: OnDay = "",
    appetite: Annotated[
        Path | None, typer.Option(help="Risk appetite; the demo's if left out.")
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="List every judged measurement.")] = False,
    as_json: AsJson = False,
) -> None:
    """Judge a version's newest evidence, record the decision: 0 open, 12 closed, 14 cannot tell."""
    from registry import judgement
    from registry.attestation import document
    from registry.status import Rows, render_decision

    home = command.load_home()
    number, held = _number(home, version), judgement.read_appetite(appetite)
    decision = judgement.gate(home, number, appetite=held, on=command.parse_day(on))
    rows = Rows.ALL if every else Rows.REQUIRED
    said = {"version": number, "digest": decision.digest, "decision": document(decision)}
    command.emit(
        {"schema": "registry-gate/1", **said},
        as_json=as_json,
        people=lambda console: render_decision(number, decision, held, console, rows=rows),
    )
    if not decision.is_open:
        raise judgement.closed(number, decision)


@app.command()
@command.guarded
def waive(
    version: Version,
    measure: Annotated[str, typer.Option(help="A measure or a shell pattern: 'fairness.*'.")],
    owner: Annotated[str, typer.Option(help="Who answers for it.")],
    reason: Annotated[str, typer.Option(help="Why it is acceptable, in a sentence.")],
    expires: Annotated[str, typer.Option(metavar="YYYY-MM-DD", help="Last day.")],
    on: OnDay = "",
    role: Annotated[str, typer.Option("--as", help="Whose key signs.")] = "risk_approver",
    scope: Annotated[list[str] | None, typer.Option(help="Narrow to k=v; may be repeated.")] = None,
    as_json: AsJson = False,
) -> None:
    """Answer by name for what closes the gate: one recorded waiver per measure and group."""
    from registry import exemption

    request = exemption.WaiverRequest(
        measure=measure,
        scope=_scope(scope or []),
        owner=owner,
        reason=reason,
        role=role,
        granted_on=command.parse_day(on),
        expires_on=command.parse_day(expires),
    )
    home = command.load_home()
    number = _number(home, version)
    granted = exemption.waive(home, number, request)
    document = {"schema": "registry-waive/1", "version": number, **granted.as_document()}
    command.emit(document, as_json=as_json, people=_lines(granted.lines(number)))


@app.command()
@command.guarded
def approve(
    version: Version,
    role: Annotated[str, typer.Option("--as", help="risk_approver or business_approver.")],
    on: OnDay = "",
    valid_days: Annotated[int, typer.Option(min=1, help="How long the approval holds.")] = 90,
    as_json: AsJson = False,
) -> None:
    """Sign that exactly these digests may go live."""
    from registry import approval

    day = command.parse_day(on)
    home = command.load_home()
    number = _number(home, version)
    said = approval.approve(home, number, role=role, on=day, valid_days=valid_days)
    line = (
        f"Version {number} is approved by {role} until {said['expires_on']} (entry {said['seq']})."
    )
    document = {"schema": "registry-approve/1", "version": number, **said}
    command.emit(document, as_json=as_json, people=_lines([line]))


@app.command()
@command.guarded
def promote(version: Version, on: OnDay = "", as_json: AsJson = False) -> None:
    """Make a version champion; needs an open gate and two different approvers."""
    from registry import promotion

    home = command.load_home()
    number = _number(home, version)
    done = promotion.promote(home, number, on=command.parse_day(on))
    before = "" if done.previous in (None, number) else f" in place of version {done.previous}"
    line = f"Version {number} is champion{before}."
    document = {
        "schema": "registry-promote/1",
        "version": number,
        "previous": done.previous,
        "is_new": done.is_new,
    }
    command.emit(
        document, as_json=as_json, people=_lines([line if done.is_new else f"{line[:-1]} already."])
    )


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
    command.emit(document, as_json=as_json, people=_lines(lines))


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
    command.emit(document, as_json=as_json, people=_lines([line]))


@app.command()
@command.guarded
def status(on: OnDay = "", port: Port = 5000, as_json: AsJson = False) -> None:
    """Say what happened, what was refused and why, and where to look; from the ledger."""
    from registry import status as state

    document = state.status(command.load_home(), command.parse_day(on), port=port)
    command.emit(document, as_json=as_json, people=lambda console: state.render(document, console))


@app.command()
@command.guarded
def verify(
    pack: Annotated[
        Path | None, typer.Argument(help="An evidence pack; the home if left out.")
    ] = None,
    checkpoint: Annotated[
        Path | None, typer.Option(help="A ledger head witnessed earlier.")
    ] = None,
    people: Annotated[Path | None, typer.Option(help="Public keys obtained another way.")] = None,
    as_json: AsJson = False,
) -> None:
    """Verify every signature, the ledger's history and every model file; or an evidence pack."""
    from registry import evidence, verification

    if pack is not None:
        document = evidence.verify(pack, people_file=people, witness_file=checkpoint)
    elif people is not None:
        raise UsageError("--people is for a pack; a home has its own list of people.")
    else:
        document = verification.verify_home(command.load_home(), witness_file=checkpoint)
    command.emit(
        {"schema": "registry-verify/2", **document},
        as_json=as_json,
        people=lambda out: verification.render(document, out, people_file=people),
    )


@app.command()
@command.guarded
def reconcile(
    on: OnDay = "",
    repair: Annotated[bool, typer.Option("--repair", help="Move the alias back.")] = False,
    as_json: AsJson = False,
) -> None:
    """Hold MLflow against the ledger, finish what a killed run left, write the cards anew."""
    from registry import reconciliation

    found = reconciliation.reconcile(command.load_home(), on=command.parse_day(on), repair=repair)
    document = {
        "schema": "registry-reconcile/1",
        "champion": found.champion,
        "problems": list(found.problems),
        "repaired": list(found.repaired),
        "notes": list(found.notes),
    }
    lines = [*(f"put right: {line}" for line in found.repaired), *found.notes]
    lines = lines or ([] if found.problems else ["MLflow shows what the ledger says."])
    command.emit(document, as_json=as_json, people=_lines(lines))
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
    command.emit(document, as_json=as_json, people=_lines(lines))


def _number(home: Settings, version: str) -> int:
    from registry.load import resolve
    from registry.record import Record

    return resolve(Record.load(home), version)


def _lines(lines: Sequence[str]) -> Any:
    def show(console: Console) -> None:
        for line in lines:
            console.print(line, markup=False)

    return show


def _scope(pairs: Sequence[str]) -> dict[str, str]:
    for pair in pairs:
        if "=" not in pair:
            raise UsageError("A scope is written name=value, such as --scope attribute=sex.")
    return {name: value for name, _, value in (pair.partition("=") for pair in pairs)}


if __name__ == "__main__":
    app(prog_name="python -m registry")
