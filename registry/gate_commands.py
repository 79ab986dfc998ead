"""The verbs that let a version go live: appetite, gate, waive, approve, promote."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from governance import command
from governance.command import AsJson, OnDay
from governance.errors import UsageError
from governance.settings import Settings

Version = Annotated[str, typer.Option("--version", help="A version number, latest or champion.")]

app = typer.Typer()


@app.command()
@command.guarded
def appetite(
    role: Annotated[str, typer.Option("--as", help="risk_approver or business_approver.")],
    file: Annotated[Path | None, typer.Option(help="The appetite; the demo's if left out.")] = None,
    on: OnDay = "",
    as_json: AsJson = False,
) -> None:
    """Sign the risk appetite that judges from a day on; it holds once both approvers signed it."""
    from registry import judgement

    held = judgement.read_appetite(file)
    said = judgement.adopt(command.load_home(), held, role=role, on=command.parse_day(on))
    what = f"Risk appetite {said['id']} {said['version']} ({said['digest'][:12]})"
    state = "holds" if said["holds"] else "waits for the other approver"
    command.emit(
        {"schema": "registry-appetite/1", **said},
        as_json=as_json,
        people=lines_of([f"{what} is signed by {role} and {state}."]),
    )


@app.command()
@command.guarded
def gate(
    version: Version,
    on: OnDay = "",
    appetite: Annotated[
        Path | None, typer.Option(help="Compare with the signed risk appetite, which judges.")
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="List every judged measurement.")] = False,
    as_json: AsJson = False,
) -> None:
    """Judge a version's newest evidence, record the decision: 0 open, 12 closed, 14 cannot tell."""
    from registry import judgement
    from registry.attestation import document
    from registry.record import Record
    from registry.status import Rows, render_decision

    home, day = command.load_home(), command.parse_day(on)
    number = number_of(home, version)
    given = judgement.read_appetite(appetite) if appetite else None
    decision = judgement.gate(home, number, appetite=given, on=day)
    held = judgement.signed_appetite(Record.load(home), number, day)
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
    from registry import waivers

    request = waivers.WaiverRequest(
        measure=measure,
        scope=pairs_of(scope or [], "--scope attribute=sex"),
        owner=owner,
        reason=reason,
        role=role,
        granted_on=command.parse_day(on),
        expires_on=command.parse_day(expires),
    )
    home = command.load_home()
    number = number_of(home, version)
    granted = waivers.waive(home, number, request)
    document = {"schema": "registry-waive/1", "version": number, **granted.as_document()}
    command.emit(document, as_json=as_json, people=lines_of(granted.lines(number)))


@app.command()
@command.guarded
def approve(
    version: Version,
    role: Annotated[str, typer.Option("--as", help="risk_approver or business_approver.")],
    on: OnDay = "",
    valid_days: Annotated[int, typer.Option(help="How long it holds: 1 to 366 days.")] = 90,
    as_json: AsJson = False,
) -> None:
    """Sign that exactly these digests may go live; says what stands behind them."""
    from registry import judgement

    day = command.parse_day(on)
    home = command.load_home()
    number = number_of(home, version)
    said = judgement.approve(home, number, role=role, on=day, valid_days=valid_days)
    line = (
        f"Version {number} is approved by {role} until {said['expires_on']} (entry {said['seq']})."
    )
    document = {"schema": "registry-approve/1", "version": number, **said}
    command.emit(document, as_json=as_json, people=lines_of([line, *said["rests_on"]]))


@app.command()
@command.guarded
def promote(version: Version, on: OnDay = "", as_json: AsJson = False) -> None:
    """Make a version champion; needs an open gate and two different approvers."""
    from registry import promotion

    home = command.load_home()
    number = number_of(home, version)
    done = promotion.promote(home, number, on=command.parse_day(on))
    before = "" if done.previous in (None, number) else f" in place of version {done.previous}"
    state = "is champion" if done.is_new else "is champion already"
    line = f"Version {number} {state}{before}."
    document = {
        "schema": "registry-promote/1",
        "version": number,
        "previous": done.previous,
        "is_new": done.is_new,
        "note": done.note,
    }
    lines = [line, *filter(None, [done.note])]
    command.emit(document, as_json=as_json, people=lines_of(lines))


def number_of(home: Settings, version: str) -> int:
    """Return the version number that a person named."""
    from registry.load import resolve
    from registry.record import Record

    return resolve(Record.load(home), version)


def lines_of(lines: Sequence[str]) -> Any:
    """Return what prints these lines for people."""

    def show(console: Console) -> None:
        for line in lines:
            console.print(line, markup=False)

    return show


def pairs_of(pairs: Sequence[str], example: str) -> dict[str, str]:
    """Read options of the form name=value."""
    for pair in pairs:
        if "=" not in pair:
            raise UsageError(f"This is written name=value, such as {example}.")
    return {name: value for name, _, value in (pair.partition("=") for pair in pairs)}
