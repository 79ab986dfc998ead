"""The verbs of ``limitline people``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from governance import command
from governance.command import AsJson

if TYPE_CHECKING:
    from registry.offline import Person

app = typer.Typer(no_args_is_help=True, help="Who may sign: list, add, rotate and revoke keys.")

AsRole = Annotated[str, typer.Option("--as", help="The role of the key.")]
Name = Annotated[str, typer.Option(help="Who holds the key.")]
Reason = Annotated[str, typer.Option(help="Why, in a sentence; the root signs it.")]


@app.callback()
def people(as_json: AsJson = False) -> None:
    """Who may sign what is the root's word in the ledger; nothing else changes it."""


@app.command("list")
@command.guarded
def list_(as_json: AsJson = False) -> None:
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


@app.command()
@command.guarded
def add(
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


@app.command()
@command.guarded
def rotate(role: AsRole, name: Name, reason: Reason, as_json: AsJson = False) -> None:
    """Make a new key for a role of this keyring and revoke the old one."""
    from registry import people as roll

    _told(roll.rotate(command.load_home(), role, name=name, reason=reason), "added", as_json)


@app.command()
@command.guarded
def revoke(
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
