"""The verbs of ``limitline finding``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from governance import command
from governance.command import AsJson, OnDay

if TYPE_CHECKING:
    from registry.ledger import Entry

app = typer.Typer(no_args_is_help=True, help="List findings and close them, by two signatures.")


@app.callback()
def finding(as_json: AsJson = False) -> None:
    """List what monitoring found, and close what was put right: two people, two roles."""


@app.command("list")
@command.guarded
def list_(on: OnDay = "", as_json: AsJson = False) -> None:
    """List the findings that are open on a day, and who has agreed to close them."""
    from registry import finding as findings
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


@app.command("close")
@command.guarded
def close(
    finding_id: Annotated[str, typer.Argument(metavar="ID", help="The id of the finding.")],
    reason: Annotated[str, typer.Option(help="What was done about it, in a sentence.")],
    role: Annotated[
        str, typer.Option("--as", help="validator, risk_approver or business_approver.")
    ],
    on: OnDay = "",
    as_json: AsJson = False,
) -> None:
    """Sign that a finding may be closed; it is once two people in two roles have."""
    from registry import finding as findings
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
